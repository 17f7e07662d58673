/* SubprocessStreamProtocol: what the transport of a subprocess tells goes to
 * the streams of a Process. */
#include "base/errors.h"
#include "base/meta.h"
#include "process/process.h"
#include "process/transport.h"
#include "stream/flow_control.h"
#include "stream/reader.h"
#include "stream/writer.h"
#include "task/future.h"

typedef struct {
    PyaioFlowControl flow;
    PyObject *limit;        /* owned: as it was given */
    PyObject *streams[3];   /* owned: stdin, stdout, stderr, or NULL */
    PyObject *transport;    /* owned, or NULL */
    PyObject *pipe_fds;     /* owned: list, or NULL for an empty one */
    PyObject *stdin_closed; /* owned: future, NULL until somebody asks */
    PyObject *stdin_lost;   /* owned: what ended standard input: an exception,
                               or None; NULL before */
    uint8_t process_exited;
} ChildProtocol;

#define SELF(op) ((ChildProtocol *)(op))

/* Stock's method of the name, with the arguments of a vectorcall. */
static PyObject *
call_stock(PyObject *op, const char *name, PyObject *const *args,
           Py_ssize_t nargs, PyObject *kwnames)
{
    return pyaio_call_stock(pyaio_state_of(op)->stock_ChildProtocol, op, name,
                            args, nargs, kwnames);
}

/* --- streams ------------------------------------------------------------- */

/* The pipe that the descriptor is in the child: a new reference, or None. */
static PyObject *
pipe_of(PyaioState *state, PyObject *transport, long fd)
{
    PyObject *number = PyLong_FromLong(fd);
    if (number == NULL) {
        return NULL;
    }
    PyObject *pipe =
        pyaio_subprocess_is_plain(state, transport)
            ? pyaio_subprocess_pipe(state, (PyaioSubprocess *)transport,
                                    number)
            : PyObject_CallMethodOneArg(transport,
                                        state->str_get_pipe_transport, number);
    Py_DECREF(number);
    return pipe;
}

/* Appends to _pipe_fds, which may have been replaced by anything. */
static int
note_pipe(PyaioState *state, ChildProtocol *self, long fd)
{
    if (self->pipe_fds == NULL && (self->pipe_fds = PyList_New(0)) == NULL) {
        return -1;
    }
    PyObject *number = PyLong_FromLong(fd);
    PyObject *done = number ? PyObject_CallMethodOneArg(
                                  self->pipe_fds, state->str_append, number)
                            : NULL;
    Py_XDECREF(number);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int
make_reader(PyaioState *state, ChildProtocol *self, long fd)
{
    PyObject *pipe = pipe_of(state, self->transport, fd);
    if (pipe == NULL || pipe == Py_None) {
        Py_XDECREF(pipe);
        return pipe ? 0 : -1;
    }
    PyObject *limit = self->limit ? self->limit : Py_None;
    PyObject *reader = pyaio_reader_new(state, limit, self->flow.head.loop);
    PyObject *done = NULL;
    if (reader != NULL) {
        Py_XSETREF(self->streams[fd], reader);
        done =
            PyObject_CallMethodOneArg(reader, state->str_set_transport, pipe);
    }
    Py_XDECREF(done);
    Py_DECREF(pipe);
    return done ? note_pipe(state, self, fd) : -1;
}

static int
make_writer(PyaioState *state, ChildProtocol *self)
{
    PyObject *pipe = pipe_of(state, self->transport, 0);
    if (pipe == NULL || pipe == Py_None) {
        Py_XDECREF(pipe);
        return pipe ? 0 : -1;
    }
    PyObject *writer =
        pyaio_writer_new(state, pipe, (PyObject *)self, self->flow.head.loop);
    Py_DECREF(pipe);
    if (writer == NULL) {
        return -1;
    }
    Py_XSETREF(self->streams[0], writer);
    return 0;
}

static PyObject *
ChildProtocol_connection_made(PyObject *op, PyObject *const *args,
                              Py_ssize_t nargs, PyObject *kwnames)
{
    PyaioState *state = pyaio_state_of(op);
    ChildProtocol *self = SELF(op);
    if (self->flow.head.loop == NULL || nargs != 1 || kwnames != NULL ||
        args[0] == Py_None) {
        return call_stock(op, "connection_made", args, nargs, kwnames);
    }
    Py_XSETREF(self->transport, Py_NewRef(args[0]));
    int err = make_reader(state, self, 1);
    if (err == 0) {
        err = make_reader(state, self, 2);
    }
    return pyaio_none_or_error(err == 0 ? make_writer(state, self) : err);
}

/* The number of a pipe from the child, as an int that is exactly 1 or 2; 0 for
 * anything else. */
static long
output_of(PyObject *fd)
{
    long number = -1;
    if (PyLong_CheckExact(fd)) {
        int overflow;
        number = PyLong_AsLongAndOverflow(fd, &overflow);
    }
    return number == 1 || number == 2 ? number : 0;
}

static PyObject *
ChildProtocol_pipe_data_received(PyObject *op, PyObject *const *args,
                                 Py_ssize_t nargs, PyObject *kwnames)
{
    if (SELF(op)->flow.head.loop == NULL || nargs != 2 || kwnames != NULL ||
        output_of(args[0]) == 0) {
        return call_stock(op, "pipe_data_received", args, nargs, kwnames);
    }
    PyObject *reader = SELF(op)->streams[output_of(args[0])];
    if (reader == NULL) {
        Py_RETURN_NONE;
    }
    Py_INCREF(reader);
    int err = pyaio_reader_feed_data(pyaio_state_of(op), reader, args[1]);
    Py_DECREF(reader);
    return pyaio_none_or_error(err);
}

/* --- the end of standard input ------------------------------------------- */

/* Ends the future of who waits for standard input to be closed. */
static int
tell_stdin_closed(PyObject *future, PyObject *exc)
{
    PyObject *done = PyObject_CallMethod(
        future, exc == Py_None ? "set_result" : "set_exception", "O", exc);
    Py_XDECREF(done);
    if (done == NULL || exc == Py_None) {
        return done ? 0 : -1;
    }
    /* Nobody has to ask for it. */
    return PyObject_SetAttrString(future, "_log_traceback", Py_False);
}

/* _stdin_closed: borrowed. */
static PyObject *
stdin_closed(PyaioState *state, ChildProtocol *self)
{
    if (self->stdin_closed == NULL) {
        self->stdin_closed =
            pyaio_loop_create_future(state, self->flow.head.loop);
        if (self->stdin_closed != NULL && self->stdin_lost != NULL &&
            tell_stdin_closed(self->stdin_closed, self->stdin_lost) < 0) {
            Py_CLEAR(self->stdin_closed);
        }
    }
    return self->stdin_closed;
}

/* Whether set_exception() has nothing against it. */
static int
can_wait(PyObject *exc)
{
    return exc == Py_None ||
           PyObject_TypeCheck(exc, (PyTypeObject *)PyExc_OSError);
}

static int
close_writer(PyaioState *state, const ChildProtocol *self)
{
    PyObject *writer = Py_XNewRef(self->streams[0]);
    if (writer == NULL) {
        return 0;
    }
    PyObject *done = PyObject_CallMethodNoArgs(writer, state->str_close);
    Py_DECREF(writer);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int
lose_stdin(PyaioState *state, ChildProtocol *self, PyObject *exc)
{
    if (close_writer(state, self) < 0) {
        return -1;
    }
    PyObject *done = PyObject_CallMethodOneArg(
        (PyObject *)self, state->str_connection_lost, exc);
    if (done == NULL) {
        return -1;
    }
    Py_DECREF(done);
    if (self->stdin_lost == NULL && self->stdin_closed == NULL &&
        can_wait(exc)) {
        self->stdin_lost = Py_NewRef(exc);
        return 0;
    }
    PyObject *future = stdin_closed(state, self);
    return future ? tell_stdin_closed(future, exc) : -1;
}

/* --- the end ------------------------------------------------------------- */

static int
lose_output(PyaioState *state, ChildProtocol *self, long fd, PyObject *exc)
{
    PyObject *reader = Py_XNewRef(self->streams[fd]);
    if (reader == NULL) {
        return 0;
    }
    PyObject *done =
        exc == Py_None
            ? PyObject_CallMethodNoArgs(reader, state->str_feed_eof)
            : PyObject_CallMethodOneArg(reader, state->str_set_exception, exc);
    Py_DECREF(reader);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* if fd in self._pipe_fds: self._pipe_fds.remove(fd) */
static int
forget_pipe(const ChildProtocol *self, PyObject *fd)
{
    int known = self->pipe_fds ? PySequence_Contains(self->pipe_fds, fd) : 0;
    if (known <= 0) {
        return known;
    }
    PyObject *done = PyObject_CallMethod(self->pipe_fds, "remove", "O", fd);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static PyObject *
ChildProtocol_pipe_connection_lost(PyObject *op, PyObject *const *args,
                                   Py_ssize_t nargs, PyObject *kwnames)
{
    PyaioState *state = pyaio_state_of(op);
    ChildProtocol *self = SELF(op);
    int usual = self->flow.head.loop != NULL && nargs == 2 && kwnames == NULL;
    long fd = usual ? output_of(args[0]) : 0;
    int is_input =
        usual && PyLong_CheckExact(args[0]) && PyObject_Not(args[0]);
    if (fd == 0 && !is_input) {
        return call_stock(op, "pipe_connection_lost", args, nargs, kwnames);
    }
    if (is_input) {
        return pyaio_none_or_error(lose_stdin(state, self, args[1]));
    }
    if (lose_output(state, self, fd, args[1]) < 0 ||
        forget_pipe(self, args[0]) < 0) {
        return NULL;
    }
    return PyObject_CallMethodNoArgs(op, state->str__maybe_close_transport);
}

static PyObject *
ChildProtocol_process_exited(PyObject *op, PyObject *Py_UNUSED(unused))
{
    SELF(op)->process_exited = 1;
    return PyObject_CallMethodNoArgs(
        op, pyaio_state_of(op)->str__maybe_close_transport);
}

static PyObject *
ChildProtocol_maybe_close_transport(PyObject *op, PyObject *Py_UNUSED(unused))
{
    ChildProtocol *self = SELF(op);
    if (self->flow.head.loop == NULL || self->transport == NULL) {
        return call_stock(op, "_maybe_close_transport", NULL, 0, NULL);
    }
    Py_ssize_t open = self->pipe_fds ? PyObject_Length(self->pipe_fds) : 0;
    if (open != 0 || !self->process_exited) {
        return open < 0 ? NULL : Py_NewRef(Py_None);
    }
    PyObject *transport = Py_NewRef(self->transport);
    PyObject *done =
        PyObject_CallMethodNoArgs(transport, pyaio_state_of(op)->str_close);
    Py_DECREF(transport);
    if (done == NULL) {
        return NULL;
    }
    Py_CLEAR(self->transport);
    Py_DECREF(done);
    Py_RETURN_NONE;
}

/* Those who wait in drain() are woken by stock's. */
static PyObject *
ChildProtocol_connection_lost(PyObject *op, PyObject *const *args,
                              Py_ssize_t nargs, PyObject *kwnames)
{
    PyaioFlowControl *flow = &SELF(op)->flow;
    if (flow->head.loop == NULL || flow->paused || nargs != 1 ||
        kwnames != NULL) {
        return call_stock(op, "connection_lost", args, nargs, kwnames);
    }
    flow->connection_lost = 1;
    Py_RETURN_NONE;
}

static PyObject *
ChildProtocol_get_close_waiter(PyObject *op, PyObject *stream)
{
    ChildProtocol *self = SELF(op);
    if (self->flow.head.loop == NULL) {
        return call_stock(op, "_get_close_waiter", &stream, 1, NULL);
    }
    PyObject *writer = self->streams[0] ? self->streams[0] : Py_None;
    if (stream != writer) {
        Py_RETURN_NONE;
    }
    return Py_XNewRef(stdin_closed(pyaio_state_of(op), self));
}

/* --- attributes ---------------------------------------------------------- */

static const PyaioStreamAttribute limit = {"_limit",
                                           offsetof(ChildProtocol, limit)};
static const PyaioStreamAttribute transport = {
    "_transport", offsetof(ChildProtocol, transport)};
static const PyaioStreamAttribute process_exited = {
    "_process_exited", offsetof(ChildProtocol, process_exited)};
static const PyaioStreamAttribute streams[] = {
    {"stdin", offsetof(ChildProtocol, streams[0])},
    {"stdout", offsetof(ChildProtocol, streams[1])},
    {"stderr", offsetof(ChildProtocol, streams[2])},
};

static PyObject *
get_pipe_fds(PyObject *op, void *Py_UNUSED(closure))
{
    ChildProtocol *self = SELF(op);
    if (self->pipe_fds == NULL && self->flow.head.loop != NULL &&
        (self->pipe_fds = PyList_New(0)) == NULL) {
        return NULL;
    }
    return pyaio_stream_get(&self->flow.head, self->pipe_fds, "_pipe_fds");
}

static int
set_pipe_fds(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    if (pyaio_stream_keep(value) < 0) {
        return -1;
    }
    Py_XSETREF(SELF(op)->pipe_fds, Py_NewRef(value));
    return 0;
}

static PyObject *
get_stdin_closed(PyObject *op, void *Py_UNUSED(closure))
{
    ChildProtocol *self = SELF(op);
    if (self->flow.head.loop == NULL) {
        return pyaio_stream_get(&self->flow.head, NULL, "_stdin_closed");
    }
    return Py_XNewRef(stdin_closed(pyaio_state_of(op), self));
}

static int
set_stdin_closed(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    if (pyaio_stream_keep(value) < 0) {
        return -1;
    }
    Py_XSETREF(SELF(op)->stdin_closed, Py_NewRef(value));
    return 0;
}

static PyGetSetDef child_protocol_getset[] = {
    {"stdin", pyaio_stream_get_object, pyaio_stream_set_object, NULL,
     (void *)(uintptr_t)&streams[0]},
    {"stdout", pyaio_stream_get_object, pyaio_stream_set_object, NULL,
     (void *)(uintptr_t)&streams[1]},
    {"stderr", pyaio_stream_get_object, pyaio_stream_set_object, NULL,
     (void *)(uintptr_t)&streams[2]},
    PYAIO_STREAM_OBJECT(limit),
    PYAIO_STREAM_OBJECT(transport),
    PYAIO_STREAM_FLAG(process_exited),
    {"_pipe_fds", get_pipe_fds, set_pipe_fds, NULL, NULL},
    {"_stdin_closed", get_stdin_closed, set_stdin_closed, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

/* --- the type ------------------------------------------------------------ */

static int
ChildProtocol_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"limit", "loop", NULL};
    ChildProtocol *self = SELF(op);
    PyObject *given, *loop;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs,
                                     "OO:SubprocessStreamProtocol", names,
                                     &given, &loop)) {
        return -1;
    }
    if (loop == Py_None || self->flow.head.loop != NULL) {
        PyObject *both[] = {given, loop};
        PyObject *done = call_stock(op, "__init__", both, 2, NULL);
        Py_XDECREF(done);
        return done ? 0 : -1;
    }
    self->flow.head.loop = Py_NewRef(loop);
    self->limit = Py_NewRef(given);
    return 0;
}

PyObject *
pyaio_child_protocol_new(PyaioState *state, PyObject *given, PyObject *loop)
{
    PyTypeObject *type = (PyTypeObject *)state->ChildProtocol;
    if (!pyaio_stream_class_is_plain(state->ChildProtocol,
                                     state->ChildProtocol_type)) {
        return PyObject_CallFunctionObjArgs(state->ChildProtocol, given, loop,
                                            NULL);
    }
    PyObject *op = type->tp_new(type, NULL, NULL);
    if (op != NULL) {
        SELF(op)->flow.head.loop = Py_NewRef(loop);
        SELF(op)->limit = Py_NewRef(given);
    }
    return op;
}

void
pyaio_child_protocol_forget_input(PyaioState *state, PyObject *protocol,
                                  PyObject *writer)
{
    if (PyObject_TypeCheck(protocol, state->ChildProtocol_type) &&
        SELF(protocol)->streams[0] == writer) {
        Py_CLEAR(SELF(protocol)->streams[0]);
    }
}

static int
ChildProtocol_traverse(PyObject *op, visitproc visit, void *arg)
{
    ChildProtocol *self = SELF(op);
    Py_VISIT(self->limit);
    for (int i = 0; i < 3; i++) {
        Py_VISIT(self->streams[i]);
    }
    Py_VISIT(self->transport);
    Py_VISIT(self->pipe_fds);
    Py_VISIT(self->stdin_closed);
    Py_VISIT(self->stdin_lost);
    return pyaio_flow_control_traverse(op, visit, arg);
}

static int
ChildProtocol_clear(PyObject *op)
{
    ChildProtocol *self = SELF(op);
    Py_CLEAR(self->limit);
    for (int i = 0; i < 3; i++) {
        Py_CLEAR(self->streams[i]);
    }
    Py_CLEAR(self->transport);
    Py_CLEAR(self->pipe_fds);
    Py_CLEAR(self->stdin_closed);
    Py_CLEAR(self->stdin_lost);
    return pyaio_flow_control_clear(op);
}

static void
ChildProtocol_dealloc(PyObject *op)
{
    pyaio_stream_dealloc(op, ChildProtocol_clear);
}

#define FAST(function) \
    (PyCFunction)(void (*)(void)) function, METH_FASTCALL | METH_KEYWORDS

static PyMethodDef child_protocol_methods[] = {
    {"connection_made", FAST(ChildProtocol_connection_made),
     "connection_made($self, transport)\n--\n\nMake the streams."},
    {"pipe_data_received", FAST(ChildProtocol_pipe_data_received),
     "pipe_data_received($self, fd, data)\n--\n\nFeed the reader."},
    {"pipe_connection_lost", FAST(ChildProtocol_pipe_connection_lost),
     "pipe_connection_lost($self, fd, exc)\n--\n\nEnd the stream."},
    {"process_exited", ChildProtocol_process_exited, METH_NOARGS,
     "process_exited($self, /)\n--\n\n"
     "Close the transport, once its pipes have ended."},
    {"connection_lost", FAST(ChildProtocol_connection_lost),
     "connection_lost($self, exc)\n--\n\nHave drain() fail."},
    {"_maybe_close_transport", ChildProtocol_maybe_close_transport,
     METH_NOARGS, NULL},
    {"_get_close_waiter", ChildProtocol_get_close_waiter, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(child_protocol_doc,
             "What is native of the SubprocessStreamProtocol that stands on "
             "it.");

static PyType_Slot child_protocol_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)child_protocol_doc},
    {Py_tp_init, ChildProtocol_init},
    {Py_tp_traverse, ChildProtocol_traverse},
    {Py_tp_clear, ChildProtocol_clear},
    {Py_tp_dealloc, ChildProtocol_dealloc},
    {Py_tp_methods, child_protocol_methods},
    {Py_tp_getset, child_protocol_getset},
    {0, NULL},
};

static PyType_Spec child_protocol_spec = {
    .name = "pyaio._core.SubprocessStreamProtocol",
    .basicsize = sizeof(ChildProtocol),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = child_protocol_slots,
};

int
pyaio_child_protocol_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    return pyaio_add_type(module, &state->ChildProtocol_type,
                          &child_protocol_spec, state->FlowControl_type);
}

int
pyaio_child_protocol_adopt(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    return pyaio_meta_adopt(state, state->ChildProtocol_type);
}
