/* CoroutineFunction: a native function in the place of one of asyncio's. */
#include "combine/coroutine.h"

typedef struct {
    PyObject_HEAD
    vectorcallfunc vectorcall;
    PyaioNativeCall call;
    PyObject *stock;    /* owned: the function in whose place it stands */
    PyObject *dict;     /* owned */
    PyObject *weakrefs; /* list of weak references */
} CoroutineFunction;

static PyObject *
coroutine_function_vectorcall(PyObject *op, PyObject *const *args,
                              size_t nargsf, PyObject *kwnames)
{
    CoroutineFunction *self = (CoroutineFunction *)op;
    PyObject *result = self->call(pyaio_state_of(op), args,
                                  PyVectorcall_NARGS(nargsf), kwnames);
    if (result == NULL && !PyErr_Occurred()) {
        result = PyObject_Vectorcall(self->stock, args, nargsf, kwnames);
    }
    return result;
}

PyObject *
pyaio_coroutine_function_new(PyaioState *state, PyObject *stock,
                             PyaioNativeCall call)
{
    PyTypeObject *type = state->CoroutineFunction_type;
    CoroutineFunction *self = (CoroutineFunction *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->vectorcall = coroutine_function_vectorcall;
    self->call = call;
    self->stock = Py_NewRef(stock);
    return (PyObject *)self;
}

int
pyaio_coroutine_function_add(PyaioState *state, PyObject *owner,
                             const char *name, PyObject *stock,
                             PyaioNativeCall call)
{
    PyObject *function = pyaio_coroutine_function_new(state, stock, call);
    int err = function ? PyObject_SetAttrString(owner, name, function) : -1;
    Py_XDECREF(function);
    return err;
}

static PyObject *
CoroutineFunction_descr_get(PyObject *op, PyObject *instance,
                            PyObject *Py_UNUSED(owner))
{
    if (instance == NULL || instance == Py_None) {
        return Py_NewRef(op);
    }
    return PyMethod_New(op, instance);
}

/* What is not set here is what the stock function has. */
static PyObject *
CoroutineFunction_getattro(PyObject *op, PyObject *name)
{
    PyObject *value = PyObject_GenericGetAttr(op, name);
    if (value == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        value = PyObject_GetAttr(((CoroutineFunction *)op)->stock, name);
    }
    return value;
}

static PyObject *
CoroutineFunction_repr(PyObject *op)
{
    PyObject *name = PyObject_GetAttrString(op, "__qualname__");
    PyObject *text =
        name ? PyUnicode_FromFormat("<function %S at %p>", name, op) : NULL;
    Py_XDECREF(name);
    return text;
}

/* Pickled by its name, as functions are. */
static PyObject *
CoroutineFunction_reduce(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return PyObject_GetAttrString(op, "__qualname__");
}

/* inspect, unittest.mock and others ask isinstance(..., FunctionType). */
static PyObject *
CoroutineFunction_get_class(PyObject *op, void *Py_UNUSED(closure))
{
    return Py_NewRef(pyaio_state_of(op)->FunctionType);
}

static PyObject *
CoroutineFunction_get_doc(PyObject *op, void *Py_UNUSED(closure))
{
    CoroutineFunction *self = (CoroutineFunction *)op;
    PyObject *own =
        self->dict ? PyDict_GetItemString(self->dict, "__doc__") : NULL;
    if (own != NULL) {
        return Py_NewRef(own);
    }
    return PyObject_GetAttrString(self->stock, "__doc__");
}

static int
CoroutineFunction_set_doc(PyObject *op, PyObject *value,
                          void *Py_UNUSED(closure))
{
    PyObject *dict = PyObject_GenericGetDict(op, NULL);
    if (dict == NULL) {
        return -1;
    }
    int err = PyDict_SetItemString(dict, "__doc__", value ? value : Py_None);
    Py_DECREF(dict);
    return err;
}

static int
CoroutineFunction_traverse(PyObject *op, visitproc visit, void *arg)
{
    CoroutineFunction *self = (CoroutineFunction *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->stock);
    Py_VISIT(self->dict);
    return 0;
}

/* The stock function stays: it leads back here only through the attributes,
 * which are cleared. */
static int
CoroutineFunction_clear(PyObject *op)
{
    Py_CLEAR(((CoroutineFunction *)op)->dict);
    return 0;
}

static void
CoroutineFunction_dealloc(PyObject *op)
{
    CoroutineFunction *self = (CoroutineFunction *)op;
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    if (self->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    Py_CLEAR(self->dict);
    Py_CLEAR(self->stock);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef coroutine_function_methods[] = {
    {"__reduce__", CoroutineFunction_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef coroutine_function_getset[] = {
    {"__class__", CoroutineFunction_get_class, NULL, NULL, NULL},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL},
    {"__doc__", CoroutineFunction_get_doc, CoroutineFunction_set_doc, NULL,
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef coroutine_function_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(CoroutineFunction, dict), READONLY,
     NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(CoroutineFunction, weakrefs),
     READONLY, NULL},
    {"__vectorcalloffset__", T_PYSSIZET,
     offsetof(CoroutineFunction, vectorcall), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot coroutine_function_slots[] = {
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_descr_get, CoroutineFunction_descr_get},
    {Py_tp_getattro, CoroutineFunction_getattro},
    {Py_tp_repr, CoroutineFunction_repr},
    {Py_tp_traverse, CoroutineFunction_traverse},
    {Py_tp_clear, CoroutineFunction_clear},
    {Py_tp_dealloc, CoroutineFunction_dealloc},
    {Py_tp_methods, coroutine_function_methods},
    {Py_tp_getset, coroutine_function_getset},
    {Py_tp_members, coroutine_function_members},
    {0, NULL},
};

static PyType_Spec coroutine_function_spec = {
    .name = "pyaio._core.CoroutineFunction",
    .basicsize = sizeof(CoroutineFunction),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR |
             Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = coroutine_function_slots,
};

int
pyaio_coroutine_function_init(PyObject *module)
{
    return pyaio_add_type(module,
                          &pyaio_module_state(module)->CoroutineFunction_type,
                          &coroutine_function_spec, NULL);
}
