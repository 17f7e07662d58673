/* Condition: notifying, and its Python face. */
#include "sync/condition.h"
#include "base/meta.h"
#include "sync/sync.h"

static const PyaioMethodTable condition_methods_called = {
    .type = offsetof(PyaioState, Condition_type),
    .count = 2,
    .names = {offsetof(PyaioState, str__notify),
              offsetof(PyaioState, str_notify)},
};

enum {
    CONDITION_WAKE = PYAIO_METHOD(0),
    CONDITION_NOTIFY = PYAIO_METHOD(1),
};

static unsigned
condition_replaced(PyaioState *state, PyaioCondition *self)
{
    return pyaio_primitive_replaced(state, (PyObject *)self,
                                    &condition_methods_called);
}

PyObject *
pyaio_condition_loop(PyaioState *state, PyaioCondition *self)
{
    return pyaio_primitive_loop(state, (PyObject *)self,
                                condition_replaced(state, self));
}

int
pyaio_condition_require_lock(PyaioState *state, PyaioCondition *self,
                             const char *what)
{
    PyObject *answer =
        PyObject_CallMethodNoArgs((PyObject *)self, state->str_locked);
    int locked = answer ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    if (locked == 0) {
        PyErr_Format(PyExc_RuntimeError, "cannot %s on un-acquired lock",
                     what);
    }
    return locked > 0 ? 0 : -1;
}

/* Calls self.<name>(n). */
static int
condition_call_with(PyaioCondition *self, PyObject *name, Py_ssize_t n)
{
    PyObject *number = PyLong_FromSsize_t(n);
    if (number == NULL) {
        return -1;
    }
    PyObject *done = PyObject_CallMethodOneArg((PyObject *)self, name, number);
    Py_DECREF(number);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

int
pyaio_condition_notify(PyaioState *state, PyaioCondition *self, Py_ssize_t n)
{
    if (state->condition_notifies_again && /* so that there is a _notify() */
        (condition_replaced(state, self) & CONDITION_WAKE)) {
        return condition_call_with(self, state->str__notify, n);
    }
    return pyaio_waiters_wake(state, &self->waiters, n, Py_False);
}

/* The condition and the number of a call with one int of the usual size, 1
 * where there is none; NULL without an exception for any other. */
static PyaioCondition *
notify_arguments(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
                 PyObject *kwnames, Py_ssize_t *n)
{
    if (nargs < 1 || nargs > 2 || kwnames != NULL ||
        !pyaio_primitive_is(args[0], state->Condition_type)) {
        return NULL;
    }
    *n = 1;
    if (nargs == 2) {
        *n = PyLong_CheckExact(args[1]) ? PyLong_AsSsize_t(args[1]) : -1;
        if (*n < 0) {
            PyErr_Clear();
            return NULL;
        }
    }
    return (PyaioCondition *)args[0];
}

static PyObject *
condition_notify(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
                 PyObject *kwnames)
{
    Py_ssize_t n;
    PyaioCondition *self = notify_arguments(state, args, nargs, kwnames, &n);
    if (self == NULL ||
        pyaio_condition_require_lock(state, self, "notify") < 0 ||
        pyaio_condition_notify(state, self, n) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* _notify(), where the running version has it. */
static PyObject *
condition_wake(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
               PyObject *kwnames)
{
    Py_ssize_t n;
    PyaioCondition *self = notify_arguments(state, args, nargs, kwnames, &n);
    if (self == NULL ||
        pyaio_waiters_wake(state, &self->waiters, n, Py_False) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
Condition_notify_all(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioState *state = pyaio_state_of(op);
    PyaioCondition *self = (PyaioCondition *)op;
    Py_ssize_t n = pyaio_waiters_count(&self->waiters);
    if (n < 0) {
        return NULL;
    }
    int err;
    if (condition_replaced(state, self) & CONDITION_NOTIFY) {
        err = condition_call_with(self, state->str_notify, n);
    }
    else {
        err = pyaio_condition_require_lock(state, self, "notify");
        if (err == 0) {
            err = pyaio_condition_notify(state, self, n);
        }
    }
    return err < 0 ? NULL : Py_NewRef(Py_None);
}

/* --- the type ------------------------------------------------------------ */

static PyObject *
Condition_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
              PyObject *Py_UNUSED(kwargs))
{
    PyObject *op = type->tp_alloc(type, 0);
    if (op != NULL) {
        pyaio_waiters_init(&((PyaioCondition *)op)->waiters, 0);
    }
    return op;
}

/* The lock's methods become the instance's. */
static int
condition_take_methods(PyaioState *state, PyObject *op, PyObject *lock)
{
    PyObject *const names[] = {state->str_locked, state->str_acquire,
                               state->str_release};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        PyObject *method = PyObject_GetAttr(lock, names[i]);
        int err = method ? PyObject_SetAttr(op, names[i], method) : -1;
        Py_XDECREF(method);
        if (err < 0) {
            return -1;
        }
    }
    return 0;
}

static int
Condition_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"lock", NULL};
    PyObject *lock;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:Condition", names,
                                     &lock)) {
        return -1;
    }
    PyaioCondition *self = (PyaioCondition *)op;
    Py_XSETREF(self->lock, Py_NewRef(lock));
    if (condition_take_methods(pyaio_state_of(op), op, lock) < 0) {
        return -1;
    }
    pyaio_waiters_init(&self->waiters, 0);
    return 0;
}

static PyObject *
Condition_repr(PyObject *op)
{
    PyObject *answer =
        PyObject_CallMethodNoArgs(op, pyaio_state_of(op)->str_locked);
    int locked = answer ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    if (locked < 0) {
        return NULL;
    }
    return pyaio_primitive_repr(
        op, PyUnicode_FromString(locked ? "locked" : "unlocked"),
        pyaio_waiters_count(&((PyaioCondition *)op)->waiters));
}

static PyObject *
Condition_get_waiters(PyObject *op, void *Py_UNUSED(closure))
{
    return pyaio_waiters_get(pyaio_state_of(op),
                             &((PyaioCondition *)op)->waiters);
}

static int
Condition_set_waiters(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    return pyaio_waiters_set(&((PyaioCondition *)op)->waiters, value);
}

static int
Condition_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioCondition *self = (PyaioCondition *)op;
    Py_VISIT(self->lock);
    int err = pyaio_waiters_traverse(&self->waiters, visit, arg);
    return err ? err : pyaio_primitive_traverse(op, visit, arg);
}

static int
Condition_clear(PyObject *op)
{
    PyaioCondition *self = (PyaioCondition *)op;
    pyaio_waiters_clear(&self->waiters);
    Py_CLEAR(self->lock);
    return pyaio_primitive_clear(op);
}

static void
Condition_dealloc(PyObject *op)
{
    pyaio_primitive_dealloc(op, Condition_clear);
}

static PyMethodDef condition_methods[] = {
    PYAIO_PRIMITIVE_METHODS,
    {"notify_all", Condition_notify_all, METH_NOARGS,
     "notify_all($self, /)\n--\n\n"
     "Wake everybody who waits, as soon as they get the lock.\n\n"
     "RuntimeError where nobody holds the lock. Mirrors\n"
     "asyncio.Condition.notify_all."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef condition_getset[] = {
    PYAIO_PRIMITIVE_GETSET,
    {"_waiters", Condition_get_waiters, Condition_set_waiters, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef condition_members[] = {
    PYAIO_PRIMITIVE_MEMBERS,
    {"_lock", T_OBJECT_EX, offsetof(PyaioCondition, lock), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(condition_doc,
             "Condition(lock)\n--\n\n"
             "What is native of the Condition that stands on it.");

static PyType_Slot condition_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)condition_doc},
    {Py_tp_new, Condition_new},
    {Py_tp_init, Condition_init},
    {Py_tp_repr, Condition_repr},
    {Py_tp_traverse, Condition_traverse},
    {Py_tp_clear, Condition_clear},
    {Py_tp_dealloc, Condition_dealloc},
    {Py_tp_methods, condition_methods},
    {Py_tp_getset, condition_getset},
    {Py_tp_members, condition_members},
    {0, NULL},
};

static PyType_Spec condition_spec = {
    .name = "pyaio._core.Condition",
    .basicsize = sizeof(PyaioCondition),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = condition_slots,
};

int
pyaio_condition_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_add_type(module, &state->Condition_type, &condition_spec, NULL) <
            0 ||
        pyaio_meta_adopt(state, state->Condition_type) < 0 ||
        pyaio_primitive_add(state, state->Condition_type, "notify",
                            state->stock_Condition_notify,
                            condition_notify) < 0) {
        return -1;
    }
    if (state->stock_Condition_wake != Py_None &&
        pyaio_primitive_add(state, state->Condition_type, "_notify",
                            state->stock_Condition_wake, condition_wake) < 0) {
        return -1;
    }
    return pyaio_condition_coroutines_init(module);
}
