/* The Python face of the transport of a subprocess. */
#include "base/errors.h"
#include "process/process.h"
#include "process/transport.h"
#include "sched/sched.h"

#include <unistd.h>

#define STATE(op) pyaio_state_of(op)
#define SELF(op) ((PyaioSubprocess *)(op))

PyObject *
pyaio_call_stock(PyObject *stock, PyObject *op, const char *name,
                 PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *method = PyObject_GetAttrString(stock, name);
    PyObject *bound = method ? PyMethod_New(method, op) : NULL;
    PyObject *done =
        bound ? PyObject_Vectorcall(bound, args, (size_t)nargs, kwnames)
              : NULL;
    Py_XDECREF(method);
    Py_XDECREF(bound);
    return done;
}

/* stock.BaseSubprocessTransport.<name>(op, *args) */
static PyObject *
call_stock_with(PyObject *op, const char *name, PyObject *const *args,
                Py_ssize_t count)
{
    return pyaio_call_stock(STATE(op)->stock_Subprocess, op, name, args, count,
                            NULL);
}

/* The same with one argument, or none for NULL. */
static PyObject *
call_stock(const char *name, PyObject *op, PyObject *argument)
{
    return call_stock_with(op, name, &argument, argument != NULL);
}

/* --- the object ---------------------------------------------------------- */

static PyObject *
Subprocess_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
               PyObject *Py_UNUSED(kwargs))
{
    PyObject *op = type->tp_alloc(type, 0);
    if (op != NULL) {
        SELF(op)->devnull = -1;
        SELF(op)->files[0] = SELF(op)->files[1] = SELF(op)->files[2] = -1;
    }
    return op;
}

static int
Subprocess_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioSubprocess *self = SELF(op);
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->extra);
    Py_VISIT(self->loop);
    Py_VISIT(self->protocol);
    Py_VISIT(self->proc);
    Py_VISIT(self->returncode);
    Py_VISIT(self->pipes);
    Py_VISIT(self->exit_waiters);
    Py_VISIT(self->pending);
    Py_VISIT(self->args);
    Py_VISIT(self->context);
    for (int i = 0; i < 3; i++) {
        Py_VISIT(self->ends[i]);
    }
    return 0;
}

static int
Subprocess_clear(PyObject *op)
{
    PyaioSubprocess *self = SELF(op);
    Py_CLEAR(self->extra);
    Py_CLEAR(self->loop);
    Py_CLEAR(self->protocol);
    Py_CLEAR(self->proc);
    Py_CLEAR(self->pid);
    Py_CLEAR(self->returncode);
    Py_CLEAR(self->pipes);
    Py_CLEAR(self->exit_waiters);
    Py_CLEAR(self->pending);
    Py_CLEAR(self->args);
    Py_CLEAR(self->context);
    for (int i = 0; i < 3; i++) {
        Py_CLEAR(self->ends[i]);
    }
    return 0;
}

/* A Popen whose child may still run makes sure, at its own end, that somebody
 * reaps that. */
static void
leave_child(PyaioState *state, PyaioSubprocess *self)
{
    if (self->args != NULL && self->pid != NULL &&
        pyaio_is_none(self->returncode) &&
        pyaio_subprocess_popen(state, self) == NULL) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
}

/* Stock's __del__ has to say what was left open. */
static void
Subprocess_finalize(PyObject *op)
{
    PyaioState *state = STATE(op);
    if (state == NULL || state->stock_Subprocess == NULL) {
        return;
    }
    PyObject *raised = PyErr_GetRaisedException();
    PyObject *done = SELF(op)->closed ? NULL : call_stock("__del__", op, NULL);
    if (done == NULL && PyErr_Occurred()) {
        PyErr_WriteUnraisable(op);
    }
    Py_XDECREF(done);
    leave_child(state, SELF(op));
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
}

static void
Subprocess_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    for (int i = 0; i < 3; i++) {
        if (SELF(op)->files[i] >= 0) {
            (void)close(SELF(op)->files[i]);
        }
    }
    (void)Subprocess_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

/* Notes methods that an attribute of the object stands for. */
static int
Subprocess_setattro(PyObject *op, PyObject *name, PyObject *value)
{
    PyObject *known = PyObject_GetAttr((PyObject *)Py_TYPE(op), name);
    if (known == NULL) {
        PyErr_Clear();
    }
    else if (PyCallable_Check(known)) {
        SELF(op)->replaced = 1;
    }
    Py_XDECREF(known);
    return PyObject_GenericSetAttr(op, name, value);
}

/* --- methods ------------------------------------------------------------- */

/* Whether nothing about it is unusual: otherwise stock's methods act. */
static int
is_usual(PyaioState *state, PyaioSubprocess *self)
{
    return !self->from_stock && !self->replaced &&
           !pyaio_is_none(self->loop) && !pyaio_is_none(self->protocol) &&
           pyaio_sched_direct(state, self->loop, PYAIO_LOOP_GET_DEBUG) != NULL;
}

static PyObject *
Subprocess_process_exited(PyObject *op, PyObject *returncode)
{
    PyaioState *state = STATE(op);
    PyaioSubprocess *self = SELF(op);
    if (!is_usual(state, self) || returncode == Py_None ||
        !pyaio_is_none(self->returncode)) {
        return call_stock("_process_exited", op, returncode);
    }
    return pyaio_none_or_error(
        pyaio_subprocess_exited(state, self, returncode));
}

static PyObject *
Subprocess_try_finish(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioState *state = STATE(op);
    PyaioSubprocess *self = SELF(op);
    if (!is_usual(state, self) || self->finished) {
        return call_stock("_try_finish", op, NULL);
    }
    return pyaio_none_or_error(pyaio_subprocess_try_finish(state, self));
}

static PyObject *
Subprocess_call(PyObject *op, PyObject *const *args, Py_ssize_t count)
{
    if (SELF(op)->from_stock || count < 1 || count > PYAIO_CALL_MOST) {
        return call_stock_with(op, "_call", args, count);
    }
    return pyaio_none_or_error(
        pyaio_subprocess_call(STATE(op), SELF(op), args, count));
}

typedef int (*PipeEvent)(PyaioState *state, PyaioSubprocess *self,
                         PyObject *fd, PyObject *what);

static PyObject *
tell_of_pipe(PyObject *op, PyObject *const *args, Py_ssize_t count,
             PipeEvent event, const char *name)
{
    PyaioState *state = STATE(op);
    PyaioSubprocess *self = SELF(op);
    if (count != 2 || !is_usual(state, self) || self->finished) {
        return call_stock_with(op, name, args, count);
    }
    return pyaio_none_or_error(event(state, self, args[0], args[1]));
}

static PyObject *
Subprocess_pipe_data_received(PyObject *op, PyObject *const *args,
                              Py_ssize_t count)
{
    return tell_of_pipe(op, args, count, pyaio_subprocess_pipe_data,
                        "_pipe_data_received");
}

static PyObject *
Subprocess_pipe_connection_lost(PyObject *op, PyObject *const *args,
                                Py_ssize_t count)
{
    return tell_of_pipe(op, args, count, pyaio_subprocess_pipe_lost,
                        "_pipe_connection_lost");
}

static PyObject *
Subprocess_call_connection_lost(PyObject *op, PyObject *exc)
{
    PyaioState *state = STATE(op);
    PyaioSubprocess *self = SELF(op);
    if (!is_usual(state, self)) {
        return call_stock("_call_connection_lost", op, exc);
    }
    return pyaio_none_or_error(pyaio_subprocess_lose(state, self, exc));
}

static PyObject *
Subprocess_close(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioSubprocess *self = SELF(op);
    if (self->closed) {
        Py_RETURN_NONE;
    }
    if (self->from_stock || pyaio_is_none(self->returncode) ||
        (self->pipes != NULL && !is_usual(STATE(op), self))) {
        return call_stock("close", op, NULL);
    }
    self->closed = 1;
    return pyaio_none_or_error(pyaio_subprocess_close_pipes(STATE(op), self));
}

static PyObject *
Subprocess_is_closing(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return PyBool_FromLong(SELF(op)->closed);
}

static PyObject *
Subprocess_get_pid(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return Py_NewRef(SELF(op)->pid ? SELF(op)->pid : Py_None);
}

static PyObject *
Subprocess_get_returncode(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyObject *code = SELF(op)->returncode;
    return Py_NewRef(code ? code : Py_None);
}

static PyObject *
get_pipes(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioSubprocess *self = SELF(op);
    if (self->pipes == NULL && (self->pipes = PyDict_New()) == NULL) {
        return NULL;
    }
    return Py_NewRef(self->pipes);
}

static PyObject *
Subprocess_get_pipe_transport(PyObject *op, PyObject *const *args,
                              Py_ssize_t nargs, PyObject *kwnames)
{
    if (SELF(op)->from_stock || nargs != 1 || kwnames != NULL) {
        return pyaio_call_stock(STATE(op)->stock_Subprocess, op,
                                "get_pipe_transport", args, nargs, kwnames);
    }
    return pyaio_subprocess_pipe(STATE(op), SELF(op), args[0]);
}

static PyObject *
Subprocess_get_extra_info(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"name", "default", NULL};
    PyObject *name, *fallback = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:get_extra_info", names,
                                     &name, &fallback) ||
        pyaio_subprocess_popen(STATE(op), SELF(op)) == NULL) {
        return NULL;
    }
    PyObject *extra = SELF(op)->extra;
    PyObject *value = extra ? PyDict_GetItemWithError(extra, name) : NULL;
    if (value == NULL && PyErr_Occurred()) {
        return NULL;
    }
    return Py_NewRef(value ? value : fallback);
}

#define KEYWORDS(function) \
    (PyCFunction)(void (*)(void)) function, METH_VARARGS | METH_KEYWORDS

#define FAST(function) (PyCFunction)(void (*)(void)) function, METH_FASTCALL

static PyMethodDef subprocess_methods[] = {
    {"_process_exited", Subprocess_process_exited, METH_O, NULL},
    {"_call", FAST(Subprocess_call), NULL},
    {"_pipe_data_received", FAST(Subprocess_pipe_data_received), NULL},
    {"_pipe_connection_lost", FAST(Subprocess_pipe_connection_lost), NULL},
    {"_try_finish", Subprocess_try_finish, METH_NOARGS, NULL},
    {"_call_connection_lost", Subprocess_call_connection_lost, METH_O, NULL},
    {"close", Subprocess_close, METH_NOARGS,
     "Close the pipes, and kill the child unless it has ended."},
    {"is_closing", Subprocess_is_closing, METH_NOARGS,
     "Return True if the transport is closing or closed."},
    {"get_pid", Subprocess_get_pid, METH_NOARGS,
     "Return the child's process id."},
    {"get_returncode", Subprocess_get_returncode, METH_NOARGS,
     "Return the child's exit code, None while it runs."},
    {"get_pipe_transport",
     (PyCFunction)(void (*)(void))Subprocess_get_pipe_transport,
     METH_FASTCALL | METH_KEYWORDS,
     "get_pipe_transport($self, fd)\n--\n\n"
     "Return the transport of the pipe that is that descriptor in the child, "
     "or None."},
    {"get_extra_info", KEYWORDS(Subprocess_get_extra_info),
     "get_extra_info($self, name, default=None)\n--\n\n"
     "Return what is known under that name: \"subprocess\" is the Popen."},
    {NULL, NULL, 0, NULL},
};

/* --- attributes ---------------------------------------------------------- */

static PyObject *
get_proc(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioSubprocess *self = SELF(op);
    if (self->finished && self->loop == NULL) {
        Py_RETURN_NONE;
    }
    return Py_XNewRef(pyaio_subprocess_popen(STATE(op), self));
}

static int
set_proc(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    PyaioSubprocess *self = SELF(op);
    if (value != Py_None || self->args == NULL) {
        Py_CLEAR(self->args);
        Py_XSETREF(self->proc, value == Py_None ? NULL : Py_XNewRef(value));
    }
    return 0;
}

static PyObject *
get_extra(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioSubprocess *self = SELF(op);
    if (pyaio_subprocess_popen(STATE(op), self) == NULL ||
        (self->extra == NULL && (self->extra = PyDict_New()) == NULL)) {
        return NULL;
    }
    return Py_NewRef(self->extra);
}

static int
set_extra(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    if (value != NULL && !PyDict_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "extra must be a dict");
        return -1;
    }
    Py_XSETREF(SELF(op)->extra, Py_XNewRef(value));
    return 0;
}

static int
set_pipes(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    if (value != NULL && !PyDict_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "_pipes must be a dict");
        return -1;
    }
    Py_XSETREF(SELF(op)->pipes, Py_XNewRef(value));
    return 0;
}

static PyObject *
get_exit_waiters(PyObject *op, void *Py_UNUSED(closure))
{
    return Py_XNewRef(pyaio_subprocess_exit_waiters(SELF(op)));
}

static int
set_exit_waiters(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    SELF(op)->waited = pyaio_is_none(value);
    Py_XSETREF(SELF(op)->exit_waiters,
               pyaio_is_none(value) ? NULL : Py_NewRef(value));
    return 0;
}

static PyObject *
get_pending(PyObject *op, void *Py_UNUSED(closure))
{
    return Py_XNewRef(pyaio_subprocess_pending(STATE(op), SELF(op)));
}

static int
set_pending(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    SELF(op)->connecting = !pyaio_is_none(value);
    Py_XSETREF(SELF(op)->pending,
               pyaio_is_none(value) ? NULL : Py_NewRef(value));
    return 0;
}

static PyGetSetDef subprocess_getset[] = {
    {"_proc", get_proc, set_proc, NULL, NULL},
    {"_extra", get_extra, set_extra, NULL, NULL},
    {"_pipes", get_pipes, set_pipes, NULL, NULL},
    {"_exit_waiters", get_exit_waiters, set_exit_waiters, NULL, NULL},
    {"_pending_calls", get_pending, set_pending, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

#define FIELD(name, type, field) \
    {name, type, offsetof(PyaioSubprocess, field), 0, NULL}

static PyMemberDef subprocess_members[] = {
    FIELD("_loop", T_OBJECT, loop),
    FIELD("_protocol", T_OBJECT, protocol),
    FIELD("_pid", T_OBJECT, pid),
    FIELD("_returncode", T_OBJECT, returncode),
    FIELD("_closed", T_BOOL, closed),
    FIELD("_finished", T_BOOL, finished),
    {NULL, 0, 0, 0, NULL},
};

/* --- the type ------------------------------------------------------------ */

PyDoc_STRVAR(subprocess_doc,
             "What is native of the transport of a subprocess that stands on "
             "it.");

static PyType_Slot subprocess_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)subprocess_doc},
    {Py_tp_new, Subprocess_new},
    {Py_tp_init, pyaio_subprocess_init_object},
    {Py_tp_setattro, Subprocess_setattro},
    {Py_tp_traverse, Subprocess_traverse},
    {Py_tp_clear, Subprocess_clear},
    {Py_tp_finalize, Subprocess_finalize},
    {Py_tp_dealloc, Subprocess_dealloc},
    {Py_tp_methods, subprocess_methods},
    {Py_tp_getset, subprocess_getset},
    {Py_tp_members, subprocess_members},
    {0, NULL},
};

static PyType_Spec subprocess_spec = {
    .name = "pyaio._core._SubprocessTransport",
    .basicsize = sizeof(PyaioSubprocess),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = subprocess_slots,
};

int
pyaio_subprocess_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    PyTypeObject *base = (PyTypeObject *)state->stock_SubprocessTransport;
    if (base->tp_basicsize != (Py_ssize_t)offsetof(PyaioSubprocess, loop)) {
        PyErr_SetString(PyExc_ImportError,
                        "pyaio was built for another layout of asyncio's "
                        "transports than this interpreter has");
        return -1;
    }
    return pyaio_add_type(module, &state->Subprocess_type, &subprocess_spec,
                          base);
}
