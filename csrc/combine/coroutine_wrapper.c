/* CoroutineWrapper: an iterator over a native coroutine. */
#include "combine/coroutine.h"

typedef struct {
    PyObject_HEAD
    PyObject *coroutine; /* owned */
} CoroutineWrapper;

PyObject *
pyaio_coroutine_wrapper_new(PyaioState *state, PyObject *coroutine)
{
    PyTypeObject *type = state->CoroutineWrapper_type;
    PyObject *op = type->tp_alloc(type, 0);
    if (op != NULL) {
        ((CoroutineWrapper *)op)->coroutine = Py_NewRef(coroutine);
    }
    return op;
}

static PyObject *
CoroutineWrapper_iternext(PyObject *op)
{
    PyaioState *state = pyaio_state_of(op);
    return PyObject_CallMethodOneArg(((CoroutineWrapper *)op)->coroutine,
                                     state->str_send, Py_None);
}

static PyObject *
CoroutineWrapper_send(PyObject *op, PyObject *value)
{
    PyaioState *state = pyaio_state_of(op);
    return PyObject_CallMethodOneArg(((CoroutineWrapper *)op)->coroutine,
                                     state->str_send, value);
}

static PyObject *
CoroutineWrapper_throw(PyObject *op, PyObject *args)
{
    PyaioState *state = pyaio_state_of(op);
    PyObject *method = PyObject_GetAttr(((CoroutineWrapper *)op)->coroutine,
                                        state->str_throw);
    PyObject *result = method ? PyObject_CallObject(method, args) : NULL;
    Py_XDECREF(method);
    return result;
}

static PyObject *
CoroutineWrapper_close(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioState *state = pyaio_state_of(op);
    return PyObject_CallMethodNoArgs(((CoroutineWrapper *)op)->coroutine,
                                     state->str_close);
}

static int
CoroutineWrapper_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(((CoroutineWrapper *)op)->coroutine);
    return 0;
}

static void
CoroutineWrapper_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    Py_CLEAR(((CoroutineWrapper *)op)->coroutine);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef coroutine_wrapper_methods[] = {
    {"send", CoroutineWrapper_send, METH_O, NULL},
    {"throw", CoroutineWrapper_throw, METH_VARARGS, NULL},
    {"close", CoroutineWrapper_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

/* Without tp_clear: the coroutine's own breaks every cycle. */
static PyType_Slot coroutine_wrapper_slots[] = {
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, CoroutineWrapper_iternext},
    {Py_tp_traverse, CoroutineWrapper_traverse},
    {Py_tp_dealloc, CoroutineWrapper_dealloc},
    {Py_tp_methods, coroutine_wrapper_methods},
    {0, NULL},
};

static PyType_Spec coroutine_wrapper_spec = {
    .name = "pyaio._core.coroutine_wrapper",
    .basicsize = sizeof(CoroutineWrapper),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = coroutine_wrapper_slots,
};

int
pyaio_coroutine_wrapper_init(PyObject *module)
{
    return pyaio_add_type(module,
                          &pyaio_module_state(module)->CoroutineWrapper_type,
                          &coroutine_wrapper_spec, NULL);
}
