/* OpenSSL called directly. */
#include "net/transport.h"
#include "tls/tls.h"

#include <limits.h>
#include <stdlib.h>

/* What fits is decrypted to the stack and copied: less than making a large
 * object small. */
#define SMALL_SIZE 4096
/* More than one record can hold. */
#define RECORD_SIZE (17 * 1024)
/* What each record adds, at most; and the plaintext of a full one. */
#define RECORD_OVERHEAD 256
#define RECORD_PLAIN (16 * 1024)

/* --- coming and going ---------------------------------------------------- */

static int
is_stock_type(PyObject *op, PyObject *type)
{
    return op != NULL && (PyObject *)Py_TYPE(op) == type;
}

int
pyaio_tls_openssl_attach(PyaioState *state, PyaioTls *tls)
{
    if (!is_stock_type(tls->sslobj, state->ssl_SSLObject) ||
        !is_stock_type(tls->incoming, state->ssl_MemoryBIO) ||
        !is_stock_type(tls->outgoing, state->ssl_MemoryBIO) ||
        !pyaio_openssl_find()) {
        return 0;
    }
    PyObject *sslsock = PyObject_GetAttrString(tls->sslobj, "_sslobj");
    BIO *incoming = NULL;
    SSL *ssl = NULL;
    if (is_stock_type(sslsock, state->ssl_SSLSocket)) {
        ssl = pyaio_openssl_ssl_of(sslsock, tls->incoming, &incoming);
    }
    PyErr_Clear();
    if (ssl == NULL) {
        Py_XDECREF(sslsock);
        return 0;
    }
    BIO *bio = pyaio_tls_pipe_new(incoming, &tls->pipe);
    if (bio == NULL) {
        Py_DECREF(sslsock);
        PyErr_NoMemory();
        return -1;
    }
    (void)pyaio_openssl.BIO_up_ref(bio);
    pyaio_openssl.SSL_set_bio(ssl, bio, bio);
    tls->bio = bio;
    tls->ssl = ssl;
    tls->sslsock = sslsock;
    return 1;
}

void
pyaio_tls_openssl_detach(PyaioTls *tls)
{
    BIO *bio = tls->bio;
    if (bio != NULL) {
        /* The SSL may live on; what was received may not. */
        (void)pyaio_tls_pipe_close_window(tls->pipe);
        tls->ssl = NULL;
        tls->bio = NULL;
        tls->pipe = NULL;
        (void)pyaio_openssl.BIO_free(bio);
        Py_CLEAR(tls->sslsock);
    }
}

/* --- receiving ----------------------------------------------------------- */

static int
openssl_feed(PyaioState *Py_UNUSED(state), PyaioTls *tls, const char *data,
             size_t size)
{
    pyaio_tls_pipe_open_window(tls->pipe, data, size);
    return 0;
}

static int
openssl_settle(PyaioTls *tls)
{
    if (tls->pipe != NULL && pyaio_tls_pipe_close_window(tls->pipe) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

/* The ssl module reads in our place, and so tells what is wrong: what OpenSSL
 * knows of an error stays until somebody asks. Returns what was read. */
static PyObject *
read_through_object(PyaioState *state, PyaioTls *tls, PyaioTlsOutcome *outcome)
{
    PyObject *data =
        PyObject_CallMethod(tls->sslobj, "read", "i", RECORD_SIZE);
    *outcome = PYAIO_TLS_ERROR;
    if (data != NULL) {
        *outcome = PyObject_IsTrue(data) ? PYAIO_TLS_FULL : PYAIO_TLS_CLOSED;
    }
    else if (PyErr_ExceptionMatches(state->ssl_again_errors)) {
        PyErr_Clear();
        *outcome = PYAIO_TLS_AGAIN;
    }
    return data;
}

/* Whether neither the pipe nor the SSL has a byte to go on with: it need not
 * be asked to find that out, which costs as much as a small record. */
static int
is_dry(const PyaioTls *tls)
{
    return pyaio_tls_pipe_incoming(tls->pipe) == 0 &&
           !pyaio_openssl.SSL_has_pending(tls->ssl);
}

/* Decrypts into memory until that is full, which is told as such, or nothing
 * is left. What is wrong is left for the caller to find out. */
static PyaioTlsOutcome
read_memory(PyaioTls *tls, char *memory, size_t size, size_t *count)
{
    const PyaioOpenssl *openssl = &pyaio_openssl;
    SSL *ssl = tls->ssl;
    while (*count < size) {
        if (openssl->ERR_peek_error() != 0) {
            openssl->ERR_clear_error();
        }
        size_t room = size - *count;
        int got = openssl->SSL_read(ssl, memory + *count,
                                    room > INT_MAX ? INT_MAX : (int)room);
        if (got <= 0) {
            int error = openssl->SSL_get_error(ssl, got);
            if (error == PYAIO_SSL_ERROR_WANT_READ ||
                error == PYAIO_SSL_ERROR_WANT_WRITE) {
                return PYAIO_TLS_AGAIN;
            }
            return error == PYAIO_SSL_ERROR_ZERO_RETURN &&
                           openssl->SSL_get_shutdown(ssl) ==
                               PYAIO_SSL_RECEIVED_SHUTDOWN
                       ? PYAIO_TLS_CLOSED
                       : PYAIO_TLS_ERROR;
        }
        *count += (size_t)got;
        if (*count < size && is_dry(tls)) {
            return PYAIO_TLS_AGAIN;
        }
    }
    return PYAIO_TLS_FULL;
}

/* As read_memory(), with the exception in the case of an error. */
static PyaioTlsOutcome
read_or_raise(PyaioState *state, PyaioTls *tls, char *memory, size_t size,
              size_t *count)
{
    /* A context's callbacks may do anything, and OpenSSL is not done then. */
    PyObject *kept = Py_NewRef(tls->sslsock);
    PyaioTlsOutcome outcome = read_memory(tls, memory, size, count);
    Py_DECREF(kept);
    if (outcome == PYAIO_TLS_ERROR) {
        PyObject *data = read_through_object(state, tls, &outcome);
        if (outcome == PYAIO_TLS_FULL) {
            PyErr_SetString(PyExc_RuntimeError,
                            "data after an error of the TLS connection");
            outcome = PYAIO_TLS_ERROR;
        }
        Py_XDECREF(data);
    }
    return outcome;
}

static PyaioTlsOutcome
receive_small(PyaioState *state, PyaioTls *tls, PyObject **data)
{
    char memory[SMALL_SIZE];
    size_t count = 0;
    PyaioTlsOutcome outcome =
        read_or_raise(state, tls, memory, sizeof(memory), &count);
    if (outcome != PYAIO_TLS_ERROR && count > 0) {
        *data = PyBytes_FromStringAndSize(memory, (Py_ssize_t)count);
        if (*data == NULL) {
            return PYAIO_TLS_ERROR;
        }
    }
    return outcome;
}

/* Goes on in a bytes object, which may hold something already. */
static PyaioTlsOutcome
receive_large(PyaioState *state, PyaioTls *tls, PyObject **data)
{
    size_t count = *data ? (size_t)PyBytes_GET_SIZE(*data) : 0;
    size_t size = count + pyaio_tls_pipe_incoming(tls->pipe) +
                  (size_t)pyaio_openssl.SSL_pending(tls->ssl);
    if (*data == NULL) {
        *data = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    }
    PyaioTlsOutcome outcome = PYAIO_TLS_FULL;
    for (;;) {
        if (*data == NULL ||
            ((size_t)PyBytes_GET_SIZE(*data) != size &&
             pyaio_bytes_resize(data, (Py_ssize_t)size) < 0)) {
            return PYAIO_TLS_ERROR;
        }
        outcome =
            read_or_raise(state, tls, PyBytes_AS_STRING(*data), size, &count);
        if (outcome != PYAIO_TLS_FULL) {
            break;
        }
        size += RECORD_SIZE;
    }
    if (outcome == PYAIO_TLS_ERROR || count == 0) {
        Py_CLEAR(*data);
    }
    else if (pyaio_bytes_resize(data, (Py_ssize_t)count) < 0) {
        return PYAIO_TLS_ERROR;
    }
    return outcome;
}

static PyaioTlsOutcome
openssl_receive(PyaioState *state, PyaioTls *tls, PyObject **data)
{
    *data = NULL;
    PyaioTlsOutcome outcome = PYAIO_TLS_FULL;
    if (pyaio_tls_pipe_incoming(tls->pipe) <= SMALL_SIZE) {
        outcome = receive_small(state, tls, data);
    }
    if (outcome == PYAIO_TLS_FULL) {
        outcome = receive_large(state, tls, data);
    }
    if (outcome == PYAIO_TLS_ERROR) {
        Py_CLEAR(*data);
    }
    return outcome;
}

static PyaioTlsOutcome
openssl_receive_into(PyaioState *state, PyaioTls *tls, PyObject *buffer,
                     Py_ssize_t *count)
{
    Py_buffer view;
    *count = 0;
    if (PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE) < 0) {
        return PYAIO_TLS_ERROR;
    }
    /* The ssl module reads nothing into nothing, which looks like the end. */
    PyaioTlsOutcome outcome = PYAIO_TLS_CLOSED;
    if (view.len > 0) {
        size_t got = 0;
        outcome = read_or_raise(state, tls, view.buf, (size_t)view.len, &got);
        *count = (Py_ssize_t)got;
    }
    PyBuffer_Release(&view);
    return outcome;
}

static Py_ssize_t
openssl_incoming(PyaioTls *tls)
{
    return (Py_ssize_t)pyaio_tls_pipe_incoming(tls->pipe);
}

/* --- sending ------------------------------------------------------------- */

static int
openssl_write(PyaioTls *tls, const char *data, size_t size)
{
    const PyaioOpenssl *openssl = &pyaio_openssl;
    size_t records = size / RECORD_PLAIN + 1;
    if (size > INT_MAX ||
        pyaio_tls_pipe_reserve(tls->pipe, size + records * RECORD_OVERHEAD) <
            0) {
        return 0;
    }
    if (openssl->ERR_peek_error() != 0) {
        openssl->ERR_clear_error();
    }
    PyObject *kept = Py_NewRef(tls->sslsock);
    int written = openssl->SSL_write(tls->ssl, data, (int)size);
    Py_DECREF(kept);
    return written == (int)size;
}

static int
openssl_send(PyaioState *state, PyaioTls *tls)
{
    if (tls->pipe->out_size == 0) {
        return 0;
    }
    size_t size;
    char *out = pyaio_tls_pipe_take(tls->pipe, &size);
    PyObject *transport = tls->transport ? tls->transport : Py_None;
    Py_INCREF(transport);
    int err;
    if (pyaio_transport_writes_memory(state, transport)) {
        err = pyaio_transport_write_memory(state, (PyaioTransport *)transport,
                                           out, size);
    }
    else {
        PyObject *data = PyBytes_FromStringAndSize(out, (Py_ssize_t)size);
        PyObject *done =
            data ? PyObject_CallMethodOneArg(transport, state->str_write, data)
                 : NULL;
        err = done ? 0 : -1;
        Py_XDECREF(data);
        Py_XDECREF(done);
    }
    free(out);
    Py_DECREF(transport);
    return err;
}

static Py_ssize_t
openssl_outgoing(PyaioTls *tls)
{
    return (Py_ssize_t)tls->pipe->out_size;
}

const PyaioTlsEngine pyaio_tls_openssl_engine = {
    .name = "openssl",
    .feed = openssl_feed,
    .settle = openssl_settle,
    .receive = openssl_receive,
    .receive_into = openssl_receive_into,
    .write = openssl_write,
    .send = openssl_send,
    .incoming = openssl_incoming,
    .outgoing = openssl_outgoing,
};
