/* The protocol between a TLS transport and the transport below it, in the
 * shape of stock's SSLProtocol.
 *
 * What happens for each packet and each write is native. Handshake, shutdown,
 * timeouts, errors and crossing a mark of flow control are the running
 * version's own methods, which run on this object: they find their state in
 * its fields, by the names that they know. */
#ifndef PYAIO_TLS_TLS_H
#define PYAIO_TLS_TLS_H

#include "tls/engine.h"

/* A mark of flow control. */
typedef struct {
    PyObject *given;  /* owned: as it was set, or NULL */
    Py_ssize_t bytes; /* the same in whole bytes */
} PyaioTlsMark;

struct PyaioTls {
    PyObject_HEAD
    const PyaioTlsEngine *engine;
    /* All owned, and NULL for None. */
    PyObject *loop;
    PyObject *app_protocol;
    PyObject *app_transport;
    PyObject *transport; /* below; None before it is connected and after */
    PyObject *sslobj;    /* ssl.SSLObject, or what a test put there */
    PyObject *incoming;  /* ssl.MemoryBIO: encrypted, from the peer */
    PyObject *outgoing;  /* the same to it */
    PyObject *backlog;   /* deque of what is to be encrypted */
    PyObject *status;    /* member of SSLProtocolState */
    Py_ssize_t backlog_bytes;
    PyaioTlsMark incoming_high; /* stop reading at or above */
    PyaioTlsMark incoming_low;  /* read again at or below */
    PyaioTlsMark outgoing_high; /* the same of the protocol's writing */
    PyaioTlsMark outgoing_low;
    char app_is_buffered; /* its protocol is a BufferedProtocol */
    char app_reading_paused;
    char app_writing_paused;
    char reading_paused; /* of the transport below */
    char writing_paused; /* told by the transport below */
    /* Of the engine that calls OpenSSL. */
    PyObject *sslsock; /* owned: what keeps the SSL, or NULL */
    SSL *ssl;
    BIO *bio; /* owned */
    PyaioTlsPipe *pipe;
};

/* How a TLS transport begins; the rest of it is stock's. */
typedef struct {
    PyObject_HEAD
    PyObject *base[5]; /* owned: the fields of stock's _FlowControlMixin */
    PyObject *tls;     /* owned: the protocol, or None */
    char closed;
} PyaioTlsTransport;

/* All return 0, or -1 with an exception that breaks out. */

/* Delivers what can be decrypted, then sends what there is to send. */
int pyaio_tls_read(PyaioState *state, PyaioTls *tls);
/* Takes in what was received. */
int pyaio_tls_received(PyaioState *state, PyaioTls *tls, const char *data,
                       size_t size);
int pyaio_tls_write(PyaioState *state, PyaioTls *tls, PyObject *data);
int pyaio_tls_writelines(PyaioState *state, PyaioTls *tls, PyObject *list);
int pyaio_tls_send(PyaioState *state, PyaioTls *tls);
/* Bytes that are not sent yet; -1 with an exception. */
Py_ssize_t pyaio_tls_write_size(PyaioTls *tls);

/* Hands the exception that is set, if it is one to handle, to _fatal_error().
 */
int pyaio_tls_fail(PyaioState *state, PyaioTls *tls);

int pyaio_tls_init(PyObject *module);
int pyaio_tls_transport_init(PyObject *module);

#endif
