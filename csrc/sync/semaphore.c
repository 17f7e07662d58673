/* What semaphores do. */
#include "sync/semaphore.h"

enum {
    SEMAPHORE_WAKE = PYAIO_METHOD(0),
    SEMAPHORE_ACQUIRE = PYAIO_METHOD(1),
    SEMAPHORE_RELEASE = PYAIO_METHOD(2),
    SEMAPHORE_LOCKED = PYAIO_METHOD(3),
};

#define SEMAPHORE_METHODS(own_type)                                    \
    {                                                                  \
        .type = offsetof(PyaioState, own_type), .count = 4, .names = { \
            offsetof(PyaioState, str__wake_up_next),                   \
            offsetof(PyaioState, str_acquire),                         \
            offsetof(PyaioState, str_release),                         \
            offsetof(PyaioState, str_locked)                           \
        }                                                              \
    }

static const PyaioMethodTable semaphore_methods_called =
    SEMAPHORE_METHODS(Semaphore_type);
static const PyaioMethodTable bounded_methods_called =
    SEMAPHORE_METHODS(BoundedSemaphore_type);

static inline unsigned
semaphore_replaced(PyaioState *state, PyaioSemaphore *self)
{
    return pyaio_primitive_replaced(state, (PyObject *)self,
                                    self->is_bounded
                                        ? &bounded_methods_called
                                        : &semaphore_methods_called);
}

static int
semaphore_require(PyaioSemaphore *self)
{
    if (!self->value.is_set) {
        pyaio_primitive_no_attribute((PyObject *)self, "_value");
        return -1;
    }
    return 0;
}

/* --- what it does -------------------------------------------------------- */

int
pyaio_semaphore_is_locked(PyaioState *state, PyaioSemaphore *self)
{
    int zero = pyaio_number_is_zero(&self->value);
    if (zero != 0) {
        return zero;
    }
    int free = pyaio_waiters_all_cancelled(state, &self->waiters);
    return free < 0 ? -1 : !free;
}

/* Hands one unit to the first who waits. Returns 1, 0 where nobody does, or
 * -1. */
static int
semaphore_hand_over(PyaioState *state, PyaioSemaphore *self)
{
    PyObject *future = pyaio_waiters_first_pending(state, &self->waiters);
    if (future == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    int err = pyaio_number_add(&self->value, -1);
    if (err == 0) {
        err = pyaio_waiter_wake(state, future, Py_True);
    }
    Py_DECREF(future);
    return err < 0 ? -1 : 1;
}

/* The truth of what a method that somebody replaced returns, or -1. */
static int
call_replaced(PyaioSemaphore *self, PyObject *name)
{
    PyObject *answer = PyObject_CallMethodNoArgs((PyObject *)self, name);
    int truth = answer ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    return truth;
}

/* self._wake_up_next(). */
static int
semaphore_wake(PyaioState *state, PyaioSemaphore *self)
{
    if (semaphore_replaced(state, self) & SEMAPHORE_WAKE) {
        return call_replaced(self, state->str__wake_up_next);
    }
    return semaphore_hand_over(state, self);
}

static int
semaphore_release(PyaioState *state, PyaioSemaphore *self)
{
    if (semaphore_require(self) < 0 || pyaio_number_add(&self->value, 1) < 0) {
        return -1;
    }
    return semaphore_wake(state, self) < 0 ? -1 : 0;
}

static int
semaphore_check_bound(PyaioSemaphore *self)
{
    if (semaphore_require(self) < 0) {
        return -1;
    }
    if (!self->bound.is_set) {
        pyaio_primitive_no_attribute((PyObject *)self, "_bound_value");
        return -1;
    }
    int full = pyaio_number_compare(&self->value, &self->bound, Py_GE);
    if (full > 0) {
        PyErr_SetString(PyExc_ValueError,
                        "BoundedSemaphore released too many times");
    }
    return full == 0 ? 0 : -1;
}

PyObject *
pyaio_semaphore_py_locked(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioSemaphore *self = (PyaioSemaphore *)op;
    int locked = semaphore_require(self) < 0
                     ? -1
                     : pyaio_semaphore_is_locked(pyaio_state_of(op), self);
    return locked < 0 ? NULL : PyBool_FromLong(locked);
}

PyObject *
pyaio_semaphore_py_release(PyObject *op, PyObject *Py_UNUSED(unused))
{
    if (semaphore_release(pyaio_state_of(op), (PyaioSemaphore *)op) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
pyaio_semaphore_py_release_bounded(PyObject *op, PyObject *unused)
{
    if (semaphore_check_bound((PyaioSemaphore *)op) < 0) {
        return NULL;
    }
    return pyaio_semaphore_py_release(op, unused);
}

/* Its truth matters where the running version asks for it. */
PyObject *
pyaio_semaphore_py_wake_up_next(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioState *state = pyaio_state_of(op);
    PyaioSemaphore *self = (PyaioSemaphore *)op;
    int woke =
        semaphore_require(self) < 0 ? -1 : semaphore_hand_over(state, self);
    if (woke < 0) {
        return NULL;
    }
    if (!state->semaphore_wakes_all) {
        Py_RETURN_NONE;
    }
    return PyBool_FromLong(woke);
}

/* --- acquire() and `async with` ------------------------------------------ */

static const PyaioWaitingKind semaphore_acquire_kind;

static PySendResult
semaphore_taken(PyaioWaiting *self, PyObject **result)
{
    int is_acquire = self->head.kind == &semaphore_acquire_kind.base;
    *result = Py_NewRef(is_acquire ? Py_True : Py_None);
    return PYGEN_RETURN;
}

static PySendResult
semaphore_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    PyaioWaiting *self = (PyaioWaiting *)op;
    PyaioSemaphore *semaphore = (PyaioSemaphore *)self->owner;
    if (semaphore_require(semaphore) < 0) {
        return PYGEN_ERROR;
    }
    unsigned replaced = semaphore_replaced(state, semaphore);
    int locked = replaced & SEMAPHORE_LOCKED
                     ? call_replaced(semaphore, state->str_locked)
                     : pyaio_semaphore_is_locked(state, semaphore);
    if (locked < 0) {
        return PYGEN_ERROR;
    }
    if (!locked) {
        return pyaio_number_add(&semaphore->value, -1) < 0
                   ? PYGEN_ERROR
                   : semaphore_taken(self, result);
    }
    PyObject *loop = pyaio_primitive_loop(state, self->owner, replaced);
    return pyaio_waiting_begin(state, self, &semaphore->waiters, loop, result);
}

/* Cancelled: where it had been handed a unit already, gives that back. */
static int
semaphore_give_back(PyaioState *state, PyaioSemaphore *self, PyObject *future)
{
    int done = pyaio_any_future_done(state, future);
    int cancelled = pyaio_any_future_cancelled(state, future);
    if (done < 0 || cancelled < 0) {
        return -1;
    }
    if (cancelled || (state->semaphore_wakes_all && !done)) {
        return 0;
    }
    if (pyaio_number_add(&self->value, 1) < 0) {
        return -1;
    }
    if (state->semaphore_wakes_all) {
        return 0;
    }
    return semaphore_wake(state, self) < 0 ? -1 : 0;
}

/* Wakes who may pass now: as many as there are units, or one where the running
 * version does not go on. */
static int
semaphore_wake_others(PyaioState *state, PyaioSemaphore *self)
{
    int more = pyaio_number_is_positive(&self->value);
    while (more > 0) {
        more = semaphore_wake(state, self);
        if (more > 0) {
            more = state->semaphore_wakes_all
                       ? pyaio_number_is_positive(&self->value)
                       : 0;
        }
    }
    return more;
}

static PySendResult
semaphore_waited(PyaioState *state, PyaioWaiting *self, PySendResult went,
                 PyObject **result)
{
    PyaioSemaphore *semaphore = (PyaioSemaphore *)self->owner;
    went = pyaio_waiting_leave(state, self, went, result);
    PyObject *raised = PyErr_GetRaisedException();
    int err = 0;
    if (raised != NULL &&
        PyErr_GivenExceptionMatches(raised, state->CancelledError)) {
        err = semaphore_give_back(state, semaphore, self->waiter.future);
    }
    if (err == 0 && (raised == NULL || state->semaphore_wakes_all)) {
        err = semaphore_wake_others(state, semaphore);
    }
    pyaio_raise_again(raised);
    if (went == PYGEN_ERROR || err < 0) {
        return PYGEN_ERROR;
    }
    return semaphore_taken(self, result);
}

static PySendResult
semaphore_exit_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    PyObject *owner = ((PyaioWaiting *)op)->owner;
    PyaioSemaphore *self = (PyaioSemaphore *)owner;
    if ((self->is_bounded && semaphore_check_bound(self) < 0) ||
        semaphore_release(state, self) < 0) {
        return PYGEN_ERROR;
    }
    *result = Py_NewRef(Py_None);
    return PYGEN_RETURN;
}

static const PyaioWaitingKind semaphore_acquire_kind = {
    .base = PYAIO_WAITING_KIND(stock_Semaphore_acquire, semaphore_start),
    .waited = semaphore_waited,
};

static const PyaioWaitingKind semaphore_enter_kind = {
    .base = PYAIO_WAITING_KIND(stock_guard_enter, semaphore_start),
    .waited = semaphore_waited,
};

static const PyaioWaitingKind semaphore_exit_kind = {
    .base = PYAIO_WAITING_KIND(stock_guard_exit, semaphore_exit_start),
    .nones = 3,
};

/* A coroutine of `kind`, or NULL without an exception where it is for stock:
 * the first of so many arguments must be a semaphore none of whose methods in
 * `mask` was replaced. */
static PyObject *
semaphore_coroutine(PyaioState *state, const PyaioWaitingKind *kind,
                    unsigned mask, PyObject *const *args, Py_ssize_t nargs,
                    PyObject *kwnames)
{
    if (nargs != 1 + kind->nones || kwnames != NULL ||
        !pyaio_primitive_is(args[0], state->Semaphore_type) ||
        (semaphore_replaced(state, (PyaioSemaphore *)args[0]) & mask)) {
        return NULL;
    }
    return pyaio_waiting_new(state, kind, args[0]);
}

static PyObject *
semaphore_acquire(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
                  PyObject *kwnames)
{
    return semaphore_coroutine(state, &semaphore_acquire_kind, 0, args, nargs,
                               kwnames);
}

static PyObject *
semaphore_enter(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
                PyObject *kwnames)
{
    return semaphore_coroutine(state, &semaphore_enter_kind, SEMAPHORE_ACQUIRE,
                               args, nargs, kwnames);
}

static PyObject *
semaphore_exit(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
               PyObject *kwnames)
{
    return semaphore_coroutine(state, &semaphore_exit_kind, SEMAPHORE_RELEASE,
                               args, nargs, kwnames);
}

int
pyaio_semaphore_add_coroutines(PyaioState *state)
{
    PyTypeObject *type = state->Semaphore_type;
    if (pyaio_primitive_add(state, type, "acquire",
                            state->stock_Semaphore_acquire,
                            semaphore_acquire) < 0 ||
        pyaio_primitive_add(state, type, "__aenter__",
                            state->stock_guard_enter, semaphore_enter) < 0) {
        return -1;
    }
    return pyaio_primitive_add(state, type, "__aexit__",
                               state->stock_guard_exit, semaphore_exit);
}
