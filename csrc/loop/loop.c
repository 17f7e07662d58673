/* The type EventLoopBase, on which the Python class EventLoop stands. */
#include "loop/loop.h"
#include "base/interop.h"
#include "sched/handle.h"

/* Where a reader of asyncio's current tasks looks under the loop's hash, the
 * dictionary is brought up to date first (base/interop.h). */
static Py_hash_t
Loop_hash(PyObject *op)
{
    PyaioScheduler *sched = &((PyaioLoop *)op)->head.sched;
    if (sched->shares_current_task && sched->state != NULL) {
        PyaioTaskPlace place = {op, &sched->current_task,
                                &sched->written_task};
        if (pyaio_interop_sync(sched->state, &place) < 0) {
            return -1;
        }
    }
    Py_hash_t hash = (Py_hash_t)((size_t)op >> 4);
    return hash == -1 ? -2 : hash;
}

static int
Loop_setattro(PyObject *op, PyObject *name, PyObject *value)
{
    int err = PyObject_GenericSetAttr(op, name, value);
    if (err == 0) {
        pyaio_sched_attribute_set(&((PyaioLoop *)op)->head.sched, name,
                                  value != NULL);
    }
    return err;
}

static int
Loop_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, ":EventLoop", names)) {
        return -1;
    }
    PyaioLoop *self = (PyaioLoop *)op;
    if (self->head.sched.state != NULL) {
        return 0;
    }
    self->head.sched.shares_current_task = Py_TYPE(op)->tp_hash == Loop_hash;
    return pyaio_sched_open(&self->head.sched, pyaio_state_of(op), op);
}

static int
Loop_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioLoop *self = (PyaioLoop *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->exception_handler);
    Py_VISIT(self->old_agen_hooks);
    Py_VISIT(self->head.sched.task_factory);
    return pyaio_sched_traverse(&self->head.sched, visit, arg);
}

static int
Loop_clear(PyObject *op)
{
    PyaioLoop *self = (PyaioLoop *)op;
    pyaio_sched_close(&self->head.sched);
    Py_CLEAR(self->exception_handler);
    Py_CLEAR(self->old_agen_hooks);
    Py_CLEAR(self->head.sched.task_factory);
    return 0;
}

static void
Loop_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    (void)Loop_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyObject *
Loop_set_exception_handler(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"handler", NULL};
    PyObject *handler;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:set_exception_handler",
                                     names, &handler)) {
        return NULL;
    }
    if (handler != Py_None && !PyCallable_Check(handler)) {
        PyErr_Format(PyExc_TypeError,
                     "A callable object or None is expected, got %R", handler);
        return NULL;
    }
    Py_XSETREF(((PyaioLoop *)op)->exception_handler,
               handler == Py_None ? NULL : Py_NewRef(handler));
    Py_RETURN_NONE;
}

static PyMethodDef own_methods[] = {
    {"set_exception_handler",
     (PyCFunction)(void (*)(void))Loop_set_exception_handler,
     METH_VARARGS | METH_KEYWORDS,
     "set_exception_handler($self, handler)\n--\n\n"
     "Call handler(loop, context) for errors; None: the default handler."},
    {NULL, NULL, 0, NULL},
};

/* --- attributes ---------------------------------------------------------- */

static PyObject *
loop_get_object(PyObject *op, void *closure)
{
    PyObject *value = *(PyObject **)((char *)op + (size_t)closure);
    return Py_NewRef(value ? value : Py_None);
}

static int
loop_set_object(PyObject *op, PyObject *value, void *closure)
{
    PyObject **field = (PyObject **)((char *)op + (size_t)closure);
    PyObject *old = *field;
    *field = value == Py_None ? NULL : Py_XNewRef(value);
    Py_XDECREF(old);
    return 0;
}

static PyObject *
loop_get_flag(PyObject *op, void *closure)
{
    return PyBool_FromLong(*(int *)((char *)op + (size_t)closure));
}

static int
loop_set_flag(PyObject *op, PyObject *value, void *closure)
{
    int truth = value ? PyObject_IsTrue(value) : 0;
    if (truth < 0) {
        return -1;
    }
    *(int *)((char *)op + (size_t)closure) = truth;
    return 0;
}

static PyObject *
Loop_get_thread_id(PyObject *op, void *Py_UNUSED(closure))
{
    unsigned long id = ((PyaioLoop *)op)->head.sched.thread_id;
    return id ? PyLong_FromUnsignedLong(id) : Py_NewRef(Py_None);
}

static int
Loop_set_thread_id(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    unsigned long id = 0;
    if (value != NULL && value != Py_None) {
        id = PyLong_AsUnsignedLong(value);
        if (id == (unsigned long)-1 && PyErr_Occurred()) {
            return -1;
        }
    }
    ((PyaioLoop *)op)->head.sched.thread_id = id;
    return 0;
}

static PyObject *
Loop_get_clock_resolution(PyObject *op, void *Py_UNUSED(closure))
{
    return PyFloat_FromDouble(((PyaioLoop *)op)->head.sched.clock_resolution);
}

static int
Loop_set_clock_resolution(PyObject *op, PyObject *value,
                          void *Py_UNUSED(closure))
{
    double seconds = value ? PyFloat_AsDouble(value) : 1e-9;
    if (seconds == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    ((PyaioLoop *)op)->head.sched.clock_resolution = seconds;
    return 0;
}

/* What is ready, as a list of callables and handles in order. */
static PyObject *
Loop_get_ready(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioScheduler *sched = &((PyaioLoop *)op)->head.sched;
    PyObject *result = PyList_New(0);
    for (size_t i = 0; result != NULL && i < pyaio_ring_length(&sched->ready);
         i++) {
        PyaioRingItem *item = pyaio_ring_at(&sched->ready, i);
        PyObject *shown = item->kind == &pyaio_ready_handle ||
                                  item->kind == &pyaio_ready_foreign_handle
                              ? Py_NewRef((PyObject *)item->a)
                              : pyaio_ready_call_new(sched->state, item->kind,
                                                     item->a, item->b);
        if (shown == NULL || PyList_Append(result, shown) < 0) {
            Py_CLEAR(result);
        }
        Py_XDECREF(shown);
    }
    return result;
}

/* What waits for its deadline, in no particular order. */
static PyObject *
Loop_get_scheduled(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioScheduler *sched = &((PyaioLoop *)op)->head.sched;
    PyObject *result = PyList_New(0);
    for (size_t i = 0; result != NULL && i < sched->timers.length; i++) {
        if (PyList_Append(result, sched->timers.entries[i].node->owner) < 0) {
            Py_CLEAR(result);
        }
    }
    return result;
}

#define OBJECT(name, field)                        \
    {name, loop_get_object, loop_set_object, NULL, \
     (void *)offsetof(PyaioLoop, field)}
#define FLAG(name, field, setter) \
    {name, loop_get_flag, setter, NULL, (void *)offsetof(PyaioLoop, field)}

static PyGetSetDef loop_getset[] = {
    OBJECT("_exception_handler", exception_handler),
    OBJECT("_old_agen_hooks", old_agen_hooks),
    OBJECT("_task_factory", head.sched.task_factory),
    {"_current_handle", loop_get_object, NULL, NULL,
     (void *)offsetof(PyaioLoop, head.sched.current_handle)},
    FLAG("_closed", closed, NULL),
    FLAG("_debug", head.sched.debug, loop_set_flag),
    FLAG("_stopping", head.sched.stopping, loop_set_flag),
    {"_thread_id", Loop_get_thread_id, Loop_set_thread_id, NULL, NULL},
    {"_clock_resolution", Loop_get_clock_resolution, Loop_set_clock_resolution,
     NULL, NULL},
    {"_ready", Loop_get_ready, NULL, NULL, NULL},
    {"_scheduled", Loop_get_scheduled, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(loop_doc,
             "EventLoop()\n--\n\n"
             "The native part of an event loop: scheduling, timers, polling.");

static PyType_Slot loop_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)loop_doc},
    {Py_tp_init, Loop_init},
    {Py_tp_traverse, Loop_traverse},
    {Py_tp_clear, Loop_clear},
    {Py_tp_dealloc, Loop_dealloc},
    {Py_tp_hash, Loop_hash},
    {Py_tp_setattro, Loop_setattro},
    {Py_tp_methods, own_methods},
    {Py_tp_getset, loop_getset},
    {0, NULL},
};

static PyType_Spec loop_spec = {
    .name = "pyaio._core.EventLoop",
    .basicsize = sizeof(PyaioLoop),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = loop_slots,
};

static int
add_methods(PyTypeObject *type, PyMethodDef *methods)
{
    for (PyMethodDef *def = methods; def->ml_name != NULL; def++) {
        PyObject *descriptor = PyDescr_NewMethod(type, def);
        if (descriptor == NULL) {
            return -1;
        }
        int err =
            PyObject_SetAttrString((PyObject *)type, def->ml_name, descriptor);
        Py_DECREF(descriptor);
        if (err < 0) {
            return -1;
        }
    }
    return 0;
}

PyObject *
pyaio_py_simulate_time(PyObject *module, PyObject *args)
{
    PyaioState *state = pyaio_module_state(module);
    PyObject *op;
    int milliseconds;
    if (!PyArg_ParseTuple(args, "O!i:_simulate_time",
                          state->EventLoopBase_type, &op, &milliseconds)) {
        return NULL;
    }
    PyaioScheduler *sched = pyaio_loop_require_open(op);
    if (sched == NULL) {
        return NULL;
    }
    if (sched->backend != &pyaio_simulated_poller) {
        if (sched->thread_id != 0) {
            PyErr_SetString(PyExc_RuntimeError, "the loop runs already");
            return NULL;
        }
        if (pyaio_sched_simulate_time(sched) < 0) {
            return NULL;
        }
    }
    pyaio_simulated_advance(sched->poller, milliseconds);
    Py_RETURN_NONE;
}

int
pyaio_loop_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_add_type(module, &state->EventLoopBase_type, &loop_spec, NULL) <
            0 ||
        add_methods(state->EventLoopBase_type, pyaio_loop_schedule_methods) <
            0 ||
        add_methods(state->EventLoopBase_type, pyaio_loop_run_methods) < 0 ||
        add_methods(state->EventLoopBase_type, pyaio_loop_watch_methods) < 0 ||
        add_methods(state->EventLoopBase_type, pyaio_loop_network_methods) <
            0 ||
        add_methods(state->EventLoopBase_type, pyaio_loop_executor_methods) <
            0 ||
        pyaio_work_item_init(module) < 0) {
        return -1;
    }
    return 0;
}
