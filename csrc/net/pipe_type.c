/* The Python faces of pipe transports: a reader and a writer. */
#include "base/errors.h"
#include "net/pipe.h"
#include "sched/watch.h"

#include <unistd.h>

#define STATE(op) pyaio_state_of(op)
#define PIPE(op) ((PyaioPipe *)(op))

/* --- object -------------------------------------------------------------- */

static PyObject *
pipe_new(PyTypeObject *type, PyObject *args, PyObject *kwargs,
         const PyaioReadyKind *readable, int devices, const char *refusal)
{
    static char *names[] = {"loop",   "pipe",  "protocol",
                            "waiter", "extra", NULL};
    PyObject *loop, *pipe, *protocol, *waiter = Py_None, *extra = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|OO", names, &loop,
                                     &pipe, &protocol, &waiter, &extra)) {
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
    if (op == NULL) {
        return NULL;
    }
    PIPE(op)->readable = readable;
    if (pyaio_pipe_setup(state, PIPE(op), loop, pipe, protocol,
                         waiter == Py_None ? NULL : waiter,
                         extra == Py_None ? NULL : extra, devices,
                         refusal) < 0) {
        Py_CLEAR(op);
    }
    return op;
}

static PyObject *
ReadPipe_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    return pipe_new(type, args, kwargs, &pyaio_pipe_read_ready, 1,
                    "Pipe transport is for pipes/sockets only.");
}

static PyObject *
WritePipe_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    return pipe_new(type, args, kwargs, &pyaio_pipe_peer_ready, 0,
                    "Pipe transport is only for pipes, sockets and "
                    "character devices");
}

/* Keeps the __init__ of stock's base classes from being called. */
static int
Pipe_init(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(args),
          PyObject *Py_UNUSED(kwargs))
{
    return 0;
}

static int
Pipe_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioPipe *self = PIPE(op);
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->extra);
    Py_VISIT(self->dict);
    Py_VISIT(self->loop);
    Py_VISIT(self->protocol);
    Py_VISIT(self->pipe);
    Py_VISIT(self->read_context);
    Py_VISIT(self->write_context);
    Py_VISIT(self->lost_context);
    int err = pyaio_flow_traverse(&self->flow, visit, arg);
    return err ? err : pyaio_write_queue_traverse(&self->queue, visit, arg);
}

static int
Pipe_clear(PyObject *op)
{
    PyaioPipe *self = PIPE(op);
    self->sched = NULL;
    self->closing = self->ending = 1;
    Py_CLEAR(self->extra);
    Py_CLEAR(self->dict);
    Py_CLEAR(self->loop);
    Py_CLEAR(self->protocol);
    Py_CLEAR(self->pipe);
    Py_CLEAR(self->read_context);
    Py_CLEAR(self->write_context);
    Py_CLEAR(self->lost_context);
    pyaio_flow_clear(&self->flow);
    pyaio_write_queue_clear(&self->queue);
    if (self->bare == PYAIO_PIPE_BARE) {
        self->bare = PYAIO_PIPE_BARE_ENDED;
        (void)close(self->fd);
    }
    return 0;
}

static void
Pipe_finalize(PyObject *op)
{
    PyaioPipe *self = PIPE(op);
    PyaioState *state = STATE(op);
    if (!pyaio_pipe_is_open(self) || state == NULL ||
        state->str_close == NULL) {
        return;
    }
    PyObject *raised = PyErr_GetRaisedException();
    if (PyErr_ResourceWarning(op, 1, "unclosed transport %R", op) < 0) {
        PyErr_WriteUnraisable(op);
    }
    if (pyaio_pipe_release(state, self) < 0) {
        PyErr_WriteUnraisable(op);
    }
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
}

static void
Pipe_dealloc(PyObject *op)
{
    if (PyObject_CallFinalizerFromDealloc(op) < 0) {
        return;
    }
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    if (PIPE(op)->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    (void)Pipe_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyObject *
pipe_repr(PyObject *op, unsigned direction, int with_size)
{
    PyaioPipe *self = PIPE(op);
    int open = pyaio_pipe_is_open(self);
    const char *phase = !open ? " closed" : self->closing ? " closing" : "";
    const char *polling;
    char size[40] = "";
    if (!open) {
        polling = "closed";
    }
    else if (self->sched == NULL || self->sched->poller == NULL) {
        polling = "open";
    }
    else {
        polling = pyaio_watch_mask_of(self->sched, self->fd) & direction
                      ? "polling"
                      : "idle";
        if (with_size) {
            PyOS_snprintf(size, sizeof(size), " bufsize=%zu",
                          self->queue.bytes);
        }
    }
    PyObject *name = PyType_GetName(Py_TYPE(op));
    PyObject *text = name
                         ? PyUnicode_FromFormat("<%U%s fd=%d %s%s>", name,
                                                phase, self->fd, polling, size)
                         : NULL;
    Py_XDECREF(name);
    return text;
}

static PyObject *
ReadPipe_repr(PyObject *op)
{
    return pipe_repr(op, PYAIO_POLL_READ, 0);
}

static PyObject *
WritePipe_repr(PyObject *op)
{
    return pipe_repr(op, PYAIO_POLL_WRITE, 1);
}

/* --- methods ------------------------------------------------------------- */

static PyObject *
ReadPipe_close(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioPipe *self = PIPE(op);
    return pyaio_none_or_error(
        self->closing ? 0 : pyaio_pipe_force_close(STATE(op), self, Py_None));
}

static PyObject *
ReadPipe_pause_reading(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return pyaio_none_or_error(pyaio_pipe_pause_reading(STATE(op), PIPE(op)));
}

static PyObject *
ReadPipe_resume_reading(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return pyaio_none_or_error(pyaio_pipe_resume_reading(STATE(op), PIPE(op)));
}

static PyObject *
ReadPipe_is_reading(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return PyBool_FromLong(pyaio_pipe_is_reading(PIPE(op)));
}

static PyObject *
WritePipe_write(PyObject *op, PyObject *data)
{
    return pyaio_none_or_error(pyaio_pipe_write(STATE(op), PIPE(op), data));
}

static PyObject *
WritePipe_write_eof(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return pyaio_none_or_error(pyaio_pipe_write_eof(STATE(op), PIPE(op)));
}

static PyObject *
WritePipe_can_write_eof(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(unused))
{
    Py_RETURN_TRUE;
}

/* Somebody may have put another write_eof() in its place. */
static PyObject *
WritePipe_close(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioPipe *self = PIPE(op);
    if (!pyaio_pipe_is_open(self) || self->closing) {
        Py_RETURN_NONE;
    }
    PyObject *done = PyObject_CallMethod(op, "write_eof", NULL);
    Py_XDECREF(done);
    return pyaio_none_or_error(done ? 0 : -1);
}

static PyObject *
WritePipe_abort(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return pyaio_none_or_error(
        pyaio_pipe_force_close(STATE(op), PIPE(op), Py_None));
}

static PyObject *
WritePipe_get_write_buffer_size(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return PyLong_FromSize_t(PIPE(op)->queue.bytes);
}

static PyObject *
WritePipe_get_write_buffer_limits(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return pyaio_flow_get_limits(&PIPE(op)->flow);
}

static PyObject *
WritePipe_set_write_buffer_limits(PyObject *op, PyObject *args,
                                  PyObject *kwargs)
{
    if (pyaio_flow_parse_limits(&PIPE(op)->flow, args, kwargs) < 0) {
        return NULL;
    }
    return pyaio_none_or_error(pyaio_pipe_check_flow(STATE(op), PIPE(op)));
}

static PyObject *
Pipe_set_protocol(PyObject *op, PyObject *protocol)
{
    Py_XSETREF(PIPE(op)->protocol, Py_NewRef(protocol));
    Py_RETURN_NONE;
}

static PyObject *
Pipe_get_protocol(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyObject *protocol = PIPE(op)->protocol;
    return Py_NewRef(protocol ? protocol : Py_None);
}

static PyObject *
Pipe_is_closing(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return PyBool_FromLong(PIPE(op)->closing);
}

static PyObject *
Pipe_fatal_error(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"exc", "message", NULL};
    PyObject *exc, *message = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|U:_fatal_error", names,
                                     &exc, &message)) {
        return NULL;
    }
    message = message ? Py_NewRef(message)
                      : PyUnicode_FromString("Fatal error on pipe transport");
    if (message == NULL) {
        return NULL;
    }
    int err = pyaio_pipe_fatal_error(STATE(op), PIPE(op), exc, message);
    Py_DECREF(message);
    return pyaio_none_or_error(err);
}

#define KEYWORDS(function) \
    (PyCFunction)(void (*)(void)) function, METH_VARARGS | METH_KEYWORDS

#define COMMON_METHODS                                                    \
    {"is_closing", Pipe_is_closing, METH_NOARGS,                          \
     "Return True if the transport is closing or closed."},               \
        {"set_protocol", Pipe_set_protocol, METH_O,                       \
         "set_protocol($self, protocol, /)\n--\n\nChange the protocol."}, \
        {"get_protocol", Pipe_get_protocol, METH_NOARGS,                  \
         "Return the protocol."},                                         \
        {"_fatal_error", KEYWORDS(Pipe_fatal_error), NULL},               \
    {                                                                     \
        NULL, NULL, 0, NULL                                               \
    }

static PyMethodDef read_pipe_methods[] = {
    {"close", ReadPipe_close, METH_NOARGS, "Stop reading and close."},
    {"is_reading", ReadPipe_is_reading, METH_NOARGS,
     "Return True unless reading is paused or the transport is closing."},
    {"pause_reading", ReadPipe_pause_reading, METH_NOARGS,
     "Give the protocol no data until resume_reading()."},
    {"resume_reading", ReadPipe_resume_reading, METH_NOARGS,
     "Take pause_reading() back."},
    COMMON_METHODS,
};

static PyMethodDef write_pipe_methods[] = {
    {"write", WritePipe_write, METH_O,
     "write($self, data, /)\n--\n\n"
     "Send bytes, a bytearray or a memoryview, now or when it is possible."},
    {"write_eof", WritePipe_write_eof, METH_NOARGS,
     "Close once what was written is sent."},
    {"can_write_eof", WritePipe_can_write_eof, METH_NOARGS, "Return True."},
    {"close", WritePipe_close, METH_NOARGS,
     "Close once what was written is sent."},
    {"abort", WritePipe_abort, METH_NOARGS,
     "Close at once; what is not sent yet is lost."},
    {"get_write_buffer_size", WritePipe_get_write_buffer_size, METH_NOARGS,
     "Return how many bytes wait to be sent."},
    {"get_write_buffer_limits", WritePipe_get_write_buffer_limits, METH_NOARGS,
     "Return the marks (low, high), in bytes."},
    {"set_write_buffer_limits", KEYWORDS(WritePipe_set_write_buffer_limits),
     "set_write_buffer_limits($self, high=None, low=None)\n--\n\n"
     "Set the marks between which the protocol is paused, in bytes.\n\n"
     "ValueError unless high >= low >= 0."},
    COMMON_METHODS,
};

/* --- attributes ---------------------------------------------------------- */

/* What waits to be written; changing it changes nothing. */
static PyObject *
get_buffer(PyObject *op, void *Py_UNUSED(closure))
{
    return pyaio_write_queue_joined(&PIPE(op)->queue);
}

static PyObject *
get_pipe(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioPipe *self = PIPE(op);
    if (self->bare == PYAIO_PIPE_BARE &&
        pyaio_pipe_object(STATE(op), self) == NULL) {
        return NULL;
    }
    return Py_NewRef(self->pipe ? self->pipe : Py_None);
}

static int
set_pipe(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    if (pyaio_pipe_object(STATE(op), PIPE(op)) == NULL) {
        return -1;
    }
    PyObject *old = PIPE(op)->pipe;
    PIPE(op)->pipe = value == Py_None ? NULL : Py_XNewRef(value);
    PIPE(op)->is_file = PIPE(op)->is_socket = 0;
    Py_XDECREF(old);
    return 0;
}

/* Stock's attribute, with the pipe in it. */
static PyObject *
get_extra(PyObject *op, void *Py_UNUSED(closure))
{
    if (pyaio_pipe_object(STATE(op), PIPE(op)) == NULL) {
        return NULL;
    }
    return Py_NewRef(PIPE(op)->extra ? PIPE(op)->extra : Py_None);
}

static int
set_extra(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    if (value == NULL || !PyDict_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "extra must be a dict");
        return -1;
    }
    if (pyaio_pipe_object(STATE(op), PIPE(op)) == NULL) {
        return -1;
    }
    Py_XSETREF(PIPE(op)->extra, Py_NewRef(value));
    return 0;
}

static PyObject *
get_fileno(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromLong(PIPE(op)->fd);
}

static PyObject *
get_protocol_paused(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(PIPE(op)->flow.paused);
}

static PyObject *
get_high_water(PyObject *op, void *Py_UNUSED(closure))
{
    return pyaio_flow_get_high(&PIPE(op)->flow);
}

static PyObject *
get_low_water(PyObject *op, void *Py_UNUSED(closure))
{
    return pyaio_flow_get_low(&PIPE(op)->flow);
}

static PyGetSetDef read_pipe_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"_fileno", get_fileno, NULL, NULL, NULL},
    {"_pipe", get_pipe, set_pipe, NULL, NULL},
    {"_extra", get_extra, set_extra, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyGetSetDef write_pipe_getset[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"_fileno", get_fileno, NULL, NULL, NULL},
    {"_pipe", get_pipe, set_pipe, NULL, NULL},
    {"_extra", get_extra, set_extra, NULL, NULL},
    {"_buffer", get_buffer, NULL, NULL, NULL},
    {"_protocol_paused", get_protocol_paused, NULL, NULL, NULL},
    {"_high_water", get_high_water, NULL, NULL, NULL},
    {"_low_water", get_low_water, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

#define FIELD(name, type, field) \
    {name, type, offsetof(PyaioPipe, field), READONLY, NULL}

#define COMMON_MEMBERS                                     \
    FIELD("__dictoffset__", T_PYSSIZET, dict),             \
        FIELD("__weaklistoffset__", T_PYSSIZET, weakrefs), \
        FIELD("_loop", T_OBJECT, loop),                    \
        FIELD("_protocol", T_OBJECT, protocol),            \
        FIELD("_closing", T_BOOL, closing)

static PyMemberDef read_pipe_members[] = {
    COMMON_MEMBERS,
    FIELD("_paused", T_BOOL, paused),
    {NULL, 0, 0, 0, NULL},
};

static PyMemberDef write_pipe_members[] = {
    COMMON_MEMBERS,
    FIELD("_conn_lost", T_PYSSIZET, conn_lost),
    {NULL, 0, 0, 0, NULL},
};

/* --- types --------------------------------------------------------------- */

PyDoc_STRVAR(read_pipe_doc,
             "_UnixReadPipeTransport(loop, pipe, protocol, waiter=None, "
             "extra=None)\n--\n\n"
             "The transport of a pipe's reading end on a native loop.\n\n"
             "ValueError for anything but a pipe, a socket or a character "
             "device. Mirrors the class of its name in asyncio.unix_events.");

PyDoc_STRVAR(write_pipe_doc,
             "_UnixWritePipeTransport(loop, pipe, protocol, waiter=None, "
             "extra=None)\n--\n\n"
             "The transport of a pipe's writing end on a native loop.\n\n"
             "ValueError for anything but a pipe, a socket or a character "
             "device. Mirrors the class of its name in asyncio.unix_events.");

#define COMMON_SLOTS                                                \
    {Py_tp_init, Pipe_init}, {Py_tp_traverse, Pipe_traverse},       \
        {Py_tp_clear, Pipe_clear}, {Py_tp_finalize, Pipe_finalize}, \
        {Py_tp_dealloc, Pipe_dealloc},                              \
    {                                                               \
        0, NULL                                                     \
    }

static PyType_Slot read_pipe_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)read_pipe_doc},
    {Py_tp_new, ReadPipe_new},
    {Py_tp_repr, ReadPipe_repr},
    {Py_tp_methods, read_pipe_methods},
    {Py_tp_getset, read_pipe_getset},
    {Py_tp_members, read_pipe_members},
    COMMON_SLOTS,
};

static PyType_Slot write_pipe_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)write_pipe_doc},
    {Py_tp_new, WritePipe_new},
    {Py_tp_repr, WritePipe_repr},
    {Py_tp_methods, write_pipe_methods},
    {Py_tp_getset, write_pipe_getset},
    {Py_tp_members, write_pipe_members},
    COMMON_SLOTS,
};

static PyType_Spec read_pipe_spec = {
    .name = "pyaio._core._UnixReadPipeTransport",
    .basicsize = sizeof(PyaioPipe),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = read_pipe_slots,
};

static PyType_Spec write_pipe_spec = {
    .name = "pyaio._core._UnixWritePipeTransport",
    .basicsize = sizeof(PyaioPipe),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = write_pipe_slots,
};

/* Whether the fields of a base class end where those of ours begin. */
static int
verify_base(PyTypeObject *base, size_t size)
{
    if (base->tp_basicsize != (Py_ssize_t)size) {
        PyErr_Format(PyExc_ImportError,
                     "pyaio was built for another layout of asyncio.%s than "
                     "this interpreter has",
                     base->tp_name);
        return -1;
    }
    return 0;
}

int
pyaio_pipe_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    PyTypeObject *read_base = (PyTypeObject *)state->stock_ReadTransport;
    PyTypeObject *write_base = (PyTypeObject *)state->stock_FlowControlMixin;
    if (verify_base(read_base, offsetof(PyaioPipe, unused)) < 0 ||
        verify_base(write_base, offsetof(PyaioPipe, dict)) < 0 ||
        pyaio_add_type(module, &state->ReadPipe_type, &read_pipe_spec,
                       read_base) < 0 ||
        pyaio_add_type(module, &state->WritePipe_type, &write_pipe_spec,
                       write_base) < 0) {
        return -1;
    }
    PyObject *size = PyLong_FromLong(PYAIO_SCRATCH_SIZE);
    int err = size ? PyObject_SetAttrString((PyObject *)state->ReadPipe_type,
                                            "max_size", size)
                   : -1;
    Py_XDECREF(size);
    return err;
}
