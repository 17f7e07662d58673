/* Reading from a pipe: one read for every time that the poller says so. */
#include "base/context.h"
#include "net/pipe.h"
#include "net/receive.h"
#include "net/socket.h"
#include "sched/watch.h"

/* Reads into `count` parts, 1 or 2. */
static Py_ssize_t
read_parts(PyObject *op, struct iovec *parts, int count)
{
    PyaioPipe *self = (PyaioPipe *)op;
    Py_ssize_t result;
    do {
        int fd = pyaio_pipe_descriptor(self->sched->state, self);
        if (fd < 0) {
            return -1;
        }
        result = count == 1 ? read(fd, parts->iov_base, parts->iov_len)
                            : readv(fd, parts, count);
        if (result >= 0) {
            return result;
        }
        result = pyaio_socket_failed();
    } while (result == 0);
    return result;
}

/* loop.call_soon(protocol.eof_received) */
static int
queue_eof_received(PyaioState *state, PyaioPipe *self)
{
    PyObject *method =
        PyObject_GetAttr(self->protocol, state->str_eof_received);
    PyObject *done = method ? PyObject_CallMethodOneArg(
                                  self->loop, state->str_call_soon, method)
                            : NULL;
    Py_XDECREF(method);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int
read_eof(PyaioState *state, PyaioPipe *self)
{
    PyaioParty party = pyaio_pipe_party(state, self);
    if (pyaio_party_log(&party, "info", "%r was closed by peer") < 0) {
        return -1;
    }
    if (self->loop == NULL || self->ending) {
        return 0;
    }
    self->closing = 1;
    pyaio_pipe_unwatch(self, PYAIO_POLL_READ);
    if (queue_eof_received(state, self) < 0) {
        return -1;
    }
    return pyaio_pipe_force_close(state, self, Py_None);
}

static int
read_ready_run(PyaioState *state, PyObject *a, PyObject *Py_UNUSED(b))
{
    PyaioPipe *self = (PyaioPipe *)a;
    if (self->loop == NULL ||
        !pyaio_watch_take(self->sched, self->fd, PYAIO_POLL_READ, a)) {
        return 0;
    }
    PyObject *data = NULL;
    Py_ssize_t size =
        pyaio_receive(self->sched, read_parts, a, self->last_read, &data);
    if (size == PYAIO_SOCKET_BLOCKED) {
        return 0;
    }
    if (size < 0) {
        return PyErr_ExceptionMatches(PyExc_OSError)
                   ? pyaio_pipe_fail(state, self,
                                     "Fatal read error on pipe transport")
                   : -1;
    }
    if (size == 0) {
        return read_eof(state, self);
    }
    self->last_read = size;
    PyObject *protocol = Py_NewRef(self->protocol);
    PyObject *done =
        PyObject_CallMethodOneArg(protocol, state->str_data_received, data);
    Py_DECREF(protocol);
    Py_DECREF(data);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static PyObject *
read_context(PyaioState *state, PyObject *a)
{
    return pyaio_context_resolve(state, &((PyaioPipe *)a)->read_context);
}

const PyaioReadyKind pyaio_pipe_read_ready = {
    .name = "_UnixReadPipeTransport._read_ready",
    .run = read_ready_run,
    .context = read_context,
};

int
pyaio_pipe_pause_reading(PyaioState *state, PyaioPipe *self)
{
    if (!pyaio_pipe_is_reading(self) || self->loop == NULL) {
        return 0;
    }
    self->paused = 1;
    pyaio_watch_pause(self->sched, self->fd);
    PyaioParty party = pyaio_pipe_party(state, self);
    return pyaio_party_log(&party, "debug", "%r pauses reading");
}

int
pyaio_pipe_resume_reading(PyaioState *state, PyaioPipe *self)
{
    if (self->closing || !self->paused || self->loop == NULL) {
        return 0;
    }
    PyObject *context = pyaio_context_capture(state);
    if (context == NULL) {
        return -1;
    }
    self->paused = 0;
    Py_XSETREF(self->read_context, context);
    if (pyaio_pipe_watch_readable(self) < 0) {
        return -1;
    }
    PyaioParty party = pyaio_pipe_party(state, self);
    return pyaio_party_log(&party, "debug", "%r resumes reading");
}
