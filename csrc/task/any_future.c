/* Futures of any make: ours directly, others through their methods. */
#include "base/interop.h"
#include "task/future.h"
#include "task/task.h"

static int
call_for_truth(PyObject *op, PyObject *name)
{
    PyObject *answer = PyObject_CallMethodNoArgs(op, name);
    if (answer == NULL) {
        return -1;
    }
    int truth = PyObject_IsTrue(answer);
    Py_DECREF(answer);
    return truth;
}

int
pyaio_any_future_done(PyaioState *state, PyObject *op)
{
    PyaioFuture *future = pyaio_as_native_future(state, op);
    if (future != NULL) {
        return pyaio_future_done(future);
    }
    return call_for_truth(op, state->str_done);
}

int
pyaio_any_future_cancelled(PyaioState *state, PyObject *op)
{
    PyaioFuture *future = pyaio_as_native_future(state, op);
    if (future != NULL) {
        return pyaio_future_state(future) == PYAIO_FUTURE_CANCELLED;
    }
    return call_for_truth(op, state->str_cancelled);
}

PyObject *
pyaio_any_future_result(PyaioState *state, PyObject *op)
{
    PyaioFuture *future = pyaio_as_native_future(state, op);
    if (future == NULL || !pyaio_future_done(future)) {
        return PyObject_CallMethodNoArgs(op, state->str_result);
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
pyaio_any_future_exception(PyaioState *state, PyObject *op)
{
    PyaioFuture *future = pyaio_as_native_future(state, op);
    if (future != NULL &&
        pyaio_future_state(future) == PYAIO_FUTURE_FINISHED) {
        PyObject *exception = pyaio_future_base(future)->exception;
        future->log_tb = 0;
        return Py_NewRef(exception ? exception : Py_None);
    }
    return PyObject_CallMethodNoArgs(op, state->str_exception);
}

int
pyaio_any_future_release(PyaioState *state, PyObject *op, PyObject *result)
{
    PyaioFuture *future = pyaio_as_native_future(state, op);
    int done = pyaio_any_future_done(state, op);
    if (done != 0) {
        return done < 0 ? -1 : 0;
    }
    if (future != NULL && future->loop != NULL) {
        return pyaio_future_set_result(state, future, result);
    }
    PyObject *set =
        PyObject_CallMethodOneArg(op, state->str_set_result, result);
    Py_XDECREF(set);
    return set ? 0 : -1;
}

/* Whether nobody replaced cancel() in Future or Task, whichever `type` is. */
static int
cancel_is_original(PyaioState *state, PyTypeObject *type)
{
    unsigned *tag = type == state->Task_type ? &state->task_cancel_tag
                                             : &state->future_cancel_tag;
    if (type->tp_version_tag == *tag && *tag != 0) {
        return 1;
    }
    PyObject *found = PyObject_GetAttr((PyObject *)type, state->str_cancel);
    if (found == NULL) {
        PyErr_Clear();
        return 0;
    }
    int original = Py_IS_TYPE(found, &PyMethodDescr_Type) &&
                   ((PyMethodDescrObject *)found)->d_common.d_type == type;
    Py_DECREF(found);
    *tag = original ? type->tp_version_tag : 0;
    return original;
}

int
pyaio_any_future_cancel(PyaioState *state, PyObject *op, PyObject *message)
{
    PyaioFuture *future = pyaio_as_native_future(state, op);
    if (future != NULL && !future->own_cancel && future->loop != NULL &&
        !Py_IS_TYPE(op, state->GatheringFuture_type) &&
        cancel_is_original(state, Py_TYPE(op))) {
        if (!future->is_task) {
            return pyaio_future_cancel(state, future, message);
        }
        if (Py_EnterRecursiveCall(" while cancelling a task") != 0) {
            return -1;
        }
        int cancelled = pyaio_task_cancel(state, (PyaioTask *)op, message);
        Py_LeaveRecursiveCall();
        return cancelled;
    }
    PyObject *method = PyObject_GetAttr(op, state->str_cancel);
    if (method == NULL) {
        return -1;
    }
    PyObject *answer;
    if (message == NULL) {
        answer = PyObject_CallNoArgs(method);
    }
    else {
        PyObject *names = PyTuple_Pack(1, state->str_msg);
        answer =
            names ? PyObject_Vectorcall(method, &message, 0, names) : NULL;
        Py_XDECREF(names);
    }
    Py_DECREF(method);
    if (answer == NULL) {
        return -1;
    }
    int truth = PyObject_IsTrue(answer);
    Py_DECREF(answer);
    return truth;
}

int
pyaio_any_future_add_waiter(PyaioState *state, PyObject *op,
                            const PyaioReadyKind *kind, PyObject *target)
{
    PyaioFuture *future = pyaio_as_native_future(state, op);
    if (future != NULL && future->loop != NULL) {
        return pyaio_future_add_waiter(state, future, kind, target);
    }
    PyObject *call = pyaio_ready_call_new(state, kind, target, NULL);
    if (call == NULL) {
        return -1;
    }
    PyObject *context = kind->context ? kind->context(state, target) : NULL;
    PyObject *done = NULL;
    if (kind->context == NULL) {
        done =
            PyObject_CallMethodOneArg(op, state->str_add_done_callback, call);
    }
    else if (context != NULL) {
        PyObject *method = PyObject_GetAttr(op, state->str_add_done_callback);
        PyObject *names = method ? PyTuple_Pack(1, state->str_context) : NULL;
        if (names != NULL) {
            PyObject *args[] = {call, context};
            done = PyObject_Vectorcall(method, args, 1, names);
        }
        Py_XDECREF(method);
        Py_XDECREF(names);
    }
    Py_DECREF(call);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* Whether both have the native layout. */
static int
both_are_native(PyaioState *state, PyObject *op, PyObject *waiter)
{
    return pyaio_as_native_future(state, op) != NULL &&
           pyaio_as_future(state, waiter) != NULL;
}

int
pyaio_any_awaited_by_add(PyaioState *state, PyObject *op, PyObject *waiter)
{
    return both_are_native(state, op, waiter)
               ? pyaio_awaited_by_add(state, op, waiter)
               : pyaio_stock_awaited_by_add(state, op, waiter);
}

int
pyaio_any_awaited_by_discard(PyaioState *state, PyObject *op, PyObject *waiter)
{
    return both_are_native(state, op, waiter)
               ? pyaio_awaited_by_discard(state, op, waiter)
               : pyaio_stock_awaited_by_discard(state, op, waiter);
}

int
pyaio_is_future(PyaioState *state, PyObject *op)
{
    if (pyaio_as_future(state, op) != NULL) {
        return 1;
    }
    PyObject *cls = PyObject_GetAttrString(op, "__class__");
    if (cls == NULL) {
        return -1;
    }
    int has = PyObject_HasAttr(cls, state->str__asyncio_future_blocking);
    Py_DECREF(cls);
    if (!has) {
        return 0;
    }
    PyObject *blocking =
        PyObject_GetAttr(op, state->str__asyncio_future_blocking);
    if (blocking == NULL) {
        return -1;
    }
    int result = blocking != Py_None;
    Py_DECREF(blocking);
    return result;
}

PyObject *
pyaio_any_future_loop(PyaioState *state, PyObject *op)
{
    PyaioFuture *future = pyaio_as_native_future(state, op);
    if (future != NULL && future->loop != NULL) {
        return Py_NewRef(future->loop);
    }
    PyObject *method = PyObject_GetAttr(op, state->str_get_loop);
    if (method != NULL) {
        PyObject *loop = PyObject_CallNoArgs(method);
        Py_DECREF(method);
        return loop;
    }
    if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
        return NULL;
    }
    PyErr_Clear();
    return PyObject_GetAttr(op, state->str__loop);
}
