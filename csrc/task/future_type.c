/* The Python type Future. */
#include "base/meta.h"
#include "task/future_methods.h"

static int
Future_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"loop", NULL};
    PyObject *loop = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$O:Future", names,
                                     &loop)) {
        return -1;
    }
    PyaioState *state = pyaio_state_of(op);
    PyaioFuture *future = &((PyaioFutureObject *)op)->future;
    if (future->loop != NULL &&
        pyaio_future_prepare_again(future, "Future") < 0) {
        return -1;
    }
    return pyaio_future_setup(state, future, loop);
}

int
pyaio_future_tp_traverse(PyObject *op, visitproc visit, void *arg)
{
    return pyaio_future_traverse(&((PyaioFutureObject *)op)->future, visit,
                                 arg);
}

int
pyaio_future_tp_clear(PyObject *op)
{
    pyaio_future_clear(&((PyaioFutureObject *)op)->future);
    return 0;
}

void
pyaio_future_tp_finalize(PyObject *op)
{
    pyaio_future_finalize_log(pyaio_state_of(op),
                              &((PyaioFutureObject *)op)->future);
}

static PyObject *
Future_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
           PyObject *Py_UNUSED(kwargs))
{
    PyaioState *state = pyaio_state_of_type(type);
    if (state == NULL || type != state->Future_type) {
        return type->tp_alloc(type, 0);
    }
    return pyaio_pool_take(&state->future_pool, type,
                           sizeof(PyaioFutureObject));
}

static void
Future_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyaioFutureObject *self = (PyaioFutureObject *)op;
    PyaioState *state = pyaio_state_of_type(type);
    /* Of an exact Future we know that there is nothing else to finalise; a
     * finalised object could not be pooled. */
    if ((state == NULL || type != state->Future_type || self->future.log_tb) &&
        PyObject_CallFinalizerFromDealloc(op) < 0) {
        return; /* resurrected */
    }
    PyObject_GC_UnTrack(op);
    PyObject_ClearWeakRefs(op);
    (void)pyaio_future_tp_clear(op);
    if (state != NULL && type == state->Future_type) {
        pyaio_pool_give(&state->future_pool, op);
        return;
    }
    type->tp_free(op);
    Py_DECREF(type);
}

/* The state behind `op`, which may be a stock Future. */
static PyaioState *
future_type_state(PyObject *op)
{
    PyaioState *state = pyaio_state_of(op);
    if (state == NULL) {
        PyErr_Format(PyExc_TypeError, "a pyaio.Future is required, not %.200s",
                     Py_TYPE(op)->tp_name);
    }
    return state;
}

static PyObject *
Future_set_result(PyObject *op, PyObject *result)
{
    PyaioState *state = future_type_state(op);
    if (state == NULL) {
        return NULL;
    }
    PyaioFuture *future = pyaio_future_require(state, op);
    if (future == NULL) {
        return NULL;
    }
    if (pyaio_future_done(future)) {
        PyErr_SetString(state->InvalidStateError, "invalid state");
        return NULL;
    }
    if (pyaio_future_set_result(state, future, result) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* What the running version makes of a StopIteration, which must not be raised
 * into a coroutine: asked of a stock future, for it differs by patch release.
 * A new reference, or NULL with the error that stock raises. */
static PyObject *
future_convert_stop_iteration(PyaioState *state, PyaioFuture *future,
                              PyObject *exception)
{
    PyObject *args = PyTuple_New(0);
    PyObject *kwargs = Py_BuildValue("{sO}", "loop", future->loop);
    PyObject *stock = args != NULL && kwargs != NULL
                          ? PyObject_Call(state->stock_Future, args, kwargs)
                          : NULL;
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    if (stock == NULL) {
        return NULL;
    }
    PyObject *done =
        PyObject_CallMethod(stock, "set_exception", "O", exception);
    PyObject *converted =
        done ? PyObject_CallMethodNoArgs(stock, state->str_exception) : NULL;
    Py_XDECREF(done);
    Py_DECREF(stock);
    return converted;
}

static PyObject *
Future_set_exception(PyObject *op, PyObject *exception)
{
    PyaioState *state = future_type_state(op);
    if (state == NULL) {
        return NULL;
    }
    PyaioFuture *future = pyaio_future_require(state, op);
    if (future == NULL) {
        return NULL;
    }
    if (pyaio_future_done(future)) {
        PyErr_SetString(state->InvalidStateError, "invalid state");
        return NULL;
    }
    PyObject *value = PyExceptionClass_Check(exception)
                          ? PyObject_CallNoArgs(exception)
                          : Py_NewRef(exception);
    if (value == NULL) {
        return NULL;
    }
    if (!PyExceptionInstance_Check(value)) {
        Py_DECREF(value);
        PyErr_SetString(PyExc_TypeError, "invalid exception object");
        return NULL;
    }
    if (PyErr_GivenExceptionMatches(value, PyExc_StopIteration)) {
        Py_SETREF(value, future_convert_stop_iteration(state, future, value));
        if (value == NULL) {
            return NULL;
        }
    }
    int err = -1;
    if (pyaio_future_done(future)) { /* code ran meanwhile */
        PyErr_SetString(state->InvalidStateError, "invalid state");
    }
    else {
        err = pyaio_future_set_exception(state, future, value);
    }
    Py_DECREF(value);
    if (err < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
Future_cancel(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
              PyObject *kwnames)
{
    PyObject *message;
    if (pyaio_future_parse_cancel(args, nargs, kwnames, &message) < 0) {
        return NULL;
    }
    PyaioState *state = pyaio_state_of(op);
    PyaioFuture *future = pyaio_future_require(state, op);
    if (future == NULL) {
        return NULL;
    }
    int cancelled = pyaio_future_cancel(state, future, message);
    return cancelled < 0 ? NULL : PyBool_FromLong(cancelled);
}

static PyObject *
Future_repr(PyObject *op)
{
    PyaioState *state = pyaio_state_of(op);
    if (pyaio_future_require(state, op) == NULL) {
        return NULL;
    }
    return PyObject_CallOneArg(state->future_repr, op);
}

static PyMethodDef future_methods[] = {
    PYAIO_FUTURE_METHODS,
    {"cancel", (PyCFunction)(void (*)(void))Future_cancel,
     METH_FASTCALL | METH_KEYWORDS,
     "cancel($self, /, msg=None)\n--\n\n"
     "Cancel this and schedule its callbacks; False where it is done "
     "already."},
    {NULL, NULL, 0, NULL},
};

/* Those that also take a Task, as Future.set_result(task, value): they are
 * declared for the stock Future, which both extend. */
static PyMethodDef future_shared_methods[] = {
    {"set_result", Future_set_result, METH_O,
     "set_result($self, result, /)\n--\n\n"
     "Finish with a result; InvalidStateError where it is done already."},
    {"set_exception", Future_set_exception, METH_O,
     "set_exception($self, exception, /)\n--\n\n"
     "Finish with an exception, given as instance or class; "
     "InvalidStateError where it is done already."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef future_getset[] = {
    PYAIO_FUTURE_GETSET,
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(future_doc,
             "Future(*, loop=None)\n--\n\n"
             "The result of something that is still under way.\n\n"
             "Bound to `loop`, or to the current event loop. Mirrors "
             "asyncio.Future.");

static PyType_Slot future_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)future_doc},
    {Py_tp_new, Future_new},
    {Py_tp_init, Future_init},
    {Py_tp_traverse, pyaio_future_tp_traverse},
    {Py_tp_clear, pyaio_future_tp_clear},
    {Py_tp_finalize, pyaio_future_tp_finalize},
    {Py_tp_dealloc, Future_dealloc},
    {Py_tp_setattro, pyaio_future_setattro},
    {Py_tp_repr, Future_repr},
    {Py_tp_iter, pyaio_future_tp_iter},
    {Py_am_await, pyaio_future_am_await},
    {Py_tp_methods, future_methods},
    {Py_tp_getset, future_getset},
    {0, NULL},
};

static PyType_Spec future_spec = {
    .name = "pyaio._core.Future",
    .basicsize = sizeof(PyaioFutureObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC |
             PYAIO_TPFLAGS_INHERITED_DICT,
    .slots = future_slots,
};

int
pyaio_future_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_add_type(module, &state->Future_type, &future_spec,
                       (PyTypeObject *)state->stock_Future) < 0) {
        return -1;
    }
    for (PyMethodDef *def = future_shared_methods; def->ml_name; def++) {
        PyObject *method =
            PyDescr_NewMethod((PyTypeObject *)state->stock_Future, def);
        if (method == NULL) {
            return -1;
        }
        int err = PyObject_SetAttrString((PyObject *)state->Future_type,
                                         def->ml_name, method);
        Py_DECREF(method);
        if (err < 0) {
            return -1;
        }
    }
    pyaio_future_drive_itself(state->Future_type);
    return pyaio_meta_adopt(state, state->Future_type);
}
