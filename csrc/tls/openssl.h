/* The OpenSSL that the interpreter has loaded, found at run time: nothing is
 * linked, and no header of it is needed to build.
 *
 * An SSL is always made by the ssl module, whose callbacks (server names, key
 * log, messages) take it for theirs; only its bytes go by another way. */
#ifndef PYAIO_TLS_OPENSSL_H
#define PYAIO_TLS_OPENSSL_H

#include "base/state.h"

typedef struct ssl_st SSL;
typedef struct bio_st BIO;
typedef struct bio_method_st BIO_METHOD;

#define PYAIO_OPENSSL_SYMBOLS(X)                                           \
    X(unsigned long, OpenSSL_version_num, (void))                          \
    X(const char *, OpenSSL_version, (int))                                \
    X(int, SSL_read, (SSL *, void *, int))                                 \
    X(int, SSL_write, (SSL *, const void *, int))                          \
    X(int, SSL_pending, (const SSL *))                                     \
    X(int, SSL_has_pending, (const SSL *))                                 \
    X(int, SSL_get_error, (const SSL *, int))                              \
    X(int, SSL_get_shutdown, (const SSL *))                                \
    X(void, SSL_set_bio, (SSL *, BIO *, BIO *))                            \
    X(BIO *, SSL_get_rbio, (const SSL *))                                  \
    X(void *, SSL_get_ex_data, (const SSL *, int))                         \
    X(unsigned long, ERR_peek_error, (void))                               \
    X(void, ERR_clear_error, (void))                                       \
    X(BIO *, BIO_new, (const BIO_METHOD *))                                \
    X(int, BIO_free, (BIO *))                                              \
    X(int, BIO_up_ref, (BIO *))                                            \
    X(int, BIO_read, (BIO *, void *, int))                                 \
    X(int, BIO_write, (BIO *, const void *, int))                          \
    X(long, BIO_ctrl, (BIO *, int, long, void *))                          \
    X(void, BIO_set_data, (BIO *, void *))                                 \
    X(void *, BIO_get_data, (BIO *))                                       \
    X(void, BIO_set_init, (BIO *, int))                                    \
    X(void, BIO_set_flags, (BIO *, int))                                   \
    X(void, BIO_clear_flags, (BIO *, int))                                 \
    X(int, BIO_get_new_index, (void))                                      \
    X(BIO_METHOD *, BIO_meth_new, (int, const char *))                     \
    X(int, BIO_meth_set_read, (BIO_METHOD *, int (*)(BIO *, char *, int))) \
    X(int, BIO_meth_set_write,                                             \
      (BIO_METHOD *, int (*)(BIO *, const char *, int)))                   \
    X(int, BIO_meth_set_ctrl,                                              \
      (BIO_METHOD *, long (*)(BIO *, int, long, void *)))                  \
    X(int, BIO_meth_set_destroy, (BIO_METHOD *, int (*)(BIO *)))

typedef struct PyaioOpenssl {
#define X(result, name, arguments) result(*name) arguments;
    PYAIO_OPENSSL_SYMBOLS(X)
#undef X
    BIO_METHOD *pipe_method; /* tls/pipe.h */
} PyaioOpenssl;

/* Values of OpenSSL's interface that its headers define. */
#define PYAIO_SSL_ERROR_WANT_READ 2
#define PYAIO_SSL_ERROR_WANT_WRITE 3
#define PYAIO_SSL_ERROR_ZERO_RETURN 6
#define PYAIO_SSL_RECEIVED_SHUTDOWN 2
#define PYAIO_BIO_TYPE_SOURCE_SINK 0x0400
#define PYAIO_BIO_CTRL_PENDING 10
#define PYAIO_BIO_CTRL_FLUSH 11
#define PYAIO_BIO_FLAGS_READ 0x01
#define PYAIO_BIO_FLAGS_RETRY 0x0f /* every one that says why and whether */
#define PYAIO_BIO_FLAGS_SHOULD_RETRY 0x08

/* The functions, once pyaio_openssl_find() has returned 1. A process has one
 * such library, and what it calls back knows nothing else of us: so this is
 * static. */
extern PyaioOpenssl pyaio_openssl;

/* Whether they are there and can be used. The GIL is held; no exception. */
int pyaio_openssl_find(void);

/* The SSL of a _ssl._SSLSocket that was made over the _ssl.MemoryBIO
 * `incoming`, whose BIO becomes *bio. NULL where anything is not as known. */
SSL *pyaio_openssl_ssl_of(PyObject *sslsock, PyObject *incoming, BIO **bio);

#endif
