/* What becomes of an accepted connection: a protocol and a transport. */
#include "base/context.h"
#include "base/errors.h"
#include "net/listener.h"
#include "net/socket_object.h"
#include "net/transport.h"
#include "sched/report.h"

typedef struct {
    PyObject_HEAD
    PyaioListener *listener; /* owned */
    PyObject *sock;          /* owned, and with it the connection; NULL once
                                a transport has it */
    PyObject *address;       /* owned: of the peer */
    PyObject *context;       /* owned: base/context.h; of the connection */
} Incoming;

/* Tells a loop in debug mode why there is no connection; the exception that is
 * set is gone then, unless it breaks out of the loop. */
static int
incoming_failed(PyaioState *state, Incoming *self, PyObject *protocol)
{
    if (pyaio_error_is_exit()) {
        return -1;
    }
    PyObject *loop = self->listener->loop;
    PyObject *exc = PyErr_GetRaisedException();
    int err = pyaio_loop_get_debug(state, loop);
    if (err > 0) {
        PyObject *message = PyUnicode_FromString(
            "Error on transport creation for incoming connection");
        err = message ? pyaio_call_exception_handler(
                            state, loop, message, state->str_exception, exc,
                            state->str_protocol, protocol, NULL)
                      : -1;
        Py_XDECREF(message);
    }
    Py_DECREF(exc);
    return err;
}

/* The context that the transport is given, NULL for none. */
static PyObject *
transport_context(const Incoming *self)
{
#if PYAIO_HAS_TRANSPORT_CONTEXT
    PyObject *shared =
        pyaio_listener_argument(self->listener, PYAIO_ACCEPT_CONTEXT);
    return shared == Py_None ? NULL : self->context;
#else
    (void)self;
    return NULL;
#endif
}

/* A transport of ours, which owns the connection from then on. */
static int
make_transport(PyaioState *state, Incoming *self, PyObject *protocol)
{
    PyObject *server =
        pyaio_listener_argument(self->listener, PYAIO_ACCEPT_SERVER);
    PyObject *extra = PyDict_New();
    if (extra == NULL ||
        PyDict_SetItem(extra, state->str_peername, self->address) < 0) {
        Py_XDECREF(extra);
        return -1;
    }
    PyObject *transport = pyaio_transport_new(
        state, self->listener->loop, self->sock, protocol, NULL, extra,
        server == Py_None ? NULL : server, transport_context(self));
    Py_DECREF(extra);
    if (transport == NULL) {
        return -1;
    }
    Py_CLEAR(self->sock);
    Py_DECREF(transport);
    return 0;
}

/* The first step of stock's _accept_connection2(). */
static int
incoming_run(PyaioState *state, PyObject *a, PyObject *Py_UNUSED(b))
{
    Incoming *self = (Incoming *)a;
    PyObject *protocol = PyObject_CallNoArgs(
        pyaio_listener_argument(self->listener, PYAIO_ACCEPT_FACTORY));
    if (protocol != NULL && make_transport(state, self, protocol) == 0) {
        Py_DECREF(protocol);
        return 0;
    }
    PyObject *raised = PyErr_GetRaisedException();
    if (self->sock != NULL && pyaio_socket_close(state, self->sock) < 0) {
        PyErr_Clear();
    }
    Py_CLEAR(self->sock);
    PyErr_SetRaisedException(raised);
    int err = incoming_failed(state, self, protocol);
    Py_XDECREF(protocol);
    return err;
}

static PyObject *
incoming_context(PyaioState *state, PyObject *a)
{
    return pyaio_context_resolve(state, &((Incoming *)a)->context);
}

static const PyaioReadyKind incoming_kind = {
    .name = "BaseSelectorEventLoop._accept_connection2",
    .run = incoming_run,
    .context = incoming_context,
};

/* A copy of the context that the server's transports share, or of the current
 * one. */
static PyObject *
context_of_connection(PyaioState *state, PyaioListener *listener)
{
#if PYAIO_HAS_TRANSPORT_CONTEXT
    PyObject *shared = pyaio_listener_argument(listener, PYAIO_ACCEPT_CONTEXT);
    if (shared != Py_None) {
        return PyObject_CallMethod(shared, "copy", NULL);
    }
#endif
    (void)listener;
    return pyaio_context_capture(state);
}

int
pyaio_incoming_queue(PyaioState *state, PyaioListener *listener,
                     PyObject *sock, PyObject *address)
{
    PyTypeObject *type = state->Incoming_type;
    Incoming *self = address ? (Incoming *)type->tp_alloc(type, 0) : NULL;
    if (self == NULL) {
        Py_DECREF(sock);
        Py_XDECREF(address);
        return -1;
    }
    self->listener = (PyaioListener *)Py_NewRef((PyObject *)listener);
    self->sock = sock;
    self->address = address;
    self->context = context_of_connection(state, listener);
    int err = self->context
                  ? pyaio_schedule(state, listener->loop, &incoming_kind,
                                   (PyObject *)self, NULL, 0)
                  : -1;
    Py_DECREF(self);
    return err;
}

static int
Incoming_traverse(PyObject *op, visitproc visit, void *arg)
{
    Incoming *self = (Incoming *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->listener);
    Py_VISIT(self->sock);
    Py_VISIT(self->address);
    Py_VISIT(self->context);
    return 0;
}

static int
Incoming_clear(PyObject *op)
{
    Incoming *self = (Incoming *)op;
    Py_CLEAR(self->listener);
    Py_CLEAR(self->address);
    Py_CLEAR(self->context);
    Py_CLEAR(self->sock);
    return 0;
}

/* Nobody has heard of the connection: it ends without a warning. */
static void
Incoming_finalize(PyObject *op)
{
    Incoming *self = (Incoming *)op;
    PyaioState *state = pyaio_state_of(op);
    if (self->sock == NULL || state == NULL || state->str_close == NULL) {
        return;
    }
    PyObject *raised = PyErr_GetRaisedException();
    if (pyaio_socket_close(state, self->sock) < 0) {
        PyErr_WriteUnraisable(op);
    }
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
}

static void
Incoming_dealloc(PyObject *op)
{
    if (PyObject_CallFinalizerFromDealloc(op) < 0) {
        return;
    }
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    (void)Incoming_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyType_Slot incoming_slots[] = {
    {Py_tp_traverse, Incoming_traverse},
    {Py_tp_clear, Incoming_clear},
    {Py_tp_finalize, Incoming_finalize},
    {Py_tp_dealloc, Incoming_dealloc},
    {0, NULL},
};

static PyType_Spec incoming_spec = {
    .name = "pyaio._core.Incoming",
    .basicsize = sizeof(Incoming),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = incoming_slots,
};

int
pyaio_incoming_init(PyObject *module)
{
    return pyaio_add_type(module, &pyaio_module_state(module)->Incoming_type,
                          &incoming_spec, NULL);
}
