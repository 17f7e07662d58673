/* A class derived from StopIteration, with a freelist. */
#include "base/stop.h"

void
pyaio_stop_raise(PyaioState *state, PyObject *result)
{
    PyObject *op = pyaio_pool_take(&state->stop_pool, state->Stop_type,
                                   sizeof(PyStopIterationObject));
    PyObject *args = op ? PyTuple_New(0) : NULL;
    if (args == NULL) {
        Py_XDECREF(op);
        Py_DECREF(result);
        return;
    }
    PyStopIterationObject *self = (PyStopIterationObject *)op;
    self->args = args;
    self->value = result;
    PyErr_SetRaisedException(op);
}

static PyTypeObject *
stock_type(void)
{
    return (PyTypeObject *)PyExc_StopIteration;
}

static int
Stop_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    return stock_type()->tp_traverse(op, visit, arg);
}

static int
Stop_clear(PyObject *op)
{
    return stock_type()->tp_clear(op);
}

static void
Stop_dealloc(PyObject *op)
{
    PyObject_GC_UnTrack(op);
    (void)Stop_clear(op);
    PyaioState *state = pyaio_state_of(op);
    if (state == NULL) {
        PyTypeObject *type = Py_TYPE(op);
        type->tp_free(op);
        Py_DECREF(type);
        return;
    }
    pyaio_pool_give(&state->stop_pool, op);
}

static PyType_Slot stop_slots[] = {
    {Py_tp_traverse, Stop_traverse},
    {Py_tp_clear, Stop_clear},
    {Py_tp_dealloc, Stop_dealloc},
    {0, NULL},
};

static PyType_Spec stop_spec = {
    .name = "pyaio._core.StopIteration",
    .basicsize = sizeof(PyStopIterationObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = stop_slots,
};

int
pyaio_stop_init(PyObject *module)
{
    return pyaio_add_type(module, &pyaio_module_state(module)->Stop_type,
                          &stop_spec, stock_type());
}
