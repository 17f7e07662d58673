/* What a StreamReader does when it is fed, and with its transport. */
#include "stream/reader.h"
#include "net/transport.h"
#include "sync/waiters.h"

#define NAME(name) offsetof(PyaioState, str_##name)

const PyaioStreamMethods pyaio_reader_methods = {
    .type = offsetof(PyaioState, StreamReader_type),
    .kept = offsetof(PyaioState, readers),
    .count = 8,
    .names = {NAME(feed_data), NAME(exception), NAME(_wakeup_waiter),
              NAME(_maybe_resume_transport), NAME(_wait_for_data), NAME(read),
              NAME(readline), NAME(readuntil)},
};

static int
call_method(PyObject *op, PyObject *name)
{
    PyObject *done = PyObject_CallMethodNoArgs(op, name);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

int
pyaio_reader_set_limit(PyaioReader *self, PyObject *limit)
{
    Py_ssize_t bytes = 0;
    if (limit != NULL && PyLong_CheckExact(limit)) {
        bytes = PyLong_AsSsize_t(limit);
        if (bytes == -1 && PyErr_Occurred()) {
            PyErr_Clear();
        }
    }
    /* Twice as much must be a number as well. */
    self->limit = bytes > 0 && bytes <= PY_SSIZE_T_MAX / 2 ? bytes : 0;
    Py_XSETREF(self->limit_given, Py_XNewRef(limit));
    return 0;
}

/* --- who waits ----------------------------------------------------------- */

int
pyaio_reader_wake_waiter(PyaioState *state, PyaioReader *self)
{
    PyObject *waiter = self->waiter;
    if (waiter == NULL) {
        return 0;
    }
    self->waiter = NULL;
    int cancelled = pyaio_any_future_cancelled(state, waiter);
    int err = cancelled < 0 ? -1 : 0;
    if (cancelled == 0) {
        err = pyaio_waiter_wake(state, waiter, Py_None);
    }
    Py_DECREF(waiter);
    return err;
}

int
pyaio_reader_wake(PyaioState *state, PyaioReader *self)
{
    if (pyaio_reader_replaced(state, self) & PYAIO_READER_WAKEUP) {
        return call_method((PyObject *)self, state->str__wakeup_waiter);
    }
    return pyaio_reader_wake_waiter(state, self);
}

int
pyaio_reader_set_exception(PyaioState *state, PyaioReader *self, PyObject *exc)
{
    Py_XSETREF(self->exception, exc == Py_None ? NULL : Py_NewRef(exc));
    PyObject *waiter = self->waiter;
    if (waiter == NULL) {
        return 0;
    }
    self->waiter = NULL;
    int cancelled = pyaio_any_future_cancelled(state, waiter);
    int err = cancelled < 0 ? -1 : 0;
    if (cancelled == 0) {
        PyObject *done =
            PyObject_CallMethodOneArg(waiter, state->str_set_exception, exc);
        Py_XDECREF(done);
        err = done ? 0 : -1;
    }
    Py_DECREF(waiter);
    return err;
}

/* --- the transport ------------------------------------------------------- */

static int
transport_resume(PyaioState *state, PyaioReader *self)
{
    PyObject *transport =
        Py_NewRef(self->transport ? self->transport : Py_None);
    PyaioTransport *ours = pyaio_transport_plain(state, transport);
    int err = ours ? pyaio_transport_resume_reading(state, ours)
                   : call_method(transport, state->str_resume_reading);
    Py_DECREF(transport);
    return err;
}

static int
transport_pause(PyaioState *state, PyaioReader *self)
{
    PyObject *transport = Py_NewRef(self->transport);
    PyaioTransport *ours = pyaio_transport_plain(state, transport);
    int err = ours ? pyaio_transport_pause_reading(state, ours)
                   : call_method(transport, state->str_pause_reading);
    Py_DECREF(transport);
    if (err < 0 && PyErr_ExceptionMatches(PyExc_NotImplementedError)) {
        /* It cannot be paused: there is no point in trying again. */
        PyErr_Clear();
        Py_CLEAR(self->transport);
        return 0;
    }
    if (err == 0) {
        self->paused = 1;
    }
    return err;
}

int
pyaio_reader_unpause(PyaioState *state, PyaioReader *self)
{
    if (!self->paused) {
        return 0;
    }
    self->paused = 0;
    return transport_resume(state, self);
}

int
pyaio_reader_maybe_resume(PyaioState *state, PyaioReader *self)
{
    if (!self->paused || pyaio_buffer_size(&self->buffer) > self->limit) {
        return 0;
    }
    return pyaio_reader_unpause(state, self);
}

int
pyaio_reader_resume(PyaioState *state, PyaioReader *self)
{
    if (pyaio_reader_replaced(state, self) & PYAIO_READER_RESUME) {
        return call_method((PyObject *)self,
                           state->str__maybe_resume_transport);
    }
    return self->paused ? pyaio_reader_maybe_resume(state, self) : 0;
}

/* --- feeding ------------------------------------------------------------- */

int
pyaio_reader_feed(PyaioState *state, PyaioReader *self, PyObject *data)
{
    if (self->eof || !PyBytes_CheckExact(data) ||
        !pyaio_reader_is_usual(self)) {
        PyObject *done = PyObject_CallFunctionObjArgs(state->stock_reader_feed,
                                                      self, data, NULL);
        Py_XDECREF(done);
        return done ? 0 : -1;
    }
    if (PyBytes_GET_SIZE(data) == 0) {
        return 0;
    }
    if (pyaio_buffer_append(&self->buffer, data) < 0 ||
        pyaio_reader_wake(state, self) < 0) {
        return -1;
    }
    if (self->transport != NULL && !self->paused &&
        pyaio_buffer_size(&self->buffer) > 2 * self->limit) {
        return transport_pause(state, self);
    }
    return 0;
}

int
pyaio_reader_feed_data(PyaioState *state, PyObject *reader, PyObject *data)
{
    PyaioReader *self = pyaio_as_reader(state, reader);
    if (self != NULL &&
        !(pyaio_reader_replaced(state, self) & PYAIO_READER_FEED_DATA)) {
        return pyaio_reader_feed(state, self, data);
    }
    PyObject *done =
        PyObject_CallMethodOneArg(reader, state->str_feed_data, data);
    Py_XDECREF(done);
    return done ? 0 : -1;
}
