/* TimerHandle: a callback with a deadline. */
#include "base/meta.h"
#include "sched/handle.h"

static void
timer_handle_prepare(PyaioTimerHandle *self, double when)
{
    self->when = when;
    self->node.index = PYAIO_HEAP_NONE;
    self->node.kind = &pyaio_ready_handle;
    self->node.owner = self;
}

PyObject *
pyaio_timer_handle_new(PyaioState *state, PyObject *when, double seconds,
                       PyObject *callback, PyObject *const *args,
                       Py_ssize_t nargs, PyObject *loop, PyObject *context)
{
    PyObject *op = pyaio_pool_take_untracked(&state->timer_handle_pool,
                                             state->TimerHandle_type,
                                             sizeof(PyaioTimerHandle));
    if (op == NULL) {
        return NULL;
    }
    PyaioTimerHandle *self = (PyaioTimerHandle *)op;
    timer_handle_prepare(self, seconds);
    if (when != NULL && !PyFloat_CheckExact(when)) {
        self->base.when = Py_NewRef(when);
    }
    if (pyaio_handle_fill(state, &self->base.handle, callback, args, nargs,
                          loop, context) < 0) {
        Py_CLEAR(op);
    }
    return op;
}

static PyObject *
TimerHandle_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                PyObject *Py_UNUSED(kwargs))
{
    PyaioState *state = pyaio_state_of_type(type);
    if (state == NULL || type != state->TimerHandle_type) {
        return type->tp_alloc(type, 0);
    }
    return pyaio_pool_take(&state->timer_handle_pool, type,
                           sizeof(PyaioTimerHandle));
}

static int
TimerHandle_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"when", "callback", "args",
                            "loop", "context",  NULL};
    PyObject *when, *callback, *arguments, *loop, *context = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO|O:TimerHandle", names,
                                     &when, &callback, &arguments, &loop,
                                     &context)) {
        return -1;
    }
    PyaioTimerHandle *self = (PyaioTimerHandle *)op;
    if (self->node.owner != NULL && self->node.index != PYAIO_HEAP_NONE) {
        PyErr_SetString(PyExc_RuntimeError,
                        "a scheduled TimerHandle cannot be initialised again");
        return -1;
    }
    double seconds = PyFloat_AsDouble(when);
    if (seconds == -1.0 && PyErr_Occurred()) {
        PyErr_Clear(); /* stock takes any object here and never looks */
    }
    timer_handle_prepare(self, seconds);
    Py_XSETREF(self->base.when, Py_NewRef(when));
    return pyaio_handle_init_from_python(op, callback, arguments, loop,
                                         context);
}

static int
TimerHandle_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioTimerHandle *self = (PyaioTimerHandle *)op;
    Py_VISIT(self->base.when);
    Py_VISIT(self->base.scheduled);
    return pyaio_handle_traverse(op, visit, arg);
}

static int
TimerHandle_clear(PyObject *op)
{
    PyaioTimerHandle *self = (PyaioTimerHandle *)op;
    Py_CLEAR(self->base.when);
    Py_CLEAR(self->base.scheduled);
    return pyaio_handle_clear(op);
}

static void
TimerHandle_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    PyObject_ClearWeakRefs(op);
    PyaioState *state = pyaio_state_of_type(type);
    (void)TimerHandle_clear(op);
    if (state != NULL && type == state->TimerHandle_type) {
        pyaio_pool_give(&state->timer_handle_pool, op);
        return;
    }
    type->tp_free(op);
    Py_DECREF(type);
}

/* Takes the handle out of its loop's timers, or tells the loop. */
static int
timer_handle_unschedule(PyaioState *state, PyObject *op)
{
    PyaioTimerHandle *self = (PyaioTimerHandle *)op;
    PyObject *loop = self->base.handle.loop;
    if (loop == NULL) {
        return 0;
    }
    PyaioScheduler *sched = pyaio_scheduler_of(state, loop);
    if (sched != NULL && self->node.owner != NULL) {
        pyaio_sched_remove_timer(sched, &self->node);
        if (pyaio_sched_is_native(sched, PYAIO_LOOP_TIMER_CANCELLED)) {
            return 0;
        }
    }
    PyObject *result = PyObject_CallMethodOneArg(
        loop, state->str__timer_handle_cancelled, op);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static PyObject *
TimerHandle_cancel(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioState *state = pyaio_state_of(op);
    if (!pyaio_handle_is_cancelled(op) &&
        timer_handle_unschedule(state, op) < 0) {
        return NULL;
    }
    pyaio_handle_cancel(state, op);
    Py_RETURN_NONE;
}

static PyObject *
timer_handle_when(PyObject *op)
{
    PyaioTimerHandle *self = (PyaioTimerHandle *)op;
    if (self->base.when != NULL) {
        return Py_NewRef(self->base.when);
    }
    return PyFloat_FromDouble(self->when);
}

static PyObject *
TimerHandle_when(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return timer_handle_when(op);
}

static PyMethodDef timer_handle_methods[] = {
    {"cancel", TimerHandle_cancel, METH_NOARGS,
     "Cancel the callback; without effect once it has run."},
    {"when", TimerHandle_when, METH_NOARGS,
     "Return the deadline in seconds of loop.time()."},
    PYAIO_HANDLE_METHODS,
    {NULL, NULL, 0, NULL},
};

static PyObject *
TimerHandle_get_when(PyObject *op, void *Py_UNUSED(closure))
{
    return timer_handle_when(op);
}

static int
TimerHandle_set_when(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    PyaioTimerHandle *self = (PyaioTimerHandle *)op;
    Py_XSETREF(self->base.when, Py_XNewRef(value));
    return 0;
}

/* Stock loops keep this flag themselves when they use our handles. */
static PyObject *
TimerHandle_get_scheduled(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioTimerHandle *self = (PyaioTimerHandle *)op;
    if (self->base.scheduled != NULL) {
        return Py_NewRef(self->base.scheduled);
    }
    return PyBool_FromLong(self->node.owner != NULL &&
                           self->node.index != PYAIO_HEAP_NONE);
}

static int
TimerHandle_set_scheduled(PyObject *op, PyObject *value,
                          void *Py_UNUSED(closure))
{
    PyaioTimerHandle *self = (PyaioTimerHandle *)op;
    Py_XSETREF(self->base.scheduled, Py_XNewRef(value));
    return 0;
}

static PyGetSetDef timer_handle_getset[] = {
    {"_when", TimerHandle_get_when, TimerHandle_set_when, NULL, NULL},
    {"_scheduled", TimerHandle_get_scheduled, TimerHandle_set_scheduled, NULL,
     NULL},
    PYAIO_HANDLE_GETSET,
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(timer_handle_doc,
             "TimerHandle(when, callback, args, loop, context=None)\n--\n\n"
             "A callback scheduled with loop.call_later() or call_at().\n\n"
             "`when` is a deadline in seconds of loop.time(). Mirrors "
             "asyncio.TimerHandle.");

static PyType_Slot timer_handle_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)timer_handle_doc},
    {Py_tp_new, TimerHandle_new},
    {Py_tp_init, TimerHandle_init},
    {Py_tp_traverse, TimerHandle_traverse},
    {Py_tp_clear, TimerHandle_clear},
    {Py_tp_dealloc, TimerHandle_dealloc},
    {Py_tp_methods, timer_handle_methods},
    {Py_tp_getset, timer_handle_getset},
    {0, NULL},
};

static PyType_Spec timer_handle_spec = {
    .name = "pyaio._core.TimerHandle",
    .basicsize = sizeof(PyaioTimerHandle),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = timer_handle_slots,
};

int
pyaio_timer_handle_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_add_type(module, &state->TimerHandle_type, &timer_handle_spec,
                       (PyTypeObject *)state->stock_TimerHandle) < 0) {
        return -1;
    }
    return pyaio_meta_adopt(state, state->TimerHandle_type);
}
