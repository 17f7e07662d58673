/* wait_for() before 3.12: a wait for a future that the awaitable's end and the
 * deadline release. */
#include "combine/wait_for.h"

#if !PYAIO_WAIT_FOR_IN_TIMEOUT

#include "base/interop.h"
#include "combine/ensure_future.h"
#include "combine/in_stock.h"
#include "combine/timeout.h"
#include "task/future.h"

/* The awaitable has ended. */
static int
wait_for_release(PyaioState *state, PyObject *waiter, PyObject *Py_UNUSED(b))
{
    return pyaio_any_future_release(state, waiter, Py_None);
}

static const PyaioReadyKind wait_for_released = {
    .name = "_release_waiter",
    .run = wait_for_release,
};

static int
wait_for_fire(PyaioState *state, PyObject *a, PyObject *Py_UNUSED(b))
{
    PyaioWaitFor *self = (PyaioWaitFor *)a;
    if (!pyaio_deadline_fire(&self->deadline) || self->waiter == NULL) {
        return 0;
    }
    PyObject *waiter = Py_NewRef(self->waiter);
    int err = pyaio_any_future_release(state, waiter, Py_None);
    Py_DECREF(waiter);
    return err;
}

static const PyaioReadyKind wait_for_deadline = {
    .name = "_release_waiter",
    .run = wait_for_fire,
};

/* --- the beginning ------------------------------------------------------- */

/* Makes the waiter, starts the timer and lets the awaitable, a future from now
 * on, release the waiter. Returns 1, 0 where it is for stock to do, or -1. */
static int
wait_for_prepare_on(PyaioState *state, PyaioWaitFor *self, PyObject *loop)
{
    double delay;
    PyaioScheduler *sched = pyaio_deadline_scheduler(state, loop);
    if (sched == NULL ||
        !pyaio_sched_is_native(sched, PYAIO_LOOP_CREATE_FUTURE |
                                          PYAIO_LOOP_CALL_LATER) ||
        !pyaio_timeout_read_number(self->timeout, &delay) || !(delay > 0)) {
        return 0;
    }
    self->waiter = pyaio_future_new(state, loop);
    if (self->waiter == NULL ||
        pyaio_deadline_arm(state, &self->deadline, &wait_for_deadline,
                           (PyObject *)self, sched,
                           pyaio_sched_clock(sched) + delay) < 0) {
        return -1;
    }
    PyObject *future = pyaio_ensure_future(state, self->awaitable, loop);
    if (future == NULL) {
        return -1;
    }
    Py_SETREF(self->awaitable, future);
    return pyaio_any_future_add_waiter(state, future, &wait_for_released,
                                       self->waiter) < 0
               ? -1
               : 1;
}

static int
wait_for_prepare(PyaioState *state, PyaioWaitFor *self)
{
    PyObject *loop = pyaio_running_loop(state);
    if (loop == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    int went = wait_for_prepare_on(state, self, loop);
    Py_DECREF(loop);
    return went;
}

PySendResult
pyaio_wait_for_start(PyaioState *state, PyaioWaitFor *self, PyObject **result)
{
    if (self->timeout == Py_None) {
        PyObject *loop = pyaio_require_running_loop(state);
        if (loop == NULL) {
            return PYGEN_ERROR;
        }
        Py_DECREF(loop);
        return pyaio_await_start(state, &self->head.await, self->awaitable,
                                 result);
    }
    int prepared = wait_for_prepare(state, self);
    if (prepared <= 0) {
        return prepared < 0 ? PYGEN_ERROR
                            : pyaio_wait_for_in_stock(state, self, result);
    }
    return pyaio_await_start(state, &self->head.await, self->waiter, result);
}

/* --- the end ------------------------------------------------------------- */

/* future.remove_done_callback() of what prepare added. */
static int
wait_for_stop_watching(PyaioState *state, PyaioWaitFor *self)
{
    PyaioFuture *future = pyaio_as_native_future(state, self->awaitable);
    if (future != NULL) {
        return pyaio_future_remove_waiter(state, future, &wait_for_released,
                                          self->waiter);
    }
    PyObject *call =
        pyaio_ready_call_new(state, &wait_for_released, self->waiter, NULL);
    PyObject *done =
        call ? PyObject_CallMethodOneArg(self->awaitable,
                                         state->str_remove_done_callback, call)
             : NULL;
    Py_XDECREF(call);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* The future on which stock's coroutine waits has been yielded, to nobody;
 * releases it, where nothing is to be thrown. */
static int
take_yielded(PyaioState *state, PyObject *yielded, int release)
{
    PyaioFuture *future = pyaio_as_native_future(state, yielded);
    if (future != NULL) {
        future->blocking = 0;
    }
    return release ? pyaio_any_future_release(state, yielded, Py_None) : 0;
}

/* The deadline has passed, or `exception` is to be raised where it waits: a
 * coroutine of stock's is brought to the same place and goes on there. */
static PySendResult
wait_for_hand_over(PyaioState *state, PyaioWaitFor *self, PyObject *exception,
                   PyObject **result)
{
    if (wait_for_stop_watching(state, self) < 0) {
        return PYGEN_ERROR;
    }
    PyObject *yielded = NULL;
    PySendResult went = pyaio_wait_for_in_stock(state, self, &yielded);
    if (went != PYGEN_NEXT) {
        *result = yielded;
        return went;
    }
    int err = take_yielded(state, yielded, exception == NULL);
    Py_DECREF(yielded);
    if (err < 0) {
        return PYGEN_ERROR;
    }
    PyaioAwait *await = &self->head.await;
    return exception ? pyaio_await_throw(state, await, exception, result)
                     : pyaio_await_send(state, await, Py_None, result);
}

PySendResult
pyaio_wait_for_waited(PyaioState *state, PyaioWaitFor *self, PySendResult went,
                      PyObject **result)
{
    if (self->waiter == NULL) {
        return went; /* an await of the awaitable itself */
    }
    pyaio_deadline_disarm(state, &self->deadline);
    if (went == PYGEN_ERROR) {
        if (!PyErr_ExceptionMatches(state->CancelledError)) {
            return went; /* leaves the awaitable alone, as stock */
        }
        PyObject *exception = PyErr_GetRaisedException();
        went = wait_for_hand_over(state, self, exception, result);
        Py_DECREF(exception);
        return went;
    }
    Py_CLEAR(*result);
    int done = pyaio_any_future_done(state, self->awaitable);
    if (done < 0) {
        return PYGEN_ERROR;
    }
    if (!done) {
        return wait_for_hand_over(state, self, NULL, result);
    }
    *result = pyaio_any_future_result(state, self->awaitable);
    return *result ? PYGEN_RETURN : PYGEN_ERROR;
}

#endif
