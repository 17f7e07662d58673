/* Methods and attributes of both Future and Task. */
#include "task/future_methods.h"
#include "sched/report.h"

PyaioFuture *
pyaio_future_require(PyaioState *state, PyObject *op)
{
    PyaioFuture *future = pyaio_own_future(state, op);
    if (future->loop == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "Future object is not initialized.");
        return NULL;
    }
    return future;
}

/* The same for methods that raise InvalidStateError instead. */
static PyaioFuture *
future_require_state(PyaioState *state, PyObject *op)
{
    PyaioFuture *future = pyaio_own_future(state, op);
    if (future->loop == NULL) {
        PyErr_SetString(state->InvalidStateError,
                        "Future object is not initialized.");
        return NULL;
    }
    return future;
}

PyObject *
pyaio_future_py_result(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioState *state = pyaio_state_of(op);
    PyaioFuture *future = future_require_state(state, op);
    if (future == NULL) {
        return NULL;
    }
    PyObject *exception;
    PyObject *result = pyaio_future_get_result(state, future, &exception);
    if (exception != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
        Py_DECREF(exception);
    }
    return result;
}

PyObject *
pyaio_future_py_exception(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioState *state = pyaio_state_of(op);
    PyaioFuture *future = future_require_state(state, op);
    if (future == NULL) {
        return NULL;
    }
    PyaioFutureBase *base = pyaio_future_base(future);
    if (base->state == PYAIO_FUTURE_CANCELLED) {
        PyObject *exc = pyaio_future_cancelled_error(state, future);
        if (exc != NULL) {
            PyErr_SetObject((PyObject *)Py_TYPE(exc), exc);
            Py_DECREF(exc);
        }
        return NULL;
    }
    if (base->state != PYAIO_FUTURE_FINISHED) {
        PyErr_SetString(state->InvalidStateError, "Exception is not set.");
        return NULL;
    }
    future->log_tb = 0;
    return Py_NewRef(base->exception ? base->exception : Py_None);
}

PyObject *
pyaio_future_py_add_done_callback(PyObject *op, PyObject *const *args,
                                  Py_ssize_t nargs, PyObject *kwnames)
{
    PyaioState *state = pyaio_state_of(op);
    PyObject *context = NULL;
    Py_ssize_t keywords = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    if (nargs != 1) {
        PyErr_Format(PyExc_TypeError,
                     "add_done_callback() takes exactly 1 positional argument "
                     "(%zd given)",
                     nargs);
        return NULL;
    }
    for (Py_ssize_t i = 0; i < keywords; i++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, i);
        if (PyUnicode_Compare(name, state->str_context) != 0) {
            PyErr_Format(PyExc_TypeError,
                         "add_done_callback() got an unexpected keyword "
                         "argument %R",
                         name);
            return NULL;
        }
        context = args[nargs + i];
    }
    PyaioFuture *future = pyaio_future_require(state, op);
    if (future == NULL ||
        pyaio_future_add_callback(state, future, args[0], context) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Drops from the further callbacks what equals fn. The comparisons may run
 * any code, which may change the future. Returns how many, or -1. */
static Py_ssize_t
future_remove_listed(PyaioFutureBase *base, PyObject *fn)
{
    PyObject *callbacks = base->callbacks;
    if (callbacks == NULL) {
        return 0;
    }
    Py_ssize_t removed = 0;
    PyObject *kept = PyList_New(0);
    if (kept == NULL) {
        return -1;
    }
    Py_INCREF(callbacks);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(callbacks); i++) {
        PyObject *item = Py_NewRef(PyList_GET_ITEM(callbacks, i));
        int same =
            PyObject_RichCompareBool(PyTuple_GET_ITEM(item, 0), fn, Py_EQ);
        int err = same < 0 ? -1 : 0;
        if (same == 0) {
            err = PyList_Append(kept, item);
        }
        Py_DECREF(item);
        removed += same > 0;
        if (err < 0) {
            removed = -1;
            break;
        }
    }
    if (removed > 0 && base->callbacks == callbacks) {
        if (PyList_GET_SIZE(kept) == 0) {
            Py_CLEAR(base->callbacks);
        }
        else {
            base->callbacks = Py_NewRef(kept);
            Py_DECREF(callbacks);
        }
    }
    Py_DECREF(callbacks);
    Py_DECREF(kept);
    return removed;
}

/* The first callback as Python sees it: a new reference, NULL where there is
 * none or on error. */
static PyObject *
future_first_callback(PyaioState *state, PyaioFuture *future)
{
    PyObject *callback = pyaio_future_base(future)->callback0;
    if (callback == NULL || future->callback0_kind == NULL) {
        return Py_XNewRef(callback);
    }
    return pyaio_ready_call_new(state, future->callback0_kind, callback, NULL);
}

PyObject *
pyaio_future_py_remove_done_callback(PyObject *op, PyObject *fn)
{
    PyaioState *state = pyaio_state_of(op);
    PyaioFuture *future = pyaio_future_require(state, op);
    if (future == NULL) {
        return NULL;
    }
    PyaioFutureBase *base = pyaio_future_base(future);
    Py_ssize_t removed = 0;
    PyObject *target = base->callback0;
    PyObject *first = future_first_callback(state, future);
    if (first != NULL) {
        int same = PyObject_RichCompareBool(first, fn, Py_EQ);
        Py_DECREF(first);
        if (same < 0) {
            return NULL;
        }
        if (same) {
            removed++;
            if (base->callback0 == target) {
                base->callback0 = NULL;
                Py_CLEAR(base->context0);
                Py_XDECREF(target);
            }
        }
    }
    else if (PyErr_Occurred()) {
        return NULL;
    }
    Py_ssize_t listed = future_remove_listed(base, fn);
    return listed < 0 ? NULL : PyLong_FromSsize_t(removed + listed);
}

PyObject *
pyaio_future_py_cancelled(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioFutureBase *base = (PyaioFutureBase *)op;
    return PyBool_FromLong(base->state == PYAIO_FUTURE_CANCELLED);
}

PyObject *
pyaio_future_py_done(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioFutureBase *base = (PyaioFutureBase *)op;
    return PyBool_FromLong(base->state != PYAIO_FUTURE_PENDING);
}

PyObject *
pyaio_future_py_get_loop(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioFuture *future = pyaio_future_require(pyaio_state_of(op), op);
    return future ? Py_NewRef(future->loop) : NULL;
}

PyObject *
pyaio_future_py_make_cancelled_error(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioState *state = pyaio_state_of(op);
    return pyaio_future_cancelled_error(state, pyaio_own_future(state, op));
}

PyObject *
pyaio_future_py_class_getitem(PyObject *cls, PyObject *item)
{
    PyaioState *state = pyaio_state_of_type((PyTypeObject *)cls);
    return PyObject_CallFunctionObjArgs(state->GenericAlias, cls, item, NULL);
}

int
pyaio_future_parse_cancel(PyObject *const *args, Py_ssize_t nargs,
                          PyObject *kwnames, PyObject **message)
{
    Py_ssize_t keywords = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    *message = nargs > 0 ? args[0] : NULL;
    if (nargs + keywords > 1) {
        PyErr_Format(PyExc_TypeError,
                     "cancel() takes at most 1 argument (%zd given)",
                     nargs + keywords);
        return -1;
    }
    if (keywords == 1) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, 0);
        if (PyUnicode_CompareWithASCIIString(name, "msg") != 0) {
            PyErr_Format(PyExc_TypeError,
                         "cancel() got an unexpected keyword argument %R",
                         name);
            return -1;
        }
        *message = args[0];
    }
    return 0;
}

/* --- attributes ---------------------------------------------------------- */

PyObject *
pyaio_future_get_state(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioFuture *future = pyaio_future_require(pyaio_state_of(op), op);
    if (future == NULL) {
        return NULL;
    }
    static const char *const names[] = {"PENDING", "CANCELLED", "FINISHED"};
    return PyUnicode_InternFromString(names[pyaio_future_state(future)]);
}

PyObject *
pyaio_future_get_blocking(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioFuture *future = pyaio_own_future(pyaio_state_of(op), op);
    return PyBool_FromLong(future->loop != NULL && future->blocking);
}

int
pyaio_future_set_blocking(PyObject *op, PyObject *value,
                          void *Py_UNUSED(closure))
{
    PyaioFuture *future = pyaio_future_require(pyaio_state_of(op), op);
    if (future == NULL) {
        return -1;
    }
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "cannot delete attribute");
        return -1;
    }
    int truth = PyObject_IsTrue(value);
    if (truth < 0) {
        return -1;
    }
    future->blocking = truth != 0;
    return 0;
}

PyObject *
pyaio_future_get_loop(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioFuture *future = pyaio_own_future(pyaio_state_of(op), op);
    return Py_NewRef(future->loop ? future->loop : Py_None);
}

PyObject *
pyaio_future_get_callbacks(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioState *state = pyaio_state_of(op);
    PyaioFuture *future = pyaio_future_require(state, op);
    if (future == NULL) {
        return NULL;
    }
    PyaioFutureBase *base = pyaio_future_base(future);
    PyObject *first = future_first_callback(state, future);
    if (first == NULL) {
        if (PyErr_Occurred()) {
            return NULL;
        }
        if (base->callbacks == NULL) {
            Py_RETURN_NONE;
        }
        return PyList_GetSlice(base->callbacks, 0,
                               PyList_GET_SIZE(base->callbacks));
    }
    PyObject *context = base->context0;
    if (future->callback0_kind != NULL &&
        future->callback0_kind->context != NULL) {
        context = future->callback0_kind->context(state, base->callback0);
        if (context == NULL) {
            Py_DECREF(first);
            return NULL;
        }
    }
    PyObject *pair = PyTuple_Pack(2, first, context ? context : Py_None);
    Py_DECREF(first);
    PyObject *result = pair ? PyList_New(1) : NULL;
    if (result == NULL) {
        Py_XDECREF(pair);
        return NULL;
    }
    PyList_SET_ITEM(result, 0, pair);
    if (base->callbacks != NULL &&
        PyList_SetSlice(result, 1, 1, base->callbacks) < 0) {
        Py_CLEAR(result);
    }
    return result;
}

PyObject *
pyaio_future_get_result_field(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioFuture *future = pyaio_future_require(pyaio_state_of(op), op);
    if (future == NULL) {
        return NULL;
    }
    PyObject *result = pyaio_future_base(future)->result;
    return Py_NewRef(result ? result : Py_None);
}

PyObject *
pyaio_future_get_exception(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioFuture *future = pyaio_future_require(pyaio_state_of(op), op);
    if (future == NULL) {
        return NULL;
    }
    PyObject *exception = pyaio_future_base(future)->exception;
    return Py_NewRef(exception ? exception : Py_None);
}

PyObject *
pyaio_future_get_log_tb(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioFuture *future = pyaio_future_require(pyaio_state_of(op), op);
    return future ? PyBool_FromLong(future->log_tb) : NULL;
}

int
pyaio_future_set_log_tb(PyObject *op, PyObject *value,
                        void *Py_UNUSED(closure))
{
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "cannot delete attribute");
        return -1;
    }
    int truth = PyObject_IsTrue(value);
    if (truth < 0) {
        return -1;
    }
    if (truth) {
        PyErr_SetString(PyExc_ValueError,
                        "_log_traceback can only be set to False");
        return -1;
    }
    pyaio_own_future(pyaio_state_of(op), op)->log_tb = 0;
    return 0;
}

PyObject *
pyaio_future_get_source_traceback(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *stack = ((PyaioFutureBase *)op)->source_traceback;
    return Py_NewRef(stack ? stack : Py_None);
}

PyObject *
pyaio_future_get_cancel_message(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *message = ((PyaioFutureBase *)op)->cancel_message;
    return Py_NewRef(message ? message : Py_None);
}

int
pyaio_future_set_cancel_message(PyObject *op, PyObject *value,
                                void *Py_UNUSED(closure))
{
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "cannot delete attribute");
        return -1;
    }
    PyaioFutureBase *base = (PyaioFutureBase *)op;
    Py_XSETREF(base->cancel_message,
               value == Py_None ? NULL : Py_NewRef(value));
    return 0;
}

int
pyaio_future_setattro(PyObject *op, PyObject *name, PyObject *value)
{
    PyaioState *state = pyaio_state_of(op);
    if (PyUnicode_Check(name) && state != NULL && state->str_cancel != NULL &&
        PyUnicode_Compare(name, state->str_cancel) == 0) {
        pyaio_own_future(state, op)->own_cancel = value != NULL;
    }
    return PyObject_GenericSetAttr(op, name, value);
}

/* --- life and death ------------------------------------------------------ */

void
pyaio_future_finalize_log(PyaioState *state, PyaioFuture *future)
{
    if (!future->log_tb || future->loop == NULL || state == NULL ||
        state->str_message == NULL) {
        return;
    }
    future->log_tb = 0;
    PyObject *raised = PyErr_GetRaisedException();
    PyObject *op = pyaio_future_object(future);
    PyaioFutureBase *base = pyaio_future_base(future);
    const char *name = Py_TYPE(op)->tp_name;
    const char *dot = strrchr(name, '.');
    PyObject *message = PyUnicode_FromFormat(
        "%s exception was never retrieved", dot ? dot + 1 : name);
    if (message == NULL ||
        pyaio_call_exception_handler(
            state, future->loop, message, state->str_exception,
            base->exception, state->str_future, op,
            state->str_source_traceback, base->source_traceback, NULL) < 0) {
        PyErr_WriteUnraisable(op);
    }
    Py_XDECREF(message);
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
}

int
pyaio_future_prepare_again(PyaioFuture *future, const char *name)
{
    if (PYAIO_INIT_ONCE) {
        PyErr_Format(PyExc_RuntimeError,
                     "_asyncio.%s object is already initialized", name);
        return -1;
    }
    pyaio_future_clear_fields(pyaio_future_base(future));
    pyaio_future_base(future)->state = PYAIO_FUTURE_PENDING;
    future->blocking = future->log_tb = 0;
    return 0;
}

int
pyaio_future_traverse(PyaioFuture *future, visitproc visit, void *arg)
{
    PyObject *op = pyaio_future_object(future);
    PyaioFutureBase *base = (PyaioFutureBase *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(future->loop);
    Py_VISIT(base->callback0);
    Py_VISIT(base->context0);
    Py_VISIT(base->callbacks);
    Py_VISIT(base->exception);
    Py_VISIT(base->exception_tb);
    Py_VISIT(base->result);
    Py_VISIT(base->source_traceback);
    Py_VISIT(base->cancel_message);
    Py_VISIT(base->cancelled_exc);
#if PYAIO_HAS_CALL_GRAPH
    Py_VISIT(base->awaited_by);
#endif
#if PYAIO_MANAGED_DICT
    return PyObject_VisitManagedDict(op, visit, arg);
#else
    Py_VISIT(base->dict);
    return 0;
#endif
}

void
pyaio_future_clear_fields(PyaioFutureBase *base)
{
    Py_CLEAR(base->callback0);
    Py_CLEAR(base->context0);
    Py_CLEAR(base->callbacks);
    Py_CLEAR(base->exception);
    Py_CLEAR(base->exception_tb);
    Py_CLEAR(base->result);
    Py_CLEAR(base->source_traceback);
    Py_CLEAR(base->cancel_message);
    Py_CLEAR(base->cancelled_exc);
#if PYAIO_HAS_CALL_GRAPH
    base->awaited_by_is_set = 0;
    Py_CLEAR(base->awaited_by);
#endif
}

void
pyaio_future_clear(PyaioFuture *future)
{
    PyaioFutureBase *base = pyaio_future_base(future);
    pyaio_future_clear_fields(base);
#if PYAIO_MANAGED_DICT
    PyObject_ClearManagedDict((PyObject *)base);
#else
    Py_CLEAR(base->dict);
#endif
    Py_CLEAR(future->loop);
}
