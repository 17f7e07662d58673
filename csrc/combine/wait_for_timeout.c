/* wait_for() from 3.12 on: an await in the block of a timeout, without the
 * Timeout. */
#include "combine/wait_for.h"

#if PYAIO_WAIT_FOR_IN_TIMEOUT

#include "base/interop.h"
#include "combine/timeout.h"
#include "task/step.h"

static int
wait_for_fire(PyaioState *state, PyObject *a, PyObject *Py_UNUSED(b))
{
    PyaioWaitFor *self = (PyaioWaitFor *)a;
    if (!pyaio_deadline_fire(&self->deadline) || self->task == NULL) {
        return 0;
    }
    PyObject *task = Py_NewRef(self->task);
    int cancelled = pyaio_any_future_cancel(state, task, NULL);
    Py_DECREF(task);
    if (cancelled < 0) {
        return -1;
    }
    self->expiring = 1;
    return 0;
}

static PyObject *
wait_for_context(PyaioState *state, PyObject *a)
{
    return pyaio_deadline_context(state, &((PyaioWaitFor *)a)->deadline);
}

static const PyaioReadyKind wait_for_deadline = {
    .name = "Timeout._on_timeout",
    .run = wait_for_fire,
    .context = wait_for_context,
};

/* --- the beginning ------------------------------------------------------- */

/* Whether stock would make a Timeout that is ours, or might be. */
static int
timeout_is_ours(PyaioState *state)
{
    PyObject *found =
        PyDict_GetItemWithError(state->timeouts_names, state->str_timeout);
    PyErr_Clear();
    return (found == state->timeout || found == state->stock_timeout) &&
           pyaio_timeout_class_is_ours(state) &&
           pyaio_timeout_class_is_plain(state);
}

/* Remembers who is to be cancelled. Returns 1, 0 where that is not a plain
 * task of ours, or -1. */
static int
wait_for_find_task(PyaioState *state, PyaioWaitFor *self, PyObject *loop)
{
    PyaioTaskPlace place;
    PyObject *task =
        pyaio_current_task(state, pyaio_task_place(state, loop, &place), loop);
    if (task == NULL) {
        return -1;
    }
    if (!Py_IS_TYPE(task, state->Task_type)) {
        Py_DECREF(task);
        return 0;
    }
    self->task = task;
    self->cancelling = ((PyaioTask *)task)->future.cancel_requests;
    return 1;
}

/* Enters the block. Returns 1, 0 where it is for stock to do, or -1. */
static int
wait_for_enter_on(PyaioState *state, PyaioWaitFor *self, PyObject *loop)
{
    double delay = 0;
    if (self->timeout != Py_None &&
        !(pyaio_timeout_read_number(self->timeout, &delay) && delay > 0)) {
        return 0;
    }
    PyaioScheduler *sched = pyaio_deadline_scheduler(state, loop);
    if (sched == NULL || !timeout_is_ours(state)) {
        return 0;
    }
    int found = wait_for_find_task(state, self, loop);
    if (found <= 0) {
        return found;
    }
    if (self->timeout == Py_None) {
        return 1;
    }
    double when = pyaio_sched_clock(sched) + delay;
    self->when = PyFloat_FromDouble(when);
    if (self->when == NULL ||
        pyaio_deadline_arm(state, &self->deadline, &wait_for_deadline,
                           (PyObject *)self, sched, when) < 0) {
        return -1;
    }
    return 1;
}

static int
wait_for_enter(PyaioState *state, PyaioWaitFor *self)
{
    PyObject *loop = pyaio_running_loop(state);
    if (loop == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    int went = wait_for_enter_on(state, self, loop);
    Py_DECREF(loop);
    return went;
}

PySendResult
pyaio_wait_for_start(PyaioState *state, PyaioWaitFor *self, PyObject **result)
{
    int entered = wait_for_enter(state, self);
    if (entered <= 0) {
        return entered < 0 ? PYGEN_ERROR
                           : pyaio_wait_for_in_stock(state, self, result);
    }
    PySendResult went =
        pyaio_await_start(state, &self->head.await, self->awaitable, result);
    return went == PYGEN_NEXT
               ? went
               : pyaio_wait_for_waited(state, self, went, result);
}

/* --- the end ------------------------------------------------------------- */

/* A Timeout in the state of the block, whose deadline has passed. */
static PyObject *
timeout_of_block(PyaioState *state, PyaioWaitFor *self)
{
    PyObject *op = pyaio_timeout_new(state, self->when);
    if (op != NULL) {
        PyaioTimeout *timeout = (PyaioTimeout *)op;
        timeout->status = PYAIO_TIMEOUT_EXPIRING;
        timeout->task = Py_NewRef(self->task);
        timeout->cancelling = PyLong_FromUnsignedLong(self->cancelling);
        if (timeout->cancelling == NULL) {
            Py_CLEAR(op);
        }
    }
    return op;
}

/* Runs stock's Timeout.__aexit__(), which never waits. `raised` may be NULL.
 * Returns 0 where the block's outcome stands, or -1 with another exception. */
static int
leave_in_stock(PyaioState *state, PyaioWaitFor *self, PyObject *raised)
{
    PyObject *timeout = timeout_of_block(state, self);
    if (timeout == NULL) {
        return -1;
    }
    PyObject *type = raised ? (PyObject *)Py_TYPE(raised) : Py_None;
    PyObject *traceback = raised ? PyException_GetTraceback(raised) : NULL;
    PyObject *coro = PyObject_CallFunctionObjArgs(
        state->stock_Timeout_aexit, timeout, type, raised ? raised : Py_None,
        traceback ? traceback : Py_None, NULL);
    PyObject *answer = NULL;
    PySendResult went =
        coro ? PyIter_Send(coro, Py_None, &answer) : PYGEN_ERROR;
    Py_XDECREF(answer);
    Py_XDECREF(coro);
    Py_XDECREF(traceback);
    Py_DECREF(timeout);
    return went == PYGEN_ERROR ? -1 : 0;
}

/* Leaves the block with the exception that is set. */
static void
leave_raising(PyaioState *state, PyaioWaitFor *self)
{
    PyObject *raised = PyErr_GetRaisedException();
    /* What a `raise` finds as its context. */
    PyObject *handled = pyaio_exchange_handled(Py_NewRef(raised));
    int err = leave_in_stock(state, self, raised);
    Py_XDECREF(pyaio_exchange_handled(handled));
    if (err == 0) {
        PyErr_SetRaisedException(raised);
    }
    else {
        Py_DECREF(raised);
    }
}

PySendResult
pyaio_wait_for_waited(PyaioState *state, PyaioWaitFor *self, PySendResult went,
                      PyObject **result)
{
    pyaio_deadline_disarm(state, &self->deadline);
    if (!self->expiring) {
        return went;
    }
    if (went == PYGEN_ERROR) {
        leave_raising(state, self);
        return PYGEN_ERROR;
    }
    if (leave_in_stock(state, self, NULL) < 0) {
        Py_CLEAR(*result);
        return PYGEN_ERROR;
    }
    return went;
}

#endif
