/* What a future does: results, waiters, and the end. */
#include "task/future.h"
#include "sched/handle.h"

int
pyaio_future_setup(PyaioState *state, PyaioFuture *future, PyObject *loop)
{
    if (loop == NULL || loop == Py_None) {
        loop = PyObject_CallNoArgs(state->get_event_loop);
        if (loop == NULL) {
            return -1;
        }
    }
    else {
        Py_INCREF(loop);
    }
    int debug = pyaio_loop_get_debug(state, loop);
    if (debug < 0) {
        Py_DECREF(loop);
        return -1;
    }
    Py_XSETREF(future->loop, loop);
    if (debug) {
        PyaioFutureBase *base = pyaio_future_base(future);
        PyObject *stack = PyObject_CallNoArgs(state->extract_stack);
        if (stack == NULL) {
            return -1;
        }
        Py_XSETREF(base->source_traceback, stack);
    }
    return 0;
}

static inline PyObject *
new_future(PyaioState *state)
{
    return pyaio_pool_take(&state->future_pool, state->Future_type,
                           sizeof(PyaioFutureObject));
}

PyObject *
pyaio_future_new(PyaioState *state, PyObject *loop)
{
    PyObject *op = new_future(state);
    if (op != NULL &&
        pyaio_future_setup(state, &((PyaioFutureObject *)op)->future, loop) <
            0) {
        Py_CLEAR(op);
    }
    return op;
}

PyObject *
pyaio_loop_create_future(PyaioState *state, PyObject *loop)
{
    PyaioScheduler *sched = pyaio_scheduler_of(state, loop);
    if (sched != NULL && sched->state != NULL &&
        pyaio_sched_is_native(sched, PYAIO_LOOP_CREATE_FUTURE)) {
        if (sched->debug ||
            !pyaio_sched_is_native(sched, PYAIO_LOOP_GET_DEBUG)) {
            return pyaio_future_new(state, loop);
        }
        PyObject *op = new_future(state);
        if (op != NULL) {
            ((PyaioFutureObject *)op)->future.loop = Py_NewRef(loop);
        }
        return op;
    }
    return PyObject_CallMethodNoArgs(loop, state->str_create_future);
}

/* --- waiters ------------------------------------------------------------- */

/* loop.call_soon(callback, future, context=context). */
static int
future_call_soon(PyaioState *state, PyaioFuture *future, PyObject *callback,
                 PyObject *context)
{
    PyObject *loop = future->loop;
    PyObject *op = pyaio_future_object(future);
    PyaioScheduler *sched =
        pyaio_sched_direct(state, loop, PYAIO_LOOP_CALL_SOON);
    if (sched != NULL) {
        PyObject *handle =
            pyaio_handle_new(state, callback, &op, 1, loop, context);
        if (handle == NULL) {
            return -1;
        }
        int err = pyaio_sched_push(sched, &pyaio_ready_handle, handle, NULL);
        Py_DECREF(handle);
        return err;
    }
    PyObject *method = PyObject_GetAttr(loop, state->str_call_soon);
    PyObject *names = method ? PyTuple_Pack(1, state->str_context) : NULL;
    PyObject *result = NULL;
    if (names != NULL) {
        PyObject *args[] = {callback, op, context ? context : Py_None};
        result = PyObject_Vectorcall(method, args, 2, names);
    }
    Py_XDECREF(method);
    Py_XDECREF(names);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static int
future_schedule_listed(PyaioState *state, PyaioFuture *future,
                       PyObject *callbacks)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(callbacks); i++) {
        PyObject *item = Py_NewRef(PyList_GET_ITEM(callbacks, i));
        PyObject *callback = PyTuple_GET_ITEM(item, 0);
        int err;
        if (Py_IS_TYPE(callback, state->ReadyCall_type)) {
            PyaioReadyCall *call = (PyaioReadyCall *)callback;
            err = pyaio_schedule(state, future->loop, call->kind, call->a,
                                 pyaio_future_object(future), 1);
        }
        else {
            err = future_call_soon(state, future, callback,
                                   PyTuple_GET_ITEM(item, 1));
        }
        Py_DECREF(item);
        if (err < 0) {
            return -1;
        }
    }
    return 0;
}

/* Schedules everything that waits for the future, which is done, in the order
 * in which it was added. As in stock, an error drops what is left. */
static int
future_schedule_callbacks(PyaioState *state, PyaioFuture *future)
{
    PyaioFutureBase *base = pyaio_future_base(future);
    PyObject *callback = base->callback0, *context = base->context0;
    PyObject *callbacks = base->callbacks;
    if (callback == NULL && callbacks == NULL) {
        return 0;
    }
    base->callback0 = base->context0 = base->callbacks = NULL;
    int err = 0;
    if (callback != NULL) {
        if (future->callback0_kind != NULL) {
            err = pyaio_schedule(state, future->loop, future->callback0_kind,
                                 callback, pyaio_future_object(future), 1);
        }
        else {
            err = future_call_soon(state, future, callback, context);
        }
        Py_DECREF(callback);
        Py_XDECREF(context);
    }
    if (callbacks != NULL) {
        if (err == 0) {
            err = future_schedule_listed(state, future, callbacks);
        }
        Py_DECREF(callbacks);
    }
    return err;
}

/* Appends (callback, context) behind the first callback. */
static int
future_append_callback(PyaioFutureBase *base, PyObject *callback,
                       PyObject *context)
{
    if (base->callbacks == NULL) {
        base->callbacks = PyList_New(0);
        if (base->callbacks == NULL) {
            return -1;
        }
    }
    PyObject *pair = PyTuple_Pack(2, callback, context);
    if (pair == NULL) {
        return -1;
    }
    int err = PyList_Append(base->callbacks, pair);
    Py_DECREF(pair);
    return err;
}

int
pyaio_future_add_waiter(PyaioState *state, PyaioFuture *future,
                        const PyaioReadyKind *kind, PyObject *target)
{
    PyaioFutureBase *base = pyaio_future_base(future);
    if (base->state != PYAIO_FUTURE_PENDING) {
        return pyaio_schedule(state, future->loop, kind, target,
                              pyaio_future_object(future), 1);
    }
    if (base->callback0 == NULL && base->callbacks == NULL) {
        base->callback0 = Py_NewRef(target);
        future->callback0_kind = kind;
        return 0;
    }
    PyObject *call = pyaio_ready_call_new(state, kind, target, NULL);
    if (call == NULL) {
        return -1;
    }
    PyObject *context = kind->context ? kind->context(state, target) : Py_None;
    int err = context ? future_append_callback(base, call, context) : -1;
    Py_DECREF(call);
    return err;
}

/* Whether `item`, one of the further callbacks, is that waiter. */
static int
is_waiter(PyaioState *state, PyObject *item, const PyaioReadyKind *kind,
          PyObject *target)
{
    PyObject *callback = PyTuple_GET_ITEM(item, 0);
    if (!Py_IS_TYPE(callback, state->ReadyCall_type)) {
        return 0;
    }
    PyaioReadyCall *call = (PyaioReadyCall *)callback;
    return call->kind == kind && call->a == target && call->b == NULL;
}

int
pyaio_future_remove_waiter(PyaioState *state, PyaioFuture *future,
                           const PyaioReadyKind *kind, PyObject *target)
{
    PyaioFutureBase *base = pyaio_future_base(future);
    if (future->callback0_kind == kind && base->callback0 == target) {
        base->callback0 = NULL;
        Py_DECREF(target);
        return 0;
    }
    PyObject *callbacks = base->callbacks;
    if (callbacks == NULL) {
        return 0;
    }
    Py_ssize_t i = PyList_GET_SIZE(callbacks) - 1;
    while (i >= 0 &&
           !is_waiter(state, PyList_GET_ITEM(callbacks, i), kind, target)) {
        i--;
    }
    if (i < 0) {
        return 0;
    }
    if (PyList_GET_SIZE(callbacks) == 1) {
        base->callbacks = NULL;
        Py_DECREF(callbacks);
        return 0;
    }
    return PyList_SetSlice(callbacks, i, i + 1, NULL);
}

int
pyaio_future_add_callback(PyaioState *state, PyaioFuture *future,
                          PyObject *callback, PyObject *context)
{
    PyaioFutureBase *base = pyaio_future_base(future);
    if (context == NULL || context == Py_None) {
        context = PyContext_CopyCurrent();
        if (context == NULL) {
            return -1;
        }
    }
    else {
        Py_INCREF(context);
    }
    int err = 0;
    if (base->state != PYAIO_FUTURE_PENDING) {
        err = future_call_soon(state, future, callback, context);
    }
    else if (base->callback0 == NULL && base->callbacks == NULL) {
        base->callback0 = Py_NewRef(callback);
        base->context0 = Py_NewRef(context);
        future->callback0_kind = NULL;
    }
    else {
        err = future_append_callback(base, callback, context);
    }
    Py_DECREF(context);
    return err;
}

/* --- the end ------------------------------------------------------------- */

int
pyaio_future_set_result(PyaioState *state, PyaioFuture *future,
                        PyObject *result)
{
    PyaioFutureBase *base = pyaio_future_base(future);
    base->result = Py_NewRef(result);
    base->state = PYAIO_FUTURE_FINISHED;
    return future_schedule_callbacks(state, future);
}

int
pyaio_future_set_exception(PyaioState *state, PyaioFuture *future,
                           PyObject *exception)
{
    PyaioFutureBase *base = pyaio_future_base(future);
    base->exception = Py_NewRef(exception);
    base->exception_tb = PyException_GetTraceback(exception);
    base->state = PYAIO_FUTURE_FINISHED;
    int err = future_schedule_callbacks(state, future);
    future->log_tb = 1;
    return err;
}

int
pyaio_future_set_cancelled(PyaioState *state, PyaioFuture *future,
                           PyObject *message)
{
    PyaioFutureBase *base = pyaio_future_base(future);
    base->state = PYAIO_FUTURE_CANCELLED;
    Py_XSETREF(base->cancel_message,
               message == Py_None ? NULL : Py_XNewRef(message));
    return future_schedule_callbacks(state, future);
}

int
pyaio_future_cancel(PyaioState *state, PyaioFuture *future, PyObject *message)
{
    future->log_tb = 0;
    if (pyaio_future_done(future)) {
        return 0;
    }
    return pyaio_future_set_cancelled(state, future, message) < 0 ? -1 : 1;
}

PyObject *
pyaio_future_cancelled_error(PyaioState *state, PyaioFuture *future)
{
    PyaioFutureBase *base = pyaio_future_base(future);
    PyObject *exc = base->cancelled_exc;
    if (exc != NULL) {
        base->cancelled_exc = NULL;
        return exc;
    }
    if (base->cancel_message == NULL) {
        return PyObject_CallNoArgs(state->CancelledError);
    }
    return PyObject_CallOneArg(state->CancelledError, base->cancel_message);
}

PyObject *
pyaio_future_get_result(PyaioState *state, PyaioFuture *future,
                        PyObject **exception)
{
    PyaioFutureBase *base = pyaio_future_base(future);
    *exception = NULL;
    if (base->state == PYAIO_FUTURE_CANCELLED) {
        *exception = pyaio_future_cancelled_error(state, future);
        return NULL;
    }
    if (base->state != PYAIO_FUTURE_FINISHED) {
        PyErr_SetString(state->InvalidStateError, "Result is not set.");
        return NULL;
    }
    future->log_tb = 0;
    if (base->exception == NULL) {
        return Py_NewRef(base->result);
    }
    /* Every reader raises it with the traceback that it had when it was set,
     * not with what the readers before added. */
    PyObject *traceback = base->exception_tb ? base->exception_tb : Py_None;
    if (PyException_SetTraceback(base->exception, traceback) < 0) {
        return NULL;
    }
    *exception = Py_NewRef(base->exception);
    Py_CLEAR(base->exception_tb);
    return NULL;
}
