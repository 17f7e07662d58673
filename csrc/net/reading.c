/* Reading: one receive for every time that the poller says so. */
#include "base/context.h"
#include "base/errors.h"
#include "net/receive.h"
#include "net/transport.h"
#include "sched/watch.h"

static Py_ssize_t
receive(PyaioTransport *self, PyObject **data)
{
    if (!self->plain) {
        return pyaio_foreign_recv(self->sock, PYAIO_SCRATCH_SIZE, data);
    }
    return pyaio_receive(self->sched, pyaio_socket_recv_parts, self->sock,
                         self->last_read, data);
}

static int
read_eof(PyaioState *state, PyaioTransport *self)
{
    if (pyaio_transport_debug(state, self, "%r received EOF") < 0) {
        return -1;
    }
    PyObject *protocol = Py_NewRef(self->protocol);
    PyObject *answer =
        PyObject_CallMethodNoArgs(protocol, state->str_eof_received);
    Py_DECREF(protocol);
    if (answer == NULL) {
        return pyaio_transport_fail(
            state, self, "Fatal error: protocol.eof_received() call failed.");
    }
    int keep_open = PyObject_IsTrue(answer);
    Py_DECREF(answer);
    if (keep_open < 0) {
        return -1;
    }
    if (keep_open) {
        if (self->loop != NULL) {
            (void)pyaio_watch_remove(self->sched, self->fd, PYAIO_POLL_READ);
        }
        return 0;
    }
    /* Somebody may have put another close() in its place. */
    PyObject *done =
        PyObject_CallMethodNoArgs((PyObject *)self, state->str_close);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* What a receive that brought nothing means. */
static int
read_nothing(PyaioState *state, PyaioTransport *self, Py_ssize_t size)
{
    if (size == PYAIO_SOCKET_BLOCKED) {
        return 0;
    }
    if (size < 0) {
        return pyaio_transport_fail(state, self,
                                    "Fatal read error on socket transport");
    }
    return read_eof(state, self);
}

static int
read_data(PyaioState *state, PyaioTransport *self)
{
    PyObject *data = NULL;
    Py_ssize_t size = receive(self, &data);
    if (self->loop == NULL) { /* a method of the socket ended it */
        Py_XDECREF(data);
        return size == -1 ? -1 : 0;
    }
    if (size <= 0) {
        return read_nothing(state, self, size);
    }
    self->last_read = size;
    PyObject *protocol = Py_NewRef(self->protocol);
    int err =
        pyaio_protocol_data_received(state, self->native, protocol, data);
    Py_DECREF(protocol);
    Py_DECREF(data);
    if (err < 0) {
        return pyaio_transport_fail(
            state, self, "Fatal error: protocol.data_received() call failed.");
    }
    return 0;
}

/* protocol.get_buffer(-1), which must not be empty. */
static PyObject *
get_buffer(PyaioState *state, PyObject *protocol)
{
    PyObject *buffer = PyObject_CallMethodOneArg(
        protocol, state->str_get_buffer, state->minus_one);
    if (buffer == NULL) {
        return NULL;
    }
    Py_ssize_t length = PyObject_Length(buffer);
    if (length == 0) {
        PyErr_SetString(PyExc_RuntimeError,
                        "get_buffer() returned an empty buffer");
    }
    if (length <= 0) {
        Py_CLEAR(buffer);
    }
    return buffer;
}

static Py_ssize_t
receive_into(PyaioTransport *self, PyObject *buffer)
{
    if (!self->plain) {
        return pyaio_foreign_recv_into(self->sock, buffer);
    }
    Py_buffer view;
    if (PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE) < 0) {
        PyErr_Format(PyExc_TypeError,
                     "recv_into() argument 1 must be read-write bytes-like "
                     "object, not %.50s",
                     Py_TYPE(buffer)->tp_name);
        return -1;
    }
    Py_ssize_t size =
        self->sock ? pyaio_socket_recv(self->sock, view.buf, (size_t)view.len)
                   : PYAIO_SOCKET_BLOCKED;
    PyBuffer_Release(&view);
    return size;
}

static int
read_buffered(PyaioState *state, PyaioTransport *self)
{
    PyObject *protocol = Py_NewRef(self->protocol);
    PyObject *buffer = get_buffer(state, protocol);
    Py_DECREF(protocol);
    if (buffer == NULL) {
        return pyaio_transport_fail(
            state, self, "Fatal error: protocol.get_buffer() call failed.");
    }
    if (self->sock == NULL) {
        Py_DECREF(buffer);
        return 0;
    }
    Py_ssize_t size = receive_into(self, buffer);
    Py_DECREF(buffer);
    if (self->loop == NULL) { /* a method of the socket or the buffer */
        return size == -1 ? -1 : 0;
    }
    if (size <= 0) {
        return read_nothing(state, self, size);
    }
    PyObject *count = PyLong_FromSsize_t(size);
    protocol = Py_NewRef(self->protocol ? self->protocol : Py_None);
    PyObject *done = count ? PyObject_CallMethodOneArg(
                                 protocol, state->str_buffer_updated, count)
                           : NULL;
    Py_DECREF(protocol);
    Py_XDECREF(count);
    if (done == NULL) {
        return pyaio_transport_fail(
            state, self,
            "Fatal error: protocol.buffer_updated() call failed.");
    }
    Py_DECREF(done);
    return 0;
}

/* The scratch memory is the protocol's meanwhile: what that calls may receive
 * on the same loop. */
static int
give_scratch(PyaioState *state, PyaioTransport *self, Py_ssize_t size)
{
    PyObject *loop = Py_NewRef(self->loop); /* has the scheduler in it */
    PyObject *protocol = Py_NewRef(self->protocol);
    PyaioScheduler *sched = self->sched;
    char *scratch = sched->scratch;
    sched->scratch = NULL;
    int err = self->native->received(state, protocol, scratch, (size_t)size);
    if (sched->scratch == NULL) {
        sched->scratch = scratch;
    }
    else {
        free(scratch);
    }
    Py_DECREF(protocol);
    Py_DECREF(loop);
    return err;
}

/* The same for a protocol of ours that needs no buffer of its own. */
static int
read_native(PyaioState *state, PyaioTransport *self)
{
    char *scratch = pyaio_sched_scratch(self->sched);
    if (scratch == NULL) {
        return -1;
    }
    Py_ssize_t size =
        pyaio_socket_recv(self->sock, scratch, PYAIO_SCRATCH_SIZE);
    if (size <= 0) {
        return read_nothing(state, self, size);
    }
    int err = give_scratch(state, self, size);
    return err == 0 ? 0
                    : pyaio_transport_fail(state, self,
                                           "Fatal error: protocol."
                                           "buffer_updated() call failed.");
}

static int
read_ready_run(PyaioState *state, PyObject *a, PyObject *Py_UNUSED(b))
{
    PyaioTransport *self = (PyaioTransport *)a;
    if (self->loop == NULL || self->conn_lost ||
        !pyaio_watch_take(self->sched, self->fd, PYAIO_POLL_READ, a)) {
        return 0;
    }
    if (!self->buffered) {
        return read_data(state, self);
    }
    return self->plain && self->native != NULL && self->native->received
               ? read_native(state, self)
               : read_buffered(state, self);
}

PyObject *
pyaio_transport_read_context(PyaioState *state, PyObject *a)
{
    return pyaio_context_resolve(state, &((PyaioTransport *)a)->read_context);
}

const PyaioReadyKind pyaio_stream_readable = {
    .name = "_SelectorSocketTransport._read_ready",
    .run = read_ready_run,
    .context = pyaio_transport_read_context,
};

int
pyaio_transport_start_reading(PyaioState *state, PyaioTransport *self)
{
    (void)state;
    if (!pyaio_transport_is_reading(self) || self->loop == NULL) {
        return 0;
    }
    if (self->sched->poller == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
        return -1;
    }
    if (self->sock == NULL ||
        (self->plain && pyaio_socket_fd(self->sock) != self->fd)) {
        errno = EBADF;
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return pyaio_watch_add(self->sched, self->fd, PYAIO_POLL_READ,
                           self->readable, (PyObject *)self, NULL);
}

int
pyaio_transport_pause_reading(PyaioState *state, PyaioTransport *self)
{
    if (!pyaio_transport_is_reading(self) || self->loop == NULL) {
        return 0;
    }
    self->paused = 1;
    pyaio_watch_pause(self->sched, self->fd);
    return pyaio_transport_debug(state, self, "%r pauses reading");
}

int
pyaio_transport_resume_reading(PyaioState *state, PyaioTransport *self)
{
    if (self->closing || !self->paused || self->loop == NULL) {
        return 0;
    }
    self->paused = 0;
    if (pyaio_transport_capture(state, self, &self->read_context) < 0 ||
        pyaio_transport_start_reading(state, self) < 0) {
        return -1;
    }
    return pyaio_transport_debug(state, self, "%r resumes reading");
}

PyObject *
pyaio_transport_read_ready(PyaioState *state, PyaioTransport *self)
{
    return pyaio_ready_call_new(state, self->readable, (PyObject *)self, NULL);
}
