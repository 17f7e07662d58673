/* Lock. */
#include "base/meta.h"
#include "sync/sync.h"
#include "sync/waiting.h"

typedef struct {
    PyaioPrimitive head;
    PyaioWaiters waiters;
    int8_t locked; /* -1 before initialisation */
} PyaioLock;

static const PyaioMethodTable lock_methods_called = {
    .type = offsetof(PyaioState, Lock_type),
    .count = 3,
    .names = {offsetof(PyaioState, str__wake_up_first),
              offsetof(PyaioState, str_acquire),
              offsetof(PyaioState, str_release)},
};

enum {
    LOCK_WAKE = PYAIO_METHOD(0),
    LOCK_ACQUIRE = PYAIO_METHOD(1),
    LOCK_RELEASE = PYAIO_METHOD(2),
};

static inline unsigned
lock_replaced(PyaioState *state, PyObject *op)
{
    return pyaio_primitive_replaced(state, op, &lock_methods_called);
}

static int
lock_require(PyaioLock *self)
{
    if (self->locked < 0) {
        pyaio_primitive_no_attribute((PyObject *)self, "_locked");
        return -1;
    }
    return 0;
}

/* --- release() ----------------------------------------------------------- */

/* self._wake_up_first(), with an exception that is set put aside. */
static int
lock_wake(PyaioState *state, PyaioLock *self)
{
    PyObject *op = (PyObject *)self;
    PyObject *raised = PyErr_GetRaisedException();
    int err = 0;
    if (lock_replaced(state, op) & LOCK_WAKE) {
        PyObject *done =
            PyObject_CallMethodNoArgs(op, state->str__wake_up_first);
        err = done ? 0 : -1;
        Py_XDECREF(done);
    }
    else {
        err = pyaio_waiters_wake_first(state, &self->waiters, Py_True);
    }
    pyaio_raise_again(raised);
    return err;
}

static int
lock_release(PyaioState *state, PyaioLock *self)
{
    if (lock_require(self) < 0) {
        return -1;
    }
    if (!self->locked) {
        PyErr_SetString(PyExc_RuntimeError, "Lock is not acquired.");
        return -1;
    }
    self->locked = 0;
    return lock_wake(state, self);
}

static PyObject *
Lock_release(PyObject *op, PyObject *Py_UNUSED(unused))
{
    if (lock_release(pyaio_state_of(op), (PyaioLock *)op) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
Lock_wake_up_first(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioLock *self = (PyaioLock *)op;
    if (pyaio_waiters_wake_first(pyaio_state_of(op), &self->waiters, Py_True) <
        0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
Lock_locked(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioLock *self = (PyaioLock *)op;
    return lock_require(self) < 0 ? NULL : PyBool_FromLong(self->locked);
}

/* --- acquire() and `async with` ------------------------------------------ */

static const PyaioWaitingKind lock_acquire_kind;

static PySendResult
lock_take(PyaioWaiting *self, PyObject **result)
{
    ((PyaioLock *)self->owner)->locked = 1;
    int is_acquire = self->head.kind == &lock_acquire_kind.base;
    *result = Py_NewRef(is_acquire ? Py_True : Py_None);
    return PYGEN_RETURN;
}

static PySendResult
lock_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    PyaioWaiting *self = (PyaioWaiting *)op;
    PyaioLock *lock = (PyaioLock *)self->owner;
    if (lock_require(lock) < 0) {
        return PYGEN_ERROR;
    }
    if (!lock->locked) {
        int free = pyaio_waiters_all_cancelled(state, &lock->waiters);
        if (free != 0) {
            return free < 0 ? PYGEN_ERROR : lock_take(self, result);
        }
    }
    PyObject *loop = pyaio_primitive_loop(state, self->owner,
                                          lock_replaced(state, self->owner));
    return pyaio_waiting_begin(state, self, &lock->waiters, loop, result);
}

static PySendResult
lock_waited(PyaioState *state, PyaioWaiting *self, PySendResult went,
            PyObject **result)
{
    went = pyaio_waiting_leave(state, self, went, result);
    if (went == PYGEN_RETURN) {
        return lock_take(self, result);
    }
    /* Woken, and cancelled before it could take the lock: then another. */
    PyaioLock *lock = (PyaioLock *)self->owner;
    if (PyErr_ExceptionMatches(state->CancelledError) && !lock->locked) {
        (void)lock_wake(state, lock);
    }
    return PYGEN_ERROR;
}

static PySendResult
lock_exit_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    if (lock_release(state, (PyaioLock *)((PyaioWaiting *)op)->owner) < 0) {
        return PYGEN_ERROR;
    }
    *result = Py_NewRef(Py_None);
    return PYGEN_RETURN;
}

static const PyaioWaitingKind lock_acquire_kind = {
    .base = PYAIO_WAITING_KIND(stock_Lock_acquire, lock_start),
    .waited = lock_waited,
};

static const PyaioWaitingKind lock_enter_kind = {
    .base = PYAIO_WAITING_KIND(stock_guard_enter, lock_start),
    .waited = lock_waited,
};

static const PyaioWaitingKind lock_exit_kind = {
    .base = PYAIO_WAITING_KIND(stock_guard_exit, lock_exit_start),
    .nones = 3,
};

/* A coroutine of `kind`, or NULL without an exception where it is for stock:
 * the first of so many arguments must be a lock none of whose methods in
 * `mask` was replaced. */
static PyObject *
lock_coroutine(PyaioState *state, const PyaioWaitingKind *kind, unsigned mask,
               PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    if (nargs != 1 + kind->nones || kwnames != NULL ||
        !pyaio_primitive_is(args[0], state->Lock_type) ||
        (lock_replaced(state, args[0]) & mask)) {
        return NULL;
    }
    return pyaio_waiting_new(state, kind, args[0]);
}

static PyObject *
lock_acquire(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
             PyObject *kwnames)
{
    return lock_coroutine(state, &lock_acquire_kind, 0, args, nargs, kwnames);
}

static PyObject *
lock_enter(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
           PyObject *kwnames)
{
    return lock_coroutine(state, &lock_enter_kind, LOCK_ACQUIRE, args, nargs,
                          kwnames);
}

static PyObject *
lock_exit(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames)
{
    return lock_coroutine(state, &lock_exit_kind, LOCK_RELEASE, args, nargs,
                          kwnames);
}

/* --- the type ------------------------------------------------------------ */

static PyObject *
Lock_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
         PyObject *Py_UNUSED(kwargs))
{
    PyaioLock *self = (PyaioLock *)type->tp_alloc(type, 0);
    if (self != NULL) {
        pyaio_waiters_init(&self->waiters, 1);
        self->locked = -1;
    }
    return (PyObject *)self;
}

static int
Lock_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    PyaioLock *self = (PyaioLock *)op;
    if (PyTuple_GET_SIZE(args) > 0 || (kwargs && PyDict_GET_SIZE(kwargs))) {
        return pyaio_primitive_stock_init(pyaio_state_of(op)->stock_Lock, op,
                                          args, kwargs);
    }
    pyaio_waiters_init(&self->waiters, 1);
    self->locked = 0;
    return 0;
}

static PyObject *
Lock_repr(PyObject *op)
{
    PyaioLock *self = (PyaioLock *)op;
    if (lock_require(self) < 0) {
        return NULL;
    }
    return pyaio_primitive_repr(
        op, PyUnicode_FromString(self->locked ? "locked" : "unlocked"),
        pyaio_waiters_count(&self->waiters));
}

static PyObject *
Lock_get_locked(PyObject *op, void *Py_UNUSED(closure))
{
    return Lock_locked(op, NULL);
}

static int
Lock_set_locked(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    int truth = value ? PyObject_IsTrue(value) : 0;
    if (truth >= 0) {
        ((PyaioLock *)op)->locked = value ? (int8_t)truth : -1;
    }
    return truth < 0 ? -1 : 0;
}

static PyObject *
Lock_get_waiters(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioLock *self = (PyaioLock *)op;
    return pyaio_waiters_get(pyaio_state_of(op), &self->waiters);
}

static int
Lock_set_waiters(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    return pyaio_waiters_set(&((PyaioLock *)op)->waiters, value);
}

static int
Lock_traverse(PyObject *op, visitproc visit, void *arg)
{
    int err = pyaio_waiters_traverse(&((PyaioLock *)op)->waiters, visit, arg);
    return err ? err : pyaio_primitive_traverse(op, visit, arg);
}

static int
Lock_clear(PyObject *op)
{
    pyaio_waiters_clear(&((PyaioLock *)op)->waiters);
    return pyaio_primitive_clear(op);
}

static void
Lock_dealloc(PyObject *op)
{
    pyaio_primitive_dealloc(op, Lock_clear);
}

static PyMethodDef lock_methods[] = {
    PYAIO_PRIMITIVE_METHODS,
    {"locked", Lock_locked, METH_NOARGS,
     "locked($self, /)\n--\n\nWhether somebody holds the lock."},
    {"release", Lock_release, METH_NOARGS,
     "release($self, /)\n--\n\n"
     "Give the lock up; who has waited longest for it gets it.\n\n"
     "RuntimeError where nobody holds it. Mirrors asyncio.Lock.release."},
    {"_wake_up_first", Lock_wake_up_first, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef lock_getset[] = {
    PYAIO_PRIMITIVE_GETSET,
    {"_locked", Lock_get_locked, Lock_set_locked, NULL, NULL},
    {"_waiters", Lock_get_waiters, Lock_set_waiters, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef lock_members[] = {
    PYAIO_PRIMITIVE_MEMBERS,
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(lock_doc, "Lock()\n--\n\n"
                       "What is native of the Lock that stands on it.");

static PyType_Slot lock_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)lock_doc},
    {Py_tp_new, Lock_new},
    {Py_tp_init, Lock_init},
    {Py_tp_repr, Lock_repr},
    {Py_tp_traverse, Lock_traverse},
    {Py_tp_clear, Lock_clear},
    {Py_tp_dealloc, Lock_dealloc},
    {Py_tp_methods, lock_methods},
    {Py_tp_getset, lock_getset},
    {Py_tp_members, lock_members},
    {0, NULL},
};

static PyType_Spec lock_spec = {
    .name = "pyaio._core.Lock",
    .basicsize = sizeof(PyaioLock),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = lock_slots,
};

int
pyaio_lock_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_add_type(module, &state->Lock_type, &lock_spec, NULL) < 0 ||
        pyaio_meta_adopt(state, state->Lock_type) < 0) {
        return -1;
    }
    PyTypeObject *type = state->Lock_type;
    if (pyaio_primitive_add(state, type, "acquire", state->stock_Lock_acquire,
                            lock_acquire) < 0 ||
        pyaio_primitive_add(state, type, "__aenter__",
                            state->stock_guard_enter, lock_enter) < 0) {
        return -1;
    }
    return pyaio_primitive_add(state, type, "__aexit__",
                               state->stock_guard_exit, lock_exit);
}
