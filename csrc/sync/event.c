/* Event. */
#include "base/meta.h"
#include "sync/sync.h"
#include "sync/waiting.h"

typedef struct {
    PyaioPrimitive head;
    PyaioWaiters waiters;
    int8_t value; /* -1 before initialisation */
} PyaioEvent;

static const PyaioMethodTable event_methods_called = {
    .type = offsetof(PyaioState, Event_type),
};

static int
event_require(PyaioEvent *self)
{
    if (self->value < 0) {
        pyaio_primitive_no_attribute((PyObject *)self, "_value");
        return -1;
    }
    return 0;
}

static PyObject *
Event_is_set(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioEvent *self = (PyaioEvent *)op;
    return event_require(self) < 0 ? NULL : PyBool_FromLong(self->value);
}

static PyObject *
Event_set(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioEvent *self = (PyaioEvent *)op;
    if (event_require(self) < 0) {
        return NULL;
    }
    if (!self->value) {
        self->value = 1;
        if (pyaio_waiters_wake(pyaio_state_of(op), &self->waiters,
                               PY_SSIZE_T_MAX, Py_True) < 0) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

static PyObject *
Event_clear_flag(PyObject *op, PyObject *Py_UNUSED(unused))
{
    ((PyaioEvent *)op)->value = 0;
    Py_RETURN_NONE;
}

/* --- wait() -------------------------------------------------------------- */

static PySendResult
event_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    PyaioWaiting *self = (PyaioWaiting *)op;
    PyaioEvent *event = (PyaioEvent *)self->owner;
    if (event_require(event) < 0) {
        return PYGEN_ERROR;
    }
    if (event->value) {
        *result = Py_NewRef(Py_True);
        return PYGEN_RETURN;
    }
    unsigned replaced =
        pyaio_primitive_replaced(state, self->owner, &event_methods_called);
    PyObject *loop = pyaio_primitive_loop(state, self->owner, replaced);
    return pyaio_waiting_begin(state, self, &event->waiters, loop, result);
}

static PySendResult
event_waited(PyaioState *state, PyaioWaiting *self, PySendResult went,
             PyObject **result)
{
    went = pyaio_waiting_leave(state, self, went, result);
    if (went == PYGEN_RETURN) {
        *result = Py_NewRef(Py_True);
    }
    return went;
}

static const PyaioWaitingKind event_wait_kind = {
    .base = PYAIO_WAITING_KIND(stock_Event_wait, event_start),
    .waited = event_waited,
};

static PyObject *
event_wait(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
           PyObject *kwnames)
{
    if (nargs != 1 || kwnames != NULL ||
        !pyaio_primitive_is(args[0], state->Event_type)) {
        return NULL;
    }
    return pyaio_waiting_new(state, &event_wait_kind, args[0]);
}

/* --- the type ------------------------------------------------------------ */

static PyObject *
Event_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
          PyObject *Py_UNUSED(kwargs))
{
    PyaioEvent *self = (PyaioEvent *)type->tp_alloc(type, 0);
    if (self != NULL) {
        pyaio_waiters_init(&self->waiters, 0);
        self->value = -1;
    }
    return (PyObject *)self;
}

static int
Event_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    PyaioEvent *self = (PyaioEvent *)op;
    if (PyTuple_GET_SIZE(args) > 0 || (kwargs && PyDict_GET_SIZE(kwargs))) {
        return pyaio_primitive_stock_init(pyaio_state_of(op)->stock_Event, op,
                                          args, kwargs);
    }
    pyaio_waiters_init(&self->waiters, 0);
    self->value = 0;
    return 0;
}

static PyObject *
Event_repr(PyObject *op)
{
    PyaioEvent *self = (PyaioEvent *)op;
    if (event_require(self) < 0) {
        return NULL;
    }
    return pyaio_primitive_repr(
        op, PyUnicode_FromString(self->value ? "set" : "unset"),
        pyaio_waiters_count(&self->waiters));
}

static PyObject *
Event_get_value(PyObject *op, void *Py_UNUSED(closure))
{
    return Event_is_set(op, NULL);
}

static int
Event_set_value(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    int truth = value ? PyObject_IsTrue(value) : 0;
    if (truth >= 0) {
        ((PyaioEvent *)op)->value = value ? (int8_t)truth : -1;
    }
    return truth < 0 ? -1 : 0;
}

static PyObject *
Event_get_waiters(PyObject *op, void *Py_UNUSED(closure))
{
    return pyaio_waiters_get(pyaio_state_of(op), &((PyaioEvent *)op)->waiters);
}

static int
Event_set_waiters(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    return pyaio_waiters_set(&((PyaioEvent *)op)->waiters, value);
}

static int
Event_traverse(PyObject *op, visitproc visit, void *arg)
{
    int err = pyaio_waiters_traverse(&((PyaioEvent *)op)->waiters, visit, arg);
    return err ? err : pyaio_primitive_traverse(op, visit, arg);
}

static int
Event_clear(PyObject *op)
{
    pyaio_waiters_clear(&((PyaioEvent *)op)->waiters);
    return pyaio_primitive_clear(op);
}

static void
Event_dealloc(PyObject *op)
{
    pyaio_primitive_dealloc(op, Event_clear);
}

static PyMethodDef event_methods[] = {
    PYAIO_PRIMITIVE_METHODS,
    {"is_set", Event_is_set, METH_NOARGS,
     "is_set($self, /)\n--\n\nWhether the flag is set."},
    {"set", Event_set, METH_NOARGS,
     "set($self, /)\n--\n\n"
     "Set the flag and wake everybody who waits for it.\n\n"
     "Mirrors asyncio.Event.set."},
    {"clear", Event_clear_flag, METH_NOARGS,
     "clear($self, /)\n--\n\n"
     "Take the flag back: wait() waits again.\n\n"
     "Mirrors asyncio.Event.clear."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef event_getset[] = {
    PYAIO_PRIMITIVE_GETSET,
    {"_value", Event_get_value, Event_set_value, NULL, NULL},
    {"_waiters", Event_get_waiters, Event_set_waiters, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef event_members[] = {
    PYAIO_PRIMITIVE_MEMBERS,
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(event_doc, "Event()\n--\n\n"
                        "What is native of the Event that stands on it.");

static PyType_Slot event_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)event_doc},
    {Py_tp_new, Event_new},
    {Py_tp_init, Event_init},
    {Py_tp_repr, Event_repr},
    {Py_tp_traverse, Event_traverse},
    {Py_tp_clear, Event_clear},
    {Py_tp_dealloc, Event_dealloc},
    {Py_tp_methods, event_methods},
    {Py_tp_getset, event_getset},
    {Py_tp_members, event_members},
    {0, NULL},
};

static PyType_Spec event_spec = {
    .name = "pyaio._core.Event",
    .basicsize = sizeof(PyaioEvent),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = event_slots,
};

int
pyaio_event_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_add_type(module, &state->Event_type, &event_spec, NULL) < 0 ||
        pyaio_meta_adopt(state, state->Event_type) < 0) {
        return -1;
    }
    return pyaio_primitive_add(state, state->Event_type, "wait",
                               state->stock_Event_wait, event_wait);
}
