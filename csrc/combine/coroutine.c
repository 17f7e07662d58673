/* Coroutine: what every native coroutine has in common. */
#include "combine/coroutine.h"
#include "base/stop.h"
#include "combine/combine.h"
#include "combine/coroutine_attributes.h"

int
pyaio_coroutine_note_origin(PyaioCoroutine *self, int depth)
{
    self->origin = pyaio_coroutine_origin(depth);
    return self->origin ? 0 : -1;
}

/* --- its course ---------------------------------------------------------- */

/* Closes the mirror, so that nobody warns that it was never awaited. */
static void
coroutine_drop_mirror(PyaioState *state, PyaioCoroutine *self)
{
    PyObject *raised = PyErr_GetRaisedException();
    PyObject *mirror = self->mirror;
    self->mirror = NULL;
    PyObject *closed = PyObject_CallMethodNoArgs(mirror, state->str_close);
    if (closed == NULL) {
        PyErr_WriteUnraisable(mirror);
    }
    Py_XDECREF(closed);
    Py_DECREF(mirror);
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
}

static void
coroutine_end(PyaioState *state, PyaioCoroutine *self)
{
    self->status = PYAIO_CORO_CLOSED;
    if (self->mirror != NULL) {
        coroutine_drop_mirror(state, self);
    }
    PyObject *inner = self->inner;
    self->inner = NULL;
    self->kind->clear(state, self);
    pyaio_await_stop(&self->await);
    Py_XDECREF(inner);
}

/* A StopIteration must not look like a return: it becomes a RuntimeError. */
static void
coroutine_convert_stop_iteration(void)
{
    if (!PyErr_ExceptionMatches(PyExc_StopIteration)) {
        return;
    }
    PyObject *stop = PyErr_GetRaisedException();
    PyErr_SetString(PyExc_RuntimeError, "coroutine raised StopIteration");
    PyObject *error = PyErr_GetRaisedException();
    PyException_SetContext(error, Py_NewRef(stop));
    PyException_SetCause(error, stop);
    PyErr_SetRaisedException(error);
}

/* Whether it can be resumed now, with this value or exception. */
static int
coroutine_check_resumable(PyaioCoroutine *self, PyObject *value)
{
    switch (self->status) {
    case PYAIO_CORO_RUNNING:
        PyErr_SetString(PyExc_ValueError, "coroutine already executing");
        return -1;
    case PYAIO_CORO_CLOSED:
        PyErr_SetString(PyExc_RuntimeError,
                        "cannot reuse already awaited coroutine");
        return -1;
    case PYAIO_CORO_CREATED:
        if (value != NULL && value != Py_None) {
            PyErr_SetString(PyExc_TypeError,
                            "can't send non-None value to a just-started "
                            "coroutine");
            return -1;
        }
        return 0;
    default:
        return 0;
    }
}

/* Takes note of how the kind's code went. */
static PySendResult
coroutine_settle(PyaioState *state, PyaioCoroutine *self, PySendResult went)
{
    if (went == PYGEN_NEXT) {
        self->status = PYAIO_CORO_SUSPENDED;
    }
    else if (went == PYGEN_RETURN) {
        coroutine_end(state, self);
    }
    else {
        coroutine_convert_stop_iteration();
        PyObject *raised = PyErr_GetRaisedException();
        coroutine_end(state, self);
        PyErr_SetRaisedException(raised);
    }
    return went;
}

static PySendResult
Coroutine_send_value(PyObject *op, PyObject *value, PyObject **result)
{
    PyaioCoroutine *self = (PyaioCoroutine *)op;
    *result = NULL;
    if (coroutine_check_resumable(self, value) < 0) {
        return PYGEN_ERROR;
    }
    PyaioState *state = pyaio_state_of(op);
    int created = self->status == PYAIO_CORO_CREATED;
    self->status = PYAIO_CORO_RUNNING;
    PySendResult went = created ? self->kind->start(state, self, result)
                                : self->kind->send(state, self, value, result);
    return coroutine_settle(state, self, went);
}

static PySendResult
coroutine_throw(PyaioCoroutine *self, PyObject *exception, PyObject **result)
{
    *result = NULL;
    if (coroutine_check_resumable(self, NULL) < 0) {
        return PYGEN_ERROR;
    }
    PyaioState *state = pyaio_state_of((PyObject *)self);
    int created = self->status == PYAIO_CORO_CREATED;
    self->status = PYAIO_CORO_RUNNING;
    PySendResult went = PYGEN_ERROR;
    if (created) {
        PyErr_SetRaisedException(Py_NewRef(exception));
    }
    else {
        went = self->kind->throw(state, self, exception, result);
    }
    return coroutine_settle(state, self, went);
}

/* Ends it where it stands. Returns 0, or -1 with an exception. */
static int
coroutine_close(PyaioCoroutine *self)
{
    if (self->status == PYAIO_CORO_CLOSED) {
        return 0;
    }
    if (self->status == PYAIO_CORO_CREATED) {
        coroutine_end(pyaio_state_of((PyObject *)self), self);
        return 0;
    }
    PyObject *exit = PyObject_CallNoArgs(PyExc_GeneratorExit);
    if (exit == NULL) {
        return -1;
    }
    PyObject *result;
    PySendResult went = coroutine_throw(self, exit, &result);
    Py_DECREF(exit);
    Py_XDECREF(result);
    if (went == PYGEN_NEXT) {
        PyErr_SetString(PyExc_RuntimeError, "coroutine ignored GeneratorExit");
        return -1;
    }
    if (went == PYGEN_ERROR) {
        if (!PyErr_ExceptionMatches(PyExc_GeneratorExit)) {
            return -1;
        }
        PyErr_Clear();
    }
    return 0;
}

/* --- the coroutine's methods --------------------------------------------- */

/* A step's outcome as a method returns it. */
static PyObject *
coroutine_outcome(PySendResult went, PyObject *result)
{
    if (went == PYGEN_RETURN) {
        /* PyErr_SetObject() would unpack a tuple or an exception. */
        PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, result);
        Py_DECREF(result);
        if (stop != NULL) {
            PyErr_SetObject(PyExc_StopIteration, stop);
            Py_DECREF(stop);
        }
        return NULL;
    }
    return went == PYGEN_NEXT ? result : NULL;
}

static PyObject *
Coroutine_await(PyObject *op)
{
    if (((PyaioCoroutine *)op)->status == PYAIO_CORO_SUSPENDED) {
        PyErr_SetString(PyExc_RuntimeError,
                        "coroutine is being awaited already");
        return NULL;
    }
    return Py_NewRef(op);
}

static PyObject *
Coroutine_iternext(PyObject *op)
{
    PyObject *result;
    PySendResult went = Coroutine_send_value(op, Py_None, &result);
    if (went == PYGEN_NEXT) {
        return result;
    }
    if (went == PYGEN_RETURN) {
        if (result == Py_None) {
            Py_DECREF(result); /* plain NULL means that */
        }
        else {
            pyaio_stop_raise(pyaio_state_of(op), result);
        }
    }
    return NULL;
}

static PyObject *
Coroutine_send(PyObject *op, PyObject *value)
{
    PyObject *result;
    PySendResult went = Coroutine_send_value(op, value, &result);
    return coroutine_outcome(went, result);
}

/* The exception that throw()'s arguments mean: a new reference. */
static PyObject *
throw_arguments(PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *type = args[0], *value = nargs > 1 ? args[1] : Py_None;
    PyObject *traceback = nargs > 2 ? args[2] : Py_None;
    if (traceback != Py_None && !PyTraceBack_Check(traceback)) {
        PyErr_SetString(PyExc_TypeError,
                        "throw() third argument must be a traceback object");
        return NULL;
    }
    PyObject *exc;
    if (PyExceptionClass_Check(type)) {
        PyErr_SetObject(type, value == Py_None ? NULL : value);
        exc = PyErr_GetRaisedException();
    }
    else if (!PyExceptionInstance_Check(type)) {
        PyErr_Format(PyExc_TypeError,
                     "exceptions must be classes or instances deriving from "
                     "BaseException, not %s",
                     Py_TYPE(type)->tp_name);
        return NULL;
    }
    else if (value != Py_None) {
        PyErr_SetString(PyExc_TypeError,
                        "instance exception may not have a separate value");
        return NULL;
    }
    else {
        exc = Py_NewRef(type);
    }
    if (traceback != Py_None) {
        PyException_SetTraceback(exc, traceback);
    }
    return exc;
}

static PyObject *
Coroutine_throw(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs < 1 || nargs > 3) {
        PyErr_Format(PyExc_TypeError,
                     "throw expected 1 to 3 arguments, got %zd", nargs);
        return NULL;
    }
    if (pyaio_throw_deprecated(nargs) < 0) {
        return NULL;
    }
    PyObject *exception = throw_arguments(args, nargs);
    if (exception == NULL) {
        return NULL;
    }
    PyObject *result;
    PySendResult went =
        coroutine_throw((PyaioCoroutine *)op, exception, &result);
    Py_DECREF(exception);
    return coroutine_outcome(went, result);
}

static PyObject *
Coroutine_close(PyObject *op, PyObject *Py_UNUSED(unused))
{
    if (coroutine_close((PyaioCoroutine *)op) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* What a program that calls __await__() itself gets. */
static PyObject *
Coroutine_make_wrapper(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return pyaio_coroutine_wrapper_new(pyaio_state_of(op), op);
}

static PyObject *
Coroutine_repr(PyObject *op)
{
    PyObject *name = PyObject_GetAttrString(op, "__qualname__");
    PyObject *text =
        name ? PyUnicode_FromFormat("<coroutine object %S at %p>", name, op)
             : NULL;
    Py_XDECREF(name);
    return text;
}

/* --- its end ------------------------------------------------------------- */

/* Warns by the same route as the interpreter, which names the origin too. */
static int
coroutine_warn_never_awaited(PyObject *op)
{
    PyObject *warnings = PyImport_ImportModule("warnings");
    PyObject *warn =
        warnings
            ? PyObject_GetAttrString(warnings, "_warn_unawaited_coroutine")
            : NULL;
    Py_XDECREF(warnings);
    if (warn != NULL) {
        PyObject *done = PyObject_CallOneArg(warn, op);
        Py_DECREF(warn);
        Py_XDECREF(done);
        return done ? 0 : -1;
    }
    PyErr_Clear();
    PyObject *name = PyObject_GetAttrString(op, "__qualname__");
    int err = name ? PyErr_WarnFormat(PyExc_RuntimeWarning, 1,
                                      "coroutine '%U' was never awaited", name)
                   : -1;
    Py_XDECREF(name);
    return err;
}

/* Whether an interrupt came between the call that made the coroutine and the
 * await of it. The interpreter looks for one after calls of native functions,
 * not after those that make its own coroutines: nobody forgot anything. */
static int
is_interrupted(PyObject *raised)
{
    return raised != NULL &&
           PyErr_GivenExceptionMatches(raised, PyExc_KeyboardInterrupt);
}

static void
Coroutine_finalize(PyObject *op)
{
    PyaioCoroutine *self = (PyaioCoroutine *)op;
    if (self->status == PYAIO_CORO_CLOSED ||
        pyaio_state_of(op)->str_throw == NULL) {
        return; /* ended, or the module has */
    }
    PyObject *raised = PyErr_GetRaisedException();
    int err = 0;
    if (self->status != PYAIO_CORO_CREATED) {
        err = coroutine_close(self);
    }
    else if (!is_interrupted(raised)) {
        err = coroutine_warn_never_awaited(op);
    }
    if (err < 0) {
        PyErr_WriteUnraisable(op);
    }
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
}

static int
Coroutine_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioCoroutine *self = (PyaioCoroutine *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->origin);
    Py_VISIT(self->mirror);
    Py_VISIT(self->inner);
    int err = pyaio_await_traverse(&self->await, visit, arg);
    if (err != 0 || self->kind == NULL) {
        return err;
    }
    return self->kind->traverse(self, visit, arg);
}

static int
Coroutine_clear(PyObject *op)
{
    PyaioCoroutine *self = (PyaioCoroutine *)op;
    if (self->status != PYAIO_CORO_CLOSED && self->kind != NULL) {
        coroutine_end(pyaio_state_of(op), self);
    }
    Py_CLEAR(self->origin);
    return 0;
}

static void
Coroutine_dealloc(PyObject *op)
{
    PyaioCoroutine *self = (PyaioCoroutine *)op;
    PyObject_GC_UnTrack(op);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    if (self->status != PYAIO_CORO_CLOSED && self->kind != NULL) {
        PyObject_GC_Track(op); /* as finalizers may expect */
        if (PyObject_CallFinalizerFromDealloc(op) < 0) {
            return; /* resurrected */
        }
        PyObject_GC_UnTrack(op);
    }
    (void)Coroutine_clear(op);
    Py_CLEAR(self->name);
    Py_CLEAR(self->qualname);
    if (self->kind != NULL && self->kind->pool != 0) {
        char *state = (char *)pyaio_state_of(op);
        pyaio_pool_give((PyaioPool *)(void *)(state + self->kind->pool), op);
        return;
    }
    PyTypeObject *type = Py_TYPE(op);
    type->tp_free(op);
    Py_DECREF(type);
}

/* --- the types ----------------------------------------------------------- */

static PyMethodDef coroutine_methods[] = {
    {"__await__", Coroutine_make_wrapper, METH_NOARGS | METH_COEXIST, NULL},
    {"send", Coroutine_send, METH_O,
     "Resume with a value; return what is yielded, or raise StopIteration."},
    {"throw", (PyCFunction)(void (*)(void))Coroutine_throw, METH_FASTCALL,
     "Raise an exception where it waits; otherwise as send()."},
    {"close", Coroutine_close, METH_NOARGS, "End it where it waits."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef coroutine_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(PyaioCoroutine, weakrefs),
     READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot coroutine_slots[] = {
    {Py_am_await, Coroutine_await},
    {Py_am_send, Coroutine_send_value},
    {Py_tp_repr, Coroutine_repr},
    {Py_tp_finalize, Coroutine_finalize},
    {Py_tp_traverse, Coroutine_traverse},
    {Py_tp_clear, Coroutine_clear},
    {Py_tp_dealloc, Coroutine_dealloc},
    {Py_tp_methods, coroutine_methods},
    {Py_tp_getset, pyaio_coroutine_getset},
    {Py_tp_members, coroutine_members},
    {0, NULL},
};

static PyType_Spec coroutine_spec = {
    .name = "pyaio._core.Coroutine",
    .basicsize = sizeof(PyaioCoroutine),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = coroutine_slots,
};

int
pyaio_coroutine_add_type(PyObject *module, PyTypeObject **slot,
                         const char *name, size_t size)
{
    /* What a type made from a spec does not inherit on every version. */
    PyType_Slot slots[] = {
        {Py_am_send, Coroutine_send_value},
        {Py_tp_traverse, Coroutine_traverse},
        {Py_tp_clear, Coroutine_clear},
        {Py_tp_dealloc, Coroutine_dealloc},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = name,
        .basicsize = (int)size,
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
                 Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = slots,
    };
    return pyaio_add_type(module, slot, &spec,
                          pyaio_module_state(module)->Coroutine_type);
}

int
pyaio_coroutine_init(PyObject *module)
{
    if (pyaio_coroutine_function_init(module) < 0) {
        return -1;
    }
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_add_type(module, &state->Coroutine_type, &coroutine_spec, NULL) <
        0) {
        return -1;
    }
    /* The interpreter iterates over what it awaits; but a coroutine has no
     * __iter__() and no __next__(), by which others tell it from a generator:
     * slots without a method. */
    state->Coroutine_type->tp_iter = Coroutine_await;
    state->Coroutine_type->tp_iternext = Coroutine_iternext;
    return pyaio_coroutine_wrapper_init(module);
}
