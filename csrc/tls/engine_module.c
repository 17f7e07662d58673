/* The ssl module's own objects, called as stock calls them. */
#include "sched/sched.h"
#include "tls/tls.h"

static int
module_feed(PyaioState *state, PyaioTls *tls, const char *data, size_t size)
{
    PyObject *bytes = PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
    PyObject *done = bytes ? PyObject_CallMethodOneArg(
                                 tls->incoming ? tls->incoming : Py_None,
                                 state->str_write, bytes)
                           : NULL;
    Py_XDECREF(bytes);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int
module_settle(PyaioTls *Py_UNUSED(tls))
{
    return 0;
}

/* sslobj.read(size[, buffer]), whose result is new; NULL with the outcome. */
static PyObject *
read_object(PyaioState *state, PyaioTls *tls, Py_ssize_t size,
            PyObject *buffer, PyaioTlsOutcome *outcome)
{
    PyObject *sslobj = Py_NewRef(tls->sslobj ? tls->sslobj : Py_None);
    PyObject *result =
        buffer ? PyObject_CallMethod(sslobj, "read", "nO", size, buffer)
               : PyObject_CallMethod(sslobj, "read", "n", size);
    Py_DECREF(sslobj);
    *outcome = PYAIO_TLS_ERROR;
    if (result == NULL && PyErr_ExceptionMatches(state->ssl_again_errors)) {
        PyErr_Clear();
        *outcome = PYAIO_TLS_AGAIN;
    }
    return result;
}

/* Collects what is read; ended by an outcome other than FULL. */
static PyaioTlsOutcome
collect(PyaioState *state, PyaioTls *tls, PyObject *chunks)
{
    PyaioTlsOutcome outcome;
    for (;;) {
        PyObject *chunk =
            read_object(state, tls, PYAIO_SCRATCH_SIZE, NULL, &outcome);
        int some = chunk ? PyObject_IsTrue(chunk) : 0;
        if (some > 0) {
            some = PyList_Append(chunks, chunk) < 0 ? -1 : 1;
        }
        int ended = chunk != NULL && some == 0;
        Py_XDECREF(chunk);
        if (chunk == NULL || some < 0) {
            return outcome;
        }
        if (ended) {
            return PYAIO_TLS_CLOSED;
        }
    }
}

static PyObject *
join(PyObject *chunks)
{
    if (PyList_GET_SIZE(chunks) == 1) {
        return Py_NewRef(PyList_GET_ITEM(chunks, 0));
    }
    PyObject *empty = PyBytes_FromStringAndSize(NULL, 0);
    PyObject *joined =
        empty ? PyObject_CallMethod(empty, "join", "O", chunks) : NULL;
    Py_XDECREF(empty);
    return joined;
}

static PyaioTlsOutcome
module_receive(PyaioState *state, PyaioTls *tls, PyObject **data)
{
    *data = NULL;
    PyObject *chunks = PyList_New(0);
    if (chunks == NULL) {
        return PYAIO_TLS_ERROR;
    }
    PyaioTlsOutcome outcome = collect(state, tls, chunks);
    if (outcome != PYAIO_TLS_ERROR && PyList_GET_SIZE(chunks) > 0) {
        *data = join(chunks);
        if (*data == NULL) {
            outcome = PYAIO_TLS_ERROR;
        }
    }
    Py_DECREF(chunks);
    return outcome;
}

static PyaioTlsOutcome
module_receive_into(PyaioState *state, PyaioTls *tls, PyObject *buffer,
                    Py_ssize_t *count)
{
    PyaioTlsOutcome outcome = PYAIO_TLS_FULL;
    Py_ssize_t size = PyObject_Length(buffer);
    *count = 0;
    if (size < 0) {
        return PYAIO_TLS_ERROR;
    }
    /* Part of a bytearray would be a copy. */
    PyObject *view = PyMemoryView_FromObject(buffer);
    if (view == NULL) {
        return PYAIO_TLS_ERROR;
    }
    PyObject *rest = Py_NewRef(buffer);
    do {
        PyObject *result =
            read_object(state, tls, size - *count, rest, &outcome);
        Py_ssize_t got = result ? PyNumber_AsSsize_t(result, NULL) : 0;
        int failed = result == NULL || (got == -1 && PyErr_Occurred());
        Py_XDECREF(result);
        if (failed) {
            break;
        }
        if (got <= 0) {
            outcome = got == 0 ? PYAIO_TLS_CLOSED : PYAIO_TLS_AGAIN;
            break;
        }
        *count += got;
        outcome = PYAIO_TLS_FULL;
        if (*count < size) {
            PyObject *next = PySequence_GetSlice(view, *count, size);
            Py_SETREF(rest, next);
        }
    } while (*count < size && rest != NULL);
    Py_DECREF(view);
    if (rest == NULL) {
        return PYAIO_TLS_ERROR;
    }
    Py_DECREF(rest);
    return outcome;
}

/* The object's write() is called for what is in the backlog. */
static int
module_write(PyaioTls *Py_UNUSED(tls), const char *Py_UNUSED(data),
             size_t Py_UNUSED(size))
{
    return 0;
}

static int
module_send(PyaioState *state, PyaioTls *tls)
{
    PyObject *outgoing = Py_NewRef(tls->outgoing ? tls->outgoing : Py_None);
    PyObject *data = PyObject_CallMethod(outgoing, "read", NULL);
    Py_DECREF(outgoing);
    Py_ssize_t size = data ? PyObject_Length(data) : -1;
    int err = size < 0 ? -1 : 0;
    if (size > 0) {
        PyObject *transport =
            Py_NewRef(tls->transport ? tls->transport : Py_None);
        PyObject *done =
            PyObject_CallMethodOneArg(transport, state->str_write, data);
        Py_DECREF(transport);
        Py_XDECREF(done);
        err = done ? 0 : -1;
    }
    Py_XDECREF(data);
    return err;
}

static Py_ssize_t
pending_of(PyObject *bio)
{
    PyObject *pending = PyObject_GetAttrString(bio ? bio : Py_None, "pending");
    Py_ssize_t size = pending ? PyNumber_AsSsize_t(pending, NULL) : -1;
    Py_XDECREF(pending);
    return size;
}

static Py_ssize_t
module_incoming(PyaioTls *tls)
{
    return pending_of(tls->incoming);
}

static Py_ssize_t
module_outgoing(PyaioTls *tls)
{
    return pending_of(tls->outgoing);
}

const PyaioTlsEngine pyaio_tls_module_engine = {
    .name = "ssl",
    .feed = module_feed,
    .settle = module_settle,
    .receive = module_receive,
    .receive_into = module_receive_into,
    .write = module_write,
    .send = module_send,
    .incoming = module_incoming,
    .outgoing = module_outgoing,
};
