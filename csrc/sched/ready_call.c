/* ReadyCall: a native ready entry as a Python callable. */
#include "sched/ready.h"

#include <structmember.h>

PyObject *
pyaio_ready_call_new(PyaioState *state, const PyaioReadyKind *kind,
                     PyObject *a, PyObject *b)
{
    PyTypeObject *type = state->ReadyCall_type;
    PyaioReadyCall *self = (PyaioReadyCall *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->kind = kind;
    self->a = Py_NewRef(a);
    self->b = Py_XNewRef(b);
    return (PyObject *)self;
}

static PyObject *
ReadyCall_call(PyObject *op, PyObject *args, PyObject *kwargs)
{
    PyaioReadyCall *self = (PyaioReadyCall *)op;
    PyObject *b = NULL;
    if (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0) {
        PyErr_Format(PyExc_TypeError, "%s() takes no keyword arguments",
                     self->kind->name);
        return NULL;
    }
    if (!PyArg_UnpackTuple(args, self->kind->name, 0, 1, &b)) {
        return NULL;
    }
    if (self->a == NULL) {
        Py_RETURN_NONE;
    }
    PyaioState *state = pyaio_state_of(op);
    if (self->kind->run(state, self->a, b ? b : self->b) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static int
ReadyCall_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioReadyCall *self = (PyaioReadyCall *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->a);
    Py_VISIT(self->b);
    return 0;
}

static int
ReadyCall_clear(PyObject *op)
{
    PyaioReadyCall *self = (PyaioReadyCall *)op;
    Py_CLEAR(self->a);
    Py_CLEAR(self->b);
    return 0;
}

static void
ReadyCall_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    (void)ReadyCall_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

/* Equal where they stand for the same callback, as bound methods are. */
static PyObject *
ReadyCall_richcompare(PyObject *op, PyObject *other, int operation)
{
    if (!Py_IS_TYPE(other, Py_TYPE(op)) ||
        (operation != Py_EQ && operation != Py_NE)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    PyaioReadyCall *x = (PyaioReadyCall *)op, *y = (PyaioReadyCall *)other;
    int same = x->kind == y->kind && x->a == y->a && x->b == y->b;
    return PyBool_FromLong(same == (operation == Py_EQ));
}

static Py_hash_t
ReadyCall_hash(PyObject *op)
{
    PyaioReadyCall *self = (PyaioReadyCall *)op;
    Py_hash_t hash =
        (Py_hash_t)((uintptr_t)self->a >> 4 ^ (uintptr_t)self->kind);
    return hash == -1 ? -2 : hash;
}

static PyObject *
ReadyCall_get_name(PyObject *op, void *Py_UNUSED(closure))
{
    const char *name = ((PyaioReadyCall *)op)->kind->name;
    const char *dot = strrchr(name, '.');
    return PyUnicode_FromString(dot ? dot + 1 : name);
}

static PyObject *
ReadyCall_get_qualname(PyObject *op, void *Py_UNUSED(closure))
{
    return PyUnicode_FromString(((PyaioReadyCall *)op)->kind->name);
}

static PyObject *
ReadyCall_get_self(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *a = ((PyaioReadyCall *)op)->a;
    return Py_NewRef(a ? a : Py_None);
}

static PyGetSetDef ready_call_getset[] = {
    {"__name__", ReadyCall_get_name, NULL, NULL, NULL},
    {"__qualname__", ReadyCall_get_qualname, NULL, NULL, NULL},
    {"__self__", ReadyCall_get_self, NULL,
     "The object whose turn it is: a task, or what waits for one.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot ready_call_slots[] = {
    {Py_tp_call, ReadyCall_call},
    {Py_tp_traverse, ReadyCall_traverse},
    {Py_tp_clear, ReadyCall_clear},
    {Py_tp_dealloc, ReadyCall_dealloc},
    {Py_tp_richcompare, ReadyCall_richcompare},
    {Py_tp_hash, ReadyCall_hash},
    {Py_tp_getset, ready_call_getset},
    {0, NULL},
};

static PyType_Spec ready_call_spec = {
    .name = "pyaio._core.ReadyCall",
    .basicsize = sizeof(PyaioReadyCall),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = ready_call_slots,
};

int
pyaio_ready_call_init(PyObject *module)
{
    return pyaio_add_type(module, &pyaio_module_state(module)->ReadyCall_type,
                          &ready_call_spec, NULL);
}
