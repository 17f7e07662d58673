/* A stream transport's life, from its construction to connection_lost(). */
#include "net/transport.h"
#include "base/context.h"
#include "base/errors.h"
#include "net/socket_object.h"
#include "net/transport_table.h"
#include "sched/handle.h"
#include "sched/watch.h"

/* --- what is queued at the beginning and at the end ---------------------- */

int
pyaio_transport_capture(PyaioState *state, PyaioTransport *self,
                        PyObject **field)
{
    PyObject *context = self->context ? Py_NewRef(self->context)
                                      : pyaio_context_capture(state);
    if (context == NULL) {
        return -1;
    }
    Py_XSETREF(*field, context);
    return 0;
}

static int
start_reading_run(PyaioState *state, PyObject *a, PyObject *Py_UNUSED(b))
{
    return pyaio_transport_start_reading(state, (PyaioTransport *)a);
}

/* Only what the poller says later runs in a context. */
static const PyaioReadyKind start_reading = {
    .name = "_SelectorTransport._add_reader",
    .run = start_reading_run,
};

static PyObject *
lost_context(PyaioState *state, PyObject *a)
{
    return pyaio_context_resolve(state, &((PyaioTransport *)a)->lost_context);
}

static int
connection_lost_run(PyaioState *state, PyObject *a, PyObject *exc)
{
    return pyaio_transport_lose(state, (PyaioTransport *)a,
                                exc ? exc : Py_None);
}

static const PyaioReadyKind connection_lost = {
    .name = "_SelectorTransport._call_connection_lost",
    .run = connection_lost_run,
    .context = lost_context,
};

/* --- construction -------------------------------------------------------- */

/* extra[name] = address, or None where asking for it, an exception now, has
 * failed. Takes the reference. */
static int
note_address(PyObject *extra, PyObject *name, PyObject *address)
{
    if (address == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_OSError)) {
            return -1;
        }
        PyErr_Clear();
        address = Py_NewRef(Py_None);
    }
    int err = PyDict_SetItem(extra, name, address);
    Py_DECREF(address);
    return err;
}

static int
note_extra(PyaioState *state, PyaioTransport *self, PyObject *sock)
{
    PyObject *shown = pyaio_socket_shown(state, sock);
    int err =
        shown ? PyDict_SetItem(self->extra, state->str_socket, shown) : -1;
    Py_XDECREF(shown);
    if (err < 0 || note_address(self->extra, state->str_sockname,
                                pyaio_socket_name(state, sock)) < 0) {
        return -1;
    }
    int known = PyDict_Contains(self->extra, state->str_peername);
    if (known == 0) {
        known = note_address(self->extra, state->str_peername,
                             pyaio_socket_peer(state, sock));
    }
    return known < 0 ? -1 : 0;
}

/* Server._attach() or _detach(), which get the transport from 3.13 on. */
static int
tell_server(PyaioTransport *self, PyObject *server, PyObject *method)
{
    PyObject *done =
#if PYAIO_SERVER_KNOWS_CLIENTS
        PyObject_CallMethodOneArg(server, method, (PyObject *)self);
#else
        PyObject_CallMethodNoArgs(server, method);
    (void)self;
#endif
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* In this order: the protocol hears of the connection, then it may get data,
 * then whoever waits for the transport goes on. */
static int
queue_beginning(PyaioState *state, PyaioTransport *self, PyObject *waiter)
{
    PyaioParty party = pyaio_transport_party(state, self);
    if (pyaio_party_queue_made(&party, self->context) < 0 ||
        pyaio_transport_capture(state, self, &self->read_context) < 0 ||
        pyaio_schedule(state, self->loop, &start_reading, (PyObject *)self,
                       NULL, 0) < 0) {
        return -1;
    }
    return pyaio_party_queue_wake(&party, waiter);
}

int
pyaio_transport_set_protocol(PyaioState *state, PyaioTransport *self,
                             PyObject *protocol)
{
    int buffered =
        PyObject_IsInstance(protocol, state->stock_BufferedProtocol);
    if (buffered < 0) {
        return -1;
    }
    self->buffered = (uint8_t)buffered;
    self->native = pyaio_native_protocol(state, protocol);
    self->protocol_connected = 1;
    Py_XSETREF(self->protocol, Py_NewRef(protocol));
    return 0;
}

int
pyaio_transport_set_socket(PyaioState *state, PyaioTransport *self,
                           PyObject *sock)
{
    int plain = pyaio_socket_is_plain(state, sock);
    if (plain < 0) {
        return -1;
    }
    self->plain = (uint8_t)plain;
    Py_XSETREF(self->sock, Py_NewRef(sock));
    return 0;
}

static int
find_descriptor(PyaioTransport *self, PyObject *sock)
{
    self->fd = pyaio_foreign_fileno(sock);
    return self->fd < 0 && PyErr_Occurred() ? -1 : 0;
}

/* Of streams. */
static int
set_nodelay(PyaioState *state, PyaioTransport *self, PyObject *sock)
{
    if (self->readable != &pyaio_stream_readable) {
        return 0;
    }
    return self->plain ? pyaio_socket_set_nodelay(sock)
                       : pyaio_foreign_set_nodelay(state, sock);
}

int
pyaio_transport_setup(PyaioState *state, PyaioTransport *self, PyObject *loop,
                      PyObject *sock, PyObject *protocol, PyObject *waiter,
                      PyObject *extra, PyObject *server, PyObject *context)
{
    if (self->readable == NULL) {
        self->readable = &pyaio_stream_readable;
    }
    pyaio_flow_init(&self->flow);
    self->loop = Py_NewRef(loop);
    self->sched = pyaio_scheduler_of(state, loop);
    self->extra = extra ? Py_NewRef(extra) : PyDict_New();
    self->context = Py_XNewRef(context);
    if (self->extra == NULL || note_extra(state, self, sock) < 0) {
        return -1;
    }
    if (pyaio_transport_set_socket(state, self, sock) < 0 ||
        find_descriptor(self, sock) < 0 ||
        pyaio_transport_set_protocol(state, self, protocol) < 0) {
        return -1;
    }
    if (server != NULL && tell_server(self, server, state->str__attach) < 0) {
        return -1;
    }
    self->server = Py_XNewRef(server);
    if (pyaio_transports_set(state, self->loop, self->fd, (PyObject *)self) <
            0 ||
        set_nodelay(state, self, sock) < 0) {
        return -1;
    }
    return queue_beginning(state, self, waiter);
}

/* From 3.12 on a descriptor that has a transport cannot get another. */
static int
check_descriptor(PyaioState *state, PyObject *loop, PyObject *sock)
{
#if PYAIO_CHECKS_NEW_TRANSPORTS
    int fd = pyaio_foreign_fileno(sock);
    if (fd < 0 && PyErr_Occurred()) {
        return -1;
    }
    return pyaio_transports_check(state, loop, fd, sock);
#else
    (void)state;
    (void)loop;
    (void)sock;
    return 0;
#endif
}

/* Lets go of everything, the socket left open; keeps the exception. */
static void
undo_setup(PyaioState *state, PyaioTransport *self)
{
    PyObject *raised = PyErr_GetRaisedException();
    if (self->server != NULL &&
        tell_server(self, self->server, state->str__detach) < 0) {
        PyErr_Clear();
    }
    (void)Py_TYPE(self)->tp_clear((PyObject *)self);
    PyErr_SetRaisedException(raised);
}

PyObject *
pyaio_transport_new(PyaioState *state, PyObject *loop, PyObject *sock,
                    PyObject *protocol, PyObject *waiter, PyObject *extra,
                    PyObject *server, PyObject *context)
{
    PyTypeObject *type = state->Transport_type;
    PyObject *op = check_descriptor(state, loop, sock) < 0
                       ? NULL
                       : type->tp_alloc(type, 0);
    if (op != NULL &&
        pyaio_transport_setup(state, (PyaioTransport *)op, loop, sock,
                              protocol, waiter, extra, server, context) < 0) {
        undo_setup(state, (PyaioTransport *)op);
        Py_CLEAR(op);
    }
    return op;
}

/* --- the end ------------------------------------------------------------- */

static int
queue_connection_lost(PyaioState *state, PyaioTransport *self, PyObject *exc)
{
    if (pyaio_transport_capture(state, self, &self->lost_context) < 0) {
        return -1;
    }
    return pyaio_schedule(state, self->loop, &connection_lost,
                          (PyObject *)self, exc, 0);
}

static void
stop_reading(PyaioTransport *self)
{
    if (!self->closing) {
        self->closing = 1;
        (void)pyaio_watch_remove(self->sched, self->fd, PYAIO_POLL_READ);
    }
}

int
pyaio_transport_close(PyaioState *state, PyaioTransport *self)
{
    if (self->closing) {
        return 0;
    }
    stop_reading(self);
    if (self->queue.count > 0) {
        return 0;
    }
    self->conn_lost++;
    return queue_connection_lost(state, self, NULL);
}

int
pyaio_transport_force_close(PyaioState *state, PyaioTransport *self,
                            PyObject *exc)
{
    if (self->conn_lost || self->loop == NULL) {
        return 0;
    }
    if (self->queue.count > 0) {
        (void)pyaio_watch_remove(self->sched, self->fd, PYAIO_POLL_WRITE);
        pyaio_write_queue_clear(&self->queue);
    }
    stop_reading(self);
    self->conn_lost++;
    return queue_connection_lost(state, self, exc == Py_None ? NULL : exc);
}

int
pyaio_transport_debug(PyaioState *state, PyaioTransport *self,
                      const char *format)
{
    PyaioParty party = pyaio_transport_party(state, self);
    return pyaio_party_log(&party, "debug", format);
}

int
pyaio_transport_fatal_error(PyaioState *state, PyaioTransport *self,
                            PyObject *exc, PyObject *message)
{
    if (self->loop == NULL) {
        return 0;
    }
    PyaioParty party = pyaio_transport_party(state, self);
    int usual = PyObject_TypeCheck(exc, (PyTypeObject *)PyExc_OSError);
    int err = pyaio_party_report(&party, exc, message, usual);
    return err < 0 ? -1 : pyaio_transport_force_close(state, self, exc);
}

int
pyaio_transport_fail(PyaioState *state, PyaioTransport *self,
                     const char *message)
{
    if (pyaio_error_is_exit()) {
        return -1;
    }
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *text = PyUnicode_FromString(message);
    int err = text ? pyaio_transport_fatal_error(state, self, exc, text) : -1;
    Py_XDECREF(text);
    Py_DECREF(exc);
    return err;
}

/* Keeps the first of two errors: the one that is set, or `raised`. */
static void
keep_first(PyObject *raised)
{
    if (raised != NULL) {
        PyErr_Clear();
        PyErr_SetRaisedException(raised);
    }
}

int
pyaio_transport_release(PyaioState *state, PyaioTransport *self)
{
    if (self->sched != NULL) {
        pyaio_watch_remove_of(self->sched, self->fd, PYAIO_POLL_READ,
                              (PyObject *)self);
        pyaio_watch_remove_of(self->sched, self->fd, PYAIO_POLL_WRITE,
                              (PyObject *)self);
    }
    PyObject *sock = self->sock, *server = self->server;
    PyObject *protocol = self->protocol, *loop = self->loop;
    self->sock = self->server = self->protocol = self->loop = NULL;
    self->sched = NULL;
    self->closing = 1;
    self->conn_lost += self->conn_lost == 0;
    int err = sock ? pyaio_socket_close(state, sock) : 0;
    if (err == 0 && server != NULL) {
        err = tell_server(self, server, state->str__detach);
    }
    Py_XDECREF(protocol);
    Py_XDECREF(sock);
    Py_XDECREF(server);
    Py_XDECREF(loop);
    return err;
}

int
pyaio_transport_lose(PyaioState *state, PyaioTransport *self, PyObject *exc)
{
    if (self->loop == NULL) {
        return 0;
    }
    int err = 0;
    if (self->protocol_connected && self->protocol != NULL) {
        PyObject *protocol = Py_NewRef(self->protocol);
        PyObject *done = PyObject_CallMethodOneArg(
            protocol, state->str_connection_lost, exc);
        Py_DECREF(protocol);
        Py_XDECREF(done);
        err = done ? 0 : -1;
    }
    self->conn_lost += self->conn_lost == 0;
    PyObject *raised = PyErr_GetRaisedException();
    if (self->loop != NULL && pyaio_transport_release(state, self) < 0) {
        err = -1;
    }
    if (self->empty_waiter != NULL) {
        PyObject *first = PyErr_GetRaisedException();
        PyObject *lost = PyObject_CallFunction(PyExc_ConnectionError, "s",
                                               "Connection is closed by peer");
        if (lost == NULL ||
            pyaio_transport_fail_empty_waiter(self, lost) < 0) {
            err = -1;
        }
        Py_XDECREF(lost);
        keep_first(first);
    }
    keep_first(raised);
    return err;
}
