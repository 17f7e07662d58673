/* The Python face that the transports of all sockets share: attributes,
 * methods, the type _SelectorTransport on which theirs stand. */
#include "base/errors.h"
#include "net/transport.h"
#include "sched/watch.h"

#define STATE(op) pyaio_state_of(op)

/* --- object -------------------------------------------------------------- */

int
pyaio_transport_check_arguments(PyaioState *state, PyObject *loop,
                                PyObject *extra)
{
    PyaioScheduler *sched = pyaio_scheduler_of(state, loop);
    if (sched == NULL || sched->state == NULL) {
        PyErr_SetString(PyExc_TypeError,
                        "a native transport needs a native event loop");
        return -1;
    }
    if (extra != Py_None && !PyDict_Check(extra)) {
        PyErr_SetString(PyExc_TypeError, "extra must be a dict");
        return -1;
    }
    return 0;
}

/* Keeps the __init__ of stock's base classes from being called. */
static int
Transport_init(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(args),
               PyObject *Py_UNUSED(kwargs))
{
    return 0;
}

int
pyaio_transport_tp_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioTransport *self = (PyaioTransport *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->extra);
    Py_VISIT(self->dict);
    Py_VISIT(self->loop);
    Py_VISIT(self->protocol);
    Py_VISIT(self->sock);
    Py_VISIT(self->server);
    Py_VISIT(self->context);
    Py_VISIT(self->read_context);
    Py_VISIT(self->write_context);
    Py_VISIT(self->lost_context);
    Py_VISIT(self->empty_waiter);
    int err = pyaio_flow_traverse(&self->flow, visit, arg);
    return err ? err : pyaio_write_queue_traverse(&self->queue, visit, arg);
}

int
pyaio_transport_tp_clear(PyObject *op)
{
    PyaioTransport *self = (PyaioTransport *)op;
    self->sched = NULL;
    self->conn_lost += self->conn_lost == 0;
    self->closing = 1;
    Py_CLEAR(self->extra);
    Py_CLEAR(self->dict);
    Py_CLEAR(self->loop);
    Py_CLEAR(self->protocol);
    Py_CLEAR(self->sock);
    Py_CLEAR(self->server);
    Py_CLEAR(self->context);
    Py_CLEAR(self->read_context);
    Py_CLEAR(self->write_context);
    Py_CLEAR(self->lost_context);
    Py_CLEAR(self->empty_waiter);
    pyaio_flow_clear(&self->flow);
    pyaio_write_queue_clear(&self->queue);
    return 0;
}

static void
Transport_finalize(PyObject *op)
{
    PyaioTransport *self = (PyaioTransport *)op;
    PyaioState *state = STATE(op);
    if (self->sock == NULL || state == NULL || state->str_close == NULL) {
        return;
    }
    PyObject *raised = PyErr_GetRaisedException();
    if (PyErr_ResourceWarning(op, 1, "unclosed transport %R", op) < 0) {
        PyErr_WriteUnraisable(op);
    }
    if (pyaio_transport_release(state, self) < 0) {
        PyErr_WriteUnraisable(op);
    }
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
}

void
pyaio_transport_tp_dealloc(PyObject *op)
{
    if (PyObject_CallFinalizerFromDealloc(op) < 0) {
        return;
    }
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    if (((PyaioTransport *)op)->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    (void)type->tp_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyObject *
Transport_repr(PyObject *op)
{
    PyaioTransport *self = (PyaioTransport *)op;
    PyObject *name = PyType_GetName(Py_TYPE(op));
    if (name == NULL) {
        return NULL;
    }
    const char *phase = self->sock == NULL ? " closed"
                        : self->closing    ? " closing"
                                           : "";
    PyObject *text;
    if (self->loop == NULL || self->sched->poller == NULL) {
        text = PyUnicode_FromFormat("<%U%s fd=%d>", name, phase, self->fd);
    }
    else {
        unsigned mask = pyaio_watch_mask_of(self->sched, self->fd);
        text = PyUnicode_FromFormat(
            "<%U%s fd=%d read=%s write=<%s, bufsize=%zu>>", name, phase,
            self->fd, mask & PYAIO_POLL_READ ? "polling" : "idle",
            mask & PYAIO_POLL_WRITE ? "polling" : "idle", self->queue.bytes);
    }
    Py_DECREF(name);
    return text;
}

/* --- methods ------------------------------------------------------------- */

/* A method without arguments that one function of ours carries out. */
#define PLAIN_METHOD(name)                                            \
    static PyObject *Transport_##name(PyObject *op,                   \
                                      PyObject *Py_UNUSED(unused))    \
    {                                                                 \
        return pyaio_none_or_error(                                   \
            pyaio_transport_##name(STATE(op), (PyaioTransport *)op)); \
    }

PLAIN_METHOD(close)
PLAIN_METHOD(pause_reading)
PLAIN_METHOD(resume_reading)

static PyObject *
Transport_abort(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return pyaio_none_or_error(
        pyaio_transport_force_close(STATE(op), (PyaioTransport *)op, Py_None));
}

static PyObject *
Transport_force_close(PyObject *op, PyObject *exc)
{
    return pyaio_none_or_error(
        pyaio_transport_force_close(STATE(op), (PyaioTransport *)op, exc));
}

static PyObject *
Transport_fatal_error(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"exc", "message", NULL};
    PyObject *exc, *message = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|U:_fatal_error", names,
                                     &exc, &message)) {
        return NULL;
    }
    message = message ? Py_NewRef(message)
                      : PyUnicode_FromString("Fatal error on transport");
    if (message == NULL) {
        return NULL;
    }
    int err = pyaio_transport_fatal_error(STATE(op), (PyaioTransport *)op, exc,
                                          message);
    Py_DECREF(message);
    return pyaio_none_or_error(err);
}

static PyObject *
Transport_call_connection_lost(PyObject *op, PyObject *exc)
{
    return pyaio_none_or_error(
        pyaio_transport_lose(STATE(op), (PyaioTransport *)op, exc));
}

static PyObject *
Transport_set_protocol(PyObject *op, PyObject *protocol)
{
    return pyaio_none_or_error(pyaio_transport_set_protocol(
        STATE(op), (PyaioTransport *)op, protocol));
}

static PyObject *
Transport_get_protocol(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyObject *protocol = ((PyaioTransport *)op)->protocol;
    return Py_NewRef(protocol ? protocol : Py_None);
}

static PyObject *
Transport_is_closing(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return PyBool_FromLong(((PyaioTransport *)op)->closing);
}

static PyObject *
Transport_is_reading(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return PyBool_FromLong(pyaio_transport_is_reading((PyaioTransport *)op));
}

static PyObject *
Transport_get_extra_info(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"name", "default", NULL};
    PyObject *name, *missing = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:get_extra_info", names,
                                     &name, &missing)) {
        return NULL;
    }
    PyObject *extra = ((PyaioTransport *)op)->extra;
    PyObject *found = extra ? PyDict_GetItemWithError(extra, name) : NULL;
    if (found == NULL && PyErr_Occurred()) {
        return NULL;
    }
    return Py_NewRef(found ? found : missing);
}

static PyObject *
Transport_get_write_buffer_size(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return PyLong_FromSize_t(((PyaioTransport *)op)->queue.bytes);
}

static PyObject *
Transport_get_write_buffer_limits(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return pyaio_flow_get_limits(&((PyaioTransport *)op)->flow);
}

static PyObject *
Transport_set_write_buffer_limits(PyObject *op, PyObject *args,
                                  PyObject *kwargs)
{
    PyaioTransport *self = (PyaioTransport *)op;
    if (pyaio_flow_parse_limits(&self->flow, args, kwargs) < 0) {
        return NULL;
    }
    return pyaio_none_or_error(pyaio_transport_check_flow(STATE(op), self));
}

#define KEYWORDS(function) \
    (PyCFunction)(void (*)(void)) function, METH_VARARGS | METH_KEYWORDS

PyMethodDef pyaio_transport_methods[] = {
    {"close", Transport_close, METH_NOARGS,
     "Stop reading, and close once what was written is sent."},
    {"abort", Transport_abort, METH_NOARGS,
     "Close at once; what is not sent yet is lost."},
    {"is_closing", Transport_is_closing, METH_NOARGS,
     "Return True if the transport is closing or closed."},
    {"is_reading", Transport_is_reading, METH_NOARGS,
     "Return True unless reading is paused or the transport is closing."},
    {"pause_reading", Transport_pause_reading, METH_NOARGS,
     "Give the protocol no data until resume_reading()."},
    {"resume_reading", Transport_resume_reading, METH_NOARGS,
     "Take pause_reading() back."},
    {"set_protocol", Transport_set_protocol, METH_O,
     "set_protocol($self, protocol, /)\n--\n\nChange the protocol."},
    {"get_protocol", Transport_get_protocol, METH_NOARGS,
     "Return the protocol."},
    {"get_extra_info", KEYWORDS(Transport_get_extra_info),
     "get_extra_info($self, name, default=None)\n--\n\n"
     "Return 'socket', 'sockname' or 'peername', or the default."},
    {"get_write_buffer_size", Transport_get_write_buffer_size, METH_NOARGS,
     "Return how many bytes wait to be sent."},
    {"get_write_buffer_limits", Transport_get_write_buffer_limits, METH_NOARGS,
     "Return the marks (low, high), in bytes."},
    {"set_write_buffer_limits", KEYWORDS(Transport_set_write_buffer_limits),
     "set_write_buffer_limits($self, high=None, low=None)\n--\n\n"
     "Set the marks between which the protocol is paused, in bytes.\n\n"
     "ValueError unless high >= low >= 0."},
    {"_force_close", Transport_force_close, METH_O, NULL},
    {"_fatal_error", KEYWORDS(Transport_fatal_error), NULL},
    {"_call_connection_lost", Transport_call_connection_lost, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

/* --- attributes ---------------------------------------------------------- */

static PyObject *
get_object(PyObject *op, void *closure)
{
    PyObject *value = *(PyObject **)((char *)op + (size_t)closure);
    return Py_NewRef(value ? value : Py_None);
}

static int
set_object(PyObject *op, PyObject *value, void *closure)
{
    PyObject **field = (PyObject **)((char *)op + (size_t)closure);
    PyObject *old = *field;
    *field = value == Py_None ? NULL : Py_XNewRef(value);
    Py_XDECREF(old);
    return 0;
}

static PyObject *
get_flag(PyObject *op, void *closure)
{
    return PyBool_FromLong(*((uint8_t *)op + (size_t)closure));
}

static int
set_flag(PyObject *op, PyObject *value, void *closure)
{
    int truth = value ? PyObject_IsTrue(value) : 0;
    if (truth < 0) {
        return -1;
    }
    *((uint8_t *)op + (size_t)closure) = (uint8_t)truth;
    return 0;
}

static int
set_sock(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    PyaioTransport *self = (PyaioTransport *)op;
    if (value != NULL && value != Py_None) {
        return pyaio_transport_set_socket(STATE(op), self, value);
    }
    self->conn_lost += self->conn_lost == 0; /* nobody shall use it now */
    Py_CLEAR(self->sock);
    return 0;
}

static PyObject *
get_protocol_paused(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((PyaioTransport *)op)->flow.paused);
}

static PyObject *
get_conn_lost(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromSsize_t(((PyaioTransport *)op)->conn_lost);
}

static PyObject *
get_fd(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromLong(((PyaioTransport *)op)->fd);
}

static PyObject *
get_high_water(PyObject *op, void *Py_UNUSED(closure))
{
    return pyaio_flow_get_high(&((PyaioTransport *)op)->flow);
}

static PyObject *
get_low_water(PyObject *op, void *Py_UNUSED(closure))
{
    return pyaio_flow_get_low(&((PyaioTransport *)op)->flow);
}

#define OBJECT(name, field, setter) \
    {name, get_object, setter, NULL, (void *)offsetof(PyaioTransport, field)}
#define FLAG(name, field) \
    {name, get_flag, set_flag, NULL, (void *)offsetof(PyaioTransport, field)}

static PyGetSetDef transport_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    OBJECT("_loop", loop, NULL),
    {"_sock", get_object, set_sock, NULL,
     (void *)offsetof(PyaioTransport, sock)},
    OBJECT("_protocol", protocol, NULL),
    OBJECT("_server", server, set_object),
#if PYAIO_HAS_TRANSPORT_CONTEXT
    OBJECT("_context", context, NULL),
#endif
    FLAG("_closing", closing),
    FLAG("_paused", paused),
    FLAG("_protocol_connected", protocol_connected),
    {"_protocol_paused", get_protocol_paused, NULL, NULL, NULL},
    {"_conn_lost", get_conn_lost, NULL, NULL, NULL},
    {"_sock_fd", get_fd, NULL, NULL, NULL},
    {"_high_water", get_high_water, NULL, NULL, NULL},
    {"_low_water", get_low_water, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef transport_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(PyaioTransport, dict), READONLY,
     NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(PyaioTransport, weakrefs),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(transport_doc,
             "What the transports of sockets have in common.\n\n"
             "Mirrors the class of its name in asyncio.selector_events.");

static PyType_Slot transport_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)transport_doc},
    {Py_tp_init, Transport_init},
    {Py_tp_traverse, pyaio_transport_tp_traverse},
    {Py_tp_clear, pyaio_transport_tp_clear},
    {Py_tp_finalize, Transport_finalize},
    {Py_tp_dealloc, pyaio_transport_tp_dealloc},
    {Py_tp_repr, Transport_repr},
    {Py_tp_methods, pyaio_transport_methods},
    {Py_tp_getset, transport_getset},
    {Py_tp_members, transport_members},
    {0, NULL},
};

static PyType_Spec transport_spec = {
    .name = "pyaio._core._SelectorTransport",
    .basicsize = sizeof(PyaioTransport),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = transport_slots,
};

static int
verify_base(PyTypeObject *base)
{
    if (base->tp_basicsize != (Py_ssize_t)offsetof(PyaioTransport, dict)) {
        PyErr_SetString(PyExc_ImportError,
                        "pyaio was built for another layout of "
                        "asyncio.Transport than this interpreter has");
        return -1;
    }
    return 0;
}

int
pyaio_transport_base_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    PyTypeObject *base = (PyTypeObject *)state->stock_FlowControlMixin;
    if (verify_base(base) < 0 ||
        pyaio_add_type(module, &state->TransportBase_type, &transport_spec,
                       base) < 0) {
        return -1;
    }
    PyObject *size = PyLong_FromLong(PYAIO_SCRATCH_SIZE);
    int err =
        size ? PyObject_SetAttrString((PyObject *)state->TransportBase_type,
                                      "max_size", size)
             : -1;
    Py_XDECREF(size);
    return err;
}
