/* sleep(): a coroutine that gives way once, or waits for its own timer. */
#include "base/interop.h"
#include "combine/combine.h"
#include "combine/coroutine.h"
#include "task/future.h"

#include <math.h>

typedef struct {
    PyaioCoroutine head;
    double delay;         /* seconds, not NaN */
    PyObject *result;     /* owned */
    PyObject *handle;     /* owned: of call_later(), where we did not schedule
                             it ourselves */
    PyaioTimerNode timer; /* `owner` is set from when it is scheduled */
} Sleep;

/* The timer went off: the future that the coroutine awaits gets its result. */
static int
sleep_timer_run(PyaioState *state, PyObject *a, PyObject *Py_UNUSED(b))
{
    Sleep *self = (Sleep *)a;
    PyObject *op = self->head.await.awaited;
    if (op == NULL) {
        return 0; /* ended, with its timer in the ready queue already */
    }
    PyaioFuture *future = &((PyaioFutureObject *)op)->future;
    switch (pyaio_future_state(future)) {
    case PYAIO_FUTURE_PENDING:
        break;
    case PYAIO_FUTURE_CANCELLED:
        return 0;
    default:
        PyErr_SetString(state->InvalidStateError, "invalid state");
        return -1;
    }
    Py_INCREF(op);
    PyObject *result = Py_NewRef(self->result);
    int err = pyaio_future_set_result(state, future, result);
    Py_DECREF(result);
    Py_DECREF(op);
    return err;
}

static const PyaioReadyKind sleep_timer = {
    .name = "_set_result_unless_cancelled",
    .run = sleep_timer_run,
};

/* Puts the coroutine itself into the timers of a loop of ours. */
static int
sleep_schedule_directly(Sleep *self, PyaioScheduler *sched)
{
    double now;
    if (pyaio_sched_time(sched, &now) < 0) {
        return -1;
    }
    self->timer.index = PYAIO_HEAP_NONE;
    self->timer.kind = &sleep_timer;
    self->timer.owner = self;
    return pyaio_sched_add_timer(sched, now + self->delay, &self->timer);
}

static int
sleep_schedule(PyaioState *state, Sleep *self, PyObject *loop,
               PyObject *future)
{
    PyaioScheduler *sched = pyaio_sched_direct(
        state, loop,
        PYAIO_LOOP_CALL_LATER | PYAIO_LOOP_CALL_AT | PYAIO_LOOP_TIME);
    if (sched != NULL && Py_IS_TYPE(future, state->Future_type) &&
        ((PyaioFutureObject *)future)->future.loop == loop) {
        return sleep_schedule_directly(self, sched);
    }
    PyObject *call_later = PyObject_GetAttr(loop, state->str_call_later);
    PyObject *delay = PyFloat_FromDouble(self->delay);
    if (call_later != NULL && delay != NULL) {
        self->handle = PyObject_CallFunctionObjArgs(
            call_later, delay, state->set_unless_cancelled, future,
            self->result, NULL);
    }
    Py_XDECREF(call_later);
    Py_XDECREF(delay);
    return self->handle ? 0 : -1;
}

static PySendResult
sleep_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    Sleep *self = (Sleep *)op;
    if (self->delay <= 0) {
        *result = Py_NewRef(Py_None);
        return PYGEN_NEXT;
    }
    PyObject *loop = pyaio_require_running_loop(state);
    if (loop == NULL) {
        return PYGEN_ERROR;
    }
    PyObject *future = pyaio_loop_create_future(state, loop);
    PySendResult went = PYGEN_ERROR;
    if (future != NULL && sleep_schedule(state, self, loop, future) == 0) {
        went = pyaio_await_start(state, &op->await, future, result);
    }
    Py_XDECREF(future);
    Py_DECREF(loop);
    return went;
}

static PySendResult
sleep_send(PyaioState *state, PyaioCoroutine *op, PyObject *value,
           PyObject **result)
{
    if (op->await.awaited == NULL) {
        *result = Py_NewRef(((Sleep *)op)->result);
        return PYGEN_RETURN;
    }
    return pyaio_await_send(state, &op->await, value, result);
}

static PySendResult
sleep_throw(PyaioState *state, PyaioCoroutine *op, PyObject *exception,
            PyObject **result)
{
    return pyaio_await_throw(state, &op->await, exception, result);
}

/* Takes a coroutine of stock's to where sleep() gives way. */
static int
sleep_advance_mirror(PyaioState *state, PyObject *mirror)
{
    PyObject *suspended = PyObject_GetAttrString(mirror, "cr_suspended");
    PyObject *nothing = NULL;
    if (suspended == Py_False) {
        nothing = PyObject_CallMethodOneArg(mirror, state->str_send, Py_None);
    }
    int err = suspended == Py_True || nothing != NULL ? 0 : -1;
    Py_XDECREF(suspended);
    Py_XDECREF(nothing);
    return err;
}

static PyObject *
sleep_mirror(PyaioState *state, PyaioCoroutine *op)
{
    Sleep *self = (Sleep *)op;
    if (op->mirror == NULL) {
        PyObject *delay = PyFloat_FromDouble(self->delay);
        if (delay == NULL) {
            return NULL;
        }
        op->mirror = PyObject_CallFunctionObjArgs(state->stock_sleep, delay,
                                                  self->result, NULL);
        Py_DECREF(delay);
    }
    PyObject *mirror = Py_XNewRef(op->mirror);
    /* One that waits cannot be taken there: it would schedule a timer. */
    if (mirror != NULL && op->status == PYAIO_CORO_SUSPENDED &&
        op->await.awaited == NULL && sleep_advance_mirror(state, mirror) < 0) {
        Py_CLEAR(mirror);
    }
    return mirror;
}

static int
sleep_traverse(PyaioCoroutine *op, visitproc visit, void *arg)
{
    Sleep *self = (Sleep *)op;
    Py_VISIT(self->result);
    Py_VISIT(self->handle);
    return 0;
}

/* handle.cancel(), keeping an exception that is set. */
static void
sleep_cancel_handle(PyaioState *state, PyObject *handle)
{
    PyObject *raised = PyErr_GetRaisedException();
    PyObject *done = PyObject_CallMethodNoArgs(handle, state->str_cancel);
    if (done == NULL) {
        PyErr_WriteUnraisable(handle);
    }
    Py_XDECREF(done);
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
}

/* Cancels the timer. The timers hold a reference to the coroutine, so that
 * this cannot be its last moment while it is among them. */
static void
sleep_clear(PyaioState *state, PyaioCoroutine *op)
{
    Sleep *self = (Sleep *)op;
    if (self->timer.owner != NULL && self->timer.index != PYAIO_HEAP_NONE) {
        PyObject *loop = NULL;
        if (op->await.awaited != NULL) {
            loop = ((PyaioFutureObject *)op->await.awaited)->future.loop;
        }
        PyaioScheduler *sched = loop ? pyaio_scheduler_of(state, loop) : NULL;
        if (sched != NULL) {
            pyaio_sched_remove_timer(sched, &self->timer);
        }
    }
    PyObject *handle = self->handle;
    self->handle = NULL;
    if (handle != NULL) {
        sleep_cancel_handle(state, handle);
        Py_DECREF(handle);
    }
    Py_CLEAR(self->result);
}

static const PyaioCoroutineKind sleep_kind = {
    .function = offsetof(PyaioState, stock_sleep),
    .pool = offsetof(PyaioState, sleep_pool),
    .start = sleep_start,
    .send = sleep_send,
    .throw = sleep_throw,
    .mirror = sleep_mirror,
    .traverse = sleep_traverse,
    .clear = sleep_clear,
};

/* Reads a delay of one of the usual types. Returns 0 where it is not one, or
 * where stock is to say what is wrong with it. */
static int
sleep_read_delay(PyObject *op, double *delay)
{
    if (PyFloat_CheckExact(op)) {
        *delay = PyFloat_AS_DOUBLE(op);
        return !isnan(*delay);
    }
    if (!PyLong_CheckExact(op) && !PyBool_Check(op)) {
        return 0;
    }
    *delay = PyLong_AsDouble(op);
    if (*delay == -1.0 && PyErr_Occurred()) {
        PyErr_Clear();
        return 0;
    }
    return 1;
}

static PyObject *
sleep_call(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
           PyObject *kwnames)
{
    PyObject *result = Py_None;
    double delay;
    if (nargs < 1 || nargs > 2 || !sleep_read_delay(args[0], &delay)) {
        return NULL;
    }
    if (kwnames != NULL) {
        if (nargs != 1 || PyTuple_GET_SIZE(kwnames) != 1 ||
            PyUnicode_Compare(PyTuple_GET_ITEM(kwnames, 0),
                              state->str_result) != 0) {
            return NULL;
        }
        result = args[1];
    }
    else if (nargs == 2) {
        result = args[1];
    }
    PyObject *op = pyaio_pool_take_untracked(
        &state->sleep_pool, state->SleepCoroutine_type, sizeof(Sleep));
    if (op == NULL) {
        return NULL;
    }
    /* One that only gives way refers to nothing that could refer to it. */
    if (delay > 0 || result != Py_None) {
        PyObject_GC_Track(op);
    }
    Sleep *self = (Sleep *)op;
    self->delay = delay;
    self->result = Py_NewRef(result);
    if (pyaio_coroutine_setup(&self->head, &sleep_kind) < 0) {
        self->head.status = PYAIO_CORO_CLOSED; /* nobody will know of it */
        Py_CLEAR(self->result);
        Py_CLEAR(op);
    }
    return op;
}

int
pyaio_sleep_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_coroutine_add_type(module, &state->SleepCoroutine_type,
                                 "pyaio._core.SleepCoroutine",
                                 sizeof(Sleep)) < 0) {
        return -1;
    }
    return pyaio_coroutine_function_add(state, module, "sleep",
                                        state->stock_sleep, sleep_call);
}
