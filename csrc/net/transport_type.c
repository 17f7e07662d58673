/* The Python face of stream transports: attributes, methods, the type. */
#include "net/transport.h"
#include "sched/watch.h"

#define STATE(op) pyaio_state_of(op)

/* --- object -------------------------------------------------------------- */

static PyObject *
Transport_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"loop",  "sock",   "protocol", "waiter",
                            "extra", "server", "context",  NULL};
    PyObject *loop, *sock, *protocol;
    PyObject *waiter = Py_None, *extra = Py_None, *server = Py_None;
    PyObject *context = Py_None;
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "OOO|OOOO:_SelectorSocketTransport", names, &loop,
            &sock, &protocol, &waiter, &extra, &server, &context)) {
        return NULL;
    }
    PyaioState *state = pyaio_state_of_type(type);
    PyaioScheduler *sched = pyaio_scheduler_of(state, loop);
    if (sched == NULL || sched->state == NULL) {
        PyErr_SetString(PyExc_TypeError,
                        "a native transport needs a native event loop");
        return NULL;
    }
    if (extra != Py_None && !PyDict_Check(extra)) {
        PyErr_SetString(PyExc_TypeError, "extra must be a dict");
        return NULL;
    }
    PyObject *op = type->tp_alloc(type, 0);
    if (op != NULL &&
        pyaio_transport_setup(state, (PyaioTransport *)op, loop, sock,
                              protocol, waiter == Py_None ? NULL : waiter,
                              extra == Py_None ? NULL : extra,
                              server == Py_None ? NULL : server,
                              context == Py_None ? NULL : context) < 0) {
        Py_CLEAR(op);
    }
    return op;
}

/* Keeps the __init__ of stock's base classes from being called. */
static int
Transport_init(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(args),
               PyObject *Py_UNUSED(kwargs))
{
    return 0;
}

static int
Transport_traverse(PyObject *op, visitproc visit, void *arg)
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

static int
Transport_clear(PyObject *op)
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

static void
Transport_dealloc(PyObject *op)
{
    if (PyObject_CallFinalizerFromDealloc(op) < 0) {
        return;
    }
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    if (((PyaioTransport *)op)->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    (void)Transport_clear(op);
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

static PyObject *
none_or_error(int err)
{
    if (err < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* A method without arguments that one function of ours carries out. */
#define PLAIN_METHOD(name)                                            \
    static PyObject *Transport_##name(PyObject *op,                   \
                                      PyObject *Py_UNUSED(unused))    \
    {                                                                 \
        return none_or_error(                                         \
            pyaio_transport_##name(STATE(op), (PyaioTransport *)op)); \
    }

PLAIN_METHOD(close)
PLAIN_METHOD(pause_reading)
PLAIN_METHOD(resume_reading)

static PyObject *
Transport_write(PyObject *op, PyObject *data)
{
    return none_or_error(
        pyaio_transport_write(STATE(op), (PyaioTransport *)op, data));
}

static PyObject *
Transport_writelines(PyObject *op, PyObject *list)
{
    return none_or_error(
        pyaio_transport_writelines(STATE(op), (PyaioTransport *)op, list));
}

static PyObject *
Transport_write_eof(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return none_or_error(pyaio_transport_write_eof((PyaioTransport *)op));
}

static PyObject *
Transport_can_write_eof(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(unused))
{
    Py_RETURN_TRUE;
}

static PyObject *
Transport_abort(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return none_or_error(
        pyaio_transport_force_close(STATE(op), (PyaioTransport *)op, Py_None));
}

static PyObject *
Transport_force_close(PyObject *op, PyObject *exc)
{
    return none_or_error(
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
    return none_or_error(err);
}

static PyObject *
Transport_call_connection_lost(PyObject *op, PyObject *exc)
{
    return none_or_error(
        pyaio_transport_lose(STATE(op), (PyaioTransport *)op, exc));
}

static PyObject *
Transport_set_protocol(PyObject *op, PyObject *protocol)
{
    return none_or_error(pyaio_transport_set_protocol(
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
    return none_or_error(pyaio_transport_check_flow(STATE(op), self));
}

static PyObject *
Transport_make_empty_waiter(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return pyaio_transport_make_empty_waiter(STATE(op), (PyaioTransport *)op);
}

static PyObject *
Transport_reset_empty_waiter(PyObject *op, PyObject *Py_UNUSED(unused))
{
    Py_CLEAR(((PyaioTransport *)op)->empty_waiter);
    Py_RETURN_NONE;
}

#define KEYWORDS(function) \
    (PyCFunction)(void (*)(void)) function, METH_VARARGS | METH_KEYWORDS

static PyMethodDef transport_methods[] = {
    {"write", Transport_write, METH_O,
     "write($self, data, /)\n--\n\n"
     "Send bytes, a bytearray or a memoryview, now or when it is possible."},
    {"writelines", Transport_writelines, METH_O,
     "writelines($self, list_of_data, /)\n--\n\n"
     "Send the bytes-like objects of an iterable, one after another."},
    {"write_eof", Transport_write_eof, METH_NOARGS,
     "Close the writing end once what was written is sent."},
    {"can_write_eof", Transport_can_write_eof, METH_NOARGS, "Return True."},
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
    {"_make_empty_waiter", Transport_make_empty_waiter, METH_NOARGS, NULL},
    {"_reset_empty_waiter", Transport_reset_empty_waiter, METH_NOARGS, NULL},
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

/* Reading ends when the transport begins to close. */
static PyObject *
get_read_ready(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioTransport *self = (PyaioTransport *)op;
    if (self->closing) {
        Py_RETURN_NONE;
    }
    return pyaio_transport_read_ready(STATE(op), self);
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

/* What waits to be sent, in the shape that the running version keeps it in;
 * changing it changes nothing. */
static PyObject *
get_buffer(PyObject *op, void *Py_UNUSED(closure))
{
    const PyaioWriteQueue *queue = &((PyaioTransport *)op)->queue;
#if PYAIO_WRITELINES_GATHERS
    PyObject *list = pyaio_write_queue_list(queue);
    PyObject *collections = list ? PyImport_ImportModule("collections") : NULL;
    PyObject *shown =
        collections ? PyObject_CallMethod(collections, "deque", "O", list)
                    : NULL;
    Py_XDECREF(collections);
    Py_XDECREF(list);
    return shown;
#else
    return pyaio_write_queue_joined(queue);
#endif
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
    {"_read_ready_cb", get_read_ready, NULL, NULL, NULL},
    OBJECT("_protocol", protocol, NULL),
    OBJECT("_server", server, set_object),
    OBJECT("_empty_waiter", empty_waiter, set_object),
#if PYAIO_HAS_TRANSPORT_CONTEXT
    OBJECT("_context", context, NULL),
    {"_buffer_size", (getter)Transport_get_write_buffer_size, NULL, NULL,
     NULL},
#endif
    FLAG("_closing", closing),
    FLAG("_paused", paused),
    FLAG("_eof", eof),
    FLAG("_protocol_connected", protocol_connected),
    {"_protocol_paused", get_protocol_paused, NULL, NULL, NULL},
    {"_conn_lost", get_conn_lost, NULL, NULL, NULL},
    {"_sock_fd", get_fd, NULL, NULL, NULL},
    {"_high_water", get_high_water, NULL, NULL, NULL},
    {"_low_water", get_low_water, NULL, NULL, NULL},
    {"_buffer", get_buffer, NULL, NULL, NULL},
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
             "_SelectorSocketTransport(loop, sock, protocol, waiter=None, "
             "extra=None, server=None, context=None)\n--\n\n"
             "The transport of a stream socket on a native loop.\n\n"
             "Mirrors the class of its name in asyncio.selector_events.");

static PyType_Slot transport_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)transport_doc},
    {Py_tp_new, Transport_new},
    {Py_tp_init, Transport_init},
    {Py_tp_traverse, Transport_traverse},
    {Py_tp_clear, Transport_clear},
    {Py_tp_finalize, Transport_finalize},
    {Py_tp_dealloc, Transport_dealloc},
    {Py_tp_repr, Transport_repr},
    {Py_tp_methods, transport_methods},
    {Py_tp_getset, transport_getset},
    {Py_tp_members, transport_members},
    {0, NULL},
};

static PyType_Spec transport_spec = {
    .name = "pyaio._core._SelectorSocketTransport",
    .basicsize = sizeof(PyaioTransport),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
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
pyaio_transport_check_methods(PyaioState *state)
{
    PyTypeObject *type = state->Transport_type;
    PyObject *raised = PyErr_GetRaisedException();
    int original = 1;
    for (PyMethodDef *def = transport_methods; def->ml_name != NULL; def++) {
        PyObject *found =
            PyObject_GetAttrString((PyObject *)type, def->ml_name);
        original &= found != NULL && Py_IS_TYPE(found, &PyMethodDescr_Type) &&
                    ((PyMethodDescrObject *)found)->d_method == def;
        Py_XDECREF(found);
    }
    PyErr_Clear();
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
    state->transport_tag = original ? type->tp_version_tag : 0;
    return original;
}

int
pyaio_transport_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    PyTypeObject *base = (PyTypeObject *)state->stock_FlowControlMixin;
    state->minus_one = PyLong_FromLong(-1);
    if (state->minus_one == NULL || verify_base(base) < 0 ||
        pyaio_add_type(module, &state->Transport_type, &transport_spec, base) <
            0) {
        return -1;
    }
    PyObject *type = (PyObject *)state->Transport_type;
    PyObject *size = PyLong_FromLong(PYAIO_SCRATCH_SIZE);
    int err = -1;
    if (size != NULL && PyObject_SetAttrString(type, "max_size", size) == 0 &&
        PyObject_SetAttrString(type, "_start_tls_compatible", Py_True) == 0) {
        err = PyObject_SetAttrString(type, "_sendfile_compatible",
                                     state->sendfile_try_native);
    }
    Py_XDECREF(size);
    return err;
}
