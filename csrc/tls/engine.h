/* The contract of the engines that encrypt and decrypt.
 *
 * One calls OpenSSL on the SSL inside the ssl module's object; the other calls
 * that object, and the two ssl.MemoryBIO at its ends. Handshake, shutdown and
 * everything else that is rare goes through the object with both. */
#ifndef PYAIO_TLS_ENGINE_H
#define PYAIO_TLS_ENGINE_H

#include "tls/pipe.h"

typedef struct PyaioTls PyaioTls;

typedef enum {
    PYAIO_TLS_ERROR = -1, /* an exception is set */
    PYAIO_TLS_AGAIN = 0,  /* nothing more until more was received */
    PYAIO_TLS_CLOSED = 1, /* the peer has sent all that it will send */
    PYAIO_TLS_FULL = 2,   /* the buffer is full */
} PyaioTlsOutcome;

typedef struct {
    const char *name; /* as get_extra_info("tls_engine") tells it */
    /* Takes in what was received; the memory stays as it is until settle().
     * Both return 0, or -1 with an exception. */
    int (*feed)(PyaioState *state, PyaioTls *tls, const char *data,
                size_t size);
    int (*settle)(PyaioTls *tls);
    /* Decrypts everything there is, into *data, NULL where that is nothing. */
    PyaioTlsOutcome (*receive)(PyaioState *state, PyaioTls *tls,
                               PyObject **data);
    /* The same into a buffer, *count bytes. */
    PyaioTlsOutcome (*receive_into)(PyaioState *state, PyaioTls *tls,
                                    PyObject *buffer, Py_ssize_t *count);
    /* Encrypts. Returns 1; 0 where that cannot be done now, or went wrong: the
     * object's own write() then tells; -1 with an exception. */
    int (*write)(PyaioTls *tls, const char *data, size_t size);
    /* Hands what is encrypted to the transport below. Returns 0 or -1. */
    int (*send)(PyaioState *state, PyaioTls *tls);
    /* Bytes that wait to be decrypted, or sent; -1 with an exception. */
    Py_ssize_t (*incoming)(PyaioTls *tls);
    Py_ssize_t (*outgoing)(PyaioTls *tls);
} PyaioTlsEngine;

extern const PyaioTlsEngine pyaio_tls_module_engine;
extern const PyaioTlsEngine pyaio_tls_openssl_engine;

/* Puts our BIO into the SSL behind a connection that has not begun. Returns 1,
 * 0 where that cannot be done, -1 with MemoryError. */
int pyaio_tls_openssl_attach(PyaioState *state, PyaioTls *tls);
void pyaio_tls_openssl_detach(PyaioTls *tls);

#endif
