/* Writing: at once where nothing is queued, the rest when the poller says so.
 */
#include "base/context.h"
#include "base/errors.h"
#include "net/transport.h"
#include "sched/watch.h"
#include "task/future.h"

#include <sys/socket.h>

/* Pieces that one system call gathers. */
#define MAX_PARTS 256
/* Writes on a lost connection after which each is warned about. */
#define SILENT_LOST_WRITES 5

int
pyaio_transport_check_flow(PyaioState *state, PyaioTransport *self)
{
    if (!pyaio_flow_must_pause(&self->flow, self->queue.bytes) ||
        self->loop == NULL) {
        return 0;
    }
    PyaioParty party = pyaio_transport_party(state, self);
    return pyaio_flow_pause(&self->flow, &party);
}

int
pyaio_transport_check_drained(PyaioState *state, PyaioTransport *self)
{
    if (!pyaio_flow_must_resume(&self->flow, self->queue.bytes)) {
        return 0;
    }
    PyaioParty party = pyaio_transport_party(state, self);
    return pyaio_flow_resume(&self->flow, &party);
}

int
pyaio_transport_write_lost(PyaioState *state, PyaioTransport *self)
{
    PyObject *done = Py_None;
    if (self->conn_lost >= SILENT_LOST_WRITES) {
        done = PyObject_CallMethod(state->logger, "warning", "s",
                                   "socket.send() raised exception.");
        Py_XDECREF(done);
    }
    self->conn_lost++;
    return done ? 0 : -1;
}

/* --- the socket ---------------------------------------------------------- */

static Py_ssize_t
send_piece(PyaioTransport *self, const void *data, size_t length)
{
    return self->plain ? pyaio_socket_send(self->sock, data, length)
                       : pyaio_foreign_send(self->sock, data, length);
}

static int
shutdown_write(PyaioTransport *self)
{
    return self->plain ? pyaio_socket_shutdown_write(self->sock)
                       : pyaio_foreign_shutdown_write(self->sock);
}

/* Sends from the queue, as much as the socket takes at once. */
static Py_ssize_t
send_queued(PyaioTransport *self)
{
    struct iovec parts[MAX_PARTS];
    int count = pyaio_write_queue_gather(&self->queue, parts, MAX_PARTS);
    if (!self->plain) {
        return pyaio_foreign_send_queued(self->sock, parts[0].iov_base,
                                         parts[0].iov_len);
    }
    return count == 1 ? pyaio_socket_send(self->sock, parts[0].iov_base,
                                          parts[0].iov_len)
                      : pyaio_socket_send_parts(self->sock, parts, count);
}

/* --- when the poller says so --------------------------------------------- */

int
pyaio_transport_fail_empty_waiter(PyaioTransport *self, PyObject *exc)
{
    PyObject *waiter = Py_NewRef(self->empty_waiter);
    PyObject *done = PyObject_CallMethod(waiter, "set_exception", "O", exc);
    Py_DECREF(waiter);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* A send that failed after something was queued; the exception is set. */
static int
flush_failed(PyaioState *state, PyaioTransport *self)
{
    if (pyaio_error_is_exit()) {
        return -1;
    }
    PyObject *exc = PyErr_GetRaisedException();
    (void)pyaio_watch_remove(self->sched, self->fd, PYAIO_POLL_WRITE);
    pyaio_write_queue_clear(&self->queue);
    PyErr_SetRaisedException(Py_NewRef(exc));
    int err = pyaio_transport_fail(state, self,
                                   "Fatal write error on socket transport");
    if (err == 0 && self->empty_waiter != NULL) {
        err = pyaio_transport_fail_empty_waiter(self, exc);
    }
    Py_DECREF(exc);
    return err;
}

/* Everything was sent. */
static int
flush_done(PyaioState *state, PyaioTransport *self)
{
    (void)pyaio_watch_remove(self->sched, self->fd, PYAIO_POLL_WRITE);
    if (self->empty_waiter != NULL) {
        PyObject *waiter = Py_NewRef(self->empty_waiter);
        PyObject *done =
            PyObject_CallMethodOneArg(waiter, state->str_set_result, Py_None);
        Py_DECREF(waiter);
        Py_XDECREF(done);
        if (done == NULL) {
            return -1;
        }
    }
    if (self->closing && !self->conn_lost) {
        self->conn_lost++;
        return pyaio_transport_lose(state, self, Py_None);
    }
    return self->eof && self->sock != NULL ? shutdown_write(self) : 0;
}

/* Sends what is queued and sees to what follows from it. */
static int
flush(PyaioState *state, PyaioTransport *self)
{
    Py_ssize_t sent = send_queued(self);
    if (self->loop == NULL) { /* a method of the socket ended it */
        return sent == -1 ? -1 : 0;
    }
    if (sent == PYAIO_SOCKET_BLOCKED) {
        return 0;
    }
    if (sent < 0) {
        return flush_failed(state, self);
    }
    pyaio_write_queue_consume(&self->queue, (size_t)sent);
    if (pyaio_transport_check_drained(state, self) < 0) {
        return -1;
    }
    /* The protocol may have written more, or ended everything. */
    if (self->queue.count > 0 || self->loop == NULL) {
        return 0;
    }
    return flush_done(state, self);
}

static int
write_ready_run(PyaioState *state, PyObject *a, PyObject *Py_UNUSED(b))
{
    PyaioTransport *self = (PyaioTransport *)a;
    if (self->loop == NULL || self->conn_lost || self->queue.count == 0 ||
        !pyaio_watch_take(self->sched, self->fd, PYAIO_POLL_WRITE, a)) {
        return 0;
    }
    return flush(state, self);
}

PyObject *
pyaio_transport_write_context(PyaioState *state, PyObject *a)
{
    return pyaio_context_resolve(state, &((PyaioTransport *)a)->write_context);
}

static const PyaioReadyKind write_ready = {
    .name = "_SelectorSocketTransport._write_ready",
    .run = write_ready_run,
    .context = pyaio_transport_write_context,
};

int
pyaio_transport_watch_writing(PyaioState *state, PyaioTransport *self,
                              const PyaioReadyKind *kind)
{
    if (self->sched->poller == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
        return -1;
    }
    if (pyaio_transport_capture(state, self, &self->write_context) < 0) {
        return -1;
    }
    return pyaio_watch_add(self->sched, self->fd, PYAIO_POLL_WRITE, kind,
                           (PyObject *)self, NULL);
}

/* --- write() ------------------------------------------------------------- */

/* Writes `length` bytes of what `data` exports, not 0. */
static int
write_bytes(PyaioState *state, PyaioTransport *self, PyObject *data,
            const char *bytes, size_t length)
{
    if (self->queue.count == 0) {
        Py_ssize_t sent = send_piece(self, bytes, length);
        if (sent == (Py_ssize_t)length) {
            return 0;
        }
        if (self->loop == NULL) { /* a method of the socket ended it */
            return sent == -1 ? -1 : 0;
        }
        if (sent == -1) {
            return pyaio_transport_fail(
                state, self, "Fatal write error on socket transport");
        }
        if (sent > 0) {
            bytes += sent;
            length -= (size_t)sent;
        }
        if (pyaio_transport_watch_writing(state, self, &write_ready) < 0) {
            return -1;
        }
    }
    PyObject *owner = pyaio_write_queue_hold(data, &bytes, length);
    if (owner == NULL ||
        pyaio_write_queue_append(&self->queue, owner, bytes, length) < 0) {
        return -1;
    }
    return pyaio_transport_check_flow(state, self);
}

/* What stands against writing. */
static int
check_writable(const PyaioTransport *self, const char *method)
{
    if (self->eof) {
        PyErr_Format(PyExc_RuntimeError, "Cannot call %s() after write_eof()",
                     method);
        return -1;
    }
    if (self->empty_waiter != NULL) {
        PyErr_Format(PyExc_RuntimeError,
                     "unable to %s; sendfile is in progress", method);
        return -1;
    }
    return 0;
}

/* Anything but bytes. */
static int
write_buffer(PyaioState *state, PyaioTransport *self, PyObject *data)
{
    Py_ssize_t count = PyObject_Length(data);
    if (count <= 0) {
        return (int)count;
    }
    if (self->conn_lost) {
        return pyaio_transport_write_lost(state, self);
    }
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        return pyaio_transport_fail(state, self,
                                    "Fatal write error on socket transport");
    }
    int err = 0;
    if (view.len > 0 && self->loop != NULL) {
        err = write_bytes(state, self, data, view.buf, (size_t)view.len);
    }
    PyBuffer_Release(&view);
    return err;
}

int
pyaio_transport_write(PyaioState *state, PyaioTransport *self, PyObject *data)
{
    int is_bytes = PyBytes_Check(data);
    if (!is_bytes && !PyByteArray_Check(data) && !PyMemoryView_Check(data)) {
        PyObject *name = PyType_GetName(Py_TYPE(data));
        PyErr_Format(PyExc_TypeError, PYAIO_WRITE_TYPE_ERROR, name);
        Py_XDECREF(name);
        return -1;
    }
    if (check_writable(self, "write") < 0) {
        return -1;
    }
    if (!is_bytes) {
        return write_buffer(state, self, data);
    }
    if (PyBytes_GET_SIZE(data) == 0) {
        return 0;
    }
    if (self->conn_lost) {
        return pyaio_transport_write_lost(state, self);
    }
    return write_bytes(state, self, data, PyBytes_AS_STRING(data),
                       (size_t)PyBytes_GET_SIZE(data));
}

int
pyaio_transport_writes_memory(PyaioState *state, PyObject *op)
{
    PyTypeObject *type = state->Transport_type;
    PyObject *dict = Py_IS_TYPE(op, type) ? ((PyaioTransport *)op)->dict : op;
    if (dict != NULL) {
        return 0; /* perhaps with a write() of its own */
    }
    if (type->tp_version_tag == 0 ||
        type->tp_version_tag != state->transport_write_tag) {
        PyObject *found = PyObject_GetAttr((PyObject *)type, state->str_write);
        int ours = found != NULL && Py_IS_TYPE(found, &PyMethodDescr_Type) &&
                   ((PyMethodDescrObject *)found)->d_common.d_type == type;
        Py_XDECREF(found);
        PyErr_Clear();
        state->transport_write_tag = ours ? type->tp_version_tag : 0;
        return ours;
    }
    return 1;
}

int
pyaio_transport_write_memory(PyaioState *state, PyaioTransport *self,
                             const char *data, size_t length)
{
    if (check_writable(self, "write") < 0) {
        return -1;
    }
    return self->conn_lost ? pyaio_transport_write_lost(state, self)
                           : write_bytes(state, self, Py_None, data, length);
}

/* --- writelines() and write_eof() ---------------------------------------- */

#if PYAIO_WRITELINES_GATHERS

/* Appends one of the pieces to a queue that nothing is sent from yet. */
static int
collect_piece(PyaioWriteQueue *queue, PyObject *data)
{
    int some = PyObject_IsTrue(data);
    if (some <= 0) {
        return some;
    }
    PyObject *view = PyMemoryView_FromObject(data);
    if (view == NULL) {
        return -1;
    }
    const Py_buffer *buffer = PyMemoryView_GET_BUFFER(view);
    const char *bytes = buffer->buf;
    int err = 0;
    if (!PyBuffer_IsContiguous(buffer, 'C')) {
        PyErr_SetString(PyExc_BufferError,
                        "memoryview: underlying buffer is not C-contiguous");
        err = -1;
    }
    else if (buffer->len > 0) {
        size_t length = (size_t)buffer->len;
        PyObject *owner = pyaio_write_queue_hold(view, &bytes, length);
        err =
            owner ? pyaio_write_queue_append(queue, owner, bytes, length) : -1;
    }
    Py_DECREF(view);
    return err;
}

/* All pieces, or an exception. */
static int
collect_pieces(PyaioWriteQueue *queue, PyObject *list)
{
    PyObject *iterator = PyObject_GetIter(list);
    if (iterator == NULL) {
        return -1;
    }
    PyObject *data;
    int err = 0;
    while (err == 0 && (data = PyIter_Next(iterator)) != NULL) {
        err = collect_piece(queue, data);
        Py_DECREF(data);
    }
    Py_DECREF(iterator);
    return err < 0 || PyErr_Occurred() ? -1 : 0;
}

/* Sends what is queued; what is left goes when the poller says so. */
static int
send_or_watch(PyaioState *state, PyaioTransport *self)
{
    if (flush(state, self) < 0) {
        return -1;
    }
    if (self->queue.count == 0 || self->loop == NULL) {
        return 0;
    }
    if (pyaio_transport_watch_writing(state, self, &write_ready) < 0) {
        return -1;
    }
    return pyaio_transport_check_flow(state, self);
}

int
pyaio_transport_writelines(PyaioState *state, PyaioTransport *self,
                           PyObject *list)
{
    if (check_writable(self, "writelines") < 0) {
        return -1;
    }
    int some = PyObject_IsTrue(list);
    if (some <= 0) {
        return some;
    }
    if (self->conn_lost) {
        return pyaio_transport_write_lost(state, self);
    }
    PyaioWriteQueue pieces = {0};
    int err = collect_pieces(&pieces, list);
    /* What made the pieces may have closed the connection. */
    if (err == 0 && !self->conn_lost) {
        err = pyaio_write_queue_move(&pieces, &self->queue);
        if (err == 0 && self->queue.count > 0) {
            err = send_or_watch(state, self);
        }
    }
    pyaio_write_queue_clear(&pieces);
    return err;
}

#else

int
pyaio_transport_writelines(PyaioState *state, PyaioTransport *self,
                           PyObject *list)
{
    PyObject *empty = PyBytes_FromStringAndSize(NULL, 0);
    PyObject *joined =
        empty ? PyObject_CallMethod(empty, "join", "O", list) : NULL;
    Py_XDECREF(empty);
    PyObject *done = joined ? PyObject_CallMethodOneArg(
                                  (PyObject *)self, state->str_write, joined)
                            : NULL;
    Py_XDECREF(joined);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

#endif

int
pyaio_transport_write_eof(PyaioTransport *self)
{
    if (self->closing || self->eof) {
        return 0;
    }
    self->eof = 1;
    return self->queue.count > 0 || self->sock == NULL ? 0
                                                       : shutdown_write(self);
}

PyObject *
pyaio_transport_make_empty_waiter(PyaioState *state, PyaioTransport *self)
{
    if (self->empty_waiter != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "Empty waiter is already set");
        return NULL;
    }
    PyObject *loop = self->loop ? self->loop : Py_None;
    PyObject *waiter =
        PyObject_CallMethodNoArgs(loop, state->str_create_future);
    if (waiter == NULL) {
        return NULL;
    }
    self->empty_waiter = Py_NewRef(waiter);
    if (self->queue.count == 0) {
        PyObject *done =
            PyObject_CallMethodOneArg(waiter, state->str_set_result, Py_None);
        if (done == NULL) {
            Py_CLEAR(waiter);
        }
        Py_XDECREF(done);
    }
    return waiter;
}
