/* Datagrams: one is received for every time that the poller says so, or some
 * if nothing else is to be done; sending them, at once or when the poller says
 * so. */
#include "net/datagram.h"
#include "base/errors.h"
#include "net/receive.h"
#include "sched/watch.h"

/* Datagrams received in one turn of a loop that has nothing else to do, after
 * the first; and after how many wake-ups for one each to look for a second. */
#define LONGEST_BURST 15
#define BURST_LOOKOUT 8

/* protocol.error_received(exc) for the OSError that is set. */
static int
report_error(PyaioState *state, PyaioDatagram *self)
{
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *protocol = Py_NewRef(self->base.protocol);
    PyObject *done =
        PyObject_CallMethodOneArg(protocol, state->str_error_received, exc);
    Py_DECREF(protocol);
    Py_DECREF(exc);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* What follows from the exception that is set. */
static int
datagram_failed(PyaioState *state, PyaioDatagram *self, const char *message)
{
    if (self->base.protocol != NULL && PyErr_ExceptionMatches(PyExc_OSError)) {
        return report_error(state, self);
    }
    return pyaio_transport_fail(state, &self->base, message);
}

static int
socket_family(const PyaioDatagram *self)
{
    return ((const PyaioSocketBase *)self->base.sock)->family;
}

/* --- receiving ----------------------------------------------------------- */

static Py_ssize_t
receive_parts(PyObject *source, struct iovec *parts, int count)
{
    PyaioDatagram *self = (PyaioDatagram *)source;
    return pyaio_socket_recv_from(self->base.sock, parts, count, &self->next);
}

/* The address that `next` is, kept for the next time: a new reference. */
static PyObject *
show_sender(PyaioDatagram *self)
{
    socklen_t length = self->next.length;
    if (self->shown == NULL || length != self->from.length ||
        memcmp(&self->from.any, &self->next.any, length) != 0) {
        PyObject *shown = pyaio_address_object(
            (const struct sockaddr *)&self->next.any, length);
        if (shown == NULL) {
            return NULL;
        }
        self->from = self->next;
        Py_XSETREF(self->shown, shown);
    }
    return Py_NewRef(self->shown);
}

/* Receives with a system call. As pyaio_socket_recv(), with the bytes and the
 * address where that is not negative. */
static Py_ssize_t
receive_plain(PyaioDatagram *self, PyObject **data, PyObject **address)
{
    PyaioTransport *base = &self->base;
    Py_ssize_t size = pyaio_receive(base->sched, receive_parts,
                                    (PyObject *)self, base->last_read, data);
    if (size < 0) {
        return size;
    }
    base->last_read = size;
    if (size == 0) {
        *data = PyBytes_FromStringAndSize(NULL, 0);
    }
    *address = *data ? show_sender(self) : NULL;
    if (*address == NULL) {
        Py_CLEAR(*data);
        return -1;
    }
    return size;
}

/* The same with sock.recvfrom(). */
static Py_ssize_t
receive_foreign(PyaioDatagram *self, PyObject **data, PyObject **address)
{
    PyObject *pair = PyObject_CallMethod(self->base.sock, "recvfrom", "i",
                                         PYAIO_SCRATCH_SIZE);
    if (pair == NULL) {
        return pyaio_foreign_failed();
    }
    int good = PyArg_ParseTuple(pair, "OO", data, address);
    if (good) {
        Py_INCREF(*data);
        Py_INCREF(*address);
    }
    Py_DECREF(pair);
    return good ? 0 : -1;
}

static int
deliver(PyaioState *state, PyaioDatagram *self, PyObject *data,
        PyObject *address)
{
    PyObject *args[] = {Py_NewRef(self->base.protocol), data, address};
    PyObject *done =
        PyObject_VectorcallMethod(state->str_datagram_received, args, 3, NULL);
    Py_DECREF(args[0]);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* Receives once. Returns 1 where a datagram was delivered, 0, or -1 with an
 * exception. */
static int
receive_one(PyaioState *state, PyaioDatagram *self)
{
    PyObject *data = NULL, *address = NULL;
    int plain =
        self->base.plain && pyaio_address_is_known(socket_family(self));
    Py_ssize_t size = plain ? receive_plain(self, &data, &address)
                            : receive_foreign(self, &data, &address);
    if (size < 0) {
        return size == PYAIO_SOCKET_BLOCKED
                   ? 0
                   : datagram_failed(state, self,
                                     "Fatal read error on datagram transport");
    }
    int err = deliver(state, self, data, address);
    Py_DECREF(data);
    Py_DECREF(address);
    return err < 0 ? -1 : 1;
}

/* Whether the next turns of the loop would do nothing but receive again. */
static int
is_alone(const PyaioDatagram *self)
{
    const PyaioTransport *base = &self->base;
    const PyaioScheduler *sched = base->sched;
    return base->loop != NULL && !base->conn_lost && base->plain &&
           pyaio_transport_is_reading(base) && !sched->debug &&
           !sched->stopping && pyaio_ring_length(&sched->ready) == 0 &&
           pyaio_watch_mask_of(sched, base->fd) == PYAIO_POLL_READ &&
           sched->watches[base->fd].reader.target == (const void *)self;
}

/* Receives what else there is, where that takes nobody's turn. Looked for
 * after every datagram while there is some, otherwise now and then. */
static int
receive_more(PyaioState *state, PyaioDatagram *self)
{
    if (!self->bursts && ++self->singles % BURST_LOOKOUT != 0) {
        return 0;
    }
    int got = 1, found = 0;
    while (got > 0 && found < LONGEST_BURST && is_alone(self)) {
        got = receive_one(state, self);
        found += got > 0;
    }
    self->bursts = found > 0;
    return got;
}

static int
read_ready_run(PyaioState *state, PyObject *a, PyObject *Py_UNUSED(b))
{
    PyaioDatagram *self = (PyaioDatagram *)a;
    PyaioTransport *base = &self->base;
    if (base->loop == NULL || base->conn_lost ||
        !pyaio_watch_take(base->sched, base->fd, PYAIO_POLL_READ, a)) {
        return 0;
    }
    int got = receive_one(state, self);
    if (got > 0) {
        got = receive_more(state, self);
    }
    return got < 0 ? -1 : 0;
}

const PyaioReadyKind pyaio_datagram_readable = {
    .name = "_SelectorDatagramTransport._read_ready",
    .run = read_ready_run,
    .context = pyaio_transport_read_context,
};

/* --- sending ------------------------------------------------------------- */

/* Whether the socket is connected to somebody: bool(extra["peername"]). */
static int
is_connected(PyaioState *state, const PyaioDatagram *self)
{
    PyObject *peer =
        PyDict_GetItemWithError(self->base.extra, state->str_peername);
    if (peer == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    return PyObject_IsTrue(peer);
}

/* sock.sendto(data, address), for what only the socket's method knows. */
static Py_ssize_t
send_with_method(PyaioDatagram *self, PyObject *data, PyObject *address)
{
    PyObject *done =
        PyObject_CallMethod(self->base.sock, "sendto", "OO", data, address);
    if (done == NULL) {
        return pyaio_foreign_failed();
    }
    Py_DECREF(done);
    return 0;
}

/* Sends the bytes of `data` now. As pyaio_socket_send(), but that what is not
 * negative means nothing. */
static Py_ssize_t
send_now(PyaioState *state, PyaioDatagram *self, PyObject *data,
         const char *bytes, size_t length, PyObject *address)
{
    PyaioTransport *base = &self->base;
    int connected = is_connected(state, self);
    if (connected < 0) {
        return -1;
    }
    if (connected) {
        return base->plain ? pyaio_socket_send(base->sock, bytes, length)
                           : pyaio_foreign_send(base->sock, bytes, length);
    }
    PyaioAddress read;
    const PyaioAddress *to = &self->from;
    if (!base->plain) {
        return send_with_method(self, data, address);
    }
    if (address != self->shown || address == Py_None) {
        to = &read;
        if (!pyaio_address_read(socket_family(self), address, &read)) {
            return send_with_method(self, data, address);
        }
    }
    if (PySys_Audit("socket.sendto", "OO", base->sock, address) < 0) {
        return -1;
    }
    return pyaio_socket_send_to(base->sock, bytes, length, to);
}

/* Sends the first datagram of the queue. Returns 1, 0 where it would block,
 * or -1 with an exception; it has left the queue unless it would block. */
static int
send_queued(PyaioState *state, PyaioDatagram *self)
{
    PyaioPiece piece = *pyaio_write_queue_first(&self->base.queue);
    Py_INCREF(piece.owner);
    Py_INCREF(piece.address);
    Py_ssize_t sent = send_now(state, self, piece.owner, piece.data,
                               piece.length, piece.address);
    if (sent != PYAIO_SOCKET_BLOCKED) {
        /* Unless a method that was called has emptied the queue. */
        if (self->base.queue.count > 0) {
            PyaioPiece popped = pyaio_write_queue_pop(&self->base.queue);
            Py_DECREF(popped.owner);
            Py_DECREF(popped.address);
        }
    }
    Py_DECREF(piece.owner);
    Py_DECREF(piece.address);
    return sent == PYAIO_SOCKET_BLOCKED ? 0 : sent < 0 ? -1 : 1;
}

static int
write_ready_run(PyaioState *state, PyObject *a, PyObject *Py_UNUSED(b))
{
    PyaioDatagram *self = (PyaioDatagram *)a;
    PyaioTransport *base = &self->base;
    if (base->loop == NULL || base->conn_lost ||
        !pyaio_watch_take(base->sched, base->fd, PYAIO_POLL_WRITE, a)) {
        return 0;
    }
    int sent = 1;
    while (sent > 0 && base->queue.count > 0 && base->sock != NULL) {
        sent = send_queued(state, self);
    }
    if (sent < 0) {
        return datagram_failed(state, self,
                               "Fatal write error on datagram transport");
    }
    if (pyaio_transport_check_drained(state, base) < 0) {
        return -1;
    }
    /* The protocol may have sent more, or ended everything. */
    if (base->queue.count > 0 || base->loop == NULL) {
        return 0;
    }
    (void)pyaio_watch_remove(base->sched, base->fd, PYAIO_POLL_WRITE);
    if (!base->closing || base->conn_lost) {
        return 0;
    }
    base->conn_lost++;
    return pyaio_transport_lose(state, base, Py_None);
}

static const PyaioReadyKind write_ready = {
    .name = "_SelectorDatagramTransport._sendto_ready",
    .run = write_ready_run,
    .context = pyaio_transport_write_context,
};

static int
enqueue(PyaioState *state, PyaioDatagram *self, PyObject *data,
        const char *bytes, size_t length, PyObject *address)
{
    PyObject *owner = pyaio_write_queue_hold(data, &bytes, length);
    if (owner == NULL ||
        pyaio_write_queue_append_datagram(&self->base.queue, owner, bytes,
                                          length, Py_NewRef(address)) < 0) {
        return -1;
    }
    return pyaio_transport_check_flow(state, &self->base);
}

static int
send_bytes(PyaioState *state, PyaioDatagram *self, PyObject *data,
           const char *bytes, size_t length, PyObject *address)
{
    if (self->base.queue.count == 0) {
        Py_ssize_t sent = send_now(state, self, data, bytes, length, address);
        if (sent >= 0) {
            return 0;
        }
        if (sent == -1) {
            return datagram_failed(state, self,
                                   "Fatal write error on datagram transport");
        }
        if (pyaio_transport_watch_writing(state, &self->base, &write_ready) <
            0) {
            return -1;
        }
    }
    return enqueue(state, self, data, bytes, length, address);
}

/* The address to send to, borrowed; NULL with ValueError. */
static PyObject *
choose_address(PyaioDatagram *self, PyObject *address)
{
    if (self->address == NULL) {
        return address;
    }
    int same = address == Py_None
                   ? 1
                   : PyObject_RichCompareBool(address, self->address, Py_EQ);
    if (same == 0) {
        PyErr_Format(PyExc_ValueError, "Invalid address: must be None or %S",
                     self->address);
    }
    return same > 0 ? self->address : NULL;
}

int
pyaio_datagram_send(PyaioState *state, PyaioDatagram *self, PyObject *data,
                    PyObject *address)
{
    if (!PyBytes_Check(data) && !PyByteArray_Check(data) &&
        !PyMemoryView_Check(data)) {
        PyObject *name = PyType_GetName(Py_TYPE(data));
        PyErr_Format(PyExc_TypeError,
                     "data argument must be a bytes-like object, not %R",
                     name);
        Py_XDECREF(name);
        return -1;
    }
    if (!PYAIO_SENDS_EMPTY_DATAGRAMS && PyObject_Length(data) == 0) {
        return 0;
    }
    address = choose_address(self, address);
    if (address == NULL) {
        return -1;
    }
    if (self->base.conn_lost && self->address != NULL) {
        return pyaio_transport_write_lost(state, &self->base);
    }
    if (self->base.loop == NULL || self->base.sock == NULL) {
        PyErr_SetString(PyExc_AttributeError,
                        "'NoneType' object has no attribute "
                        "'call_exception_handler'");
        return -1;
    }
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        return datagram_failed(state, self,
                               "Fatal write error on datagram transport");
    }
    int err =
        send_bytes(state, self, data, view.buf, (size_t)view.len, address);
    PyBuffer_Release(&view);
    return err;
}
