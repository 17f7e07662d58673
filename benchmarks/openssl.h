/* The part of OpenSSL that the programs here need, without its headers: the
 * libssl.so.3 that is found at run time. */
#ifndef OPENSSL_H
#define OPENSSL_H

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#define SSL_CTRL_MODE 33
#define SSL_PARTIAL_AND_MOVING_WRITES 3L
#define SSL_ERROR_WANT_READ 2
#define SSL_ERROR_WANT_WRITE 3
#define SSL_FILETYPE_PEM 1
#define BIO_SOURCE_SINK 0x0400
#define BIO_READ_AND_RETRY 0x09
#define BIO_CTRL_FLUSH 11

/* F(result, name, arguments) */
#define OPENSSL_FUNCTIONS(F)                                                 \
    F(const void *, TLS_client_method, (void))                               \
    F(const void *, TLS_server_method, (void))                               \
    F(void *, SSL_CTX_new, (const void *))                                   \
    F(int, SSL_CTX_use_certificate_file, (void *, const char *, int))        \
    F(int, SSL_CTX_use_PrivateKey_file, (void *, const char *, int))         \
    F(void *, SSL_new, (void *))                                             \
    F(void, SSL_free, (void *))                                              \
    F(long, SSL_ctrl, (void *, int, long, void *))                           \
    F(int, SSL_set_fd, (void *, int))                                        \
    F(void, SSL_set_bio, (void *, void *, void *))                           \
    F(void, SSL_set_accept_state, (void *))                                  \
    F(int, SSL_connect, (void *))                                            \
    F(int, SSL_read, (void *, void *, int))                                  \
    F(int, SSL_write, (void *, const void *, int))                           \
    F(int, SSL_get_error, (const void *, int))                               \
    F(void *, BIO_meth_new, (int, const char *))                             \
    F(int, BIO_meth_set_read, (void *, int (*)(void *, char *, int)))        \
    F(int, BIO_meth_set_write, (void *, int (*)(void *, const char *, int))) \
    F(int, BIO_meth_set_ctrl, (void *, long (*)(void *, int, long, void *))) \
    F(void *, BIO_new, (const void *))                                       \
    F(void, BIO_set_init, (void *, int))                                     \
    F(void, BIO_set_flags, (void *, int))                                    \
    F(void, BIO_clear_flags, (void *, int))

static struct {
#define MEMBER(result, name, arguments) result(*name) arguments;
    OPENSSL_FUNCTIONS(MEMBER)
#undef MEMBER
} tls;

static void
load_openssl(void)
{
    void *library = dlopen("libssl.so.3", RTLD_NOW);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        exit(1);
    }
#define LOAD(result, name, arguments) \
    *(void **)&tls.name = dlsym(library, #name);
    OPENSSL_FUNCTIONS(LOAD)
#undef LOAD
}

#endif
