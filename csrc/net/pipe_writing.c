/* Writing to a pipe: at once where nothing is queued, the rest when the poller
 * says so. */
#include "base/context.h"
#include "base/errors.h"
#include "net/pipe.h"
#include "net/socket.h"
#include "sched/watch.h"

/* Pieces that one system call gathers. */
#define MAX_PARTS 256
/* Failed writes after which each is warned about. */
#define SILENT_LOST_WRITES 5

static const char write_failure[] = "Fatal write error on pipe transport";

/* Writes as much of the parts as there is room for. A signal ends the attempt:
 * its handler may have dropped what they refer to. */
static Py_ssize_t
write_parts(PyaioState *state, PyaioPipe *self, const struct iovec *parts,
            int count)
{
    int fd = pyaio_pipe_descriptor(state, self);
    if (fd < 0) {
        return -1;
    }
    Py_ssize_t result = count == 1 ? write(fd, parts->iov_base, parts->iov_len)
                                   : writev(fd, parts, count);
    if (result < 0) {
        result = pyaio_socket_failed();
        return result == 0 ? PYAIO_SOCKET_BLOCKED : result;
    }
    return result;
}

int
pyaio_pipe_check_flow(PyaioState *state, PyaioPipe *self)
{
    if (!pyaio_flow_must_pause(&self->flow, self->queue.bytes) ||
        self->loop == NULL) {
        return 0;
    }
    PyaioParty party = pyaio_pipe_party(state, self);
    return pyaio_flow_pause(&self->flow, &party);
}

/* A write that nobody will read: nothing but a warning, after some. */
static int
write_lost(PyaioState *state, PyaioPipe *self)
{
    PyObject *done = Py_None;
    if (self->conn_lost >= SILENT_LOST_WRITES) {
        done = PyObject_CallMethod(
            state->logger, "warning", "s",
            "pipe closed by peer or os.write(pipe, data) raised exception.");
        Py_XDECREF(done);
    }
    self->conn_lost++;
    return done ? 0 : -1;
}

/* A write failed; the exception is set. */
static int
write_failed(PyaioState *state, PyaioPipe *self)
{
    if (!pyaio_error_is_exit()) {
        self->conn_lost++;
    }
    return pyaio_pipe_fail(state, self, write_failure);
}

/* --- when the poller says so --------------------------------------------- */

/* Everything was written. */
static int
flush_done(PyaioState *state, PyaioPipe *self)
{
    pyaio_pipe_unwatch(self, PYAIO_POLL_WRITE);
    if (pyaio_flow_must_resume(&self->flow, 0)) {
        PyaioParty party = pyaio_pipe_party(state, self);
        if (pyaio_flow_resume(&self->flow, &party) < 0) {
            return -1;
        }
    }
    /* The protocol may have written more, or ended everything. */
    if (!self->closing || self->ending || self->queue.count > 0) {
        return 0;
    }
    return pyaio_pipe_lose(state, self, Py_None);
}

static int
write_ready_run(PyaioState *state, PyObject *a, PyObject *Py_UNUSED(b))
{
    PyaioPipe *self = (PyaioPipe *)a;
    if (self->loop == NULL || self->queue.count == 0 ||
        !pyaio_watch_take(self->sched, self->fd, PYAIO_POLL_WRITE, a)) {
        return 0;
    }
    struct iovec parts[MAX_PARTS];
    int count = pyaio_write_queue_gather(&self->queue, parts, MAX_PARTS);
    Py_ssize_t written = write_parts(state, self, parts, count);
    if (written == PYAIO_SOCKET_BLOCKED) {
        return 0;
    }
    if (written < 0) {
        return write_failed(state, self);
    }
    pyaio_write_queue_consume(&self->queue, (size_t)written);
    return self->queue.count > 0 ? 0 : flush_done(state, self);
}

static PyObject *
write_context(PyaioState *state, PyObject *a)
{
    return pyaio_context_resolve(state, &((PyaioPipe *)a)->write_context);
}

static const PyaioReadyKind write_ready = {
    .name = "_UnixWritePipeTransport._write_ready",
    .run = write_ready_run,
    .context = write_context,
};

static int
watch_writing(PyaioState *state, PyaioPipe *self)
{
    if (self->sched->poller == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
        return -1;
    }
    PyObject *context = pyaio_context_capture(state);
    if (context == NULL) {
        return -1;
    }
    Py_XSETREF(self->write_context, context);
    return pyaio_watch_add(self->sched, self->fd, PYAIO_POLL_WRITE,
                           &write_ready, (PyObject *)self, NULL);
}

/* A writer that can be read from: the other end was closed. */
static int
peer_ready_run(PyaioState *state, PyObject *a, PyObject *Py_UNUSED(b))
{
    PyaioPipe *self = (PyaioPipe *)a;
    if (self->loop == NULL ||
        !pyaio_watch_take(self->sched, self->fd, PYAIO_POLL_READ, a)) {
        return 0;
    }
    PyaioParty party = pyaio_pipe_party(state, self);
    if (pyaio_party_log(&party, "info", "%r was closed by peer") < 0) {
        return -1;
    }
    if (self->queue.count == 0) {
        return pyaio_pipe_force_close(state, self, Py_None);
    }
    PyObject *broken = PyObject_CallNoArgs(PyExc_BrokenPipeError);
    int err = broken ? pyaio_pipe_force_close(state, self, broken) : -1;
    Py_XDECREF(broken);
    return err;
}

static PyObject *
peer_context(PyaioState *state, PyObject *a)
{
    return pyaio_context_resolve(state, &((PyaioPipe *)a)->read_context);
}

const PyaioReadyKind pyaio_pipe_peer_ready = {
    .name = "_UnixWritePipeTransport._read_ready",
    .run = peer_ready_run,
    .context = peer_context,
};

/* --- write() and write_eof() --------------------------------------------- */

/* Writes `length` bytes of what `data` exports, not 0. */
static int
write_bytes(PyaioState *state, PyaioPipe *self, PyObject *data,
            const char *bytes, size_t length)
{
    if (self->queue.count == 0) {
        struct iovec part = {(void *)(uintptr_t)bytes, length};
        Py_ssize_t written = write_parts(state, self, &part, 1);
        if (written == (Py_ssize_t)length) {
            return 0;
        }
        if (written == -1) {
            return write_failed(state, self);
        }
        if (written > 0) {
            bytes += written;
            length -= (size_t)written;
        }
        if (self->ending) {
            return 0;
        }
        if (watch_writing(state, self) < 0) {
            return -1;
        }
    }
    PyObject *owner = pyaio_write_queue_hold(data, &bytes, length);
    if (owner == NULL ||
        pyaio_write_queue_append(&self->queue, owner, bytes, length) < 0) {
        return -1;
    }
    return pyaio_pipe_check_flow(state, self);
}

int
pyaio_pipe_write(PyaioState *state, PyaioPipe *self, PyObject *data)
{
    if (!PyBytes_Check(data) && !PyByteArray_Check(data) &&
        !PyMemoryView_Check(data)) {
        PyObject *shown = PyObject_Repr(data);
        if (shown != NULL) {
            PyErr_SetObject(PyExc_AssertionError, shown);
            Py_DECREF(shown);
        }
        return -1;
    }
    Py_ssize_t count = PyObject_Length(data);
    if (count <= 0) {
        return (int)count;
    }
    if (self->conn_lost || self->closing || self->loop == NULL) {
        return write_lost(state, self);
    }
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        return write_failed(state, self);
    }
    int err = 0;
    if (view.len > 0) {
        err = write_bytes(state, self, data, view.buf, (size_t)view.len);
    }
    PyBuffer_Release(&view);
    return err;
}

int
pyaio_pipe_write_eof(PyaioState *state, PyaioPipe *self)
{
    if (self->closing) {
        return 0;
    }
    self->closing = 1;
    return self->queue.count > 0
               ? 0
               : pyaio_pipe_force_close(state, self, Py_None);
}
