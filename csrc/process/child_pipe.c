/* The protocols of a child's pipes, and connecting these. */
#include "process/child_pipe.h"
#include "base/errors.h"
#include "net/pipe.h"
#include "process/process.h"

typedef struct {
    PyObject_HEAD
    PyObject *proc; /* owned: the transport of the subprocess, or NULL */
    PyObject *fd;   /* owned: int: the descriptor that it is in the child */
    PyObject *pipe; /* owned: its transport, or NULL */
    char disconnected;
} ChildPipe;

/* --- connecting ---------------------------------------------------------- */

/* A protocol of the class that the Python half of the transport gives. */
static ChildPipe *
new_protocol(PyaioState *state, PyaioSubprocess *self, int number)
{
    PyObject *classes =
        PyObject_GetAttr((PyObject *)self, state->str__pipe_protocols);
    if (classes == NULL) {
        return NULL;
    }
    PyObject *type = PyTuple_GetItem(classes, number == 0 ? 0 : 1);
    ChildPipe *protocol =
        type ? (ChildPipe *)PyType_GenericAlloc((PyTypeObject *)type, 0)
             : NULL;
    Py_DECREF(classes);
    if (protocol != NULL) {
        protocol->proc = Py_NewRef(self);
        protocol->fd = PyLong_FromLong(number);
        if (protocol->fd == NULL) {
            Py_CLEAR(protocol);
        }
    }
    return protocol;
}

static int
connect_pipe(PyaioState *state, PyaioSubprocess *self, int number)
{
    PyObject *file = self->ends[number]; /* where somebody asked for it */
    int fd = file ? PyObject_AsFileDescriptor(file) : self->files[number];
    if (fd < 0) {
        return file ? -1 : 0;
    }
    ChildPipe *protocol = new_protocol(state, self, number);
    if (protocol == NULL) {
        return -1;
    }
    PyTypeObject *type =
        number == 0 ? state->WritePipe_type : state->ReadPipe_type;
    protocol->pipe = pyaio_pipe_to_child(state, type, self->loop, file, fd,
                                         (PyObject *)protocol);
    int err = protocol->pipe ? 0 : -1;
    if (err == 0) {
        if (file == NULL) {
            self->files[number] = -1; /* it is the pipe's now */
            self->ends[number] = Py_NewRef(protocol->pipe);
        }
        err = PyDict_SetItem(self->pipes, protocol->fd, (PyObject *)protocol);
    }
    Py_DECREF(protocol);
    return err;
}

int
pyaio_child_pipes_connect(PyaioState *state, PyaioSubprocess *self)
{
    for (int i = 0; i < 3; i++) {
        if (connect_pipe(state, self, i) < 0) {
            return -1;
        }
    }
    return 0;
}

int
pyaio_child_pipes_abandon(PyaioState *state, PyaioSubprocess *self)
{
    int err = pyaio_subprocess_close_pipes(state, self);
    for (int i = 0; i < 3; i++) {
        PyObject *file =
            err == 0 ? pyaio_subprocess_file(state, self, i) : Py_None;
        if (file == Py_None) {
            continue;
        }
        PyObject *done =
            file ? PyObject_CallMethodNoArgs(file, state->str_close) : NULL;
        err = done ? 0 : -1;
        Py_XDECREF(done);
    }
    return err;
}

/* --- methods ------------------------------------------------------------- */

static PyObject *
ChildPipe_connection_lost(PyObject *op, PyObject *exc)
{
    PyaioState *state = pyaio_state_of(op);
    ChildPipe *self = (ChildPipe *)op;
    self->disconnected = 1;
    PyObject *proc = Py_NewRef(self->proc ? self->proc : Py_None);
    PyObject *args[] = {proc, self->fd ? self->fd : Py_None, exc};
    PyObject *done = PyObject_VectorcallMethod(
        state->str__pipe_connection_lost, args, 3, NULL);
    Py_DECREF(proc);
    if (done == NULL) {
        return NULL;
    }
    Py_CLEAR(self->proc);
    return done;
}

static PyObject *
ChildPipe_data_received(PyObject *op, PyObject *data)
{
    ChildPipe *self = (ChildPipe *)op;
    PyObject *args[] = {self->proc ? self->proc : Py_None,
                        self->fd ? self->fd : Py_None, data};
    return PyObject_VectorcallMethod(
        pyaio_state_of(op)->str__pipe_data_received, args, 3, NULL);
}

static PyMethodDef write_methods[] = {
    {"connection_lost", ChildPipe_connection_lost, METH_O,
     "connection_lost($self, exc, /)\n--\n\n"
     "Tell the transport of the subprocess."},
    {NULL, NULL, 0, NULL},
};

/* The pipe is to be closed. */
static PyObject *
ChildPipe_eof_received(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(unused))
{
    Py_RETURN_NONE;
}

static PyMethodDef read_methods[] = {
    {"eof_received", ChildPipe_eof_received, METH_NOARGS,
     "eof_received($self, /)\n--\n\nLet the transport close itself."},
    {"data_received", ChildPipe_data_received, METH_O,
     "data_received($self, data, /)\n--\n\n"
     "Give data to the transport of the subprocess."},
    {NULL, NULL, 0, NULL},
};

/* --- the types ----------------------------------------------------------- */

static int
ChildPipe_traverse(PyObject *op, visitproc visit, void *arg)
{
    ChildPipe *self = (ChildPipe *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->proc);
    Py_VISIT(self->fd);
    Py_VISIT(self->pipe);
    return 0;
}

static int
ChildPipe_clear(PyObject *op)
{
    ChildPipe *self = (ChildPipe *)op;
    Py_CLEAR(self->proc);
    Py_CLEAR(self->fd);
    Py_CLEAR(self->pipe);
    return 0;
}

static void
ChildPipe_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    (void)ChildPipe_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

#define FIELD(name, type) {#name, type, offsetof(ChildPipe, name), 0, NULL}

static PyMemberDef members[] = {
    FIELD(proc, T_OBJECT),       FIELD(fd, T_OBJECT),   FIELD(pipe, T_OBJECT),
    FIELD(disconnected, T_BOOL), {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(doc, "What is native of the protocol of a child's pipe that "
                  "stands on it.");

static PyType_Slot write_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)doc},
    {Py_tp_traverse, ChildPipe_traverse},
    {Py_tp_clear, ChildPipe_clear},
    {Py_tp_dealloc, ChildPipe_dealloc},
    {Py_tp_methods, write_methods},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Slot read_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)doc}, {Py_tp_traverse, ChildPipe_traverse},
    {Py_tp_clear, ChildPipe_clear},      {Py_tp_dealloc, ChildPipe_dealloc},
    {Py_tp_methods, read_methods},       {0, NULL},
};

#define SPEC(pyname, list)                                                 \
    {                                                                      \
        .name = "pyaio._core." pyname,                                     \
        .basicsize = sizeof(ChildPipe),                                    \
        .flags =                                                           \
            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, \
        .slots = list,                                                     \
    }

static PyType_Spec write_spec = SPEC("_WriteSubprocessPipe", write_slots);
static PyType_Spec read_spec = SPEC("_ReadSubprocessPipe", read_slots);

int
pyaio_child_pipe_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    return pyaio_add_type(module, &state->ChildWriter_type, &write_spec,
                          NULL) < 0
               ? -1
               : pyaio_add_type(module, &state->ChildReader_type, &read_spec,
                                state->ChildWriter_type);
}
