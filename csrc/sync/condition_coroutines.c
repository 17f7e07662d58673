/* Condition: its coroutines. */
#include "sync/condition.h"
#include "base/interop.h"

typedef struct {
    PyaioWaiting base;
    PyObject *predicate; /* owned: of wait_for() */
    PyObject *raised;    /* owned: what ended wait()'s wait, or NULL */
    PyObject *cancelled; /* owned: the CancelledError that came last while it
                            took the lock again, or NULL */
    uint8_t is_locking;  /* wait() is taking the lock again */
} ConditionCoroutine;

/* Awaits what self.<name>() returns. */
static PySendResult
condition_await_method(PyaioState *state, ConditionCoroutine *self,
                       PyObject *name, PyObject **result)
{
    return pyaio_await_call(state, &self->base.head.await,
                            PyObject_CallMethodNoArgs(self->base.owner, name),
                            result);
}

static int
condition_release(PyaioState *state, PyaioCondition *condition)
{
    PyObject *done =
        PyObject_CallMethodNoArgs((PyObject *)condition, state->str_release);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* --- `async with` -------------------------------------------------------- */

static PySendResult
enter_waited(PyaioState *Py_UNUSED(state), PyaioWaiting *Py_UNUSED(self),
             PySendResult went, PyObject **result)
{
    if (went == PYGEN_RETURN) {
        Py_SETREF(*result, Py_NewRef(Py_None));
    }
    return went;
}

static PySendResult
enter_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    PySendResult went = condition_await_method(state, (ConditionCoroutine *)op,
                                               state->str_acquire, result);
    return enter_waited(state, (PyaioWaiting *)op, went, result);
}

static PySendResult
exit_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    PyObject *owner = ((PyaioWaiting *)op)->owner;
    if (condition_release(state, (PyaioCondition *)owner) < 0) {
        return PYGEN_ERROR;
    }
    *result = Py_NewRef(Py_None);
    return PYGEN_RETURN;
}

/* --- wait() -------------------------------------------------------------- */

/* wait() ends with the exception that is set; on versions that do, it wakes
 * another, since it may have been notified. */
static PySendResult
wait_fail(PyaioState *state, ConditionCoroutine *self)
{
    if (state->condition_notifies_again) {
        PyObject *raised = PyErr_GetRaisedException();
        (void)pyaio_condition_notify(state, (PyaioCondition *)self->base.owner,
                                     1);
        pyaio_raise_again(raised);
    }
    return PYGEN_ERROR;
}

/* It holds the lock again: raises what came meanwhile, or returns. */
static PySendResult
wait_finish(PyaioState *state, ConditionCoroutine *self, PyObject **result)
{
    PyObject *raised = self->raised, *cancelled = self->cancelled;
    self->raised = self->cancelled = NULL;
    if (raised == NULL && cancelled == NULL) {
        *result = Py_NewRef(Py_True);
        return PYGEN_RETURN;
    }
    if (cancelled == NULL) {
        PyErr_SetRaisedException(raised);
        return wait_fail(state, self);
    }
    if (state->condition_keeps_error) {
        PyErr_SetRaisedException(Py_NewRef(cancelled));
    }
    else {
        PyErr_SetNone(state->CancelledError);
    }
    pyaio_raise_again(raised);
    Py_DECREF(cancelled);
    return wait_fail(state, self);
}

/* Takes the lock again, as often as it is cancelled meanwhile; `went` is how
 * the attempt went that has been made. */
static PySendResult
wait_lock_again(PyaioState *state, ConditionCoroutine *self, PySendResult went,
                PyObject **result)
{
    while (went == PYGEN_ERROR &&
           PyErr_ExceptionMatches(state->CancelledError)) {
        Py_XSETREF(self->cancelled, PyErr_GetRaisedException());
        went = condition_await_method(state, self, state->str_acquire, result);
    }
    if (went == PYGEN_NEXT) {
        return went;
    }
    Py_CLEAR(*result);
    return went == PYGEN_RETURN ? wait_finish(state, self, result)
                                : wait_fail(state, self);
}

/* The wait for a notification has ended, as `went` says. */
static PySendResult
wait_ended(PyaioState *state, ConditionCoroutine *self, PySendResult went,
           PyObject **result)
{
    if (went == PYGEN_ERROR) {
        Py_XSETREF(self->raised, PyErr_GetRaisedException());
    }
    self->is_locking = 1;
    went = condition_await_method(state, self, state->str_acquire, result);
    return wait_lock_again(state, self, went, result);
}

static PySendResult
wait_waited(PyaioState *state, PyaioWaiting *op, PySendResult went,
            PyObject **result)
{
    ConditionCoroutine *self = (ConditionCoroutine *)op;
    if (self->is_locking) {
        return wait_lock_again(state, self, went, result);
    }
    went = pyaio_waiting_leave(state, op, went, result);
    return wait_ended(state, self, went, result);
}

/* Releases the lock and waits, on `future` or a new one. */
static PySendResult
wait_begin(PyaioState *state, ConditionCoroutine *self, PyObject *future,
           PyObject **result)
{
    PyaioCondition *condition = (PyaioCondition *)self->base.owner;
    PyaioWaiter *waiter = &self->base.waiter;
    if (condition_release(state, condition) < 0) {
        return PYGEN_ERROR;
    }
    self->base.list = &condition->waiters;
    if (future != NULL) {
        if (pyaio_waiters_append(state, self->base.list, waiter, future) < 0) {
            return wait_ended(state, self, PYGEN_ERROR, result);
        }
    }
    else {
        PyObject *loop = pyaio_condition_loop(state, condition);
        future = loop ? pyaio_waiters_add(state, self->base.list, waiter, loop)
                      : NULL;
        Py_XDECREF(loop);
        if (future == NULL) {
            return wait_ended(state, self, PYGEN_ERROR, result);
        }
    }
    PySendResult went =
        pyaio_await_start(state, &self->base.head.await, future, result);
    return went == PYGEN_NEXT ? went
                              : wait_waited(state, &self->base, went, result);
}

static PySendResult
wait_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    ConditionCoroutine *self = (ConditionCoroutine *)op;
    PyaioCondition *condition = (PyaioCondition *)self->base.owner;
    if (pyaio_condition_require_lock(state, condition, "wait") < 0) {
        return PYGEN_ERROR;
    }
    if (!state->condition_notifies_again) {
        return wait_begin(state, self, NULL, result);
    }
    PyObject *loop = pyaio_condition_loop(state, condition);
    PyObject *future = loop ? pyaio_loop_create_future(state, loop) : NULL;
    PySendResult went =
        future ? wait_begin(state, self, future, result) : PYGEN_ERROR;
    Py_XDECREF(loop);
    Py_XDECREF(future);
    return went;
}

/* --- wait_for() ---------------------------------------------------------- */

/* Asks the predicate and waits, until that is true. */
static PySendResult
wait_for_next(PyaioState *state, ConditionCoroutine *self, PyObject **result)
{
    for (;;) {
        PyObject *predicate = Py_NewRef(self->predicate);
        PyObject *answer = PyObject_CallNoArgs(predicate);
        Py_DECREF(predicate);
        int truth = answer ? PyObject_IsTrue(answer) : -1;
        if (truth > 0) {
            *result = answer;
            return PYGEN_RETURN;
        }
        Py_XDECREF(answer);
        if (truth < 0) {
            return PYGEN_ERROR;
        }
        PySendResult went =
            condition_await_method(state, self, state->str_wait, result);
        if (went != PYGEN_RETURN) {
            return went;
        }
        Py_CLEAR(*result);
    }
}

static PySendResult
wait_for_waited(PyaioState *state, PyaioWaiting *op, PySendResult went,
                PyObject **result)
{
    if (went == PYGEN_ERROR) {
        return went;
    }
    Py_CLEAR(*result);
    return wait_for_next(state, (ConditionCoroutine *)op, result);
}

static PySendResult
wait_for_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    return wait_for_next(state, (ConditionCoroutine *)op, result);
}

static PyObject *
wait_for_mirror(PyaioState *state, PyaioCoroutine *op)
{
    ConditionCoroutine *self = (ConditionCoroutine *)op;
    if (op->mirror == NULL) {
        op->mirror = PyObject_CallFunctionObjArgs(
            state->stock_Condition_wait_for, self->base.owner, self->predicate,
            NULL);
    }
    return Py_XNewRef(op->mirror);
}

/* --- making them --------------------------------------------------------- */

static int
condition_coroutine_traverse(PyaioCoroutine *op, visitproc visit, void *arg)
{
    ConditionCoroutine *self = (ConditionCoroutine *)op;
    Py_VISIT(self->predicate);
    Py_VISIT(self->raised);
    Py_VISIT(self->cancelled);
    return pyaio_waiting_traverse(op, visit, arg);
}

static void
condition_coroutine_clear(PyaioState *state, PyaioCoroutine *op)
{
    ConditionCoroutine *self = (ConditionCoroutine *)op;
    Py_CLEAR(self->predicate);
    Py_CLEAR(self->raised);
    Py_CLEAR(self->cancelled);
    pyaio_waiting_clear(state, op);
}

#define CONDITION_KIND(stock, start_function, mirror_function) \
    {.function = offsetof(PyaioState, stock),                  \
     .start = start_function,                                  \
     .send = pyaio_waiting_send,                               \
     .throw = pyaio_waiting_throw,                             \
     .mirror = mirror_function,                                \
     .traverse = condition_coroutine_traverse,                 \
     .clear = condition_coroutine_clear}

static const PyaioWaitingKind condition_enter_kind = {
    .base =
        CONDITION_KIND(stock_guard_enter, enter_start, pyaio_waiting_mirror),
    .waited = enter_waited,
};

static const PyaioWaitingKind condition_exit_kind = {
    .base = CONDITION_KIND(stock_guard_exit, exit_start, pyaio_waiting_mirror),
    .nones = 3,
};

static const PyaioWaitingKind condition_wait_kind = {
    .base =
        CONDITION_KIND(stock_Condition_wait, wait_start, pyaio_waiting_mirror),
    .waited = wait_waited,
};

static const PyaioWaitingKind condition_wait_for_kind = {
    .base = CONDITION_KIND(stock_Condition_wait_for, wait_for_start,
                           wait_for_mirror),
    .waited = wait_for_waited,
    .nones = 1,
};

/* A coroutine of `kind` where the first of so many arguments is a condition;
 * else NULL without an exception. */
static PyObject *
condition_coroutine(PyaioState *state, const PyaioWaitingKind *kind,
                    PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    if (nargs != 1 + kind->nones || kwnames != NULL ||
        !pyaio_primitive_is(args[0], state->Condition_type)) {
        return NULL;
    }
    PyTypeObject *type = state->ConditionCoroutine_type;
    ConditionCoroutine *self = (ConditionCoroutine *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->base.owner = Py_NewRef(args[0]);
    if (kind == &condition_wait_for_kind) {
        self->predicate = Py_NewRef(args[1]);
    }
    return pyaio_waiting_setup(&self->base, kind);
}

static PyObject *
condition_enter(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
                PyObject *kwnames)
{
    return condition_coroutine(state, &condition_enter_kind, args, nargs,
                               kwnames);
}

static PyObject *
condition_exit(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
               PyObject *kwnames)
{
    return condition_coroutine(state, &condition_exit_kind, args, nargs,
                               kwnames);
}

static PyObject *
condition_wait(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
               PyObject *kwnames)
{
    return condition_coroutine(state, &condition_wait_kind, args, nargs,
                               kwnames);
}

static PyObject *
condition_wait_for(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
                   PyObject *kwnames)
{
    return condition_coroutine(state, &condition_wait_for_kind, args, nargs,
                               kwnames);
}

int
pyaio_condition_coroutines_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    state->condition_notifies_again = pyaio_stock_mentions(
        state->stock_Condition_wait, "co_names", "_notify");
    state->condition_keeps_error = pyaio_stock_mentions(
        state->stock_Condition_wait, "co_varnames", "err");
    if (state->condition_notifies_again < 0 ||
        state->condition_keeps_error < 0 ||
        pyaio_coroutine_add_type(module, &state->ConditionCoroutine_type,
                                 "pyaio._core.ConditionCoroutine",
                                 sizeof(ConditionCoroutine)) < 0) {
        return -1;
    }
    const struct {
        const char *name;
        PyObject *stock;
        PyaioNativeCall call;
    } functions[] = {
        {"__aenter__", state->stock_guard_enter, condition_enter},
        {"__aexit__", state->stock_guard_exit, condition_exit},
        {"wait", state->stock_Condition_wait, condition_wait},
        {"wait_for", state->stock_Condition_wait_for, condition_wait_for},
    };
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        if (pyaio_primitive_add(state, state->Condition_type,
                                functions[i].name, functions[i].stock,
                                functions[i].call) < 0) {
            return -1;
        }
    }
    return 0;
}
