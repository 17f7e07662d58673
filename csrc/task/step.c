/* One step of a task: resume the coroutine, then see what it waits for. */
#include "task/step.h"
#include "base/context.h"
#include "base/interop.h"

static PyObject *
task_context(PyaioState *state, PyObject *task)
{
    return pyaio_context_resolve(state, &((PyaioTask *)task)->base.context);
}

static int
task_step_run(PyaioState *state, PyObject *task, PyObject *exception)
{
    return pyaio_task_step(state, (PyaioTask *)task, exception);
}

/* Resumes the task whose future is done. */
static int
task_wakeup_run(PyaioState *state, PyObject *op, PyObject *waited)
{
    PyaioTask *task = (PyaioTask *)op;
    if (waited == NULL) {
        PyErr_SetString(PyExc_TypeError,
                        "Task.task_wakeup() takes exactly one argument");
        return -1;
    }
    PyaioFuture *future = pyaio_as_native_future(state, waited);
    PyObject *exception = NULL;
    if (future != NULL) {
        if (pyaio_awaited_by_discard(state, waited, op) < 0) {
            return -1;
        }
        if (pyaio_future_state(future) != PYAIO_FUTURE_FINISHED ||
            pyaio_future_base(future)->exception != NULL) {
            Py_XDECREF(pyaio_future_get_result(state, future, &exception));
            if (exception == NULL) {
                exception = PyErr_GetRaisedException();
            }
        }
    }
    else {
        if (pyaio_stock_awaited_by_discard(state, waited, op) < 0) {
            return -1;
        }
        PyObject *result =
            PyObject_CallMethodNoArgs(waited, state->str_result);
        if (result == NULL) {
            exception = PyErr_GetRaisedException();
        }
        Py_XDECREF(result);
    }
    int err = pyaio_task_step(state, task, exception);
    Py_XDECREF(exception);
    return err;
}

const PyaioReadyKind pyaio_ready_task_step = {
    .name = "Task.task_step",
    .run = task_step_run,
    .context = task_context,
};

const PyaioReadyKind pyaio_ready_task_wakeup = {
    .name = "Task.task_wakeup",
    .run = task_wakeup_run,
    .context = task_context,
};

int
pyaio_task_schedule_step(PyaioState *state, PyaioTask *task,
                         PyObject *exception)
{
    return pyaio_schedule(state, task->future.loop, &pyaio_ready_task_step,
                          (PyObject *)task, exception, 0);
}

/* --- what the coroutine yielded ------------------------------------------ */

/* Throws a RuntimeError into the coroutine at its next step. */
static int
task_fail_soon(PyaioState *state, PyaioTask *task, PyObject *message)
{
    if (message == NULL) {
        return -1;
    }
    PyObject *exc = PyObject_CallOneArg(PyExc_RuntimeError, message);
    Py_DECREF(message);
    if (exc == NULL) {
        return -1;
    }
    int err = pyaio_task_schedule_step(state, task, exc);
    Py_DECREF(exc);
    return err;
}

static int
task_fail_not_awaited(PyaioState *state, PyaioTask *task, PyObject *yielded)
{
    return task_fail_soon(
        state, task,
        PyUnicode_FromFormat("yield was used instead of yield from in task "
                             "%R with %R",
                             task, yielded));
}

static int
task_fail_other_loop(PyaioState *state, PyaioTask *task, PyObject *yielded)
{
    return task_fail_soon(
        state, task,
        PyUnicode_FromFormat("Task %R got Future %R attached to a different "
                             "loop",
                             task, yielded));
}

/* The task now waits for `yielded`; a cancellation that is due goes there. */
static int
task_set_waiter(PyaioState *state, PyaioTask *task, PyObject *yielded)
{
    Py_XSETREF(task->base.fut_waiter, Py_NewRef(yielded));
    if (!task->future.must_cancel) {
        return 0;
    }
    PyObject *message = task->base.future.cancel_message;
    PyObject *kept = Py_NewRef(message ? message : Py_None);
    int cancelled = pyaio_any_future_cancel(state, yielded, kept);
    Py_DECREF(kept);
    if (cancelled > 0) {
        task->future.must_cancel = 0;
    }
    return cancelled < 0 ? -1 : 0;
}

static int
task_wait_native(PyaioState *state, PyaioTask *task, PyObject *yielded,
                 PyaioFuture *future)
{
    if (!future->blocking) {
        return task_fail_not_awaited(state, task, yielded);
    }
    if (future->loop != task->future.loop) {
        return task_fail_other_loop(state, task, yielded);
    }
    future->blocking = 0;
    if (pyaio_awaited_by_add(state, yielded, (PyObject *)task) < 0 ||
        pyaio_future_add_waiter(state, future, &pyaio_ready_task_wakeup,
                                (PyObject *)task) < 0) {
        return -1;
    }
    return task_set_waiter(state, task, yielded);
}

/* Any other object that follows the future protocol; `blocking` is its
 * attribute _asyncio_future_blocking, consumed. */
static int
task_wait_foreign(PyaioState *state, PyaioTask *task, PyObject *yielded,
                  PyObject *blocking)
{
    int truth = PyObject_IsTrue(blocking);
    Py_DECREF(blocking);
    if (truth < 0) {
        return -1;
    }
    PyObject *loop = pyaio_any_future_loop(state, yielded);
    if (loop == NULL) {
        return -1;
    }
    Py_DECREF(loop); /* compared only */
    if (loop != task->future.loop) {
        return task_fail_other_loop(state, task, yielded);
    }
    if (!truth) {
        return task_fail_not_awaited(state, task, yielded);
    }
    if (PyObject_SetAttr(yielded, state->str__asyncio_future_blocking,
                         Py_False) < 0 ||
        pyaio_stock_awaited_by_add(state, yielded, (PyObject *)task) < 0 ||
        pyaio_any_future_add_waiter(state, yielded, &pyaio_ready_task_wakeup,
                                    (PyObject *)task) < 0) {
        return -1;
    }
    return task_set_waiter(state, task, yielded);
}

static int
task_handle_other(PyaioState *state, PyaioTask *task, PyObject *yielded)
{
    PyObject *blocking =
        PyObject_GetAttr(yielded, state->str__asyncio_future_blocking);
    if (blocking == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
            return -1;
        }
        PyErr_Clear();
    }
    else if (blocking != Py_None) {
        return task_wait_foreign(state, task, yielded, blocking);
    }
    Py_XDECREF(blocking);
    if (PyGen_CheckExact(yielded)) {
        return task_fail_soon(
            state, task,
            PyUnicode_FromFormat("yield was used instead of yield from for "
                                 "generator in task %R with %R",
                                 task, yielded));
    }
    return task_fail_soon(
        state, task, PyUnicode_FromFormat("Task got bad yield: %R", yielded));
}

static int
task_handle_yield(PyaioState *state, PyaioTask *task, PyObject *yielded)
{
    if (yielded == (PyObject *)task) {
        return task_fail_soon(
            state, task,
            PyUnicode_FromFormat("Task cannot await on itself: %R", task));
    }
    PyaioFuture *future = pyaio_as_native_future(state, yielded);
    if (future != NULL && future->loop != NULL) {
        return task_wait_native(state, task, yielded, future);
    }
    if (yielded == Py_None) {
        return pyaio_task_schedule_step(state, task, NULL);
    }
    return task_handle_other(state, task, yielded);
}

/* --- the step ------------------------------------------------------------ */

/* The coroutine returned. */
static int
task_finish(PyaioState *state, PyaioTask *task, PyObject *result)
{
    pyaio_task_unregister(task);
    if (task->future.must_cancel) {
        /* Cancelled right before it returned. */
        task->future.must_cancel = 0;
        PyObject *message = Py_XNewRef(task->base.future.cancel_message);
        int err = pyaio_future_set_cancelled(state, &task->future, message);
        Py_XDECREF(message);
        return err;
    }
    return pyaio_future_set_result(state, &task->future, result);
}

/* The coroutine raised what is set. */
static int
task_fail(PyaioState *state, PyaioTask *task)
{
    pyaio_task_unregister(task);
    if (PyErr_ExceptionMatches(state->CancelledError)) {
        Py_XSETREF(task->base.future.cancelled_exc,
                   PyErr_GetRaisedException());
        task->future.log_tb = 0;
        return pyaio_future_set_cancelled(state, &task->future, NULL);
    }
    int breaks_out = PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) ||
                     PyErr_ExceptionMatches(PyExc_SystemExit);
    PyObject *exc = PyErr_GetRaisedException();
    int err = pyaio_future_set_exception(state, &task->future, exc);
    if (err == 0 && breaks_out) {
        PyErr_SetRaisedException(exc);
        return -1;
    }
    Py_DECREF(exc);
    return err;
}

/* StopIteration's value, where that is what a throw() ended in. */
static PyObject *
take_stop_iteration(void)
{
    if (!PyErr_ExceptionMatches(PyExc_StopIteration)) {
        return NULL;
    }
    PyObject *stop = PyErr_GetRaisedException();
    PyObject *value = Py_NewRef(((PyStopIterationObject *)stop)->value);
    Py_DECREF(stop);
    return value;
}

/* Resumes the coroutine with None, or throws `exception` into it. */
static PySendResult
task_resume(PyaioState *state, PyaioTask *task, PyObject *exception,
            PyObject **result)
{
    PyObject *coro = task->base.coro;
    if (coro == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "uninitialized Task object");
        return PYGEN_ERROR;
    }
    if (exception == NULL) {
        PyAsyncMethods *methods = Py_TYPE(coro)->tp_as_async;
        if (methods != NULL && methods->am_send != NULL) {
            return methods->am_send(coro, Py_None, result);
        }
        return PyIter_Send(coro, Py_None, result);
    }
    *result = PyObject_CallMethodOneArg(coro, state->str_throw, exception);
    if (*result != NULL) {
        return PYGEN_NEXT;
    }
    if (!PyErr_Occurred()) {
        *result = Py_NewRef(Py_None);
        return PYGEN_RETURN;
    }
    *result = take_stop_iteration();
    return *result ? PYGEN_RETURN : PYGEN_ERROR;
}

/* A cancellation that is due takes the place of what else was to be thrown,
 * unless that is a cancellation already. A new reference or NULL. */
static int
task_take_cancellation(PyaioState *state, PyaioTask *task, PyObject *exception,
                       PyObject **thrown)
{
    *thrown = Py_XNewRef(exception);
    if (!task->future.must_cancel) {
        return 0;
    }
    if (exception == NULL ||
        !PyErr_GivenExceptionMatches(exception, state->CancelledError)) {
        Py_XSETREF(*thrown,
                   pyaio_future_cancelled_error(state, &task->future));
        if (*thrown == NULL) {
            return -1;
        }
    }
    task->future.must_cancel = 0;
    return 0;
}

int
pyaio_task_step_inside(PyaioState *state, PyaioTask *task, PyObject *exception)
{
    if (pyaio_future_done(&task->future)) {
        PyErr_Format(state->InvalidStateError, "__step(): already done: %R %R",
                     task, exception ? exception : Py_None);
        return -1;
    }
    PyObject *thrown = NULL;
    if ((task->future.must_cancel || exception != NULL) &&
        task_take_cancellation(state, task, exception, &thrown) < 0) {
        return -1;
    }
    Py_CLEAR(task->base.fut_waiter);
    PyObject *result = NULL;
    int err;
    switch (task_resume(state, task, thrown, &result)) {
    case PYGEN_NEXT:
        err = task_handle_yield(state, task, result);
        break;
    case PYGEN_RETURN:
        err = task_finish(state, task, result);
        break;
    default:
        err = task_fail(state, task);
        break;
    }
    Py_XDECREF(result);
    Py_XDECREF(thrown);
    return err;
}

int
pyaio_task_step(PyaioState *state, PyaioTask *task, PyObject *exception)
{
    PyObject *loop = task->future.loop;
    if (loop == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "Task object is not initialized.");
        return -1;
    }
    PyaioTaskPlace storage;
    const PyaioTaskPlace *place = pyaio_task_place(state, loop, &storage);
    PyObject *op = (PyObject *)task;
#if PYAIO_HAS_CALL_GRAPH
    PyObject **field = pyaio_current_task_field(state, place);
    if (field != NULL && *field == NULL) {
        *field = Py_NewRef(op);
        int failed = pyaio_task_step_inside(state, task, exception);
        if (*field == op) {
            *field = NULL;
            Py_DECREF(op);
            return failed;
        }
        return pyaio_leave_task(state, place, loop, op) < 0 ? -1 : failed;
    }
#endif
    if (pyaio_enter_task(state, place, loop, op) < 0) {
        return -1;
    }
    int err = pyaio_task_step_inside(state, task, exception);
    if (pyaio_leave_task(state, place, loop, op) < 0) {
        err = -1;
    }
    return err;
}
