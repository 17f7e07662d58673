/* Barrier: waiting at it. The rest is the stock class's own code. */
#include "base/meta.h"
#include "sync/sync.h"
#include "sync/waiting.h"

typedef struct {
    PyaioPrimitive head;
    PyObject *condition; /* owned: tells of changes of `state` */
    PyObject *parties;   /* owned: how many open it */
    PyObject *state;     /* owned: a member of stock's enumeration */
    Py_ssize_t count;    /* tasks inside */
} PyaioBarrier;

/* Where wait() is: what stock spreads over several methods. */
enum {
    BARRIER_ENTERING = 0, /* taking the condition's lock */
    BARRIER_BLOCKED,      /* until those before have left */
    BARRIER_FILLING,      /* until the others have come; counted */
};

typedef struct {
    PyaioWaiting base;
    Py_ssize_t index; /* its place among those who come, once counted */
    uint8_t phase;    /* BARRIER_* */
} BarrierCoroutine;

static const PyaioMethodTable barrier_methods_called = {
    .type = offsetof(PyaioState, Barrier_type),
    .count = 5,
    .names = {offsetof(PyaioState, str_wait), offsetof(PyaioState, str__block),
              offsetof(PyaioState, str__release),
              offsetof(PyaioState, str__wait),
              offsetof(PyaioState, str__exit)},
};

#define BARRIER_WAIT PYAIO_METHOD(0)
#define BARRIER_PARTS \
    (PYAIO_METHOD(1) | PYAIO_METHOD(2) | PYAIO_METHOD(3) | PYAIO_METHOD(4))

static PyaioBarrier *
barrier_of(BarrierCoroutine *self)
{
    return (PyaioBarrier *)self->base.owner;
}

/* --- wait() -------------------------------------------------------------- */

/* self._cond.<name>(). */
static PyObject *
barrier_ask_condition(PyaioBarrier *self, PyObject *name)
{
    if (self->condition == NULL) {
        pyaio_primitive_no_attribute((PyObject *)self, "_cond");
        return NULL;
    }
    PyObject *condition = Py_NewRef(self->condition);
    PyObject *answer = PyObject_CallMethodNoArgs(condition, name);
    Py_DECREF(condition);
    return answer;
}

static PySendResult
barrier_await_condition(PyaioState *state, BarrierCoroutine *self,
                        PyObject *name, PyObject **result)
{
    return pyaio_await_call(state, &self->base.head.await,
                            barrier_ask_condition(barrier_of(self), name),
                            result);
}

/* Calls a method of the condition, with what is raised put aside. */
static int
barrier_tell_condition(PyaioBarrier *self, PyObject *name)
{
    PyObject *raised = PyErr_GetRaisedException();
    PyObject *done = barrier_ask_condition(self, name);
    pyaio_raise_again(raised);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static void
barrier_set_state(PyaioBarrier *self, PyObject *value)
{
    Py_XSETREF(self->state, Py_NewRef(value));
}

/* Counted out: the last one opens it for those who come next. */
static int
barrier_count_out(PyaioState *state, PyaioBarrier *self)
{
    if (--self->count != 0) {
        return 0;
    }
    if (self->state == state->barrier_resetting ||
        self->state == state->barrier_draining) {
        barrier_set_state(self, state->barrier_filling);
    }
    return barrier_tell_condition(self, state->str_notify_all);
}

/* The end of wait(), inside the condition's lock, as `went` says. */
static PySendResult
barrier_leave(PyaioState *state, BarrierCoroutine *self, PySendResult went,
              PyObject **result)
{
    PyaioBarrier *barrier = barrier_of(self);
    if (self->phase == BARRIER_FILLING &&
        barrier_count_out(state, barrier) < 0) {
        went = PYGEN_ERROR;
    }
    if (barrier_tell_condition(barrier, state->str_release) < 0) {
        went = PYGEN_ERROR;
    }
    if (went == PYGEN_RETURN) {
        *result = PyLong_FromSsize_t(self->index);
        return *result ? PYGEN_RETURN : PYGEN_ERROR;
    }
    return PYGEN_ERROR;
}

static PySendResult
barrier_break(PyaioState *state, BarrierCoroutine *self, const char *message,
              PyObject **result)
{
    PyErr_SetString(state->BrokenBarrierError, message);
    return barrier_leave(state, self, PYGEN_ERROR, result);
}

/* Counted: waits until the barrier is full. */
static PySendResult
barrier_fill(PyaioState *state, BarrierCoroutine *self, PyObject **result)
{
    PyaioBarrier *barrier = barrier_of(self);
    while (barrier->state == state->barrier_filling) {
        PySendResult went =
            barrier_await_condition(state, self, state->str_wait, result);
        if (went == PYGEN_NEXT) {
            return went;
        }
        Py_CLEAR(*result);
        if (went == PYGEN_ERROR) {
            return barrier_leave(state, self, went, result);
        }
    }
    if (barrier->state == state->barrier_broken ||
        barrier->state == state->barrier_resetting) {
        return barrier_break(state, self, "Abort or reset of barrier", result);
    }
    return barrier_leave(state, self, PYGEN_RETURN, result);
}

/* Whether with this one so many have come as it takes. */
static int
barrier_is_full(PyaioBarrier *self)
{
    PyObject *count = PyLong_FromSsize_t(self->count);
    if (count == NULL || self->parties == NULL) {
        Py_XDECREF(count);
        pyaio_primitive_no_attribute((PyObject *)self, "_parties");
        return -1;
    }
    PyObject *parties = Py_NewRef(self->parties);
    int full = PyObject_RichCompareBool(count, parties, Py_EQ);
    Py_DECREF(count);
    Py_DECREF(parties);
    return full;
}

static PySendResult
barrier_join(PyaioState *state, BarrierCoroutine *self, PyObject **result)
{
    PyaioBarrier *barrier = barrier_of(self);
    self->index = barrier->count++;
    self->phase = BARRIER_FILLING;
    int full = barrier_is_full(barrier);
    if (full > 0) {
        barrier_set_state(barrier, state->barrier_draining);
        if (barrier_tell_condition(barrier, state->str_notify_all) < 0) {
            full = -1;
        }
    }
    if (full != 0) {
        PySendResult went = full < 0 ? PYGEN_ERROR : PYGEN_RETURN;
        return barrier_leave(state, self, went, result);
    }
    return barrier_fill(state, self, result);
}

/* It has the lock: waits while others leave. */
static PySendResult
barrier_block(PyaioState *state, BarrierCoroutine *self, PyObject **result)
{
    PyaioBarrier *barrier = barrier_of(self);
    self->phase = BARRIER_BLOCKED;
    while (barrier->state == state->barrier_draining ||
           barrier->state == state->barrier_resetting) {
        PySendResult went =
            barrier_await_condition(state, self, state->str_wait, result);
        if (went == PYGEN_NEXT) {
            return went;
        }
        Py_CLEAR(*result);
        if (went == PYGEN_ERROR) {
            return barrier_leave(state, self, went, result);
        }
    }
    if (barrier->state == state->barrier_broken) {
        return barrier_break(state, self, "Barrier aborted", result);
    }
    return barrier_join(state, self, result);
}

static PySendResult
barrier_waited(PyaioState *state, PyaioWaiting *op, PySendResult went,
               PyObject **result)
{
    BarrierCoroutine *self = (BarrierCoroutine *)op;
    Py_CLEAR(*result);
    if (went == PYGEN_ERROR) {
        return self->phase == BARRIER_ENTERING
                   ? went
                   : barrier_leave(state, self, went, result);
    }
    return self->phase == BARRIER_FILLING ? barrier_fill(state, self, result)
                                          : barrier_block(state, self, result);
}

static PySendResult
barrier_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    BarrierCoroutine *self = (BarrierCoroutine *)op;
    PySendResult went =
        barrier_await_condition(state, self, state->str_acquire, result);
    return went == PYGEN_NEXT
               ? went
               : barrier_waited(state, &self->base, went, result);
}

static PySendResult
barrier_exit_start(PyaioState *Py_UNUSED(state), PyaioCoroutine *Py_UNUSED(op),
                   PyObject **result)
{
    *result = Py_NewRef(Py_None);
    return PYGEN_RETURN;
}

#define BARRIER_KIND(stock, start_function)   \
    {.function = offsetof(PyaioState, stock), \
     .start = start_function,                 \
     .send = pyaio_waiting_send,              \
     .throw = pyaio_waiting_throw,            \
     .mirror = pyaio_waiting_mirror,          \
     .traverse = pyaio_waiting_traverse,      \
     .clear = pyaio_waiting_clear}

static const PyaioWaitingKind barrier_wait_kind = {
    .base = BARRIER_KIND(stock_Barrier_wait, barrier_start),
    .waited = barrier_waited,
};

static const PyaioWaitingKind barrier_enter_kind = {
    .base = BARRIER_KIND(stock_Barrier_enter, barrier_start),
    .waited = barrier_waited,
};

static const PyaioWaitingKind barrier_exit_kind = {
    .base = BARRIER_KIND(stock_Barrier_exit, barrier_exit_start),
    .nones = 3,
};

/* A coroutine of `kind`, or NULL without an exception where it is for stock:
 * the first of so many arguments must be a barrier none of whose methods in
 * `mask` was replaced, with a condition of ours. */
static PyObject *
barrier_coroutine(PyaioState *state, const PyaioWaitingKind *kind,
                  unsigned mask, PyObject *const *args, Py_ssize_t nargs,
                  PyObject *kwnames)
{
    if (nargs != 1 + kind->nones || kwnames != NULL ||
        !pyaio_primitive_is(args[0], state->Barrier_type) ||
        (pyaio_primitive_replaced(state, args[0], &barrier_methods_called) &
         mask)) {
        return NULL;
    }
    PyObject *condition = ((PyaioBarrier *)args[0])->condition;
    if (condition == NULL ||
        !PyObject_TypeCheck(condition, state->Condition_type)) {
        return NULL;
    }
    PyTypeObject *type = state->BarrierCoroutine_type;
    BarrierCoroutine *self = (BarrierCoroutine *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->base.owner = Py_NewRef(args[0]);
    return pyaio_waiting_setup(&self->base, kind);
}

static PyObject *
barrier_wait(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
             PyObject *kwnames)
{
    return barrier_coroutine(state, &barrier_wait_kind, BARRIER_PARTS, args,
                             nargs, kwnames);
}

static PyObject *
barrier_enter(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
              PyObject *kwnames)
{
    return barrier_coroutine(state, &barrier_enter_kind,
                             BARRIER_PARTS | BARRIER_WAIT, args, nargs,
                             kwnames);
}

static PyObject *
barrier_exit(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
             PyObject *kwnames)
{
    return barrier_coroutine(state, &barrier_exit_kind, 0, args, nargs,
                             kwnames);
}

/* --- the type ------------------------------------------------------------ */

static int
Barrier_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioBarrier *self = (PyaioBarrier *)op;
    Py_VISIT(self->condition);
    Py_VISIT(self->parties);
    Py_VISIT(self->state);
    return pyaio_primitive_traverse(op, visit, arg);
}

static int
Barrier_clear(PyObject *op)
{
    PyaioBarrier *self = (PyaioBarrier *)op;
    Py_CLEAR(self->condition);
    Py_CLEAR(self->parties);
    Py_CLEAR(self->state);
    return pyaio_primitive_clear(op);
}

static void
Barrier_dealloc(PyObject *op)
{
    pyaio_primitive_dealloc(op, Barrier_clear);
}

static PyMethodDef barrier_methods[] = {
    PYAIO_PRIMITIVE_METHODS,
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef barrier_getset[] = {
    PYAIO_PRIMITIVE_GETSET,
    {NULL, NULL, NULL, NULL, NULL},
};

#define MEMBER(name, type, field) \
    {name, type, offsetof(PyaioBarrier, field), 0, NULL}

static PyMemberDef barrier_members[] = {
    PYAIO_PRIMITIVE_MEMBERS,
    MEMBER("_cond", T_OBJECT_EX, condition),
    MEMBER("_parties", T_OBJECT_EX, parties),
    MEMBER("_state", T_OBJECT_EX, state),
    MEMBER("_count", T_PYSSIZET, count),
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(barrier_doc, "Barrier()\n--\n\n"
                          "What is native of the Barrier that stands on it.");

static PyType_Slot barrier_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)barrier_doc},
    {Py_tp_traverse, Barrier_traverse},
    {Py_tp_clear, Barrier_clear},
    {Py_tp_dealloc, Barrier_dealloc},
    {Py_tp_methods, barrier_methods},
    {Py_tp_getset, barrier_getset},
    {Py_tp_members, barrier_members},
    {0, NULL},
};

static PyType_Spec barrier_spec = {
    .name = "pyaio._core.Barrier",
    .basicsize = sizeof(PyaioBarrier),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = barrier_slots,
};

int
pyaio_barrier_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_add_type(module, &state->Barrier_type, &barrier_spec, NULL) <
            0 ||
        pyaio_meta_adopt(state, state->Barrier_type) < 0 ||
        pyaio_coroutine_add_type(module, &state->BarrierCoroutine_type,
                                 "pyaio._core.BarrierCoroutine",
                                 sizeof(BarrierCoroutine)) < 0) {
        return -1;
    }
    PyTypeObject *type = state->Barrier_type;
    if (pyaio_primitive_add(state, type, "wait", state->stock_Barrier_wait,
                            barrier_wait) < 0 ||
        pyaio_primitive_add(state, type, "__aenter__",
                            state->stock_Barrier_enter, barrier_enter) < 0) {
        return -1;
    }
    return pyaio_primitive_add(state, type, "__aexit__",
                               state->stock_Barrier_exit, barrier_exit);
}
