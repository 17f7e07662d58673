/* The Python face of Process. */
#include "process/process_type.h"
#include "base/meta.h"
#include "process/process.h"
#include "stream/writer.h"

#define SELF(op) ((PyaioProcess *)(op))
#define NAME(name) offsetof(PyaioState, str_##name)

const PyaioStreamMethods pyaio_process_methods = {
    .type = offsetof(PyaioState, Process_type),
    .kept = offsetof(PyaioState, processes),
    .count = 4,
    .names = {NAME(_feed_stdin), NAME(_read_stream), NAME(_noop), NAME(wait)},
};

/* --- making -------------------------------------------------------------- */

/* What __init__() asks the protocol and the transport for: 0, or -1 with an
 * exception. */
static int
take_over(PyaioState *state, PyaioProcess *self)
{
    PyObject *names[] = {state->str_stdin, state->str_stdout,
                         state->str_stderr};
    for (int i = 0; i < 3; i++) {
        PyObject *stream = PyObject_GetAttr(self->protocol, names[i]);
        if (stream == NULL) {
            return -1;
        }
        Py_XSETREF(self->streams[i], stream);
    }
    PyObject *pid =
        PyObject_CallMethodNoArgs(self->transport, state->str_get_pid);
    if (pid == NULL) {
        return -1;
    }
    Py_XSETREF(self->pid, pid);
    return 0;
}

static int
Process_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"transport", "protocol", "loop", NULL};
    PyaioProcess *self = SELF(op);
    PyObject *transport, *protocol, *loop;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO:Process", names,
                                     &transport, &protocol, &loop)) {
        return -1;
    }
    Py_XSETREF(self->transport, Py_NewRef(transport));
    Py_XSETREF(self->protocol, Py_NewRef(protocol));
    Py_XSETREF(self->head.loop, Py_NewRef(loop));
    return take_over(pyaio_state_of(op), self);
}

/* --- the type ------------------------------------------------------------ */

static int
Process_setattro(PyObject *op, PyObject *name, PyObject *value)
{
    return pyaio_stream_setattr(op, name, value, &pyaio_process_methods);
}

static int
Process_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioProcess *self = SELF(op);
    Py_VISIT(self->transport);
    Py_VISIT(self->protocol);
    for (int i = 0; i < 3; i++) {
        Py_VISIT(self->streams[i]);
    }
    Py_VISIT(self->pid);
    return pyaio_stream_traverse(op, visit, arg);
}

static int
Process_clear(PyObject *op)
{
    PyaioProcess *self = SELF(op);
    Py_CLEAR(self->transport);
    Py_CLEAR(self->protocol);
    for (int i = 0; i < 3; i++) {
        Py_CLEAR(self->streams[i]);
    }
    Py_CLEAR(self->pid);
    return pyaio_stream_clear(op);
}

/* The writer and its protocol know of each other. Where nobody else knows of
 * them they need not wait for the collector. */
static void
part_input(PyaioState *state, const PyaioProcess *self)
{
    PyObject *writer = self->streams[0], *protocol = self->protocol;
    if (state != NULL && writer != NULL && protocol != NULL &&
        Py_REFCNT(writer) == 2 && Py_REFCNT(protocol) == 2 &&
        (PyObject *)Py_TYPE(writer) == state->StreamWriter &&
        ((PyaioWriter *)writer)->protocol == protocol) {
        pyaio_child_protocol_forget_input(state, protocol, writer);
    }
}

static void
Process_dealloc(PyObject *op)
{
    part_input(pyaio_state_of(op), SELF(op));
    pyaio_stream_dealloc(op, Process_clear);
}

#define FIELD(name, field) \
    {name, T_OBJECT_EX, offsetof(PyaioProcess, field), 0, NULL}

static PyMemberDef process_members[] = {
    FIELD("_transport", transport), FIELD("_protocol", protocol),
    FIELD("stdin", streams[0]),     FIELD("stdout", streams[1]),
    FIELD("stderr", streams[2]),    FIELD("pid", pid),
    PYAIO_STREAM_MEMBERS,           {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef process_getset[] = {
    PYAIO_STREAM_GETSET,
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(process_doc, "Process(transport, protocol, loop)\n--\n\n"
                          "What is native of the Process that stands on it.");

static PyType_Slot process_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)process_doc},
    {Py_tp_init, Process_init},
    {Py_tp_setattro, Process_setattro},
    {Py_tp_traverse, Process_traverse},
    {Py_tp_clear, Process_clear},
    {Py_tp_dealloc, Process_dealloc},
    {Py_tp_members, process_members},
    {Py_tp_getset, process_getset},
    {0, NULL},
};

static PyType_Spec process_spec = {
    .name = "pyaio._core.Process",
    .basicsize = sizeof(PyaioProcess),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = process_slots,
};

/* The methods that ours calls are the type's own as well, so that one can see
 * whether somebody replaced them. */
static int
take_stock_methods(PyaioState *state)
{
    PyObject *names[] = {state->str__feed_stdin, state->str__read_stream,
                         state->str__noop};
    int err = 0;
    for (size_t i = 0; err == 0 && i < sizeof(names) / sizeof(names[0]); i++) {
        PyObject *method = PyObject_GetAttr(state->stock_Process, names[i]);
        err = method ? PyObject_SetAttr((PyObject *)state->Process_type,
                                        names[i], method)
                     : -1;
        Py_XDECREF(method);
    }
    return err;
}

int
pyaio_process_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_add_type(module, &state->Process_type, &process_spec, NULL) <
            0 ||
        take_stock_methods(state) < 0 ||
        pyaio_meta_adopt(state, state->Process_type) < 0) {
        return -1;
    }
    return pyaio_communicate_init(module);
}
