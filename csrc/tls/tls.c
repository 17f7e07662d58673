/* Reading and writing through the protocol: what is native of it. */
#include "base/context.h"
#include "net/transport.h"
#include "tls/tls.h"

/* A method of the protocol: the running version's, or what replaced it. */
static int
call(PyaioTls *tls, PyObject *name)
{
    PyObject *done = PyObject_CallMethodNoArgs((PyObject *)tls, name);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

int
pyaio_tls_fail(PyaioState *state, PyaioTls *tls)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception)) {
        return -1;
    }
    PyObject *exc = PyErr_GetRaisedException();
    /* As the exception that is being handled, which gets logged. */
    PyObject *before = pyaio_exchange_handled(Py_NewRef(exc));
    PyObject *done = PyObject_CallMethod((PyObject *)tls, "_fatal_error", "Os",
                                         exc, "Fatal error on SSL protocol");
    Py_XDECREF(pyaio_exchange_handled(before));
    Py_DECREF(exc);
    (void)state;
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* --- flow control: marks are looked at here, and crossed by stock -------- */

Py_ssize_t
pyaio_tls_write_size(PyaioTls *tls)
{
    Py_ssize_t size = tls->engine->outgoing(tls);
    return size < 0 ? -1 : size + tls->backlog_bytes;
}

static int
control_app_writing(PyaioState *state, PyaioTls *tls)
{
    Py_ssize_t size = pyaio_tls_write_size(tls);
    if (size < 0) {
        return -1;
    }
    int crossed = tls->app_writing_paused ? size <= tls->outgoing_low.bytes
                                          : size >= tls->outgoing_high.bytes;
    return crossed ? call(tls, state->str__control_app_writing) : 0;
}

static int
control_reading(PyaioState *state, PyaioTls *tls)
{
    Py_ssize_t size = tls->engine->incoming(tls);
    if (size < 0) {
        return -1;
    }
    int crossed = tls->reading_paused ? size <= tls->incoming_low.bytes
                                      : size >= tls->incoming_high.bytes;
    return crossed ? call(tls, state->str__control_ssl_reading) : 0;
}

/* --- reading ------------------------------------------------------------- */

/* The peer has closed its side. */
static int
read_end(PyaioState *state, PyaioTls *tls)
{
    return call(tls, state->str__call_eof_received) < 0
               ? -1
               : call(tls, state->str__start_shutdown);
}

static int
read_copied(PyaioState *state, PyaioTls *tls)
{
    PyObject *data;
    PyaioTlsOutcome outcome = tls->engine->receive(state, tls, &data);
    if (outcome == PYAIO_TLS_ERROR) {
        return -1;
    }
    if (data != NULL) {
        PyObject *protocol =
            Py_NewRef(tls->app_protocol ? tls->app_protocol : Py_None);
        int err = pyaio_protocol_data_received(
            state, pyaio_native_protocol(state, protocol), protocol, data);
        Py_DECREF(protocol);
        Py_DECREF(data);
        if (err < 0) {
            return -1;
        }
    }
    return outcome == PYAIO_TLS_CLOSED ? read_end(state, tls) : 0;
}

static PyObject *
get_app_buffer(PyaioState *state, PyaioTls *tls)
{
    Py_ssize_t size = tls->engine->incoming(tls);
    PyObject *hint = size < 0 ? NULL : PyLong_FromSsize_t(size);
    PyObject *protocol =
        Py_NewRef(tls->app_protocol ? tls->app_protocol : Py_None);
    PyObject *buffer =
        hint ? PyObject_CallMethodOneArg(protocol, state->str_get_buffer, hint)
             : NULL;
    Py_DECREF(protocol);
    Py_XDECREF(hint);
    return buffer;
}

/* loop.call_soon(self._do_read) */
static int
read_again_soon(PyaioState *state, PyaioTls *tls)
{
    PyObject *method = PyObject_GetAttr((PyObject *)tls, state->str__do_read);
    PyObject *loop = tls->loop ? tls->loop : Py_None;
    PyObject *handle =
        method ? PyObject_CallMethodOneArg(loop, state->str_call_soon, method)
               : NULL;
    Py_XDECREF(method);
    Py_XDECREF(handle);
    return handle ? 0 : -1;
}

static int
tell_updated(PyaioState *state, PyaioTls *tls, Py_ssize_t count)
{
    PyObject *number = PyLong_FromSsize_t(count);
    PyObject *protocol =
        Py_NewRef(tls->app_protocol ? tls->app_protocol : Py_None);
    PyObject *done = number ? PyObject_CallMethodOneArg(
                                  protocol, state->str_buffer_updated, number)
                            : NULL;
    Py_DECREF(protocol);
    Py_XDECREF(number);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int
read_buffered(PyaioState *state, PyaioTls *tls)
{
    PyObject *buffer = get_app_buffer(state, tls);
    if (buffer == NULL) {
        return -1;
    }
    Py_ssize_t count;
    PyaioTlsOutcome outcome =
        tls->engine->receive_into(state, tls, buffer, &count);
    Py_DECREF(buffer);
    if (outcome == PYAIO_TLS_ERROR ||
        (outcome == PYAIO_TLS_FULL && read_again_soon(state, tls) < 0) ||
        (count > 0 && tell_updated(state, tls, count) < 0)) {
        return -1;
    }
    return outcome == PYAIO_TLS_CLOSED ? read_end(state, tls) : 0;
}

static int
has_backlog(PyaioTls *tls)
{
    return tls->backlog == NULL ? 0 : PyObject_IsTrue(tls->backlog);
}

static int
read_and_send(PyaioState *state, PyaioTls *tls)
{
    int err = tls->app_is_buffered ? read_buffered(state, tls)
                                   : read_copied(state, tls);
    int more = err < 0 ? -1 : has_backlog(tls);
    if (more < 0) {
        return -1;
    }
    return more ? call(tls, state->str__do_write) : pyaio_tls_send(state, tls);
}

int
pyaio_tls_read(PyaioState *state, PyaioTls *tls)
{
    if (tls->status != state->tls_wrapped &&
        tls->status != state->tls_flushing) {
        return 0;
    }
    int err = tls->app_reading_paused ? 0 : read_and_send(state, tls);
    if (err == 0) {
        err = control_reading(state, tls);
    }
    return err < 0 ? pyaio_tls_fail(state, tls) : 0;
}

/* What the state asks for when something was received. */
static int
go_on(PyaioState *state, PyaioTls *tls)
{
    if (tls->status == state->tls_wrapped) {
        return (PyObject *)Py_TYPE(tls) == state->SSLProtocol
                   ? pyaio_tls_read(state, tls)
                   : call(tls, state->str__do_read);
    }
    if (tls->status == state->tls_handshake) {
        return call(tls, state->str__do_handshake);
    }
    if (tls->status == state->tls_flushing) {
        return call(tls, state->str__do_flush);
    }
    return tls->status == state->tls_shutdown
               ? call(tls, state->str__do_shutdown)
               : 0;
}

int
pyaio_tls_received(PyaioState *state, PyaioTls *tls, const char *data,
                   size_t size)
{
    const PyaioTlsEngine *engine = tls->engine;
    if (engine->feed(state, tls, data, size) < 0) {
        return -1;
    }
    int err = go_on(state, tls);
    PyObject *raised = PyErr_GetRaisedException();
    if (engine->settle(tls) < 0) {
        err = -1;
    }
    if (raised != NULL) {
        PyErr_Clear();
        PyErr_SetRaisedException(raised);
    }
    return err;
}

/* --- writing ------------------------------------------------------------- */

int
pyaio_tls_send(PyaioState *state, PyaioTls *tls)
{
    if (!tls->writing_paused && tls->engine->send(state, tls) < 0) {
        return -1;
    }
    return control_app_writing(state, tls);
}

/* Stock's _write_appdata(), on what cannot be encrypted now. */
static int
write_in_stock(PyaioState *state, PyaioTls *tls, PyObject *list)
{
    PyObject *done = PyObject_CallFunctionObjArgs(state->stock_tls_write,
                                                  (PyObject *)tls, list, NULL);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* The same of one piece, which is kept as it is now. */
static int
write_later(PyaioState *state, PyaioTls *tls, PyObject *data)
{
    PyObject *bytes =
        PyBytes_Check(data) ? Py_NewRef(data) : PyBytes_FromObject(data);
    PyObject *list = bytes ? PyTuple_Pack(1, bytes) : NULL;
    int err = list ? write_in_stock(state, tls, list) : -1;
    Py_XDECREF(bytes);
    Py_XDECREF(list);
    return err;
}

/* Whether data goes straight into the engine. */
static int
writes_directly(PyaioState *state, PyaioTls *tls)
{
    if (tls->status != state->tls_wrapped ||
        (PyObject *)Py_TYPE(tls) != state->SSLProtocol) {
        return 0;
    }
    int more = has_backlog(tls);
    return more < 0 ? -1 : !more;
}

/* Encrypts. Returns 1; 0 where that cannot be done now; -1. */
static int
encrypt(PyaioTls *tls, PyObject *data)
{
    if (PyBytes_Check(data)) {
        return tls->engine->write(tls, PyBytes_AS_STRING(data),
                                  (size_t)PyBytes_GET_SIZE(data));
    }
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        PyErr_Clear();
        return 0; /* stock tells what is wrong with it */
    }
    int done = tls->engine->write(tls, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return done;
}

/* After something was encrypted. */
static int
sent(PyaioState *state, PyaioTls *tls)
{
    return pyaio_tls_send(state, tls) < 0 ? pyaio_tls_fail(state, tls) : 0;
}

int
pyaio_tls_write(PyaioState *state, PyaioTls *tls, PyObject *data)
{
    int direct = writes_directly(state, tls);
    if (direct > 0) {
        direct = encrypt(tls, data);
    }
    if (direct < 0) {
        return -1;
    }
    return direct ? sent(state, tls) : write_later(state, tls, data);
}

int
pyaio_tls_writelines(PyaioState *state, PyaioTls *tls, PyObject *list)
{
    int direct = writes_directly(state, tls);
    if (direct <= 0) {
        return direct < 0 ? -1 : write_in_stock(state, tls, list);
    }
    PyObject *pieces = PySequence_List(list);
    if (pieces == NULL) {
        return -1;
    }
    Py_ssize_t done = 0, count = PyList_GET_SIZE(pieces);
    while (direct > 0 && done < count) {
        PyObject *data = PyList_GET_ITEM(pieces, done);
        Py_ssize_t size = PyObject_Length(data);
        direct = size > 0 ? encrypt(tls, data) : size < 0 ? -1 : 1;
        done += direct > 0;
    }
    int err = direct < 0 ? -1 : 0;
    if (direct == 0) {
        PyObject *rest = PyList_GetSlice(pieces, done, count);
        err = rest ? write_in_stock(state, tls, rest) : -1;
        Py_XDECREF(rest);
    }
    else if (direct > 0) {
        err = sent(state, tls);
    }
    Py_DECREF(pieces);
    return err;
}
