/* Shielding and Shield: ends of the inner future and of the outer ones. */
#include "combine/shield.h"
#include "ds/list.h"
#include "sched/report.h"
#include "task/future_methods.h"

typedef struct {
    PyObject_HEAD
    PyaioLink shields; /* each of them owned */
} Shielding;

typedef struct {
    PyObject_HEAD
    PyaioLink link;  /* in a Shielding until either future is done */
    PyObject *inner; /* owned */
    PyObject *outer; /* owned */
    PyObject *task;  /* owned: recorded as awaiting `inner`, or NULL */
} Shield;

/* --- the inner future has ended ------------------------------------------ */

/* Gives the outer future what the inner one has. */
static int
shield_pass_on(PyaioState *state, PyaioFuture *inner, PyObject *op)
{
    PyaioFuture *outer = pyaio_own_future(state, op);
    PyaioFutureBase *base = pyaio_future_base(inner);
    int cancelled = base->state == PYAIO_FUTURE_CANCELLED;
    if (pyaio_future_state(outer) == PYAIO_FUTURE_CANCELLED) {
        if (!cancelled && state->log_on_exception == Py_None) {
            inner->log_tb = 0; /* later versions report it */
        }
        return 0;
    }
    if (cancelled) {
        return pyaio_any_future_cancel(state, op, NULL) < 0 ? -1 : 0;
    }
    inner->log_tb = 0;
    if (pyaio_future_done(outer)) {
        PyErr_SetString(state->InvalidStateError, "invalid state");
        return -1;
    }
    return base->exception
               ? pyaio_future_set_exception(state, outer, base->exception)
               : pyaio_future_set_result(state, outer, base->result);
}

static int
shield_inner_ended(PyaioState *state, Shield *self)
{
    if (self->task != NULL &&
        pyaio_any_awaited_by_discard(state, self->inner, self->task) < 0) {
        return -1;
    }
    return shield_pass_on(state, pyaio_own_future(state, self->inner),
                          self->outer);
}

static int shielding_run(PyaioState *state, PyObject *a, PyObject *b);

static const PyaioReadyKind shielding_kind = {
    .name = "shield.<locals>._inner_done_callback",
    .run = shielding_run,
    .waiter = offsetof(Shield, outer) - offsetof(Shield, link),
    .waiters = offsetof(Shielding, shields),
};

/* What one shield raised is reported, as of a callback of its own; an
 * exception that breaks out of the loop waits for the others' turn. */
static int
shielding_run(PyaioState *state, PyObject *a, PyObject *b)
{
    Shielding *self = (Shielding *)a;
    PyObject *exit = NULL;
    while (self->shields.next != &self->shields) {
        Shield *shield = PYAIO_CONTAINER_OF(self->shields.next, Shield, link);
        pyaio_list_remove(&shield->link);
        PyObject *loop = pyaio_any_future_loop(state, shield->inner);
        if (loop == NULL ||
            (shield_inner_ended(state, shield) < 0 &&
             pyaio_report_entry(state, loop, &shielding_kind, a, b) < 0)) {
            Py_XSETREF(exit, PyErr_GetRaisedException());
        }
        Py_XDECREF(loop);
        Py_DECREF(shield);
    }
    if (exit != NULL) {
        PyErr_SetRaisedException(exit);
        return -1;
    }
    return 0;
}

/* --- the outer future has ended ------------------------------------------ */

/* From 3.14 on somebody must hear of an exception that nobody waits for: at
 * most one callback does that, the last one. */
static int
shield_log_from_now(PyaioState *state, PyObject *inner)
{
    PyObject *function = state->log_on_exception;
    if (function == Py_None) {
        return 0;
    }
    PyObject *removed = pyaio_future_py_remove_done_callback(inner, function);
    if (removed == NULL) {
        return -1;
    }
    Py_DECREF(removed);
    return pyaio_future_add_callback(state, pyaio_own_future(state, inner),
                                     function, NULL);
}

/* Takes the shield out of its list, and an empty list out of the inner
 * future's callbacks. */
static int
shield_leave(PyaioState *state, Shield *self)
{
    PyaioLink *head = self->link.next;
    if (head == NULL) {
        return 0;
    }
    int last = head == self->link.prev;
    pyaio_list_remove(&self->link);
    int err = 0;
    if (last) {
        Shielding *list = PYAIO_CONTAINER_OF(head, Shielding, shields);
        Py_INCREF(list);
        err = pyaio_future_remove_waiter(state,
                                         pyaio_own_future(state, self->inner),
                                         &shielding_kind, (PyObject *)list);
        Py_DECREF(list);
    }
    Py_DECREF(self); /* whoever calls this holds another reference */
    return err;
}

static int
shield_outer_ended(PyaioState *state, PyObject *a, PyObject *Py_UNUSED(b))
{
    Shield *self = (Shield *)a;
    PyaioFuture *inner =
        self->inner ? pyaio_own_future(state, self->inner) : NULL;
    if (inner == NULL || pyaio_future_done(inner)) {
        return 0;
    }
    if (shield_leave(state, self) < 0 ||
        shield_log_from_now(state, self->inner) < 0) {
        return -1;
    }
    return self->task
               ? pyaio_any_awaited_by_discard(state, self->inner, self->task)
               : 0;
}

static const PyaioReadyKind shield_outer_kind = {
    .name = "shield.<locals>._outer_done_callback",
    .run = shield_outer_ended,
};

/* --- connecting them ----------------------------------------------------- */

/* The Shielding that is the future's last callback: borrowed, or NULL. */
static Shielding *
last_shielding(PyaioState *state, PyaioFuture *inner)
{
    PyaioFutureBase *base = pyaio_future_base(inner);
    if (base->callbacks == NULL) {
        return base->callback0 != NULL &&
                       inner->callback0_kind == &shielding_kind
                   ? (Shielding *)base->callback0
                   : NULL;
    }
    Py_ssize_t length = PyList_GET_SIZE(base->callbacks);
    PyObject *item =
        length ? PyList_GET_ITEM(base->callbacks, length - 1) : NULL;
    PyObject *call = item ? PyTuple_GET_ITEM(item, 0) : NULL;
    if (call == NULL || !Py_IS_TYPE(call, state->ReadyCall_type) ||
        ((PyaioReadyCall *)call)->kind != &shielding_kind) {
        return NULL;
    }
    return (Shielding *)((PyaioReadyCall *)call)->a;
}

/* The same, or a new one: a new reference. */
static Shielding *
require_shielding(PyaioState *state, PyaioFuture *inner)
{
    Shielding *self = last_shielding(state, inner);
    if (self != NULL) {
        return (Shielding *)Py_NewRef(self);
    }
    PyTypeObject *type = state->Shielding_type;
    self = (Shielding *)type->tp_alloc(type, 0);
    if (self != NULL) {
        pyaio_list_init(&self->shields);
        if (pyaio_future_add_waiter(state, inner, &shielding_kind,
                                    (PyObject *)self) < 0) {
            Py_CLEAR(self);
        }
    }
    return self;
}

int
pyaio_shield_connect(PyaioState *state, PyObject *inner, PyObject *outer,
                     PyObject *task)
{
    PyTypeObject *type = state->Shield_type;
    Shield *self = (Shield *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return -1;
    }
    self->inner = Py_NewRef(inner);
    self->outer = Py_NewRef(outer);
    self->task = Py_XNewRef(task);
    int err = task ? pyaio_any_awaited_by_add(state, inner, task) : 0;
    Shielding *list = NULL;
    if (err == 0) {
        list = require_shielding(state, pyaio_own_future(state, inner));
        err = list ? 0 : -1;
    }
    if (err == 0) {
        pyaio_list_append(&list->shields, &self->link);
        Py_INCREF(self);
        err = pyaio_future_add_waiter(state, pyaio_own_future(state, outer),
                                      &shield_outer_kind, (PyObject *)self);
    }
    Py_XDECREF(list);
    Py_DECREF(self);
    return err;
}

/* --- the types ----------------------------------------------------------- */

static int
Shielding_traverse(PyObject *op, visitproc visit, void *arg)
{
    Shielding *self = (Shielding *)op;
    Py_VISIT(Py_TYPE(op));
    if (self->shields.next == NULL) {
        return 0; /* being made */
    }
    for (PyaioLink *link = self->shields.next; link != &self->shields;
         link = link->next) {
        Py_VISIT((PyObject *)PYAIO_CONTAINER_OF(link, Shield, link));
    }
    return 0;
}

static int
Shielding_clear(PyObject *op)
{
    Shielding *self = (Shielding *)op;
    while (self->shields.next != NULL &&
           self->shields.next != &self->shields) {
        Shield *shield = PYAIO_CONTAINER_OF(self->shields.next, Shield, link);
        pyaio_list_remove(&shield->link);
        Py_DECREF(shield);
    }
    return 0;
}

static void
Shielding_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    (void)Shielding_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static int
Shield_traverse(PyObject *op, visitproc visit, void *arg)
{
    Shield *self = (Shield *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->inner);
    Py_VISIT(self->outer);
    Py_VISIT(self->task);
    return 0;
}

static void
Shield_dealloc(PyObject *op)
{
    Shield *self = (Shield *)op;
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    Py_CLEAR(self->inner);
    Py_CLEAR(self->outer);
    Py_CLEAR(self->task);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyType_Slot shielding_slots[] = {
    {Py_tp_traverse, Shielding_traverse},
    {Py_tp_clear, Shielding_clear},
    {Py_tp_dealloc, Shielding_dealloc},
    {0, NULL},
};

/* Without tp_clear: the Shielding's, and those of the futures, break every
 * cycle. */
static PyType_Slot shield_slots[] = {
    {Py_tp_traverse, Shield_traverse},
    {Py_tp_dealloc, Shield_dealloc},
    {0, NULL},
};

static PyType_Spec shielding_spec = {
    .name = "pyaio._core.Shielding",
    .basicsize = sizeof(Shielding),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = shielding_slots,
};

static PyType_Spec shield_spec = {
    .name = "pyaio._core.Shield",
    .basicsize = sizeof(Shield),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = shield_slots,
};

int
pyaio_shielding_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_add_type(module, &state->Shielding_type, &shielding_spec, NULL) <
        0) {
        return -1;
    }
    return pyaio_add_type(module, &state->Shield_type, &shield_spec, NULL);
}
