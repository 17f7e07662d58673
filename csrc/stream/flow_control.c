/* FlowControlMixin. */
#include "stream/flow_control.h"
#include "sched/sched.h"

static inline PyaioState *
state_of(PyObject *op)
{
    return pyaio_state_of(op);
}

/* --- pausing and resuming ------------------------------------------------ */

/* Nothing has to be logged, and the call came in its turn: otherwise stock's
 * method has its say. */
static int
is_usual(PyaioState *state, PyaioFlowControl *self, int paused)
{
    return self->paused == paused && self->head.loop != NULL &&
           pyaio_sched_direct(state, self->head.loop, PYAIO_LOOP_GET_DEBUG) !=
               NULL;
}

static PyObject *
call_stock(PyaioState *state, PyObject *op, PyObject *name)
{
    PyObject *method = PyObject_GetAttr(state->stock_FlowControl, name);
    PyObject *done = method ? PyObject_CallOneArg(method, op) : NULL;
    Py_XDECREF(method);
    return done;
}

static PyObject *
FlowControl_pause_writing(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioState *state = state_of(op);
    PyaioFlowControl *self = (PyaioFlowControl *)op;
    if (!is_usual(state, self, 0)) {
        return call_stock(state, op, state->str_pause_writing);
    }
    self->paused = 1;
    Py_RETURN_NONE;
}

static PyObject *
FlowControl_resume_writing(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioState *state = state_of(op);
    PyaioFlowControl *self = (PyaioFlowControl *)op;
    if (!is_usual(state, self, 1)) {
        return call_stock(state, op, state->str_resume_writing);
    }
    self->paused = 0;
    if (pyaio_waiters_wake(state, &self->drainers, PY_SSIZE_T_MAX, Py_None) <
        0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyaioFlowControl *
pyaio_flow_control_plain(PyaioState *state, PyObject *op)
{
    if (!PyObject_TypeCheck(op, state->FlowControl_type)) {
        return NULL;
    }
    PyaioFlowControl *self = (PyaioFlowControl *)op;
    return self->head.loop != NULL &&
                   !(pyaio_stream_replaced(state, &self->head,
                                           &pyaio_flow_control_methods) &
                     PYAIO_FLOW_DRAIN_HELPER)
               ? self
               : NULL;
}

/* --- attributes ---------------------------------------------------------- */

static PyObject *
FlowControl_get_drain_waiters(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioFlowControl *self = (PyaioFlowControl *)op;
    if (self->head.loop == NULL) {
        return pyaio_stream_get(&self->head, NULL, "_drain_waiters");
    }
    return pyaio_waiters_get(state_of(op), &self->drainers);
}

static int
FlowControl_set_drain_waiters(PyObject *op, PyObject *value,
                              void *Py_UNUSED(closure))
{
    return pyaio_waiters_set(&((PyaioFlowControl *)op)->drainers,
                             value ? value : Py_None);
}

static const PyaioStreamAttribute paused = {
    "_paused", offsetof(PyaioFlowControl, paused)};
static const PyaioStreamAttribute connection_lost = {
    "_connection_lost", offsetof(PyaioFlowControl, connection_lost)};

static PyGetSetDef flow_control_getset[] = {
    PYAIO_STREAM_GETSET,
    {"_drain_waiters", FlowControl_get_drain_waiters,
     FlowControl_set_drain_waiters, NULL, NULL},
    PYAIO_STREAM_FLAG(paused),
    PYAIO_STREAM_FLAG(connection_lost),
    {NULL, NULL, NULL, NULL, NULL},
};

/* --- the type ------------------------------------------------------------ */

static PyObject *
FlowControl_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                PyObject *Py_UNUSED(kwargs))
{
    PyObject *op = type->tp_alloc(type, 0);
    if (op != NULL) {
        pyaio_waiters_init(&((PyaioFlowControl *)op)->drainers, 0);
    }
    return op;
}

static int
FlowControl_setattro(PyObject *op, PyObject *name, PyObject *value)
{
    return pyaio_stream_setattr(op, name, value, &pyaio_flow_control_methods);
}

int
pyaio_flow_control_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioFlowControl *self = (PyaioFlowControl *)op;
    int err = pyaio_waiters_traverse(&self->drainers, visit, arg);
    return err ? err : pyaio_stream_traverse(op, visit, arg);
}

int
pyaio_flow_control_clear(PyObject *op)
{
    pyaio_waiters_clear(&((PyaioFlowControl *)op)->drainers);
    return pyaio_stream_clear(op);
}

static void
FlowControl_dealloc(PyObject *op)
{
    pyaio_stream_dealloc(op, pyaio_flow_control_clear);
}

static PyMethodDef flow_control_methods[] = {
    {"pause_writing", FlowControl_pause_writing, METH_NOARGS,
     "pause_writing($self, /)\n--\n\nHave drain() wait from now on."},
    {"resume_writing", FlowControl_resume_writing, METH_NOARGS,
     "resume_writing($self, /)\n--\n\nLet those who wait in drain() go on."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef flow_control_members[] = {
    PYAIO_STREAM_MEMBERS,
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(flow_control_doc,
             "What is native of the FlowControlMixin that stands on it.");

static PyType_Slot flow_control_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)flow_control_doc},
    {Py_tp_new, FlowControl_new},
    {Py_tp_setattro, FlowControl_setattro},
    {Py_tp_traverse, pyaio_flow_control_traverse},
    {Py_tp_clear, pyaio_flow_control_clear},
    {Py_tp_dealloc, FlowControl_dealloc},
    {Py_tp_methods, flow_control_methods},
    {Py_tp_getset, flow_control_getset},
    {Py_tp_members, flow_control_members},
    {0, NULL},
};

static PyType_Spec flow_control_spec = {
    .name = "pyaio._core.FlowControlMixin",
    .basicsize = sizeof(PyaioFlowControl),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = flow_control_slots,
};

int
pyaio_flow_control_init(PyObject *module)
{
    return pyaio_add_type(module,
                          &pyaio_module_state(module)->FlowControl_type,
                          &flow_control_spec, NULL);
}
