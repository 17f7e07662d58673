/* TimeoutBase: a timeout's state, its timer, and what it tells. */
#include "combine/timeout.h"
#include "base/interop.h"
#include "base/meta.h"
#include "combine/combine.h"
#include "sched/handle.h"
#include "task/task.h"

#include <math.h>

/* --- the timer ----------------------------------------------------------- */

static int
timeout_fire(PyaioState *state, PyObject *a, PyObject *Py_UNUSED(b))
{
    PyaioTimeout *self = (PyaioTimeout *)a;
    if (!pyaio_deadline_fire(&self->deadline) || self->task == NULL) {
        return 0;
    }
    PyObject *task = Py_NewRef(self->task);
    int cancelled = pyaio_any_future_cancel(state, task, NULL);
    Py_DECREF(task);
    if (cancelled < 0) {
        return -1;
    }
    self->status = PYAIO_TIMEOUT_EXPIRING;
    return 0;
}

static PyObject *
timeout_context(PyaioState *state, PyObject *a)
{
    return pyaio_deadline_context(state, &((PyaioTimeout *)a)->deadline);
}

static const PyaioReadyKind timeout_kind = {
    .name = "Timeout._on_timeout",
    .run = timeout_fire,
    .context = timeout_context,
};

int
pyaio_timeout_read_number(PyObject *op, double *value)
{
    if (PyFloat_CheckExact(op)) {
        *value = PyFloat_AS_DOUBLE(op);
        return !isnan(*value);
    }
    if (!PyLong_CheckExact(op)) {
        return 0;
    }
    *value = PyLong_AsDouble(op);
    if (*value == -1.0 && PyErr_Occurred()) {
        PyErr_Clear();
        return 0;
    }
    return 1;
}

int
pyaio_timeout_schedule(PyaioState *state, PyaioTimeout *self, PyObject *loop)
{
    double when;
    if (self->when == Py_None) {
        return 1;
    }
    PyaioScheduler *sched = pyaio_deadline_scheduler(state, loop);
    if (sched == NULL || self->when == NULL ||
        !pyaio_timeout_read_number(self->when, &when)) {
        return 0;
    }
    int err = pyaio_deadline_arm(state, &self->deadline, &timeout_kind,
                                 (PyObject *)self, sched, when);
    return err < 0 ? -1 : 1;
}

int
pyaio_timeout_unschedule(PyaioState *state, PyaioTimeout *self)
{
    if (self->deadline.armed) {
        pyaio_deadline_disarm(state, &self->deadline);
        return 0;
    }
    PyObject *handler = self->handler;
    if (handler == NULL) {
        return 0;
    }
    Py_INCREF(handler);
    PyObject *done = PyObject_CallMethodNoArgs(handler, state->str_cancel);
    Py_DECREF(handler);
    Py_XDECREF(done);
    if (done == NULL) {
        return -1;
    }
    Py_CLEAR(self->handler);
    return 0;
}

/* --- methods that are replaced ------------------------------------------- */

/* Whether `type` finds `expected` under `name`. */
static int
type_has(PyObject *type, PyObject *name, PyObject *expected)
{
    PyObject *found = PyObject_GetAttr(type, name);
    PyErr_Clear();
    Py_XDECREF(found); /* compared only */
    return found != NULL && found == expected;
}

int
pyaio_timeout_check_methods(PyaioState *state)
{
    PyTypeObject *type = (PyTypeObject *)state->Timeout;
    PyTypeObject *base = state->TimeoutBase_type;
    PyObject *dict = base->tp_dict;
    PyObject *reschedule =
        PyDict_GetItemWithError(dict, state->str_reschedule);
    int same = reschedule != NULL && type->tp_init == base->tp_init &&
               type->tp_new == base->tp_new &&
               type->tp_setattro == base->tp_setattro &&
               type->tp_getattro == base->tp_getattro &&
               type_has(state->Timeout, state->str_reschedule, reschedule) &&
               type_has(state->Timeout, state->str__on_timeout,
                        state->stock_Timeout_fire);
    state->timeout_tag = same ? type->tp_version_tag : 0;
    return same;
}

int
pyaio_timeout_class_is_ours(PyaioState *state)
{
    PyObject *found =
        PyDict_GetItemWithError(state->timeouts_names, state->str_Timeout);
    PyErr_Clear();
    return found == state->Timeout || found == state->stock_Timeout;
}

/* Notices a method that is put on the instance. */
static int
Timeout_setattro(PyObject *op, PyObject *name, PyObject *value)
{
    PyaioState *state = pyaio_state_of(op);
    if (PyUnicode_Check(name) &&
        (PyUnicode_Compare(name, state->str_reschedule) == 0 ||
         PyUnicode_Compare(name, state->str__on_timeout) == 0)) {
        ((PyaioTimeout *)op)->patched = 1;
    }
    return PyObject_GenericSetAttr(op, name, value);
}

/* --- methods ------------------------------------------------------------- */

static int
Timeout_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"when", NULL};
    PyObject *when;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:Timeout", names,
                                     &when)) {
        return -1;
    }
    PyaioTimeout *self = (PyaioTimeout *)op;
    /* What an earlier use has scheduled stays scheduled, as in stock. */
    PyObject *left = PyObject_GetAttrString(op, "_timeout_handler");
    if (left == NULL) {
        return -1;
    }
    self->status = PYAIO_TIMEOUT_CREATED;
    Py_CLEAR(self->handler);
    Py_CLEAR(self->task);
    Py_XSETREF(self->when, Py_NewRef(when));
    Py_DECREF(left);
    return 0;
}

PyObject *
pyaio_timeout_new(PyaioState *state, PyObject *when)
{
    PyObject *op =
        pyaio_pool_take(&state->timeout_pool, (PyTypeObject *)state->Timeout,
                        sizeof(PyaioTimeout));
    if (op != NULL) {
        PyaioTimeout *self = (PyaioTimeout *)op;
        self->status = PYAIO_TIMEOUT_CREATED;
        self->when = Py_NewRef(when);
    }
    return op;
}

/* As where stock's __init__() has not run. */
static PyObject *
timeout_missing(PyObject *op, const char *name)
{
    PyErr_Format(PyExc_AttributeError, "'%s' object has no attribute '%s'",
                 Py_TYPE(op)->tp_name, name);
    return NULL;
}

static PyObject *
Timeout_when(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyObject *when = ((PyaioTimeout *)op)->when;
    return when ? Py_NewRef(when) : timeout_missing(op, "_when");
}

static PyObject *
Timeout_expired(PyObject *op, PyObject *Py_UNUSED(unused))
{
    uint8_t status = ((PyaioTimeout *)op)->status;
    if (status == PYAIO_TIMEOUT_UNSET) {
        return timeout_missing(op, "_state");
    }
    return PyBool_FromLong(status == PYAIO_TIMEOUT_EXPIRING ||
                           status == PYAIO_TIMEOUT_EXPIRED);
}

/* Natively where it is active; everything else by stock's method. Returns 1, 0
 * or -1 as pyaio_timeout_schedule(). */
static int
timeout_reschedule(PyaioState *state, PyaioTimeout *self, PyObject *when)
{
    double seconds;
    if (!pyaio_timeout_is_plain(state, (PyObject *)self) ||
        self->status != PYAIO_TIMEOUT_ENTERED ||
        !(when == Py_None || pyaio_timeout_read_number(when, &seconds))) {
        return 0;
    }
    PyObject *loop = pyaio_running_loop(state);
    if (loop == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    int went = 0;
    if (pyaio_deadline_scheduler(state, loop) != NULL) {
        Py_XSETREF(self->when, Py_NewRef(when));
        went = pyaio_timeout_unschedule(state, self) < 0
                   ? -1
                   : pyaio_timeout_schedule(state, self, loop);
    }
    Py_DECREF(loop);
    return went;
}

static PyObject *
Timeout_reschedule(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                   PyObject *kwnames)
{
    PyaioState *state = pyaio_state_of(op);
    if (nargs == 1 && kwnames == NULL) {
        int went = timeout_reschedule(state, (PyaioTimeout *)op, args[0]);
        if (went != 0) {
            return went < 0 ? NULL : Py_NewRef(Py_None);
        }
    }
    PyObject *method = PyMethod_New(state->stock_Timeout_move, op);
    PyObject *result =
        method ? PyObject_Vectorcall(method, args, (size_t)nargs, kwnames)
               : NULL;
    Py_XDECREF(method);
    return result;
}

/* --- attributes ---------------------------------------------------------- */

static PyObject *
Timeout_get_state(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioState *state = pyaio_state_of(op);
    uint8_t status = ((PyaioTimeout *)op)->status;
    if (status == PYAIO_TIMEOUT_UNSET) {
        return timeout_missing(op, "_state");
    }
    return PySequence_GetItem(state->timeout_states, status - 1);
}

static int
Timeout_set_state(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    PyaioState *state = pyaio_state_of(op);
    Py_ssize_t index =
        value ? PySequence_Index(state->timeout_states, value) : -1;
    if (index < 0) {
        if (value == NULL || PyErr_ExceptionMatches(PyExc_ValueError)) {
            PyErr_SetString(PyExc_TypeError,
                            "_state must be an asyncio.timeouts._State");
        }
        return -1;
    }
    ((PyaioTimeout *)op)->status = (uint8_t)(index + 1);
    return 0;
}

/* Whoever asks gets a Handle, which from then on stands in the queues. */
static PyObject *
Timeout_get_handler(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioState *state = pyaio_state_of(op);
    PyaioTimeout *self = (PyaioTimeout *)op;
    if (self->deadline.armed) {
        PyObject *callback = PyObject_GetAttr(op, state->str__on_timeout);
        PyObject *handle = NULL;
        if (callback != NULL) {
            handle = pyaio_deadline_as_handle(state, &self->deadline, callback,
                                              self->when);
            Py_DECREF(callback);
        }
        if (handle == NULL) {
            return NULL;
        }
        Py_XSETREF(self->handler, handle);
    }
    return Py_NewRef(self->handler ? self->handler : Py_None);
}

static int
Timeout_set_handler(PyObject *op, PyObject *value, void *closure)
{
    PyObject *before = Timeout_get_handler(op, closure);
    if (before == NULL) {
        return -1;
    }
    Py_DECREF(before);
    PyaioTimeout *self = (PyaioTimeout *)op;
    Py_XSETREF(self->handler, value == Py_None ? NULL : Py_XNewRef(value));
    return 0;
}

static int
Timeout_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioTimeout *self = (PyaioTimeout *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->when);
    Py_VISIT(self->task);
    Py_VISIT(self->cancelling);
    Py_VISIT(self->handler);
    return pyaio_deadline_traverse(&self->deadline, visit, arg);
}

static int
Timeout_clear(PyObject *op)
{
    PyaioTimeout *self = (PyaioTimeout *)op;
    Py_CLEAR(self->when);
    Py_CLEAR(self->task);
    Py_CLEAR(self->cancelling);
    Py_CLEAR(self->handler);
    pyaio_deadline_clear(&self->deadline);
    return 0;
}

static void
Timeout_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    (void)Timeout_clear(op);
    PyaioState *state = pyaio_state_of_type(type);
    if (state != NULL && (PyObject *)type == state->Timeout) {
        pyaio_pool_give(&state->timeout_pool, op);
        return;
    }
    type->tp_free(op);
    Py_DECREF(type);
}

/* --- the type and the functions ------------------------------------------ */

static PyMethodDef timeout_methods[] = {
    {"when", Timeout_when, METH_NOARGS,
     "when($self)\n--\n\n"
     "Return the deadline in seconds of loop.time(), or None."},
    {"reschedule", (PyCFunction)(void (*)(void))Timeout_reschedule,
     METH_FASTCALL | METH_KEYWORDS,
     "reschedule($self, when)\n--\n\n"
     "Move the deadline to `when`, in seconds of loop.time(); None: never.\n\n"
     "RuntimeError unless the timeout has been entered and neither expired\n"
     "nor left."},
    {"expired", Timeout_expired, METH_NOARGS,
     "expired($self)\n--\n\n"
     "Return True if the deadline passed inside the block."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef timeout_getset[] = {
    {"_state", Timeout_get_state, Timeout_set_state, NULL, NULL},
    {"_timeout_handler", Timeout_get_handler, Timeout_set_handler, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef timeout_members[] = {
    {"_when", T_OBJECT_EX, offsetof(PyaioTimeout, when), 0, NULL},
    {"_task", T_OBJECT, offsetof(PyaioTimeout, task), 0, NULL},
    {"_cancelling", T_OBJECT_EX, offsetof(PyaioTimeout, cancelling), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(timeout_doc, "Timeout(when)\n--\n\n"
                          "What is native of the Timeout that stands on it.");

static PyType_Slot timeout_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)timeout_doc},
    {Py_tp_init, Timeout_init},
    {Py_tp_setattro, Timeout_setattro},
    {Py_tp_traverse, Timeout_traverse},
    {Py_tp_clear, Timeout_clear},
    {Py_tp_dealloc, Timeout_dealloc},
    {Py_tp_methods, timeout_methods},
    {Py_tp_getset, timeout_getset},
    {Py_tp_members, timeout_members},
    {0, NULL},
};

static PyType_Spec timeout_spec = {
    .name = "pyaio._core.Timeout",
    .basicsize = sizeof(PyaioTimeout),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = timeout_slots,
};

/* Replaces the enumeration that was looked up by a tuple of its members, in
 * the order of our own. */
static int
timeout_list_states(PyaioState *state)
{
    static const char *const names[] = {"CREATED", "ENTERED", "EXPIRING",
                                        "EXPIRED", "EXITED"};
    const Py_ssize_t count = sizeof(names) / sizeof(names[0]);
    PyObject *members = PyTuple_New(count);
    if (members == NULL) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *member =
            PyObject_GetAttrString(state->timeout_states, names[i]);
        if (member == NULL) {
            Py_DECREF(members);
            return -1;
        }
        PyTuple_SET_ITEM(members, i, member);
    }
    Py_SETREF(state->timeout_states, members);
    return 0;
}

int
pyaio_timeout_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (timeout_list_states(state) < 0 ||
        pyaio_add_type(module, &state->TimeoutBase_type, &timeout_spec, NULL) <
            0 ||
        pyaio_meta_adopt(state, state->TimeoutBase_type) < 0) {
        return -1;
    }
    return pyaio_timeout_coroutines_init(module);
}
