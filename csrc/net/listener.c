/* A wake-up of a listening socket. */
#include "net/listener.h"
#include "base/context.h"
#include "base/errors.h"
#include "net/socket_object.h"
#include "sched/report.h"
#include "sched/watch.h"

#include <poll.h>

/* What has to be stock's for a connection to be accepted without it. */
#define REPLACED_METHODS                                                     \
    (PYAIO_LOOP_ACCEPT | PYAIO_LOOP_CREATE_TASK | PYAIO_LOOP_CREATE_FUTURE | \
     PYAIO_LOOP_MAKE_TRANSPORT | PYAIO_LOOP_CALL_SOON)

/* --- accepting ----------------------------------------------------------- */

/* Stops listening for a while: there are no descriptors or no memory. */
static int
listener_back_off(PyaioState *state, PyaioListener *self)
{
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *message =
        PyUnicode_FromString("socket.accept() out of system resource");
    PyObject *shown = pyaio_socket_shown(state, self->sock);
    int err = message != NULL && shown != NULL
                  ? pyaio_call_exception_handler(
                        state, self->loop, message, state->str_exception, exc,
                        state->str_socket, shown, NULL)
                  : -1;
    Py_XDECREF(message);
    Py_XDECREF(shown);
    Py_DECREF(exc);
    if (err < 0) {
        return -1;
    }
    (void)pyaio_watch_remove(self->sched, self->fd, PYAIO_POLL_READ);
    PyObject *delay =
        PyObject_GetAttrString(state->constants, "ACCEPT_RETRY_DELAY");
    PyObject *again =
        delay ? PyObject_GetAttr(self->loop, state->str__start_serving) : NULL;
    PyObject *start = again ? PyTuple_Pack(2, delay, again) : NULL;
    PyObject *args = start ? PySequence_Concat(start, self->arguments) : NULL;
    PyObject *call_later =
        args ? PyObject_GetAttr(self->loop, state->str_call_later) : NULL;
    PyObject *handle =
        call_later ? PyObject_CallObject(call_later, args) : NULL;
    Py_XDECREF(delay);
    Py_XDECREF(again);
    Py_XDECREF(start);
    Py_XDECREF(args);
    Py_XDECREF(call_later);
    Py_XDECREF(handle);
    return handle ? 0 : -1;
}

/* Accepts one connection. Returns its descriptor, -1 with errno set, or -2
 * with an exception of a signal handler. */
static int
accept_once(PyObject *sock, PyaioAddress *address)
{
    for (;;) {
        address->length = sizeof(address->any);
        int fd =
            accept4(pyaio_socket_fd(sock), (struct sockaddr *)&address->any,
                    &address->length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0 || errno != EINTR) {
            return fd;
        }
        if (PyErr_CheckSignals() < 0) {
            return -2;
        }
    }
}

/* After a failed accept(): 1 to go on, 0 to wait for the next wake-up, -1 with
 * an exception. */
static int
accept_failed(PyaioState *state, PyaioListener *self)
{
    switch (errno) {
    case EAGAIN:
#if EWOULDBLOCK != EAGAIN
    case EWOULDBLOCK:
#endif
        return 0;
    case ECONNABORTED:
        return state->accept_skips_aborted;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        PyErr_SetFromErrno(PyExc_OSError);
        return listener_back_off(state, self) < 0 ? -1 : 1;
    default:
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
}

/* Whether another connection waits. Asking costs an eighth of an accept() that
 * fails. */
static int
is_another_waiting(PyaioListener *self)
{
    struct pollfd asked = {pyaio_socket_fd(self->sock), POLLIN, 0};
    return poll(&asked, 1, 0) != 0;
}

static int
listener_accept(PyaioState *state, PyaioListener *self)
{
    const PyaioSocketBase *sock = (PyaioSocketBase *)self->sock;
    for (Py_ssize_t i = 0; i < self->limit; i++) {
        PyaioAddress address;
        memset(&address.any, 0, sizeof(address.any));
        int fd = accept_once(self->sock, &address);
        if (fd >= 0) {
            PyObject *accepted = pyaio_socket_adopt(state, fd, sock->family,
                                                    sock->type, sock->proto);
            if (accepted == NULL ||
                pyaio_incoming_queue(
                    state, self, accepted,
                    pyaio_address_object((struct sockaddr *)&address.any,
                                         address.length)) < 0) {
                return -1;
            }
            if (!is_another_waiting(self)) {
                return 0;
            }
            continue;
        }
        int went = fd == -1 ? accept_failed(state, self) : -1;
        if (went <= 0) {
            return went;
        }
    }
    return 0;
}

/* Whether nobody would notice that stock's code is passed by. */
static int
is_usual(PyaioState *state, PyaioListener *self)
{
    PyaioScheduler *sched =
        pyaio_sched_direct(state, self->loop, REPLACED_METHODS);
    return sched != NULL && sched->task_factory == NULL &&
           pyaio_listener_argument(self, PYAIO_ACCEPT_SSL) == Py_None &&
           pyaio_socket_fd(self->sock) == self->fd &&
           pyaio_socket_class_is_intact(state);
}

static int
accept_ready_run(PyaioState *state, PyObject *a, PyObject *Py_UNUSED(b))
{
    PyaioListener *self = (PyaioListener *)a;
    if (!pyaio_watch_take(self->sched, self->fd, PYAIO_POLL_READ, a)) {
        return 0;
    }
    if (is_usual(state, self)) {
        return listener_accept(state, self);
    }
    PyObject *method =
        PyObject_GetAttr(self->loop, state->str__accept_connection);
    PyObject *done =
        method ? PyObject_CallObject(method, self->arguments) : NULL;
    Py_XDECREF(method);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static PyObject *
accept_context(PyaioState *state, PyObject *a)
{
    return pyaio_context_resolve(state, &((PyaioListener *)a)->context);
}

static const PyaioReadyKind accept_ready = {
    .name = "BaseSelectorEventLoop._accept_connection",
    .run = accept_ready_run,
    .context = accept_context,
};

/* --- the object ---------------------------------------------------------- */

/* How many connections one wake-up accepts. Returns 0, or -1 where stock is to
 * judge the number. */
static int
read_limit(PyaioState *state, PyaioListener *self)
{
    PyObject *backlog = pyaio_listener_argument(self, PYAIO_ACCEPT_BACKLOG);
    if (!PyLong_CheckExact(backlog)) {
        return -1;
    }
    int overflow;
    long number = PyLong_AsLongAndOverflow(backlog, &overflow);
    if (overflow) {
        return -1;
    }
    self->limit = number + state->accept_one_more;
    return 0;
}

int
pyaio_listener_start(PyaioState *state, PyaioScheduler *sched,
                     PyObject *arguments)
{
    PyObject *sock = PyTuple_GET_ITEM(arguments, PYAIO_ACCEPT_SOCK);
    if ((PyObject *)Py_TYPE(sock) != state->stock_socket ||
        !state->sockets_verified ||
        !pyaio_address_is_known(((PyaioSocketBase *)sock)->family) ||
        pyaio_socket_fd(sock) < 0 ||
        !pyaio_sched_is_native(sched, PYAIO_LOOP_ACCEPT)) {
        return 0;
    }
    PyTypeObject *type = state->Listener_type;
    PyaioListener *self = (PyaioListener *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return -1;
    }
    self->loop = Py_NewRef(sched->loop);
    self->sched = sched;
    self->sock = Py_NewRef(sock);
    self->arguments = Py_NewRef(arguments);
    self->fd = pyaio_socket_fd(sock);
    self->context = pyaio_context_capture(state);
    int err = self->context ? 1 : -1;
    if (err > 0 && read_limit(state, self) < 0) {
        err = 0;
    }
    if (err > 0 &&
        pyaio_watch_add(sched, self->fd, PYAIO_POLL_READ, &accept_ready,
                        (PyObject *)self, NULL) < 0) {
        err = -1;
    }
    Py_DECREF(self);
    return err;
}

static int
Listener_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioListener *self = (PyaioListener *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->loop);
    Py_VISIT(self->sock);
    Py_VISIT(self->arguments);
    Py_VISIT(self->context);
    return 0;
}

static int
Listener_clear(PyObject *op)
{
    PyaioListener *self = (PyaioListener *)op;
    Py_CLEAR(self->sock);
    Py_CLEAR(self->arguments);
    Py_CLEAR(self->context);
    Py_CLEAR(self->loop);
    return 0;
}

static void
Listener_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    (void)Listener_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyType_Slot listener_slots[] = {
    {Py_tp_traverse, Listener_traverse},
    {Py_tp_clear, Listener_clear},
    {Py_tp_dealloc, Listener_dealloc},
    {0, NULL},
};

static PyType_Spec listener_spec = {
    .name = "pyaio._core.Listener",
    .basicsize = sizeof(PyaioListener),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = listener_slots,
};

int
pyaio_listener_init(PyObject *module)
{
    return pyaio_add_type(module, &pyaio_module_state(module)->Listener_type,
                          &listener_spec, NULL);
}
