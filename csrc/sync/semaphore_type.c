/* Semaphore and BoundedSemaphore: their Python face. */
#include "sync/semaphore.h"
#include "base/interop.h"
#include "base/meta.h"
#include "sync/sync.h"

static PyObject *
Semaphore_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
              PyObject *Py_UNUSED(kwargs))
{
    PyaioSemaphore *self = (PyaioSemaphore *)type->tp_alloc(type, 0);
    if (self != NULL) {
        PyaioState *state = pyaio_state_of_type(type);
        pyaio_waiters_init(&self->waiters, 1);
        self->is_bounded =
            PyType_IsSubtype(type, state->BoundedSemaphore_type);
    }
    return (PyObject *)self;
}

/* The usual arguments: none, or one int that is not negative. Returns its
 * value, or -1 where it is for stock. */
static Py_ssize_t
semaphore_usual_value(PyObject *args, PyObject *kwargs)
{
    if (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0) {
        return -1;
    }
    if (PyTuple_GET_SIZE(args) == 0) {
        return 1;
    }
    if (PyTuple_GET_SIZE(args) > 1 ||
        !PyLong_CheckExact(PyTuple_GET_ITEM(args, 0))) {
        return -1;
    }
    Py_ssize_t value = PyLong_AsSsize_t(PyTuple_GET_ITEM(args, 0));
    PyErr_Clear();
    return value;
}

static void
semaphore_begin(PyaioSemaphore *self, Py_ssize_t value)
{
    pyaio_waiters_init(&self->waiters, 1);
    Py_CLEAR(self->value.odd);
    self->value.plain = value;
    self->value.is_set = 1;
}

static int
Semaphore_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    Py_ssize_t value = semaphore_usual_value(args, kwargs);
    if (value < 0) {
        return pyaio_primitive_stock_init(pyaio_state_of(op)->stock_Semaphore,
                                          op, args, kwargs);
    }
    semaphore_begin((PyaioSemaphore *)op, value);
    return 0;
}

static int
BoundedSemaphore_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    PyaioSemaphore *self = (PyaioSemaphore *)op;
    Py_ssize_t value = semaphore_usual_value(args, kwargs);
    if (value < 0) {
        return pyaio_primitive_stock_init(
            pyaio_state_of(op)->stock_BoundedSemaphore, op, args, kwargs);
    }
    Py_CLEAR(self->bound.odd);
    self->bound.plain = value;
    self->bound.is_set = 1;
    semaphore_begin(self, value);
    return 0;
}

static PyObject *
Semaphore_repr(PyObject *op)
{
    PyaioSemaphore *self = (PyaioSemaphore *)op;
    PyObject *answer =
        PyObject_CallMethodNoArgs(op, pyaio_state_of(op)->str_locked);
    int locked = answer ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    if (locked < 0) {
        return NULL;
    }
    PyObject *extra = NULL;
    if (locked) {
        extra = PyUnicode_FromString("locked");
    }
    else {
        PyObject *value = pyaio_number_get(&self->value);
        extra =
            value ? PyUnicode_FromFormat("unlocked, value:%S", value) : NULL;
        Py_XDECREF(value);
    }
    return pyaio_primitive_repr(op, extra,
                                pyaio_waiters_count(&self->waiters));
}

/* --- attributes ---------------------------------------------------------- */

/* `closure` is the place of the number in the struct. */
static PyaioNumber *
semaphore_number(PyObject *op, void *closure)
{
    return (PyaioNumber *)(void *)((char *)op + (size_t)closure);
}

static PyObject *
Semaphore_get_number(PyObject *op, void *closure)
{
    PyaioNumber *number = semaphore_number(op, closure);
    if (!number->is_set) {
        pyaio_primitive_no_attribute(
            op, number == &((PyaioSemaphore *)op)->bound ? "_bound_value"
                                                         : "_value");
        return NULL;
    }
    return pyaio_number_get(number);
}

static int
Semaphore_set_number(PyObject *op, PyObject *value, void *closure)
{
    pyaio_number_set(semaphore_number(op, closure), value);
    return 0;
}

static PyObject *
Semaphore_get_waiters(PyObject *op, void *Py_UNUSED(closure))
{
    return pyaio_waiters_get(pyaio_state_of(op),
                             &((PyaioSemaphore *)op)->waiters);
}

static int
Semaphore_set_waiters(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    return pyaio_waiters_set(&((PyaioSemaphore *)op)->waiters, value);
}

/* --- memory -------------------------------------------------------------- */

static int
Semaphore_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioSemaphore *self = (PyaioSemaphore *)op;
    Py_VISIT(self->value.odd);
    Py_VISIT(self->bound.odd);
    int err = pyaio_waiters_traverse(&self->waiters, visit, arg);
    return err ? err : pyaio_primitive_traverse(op, visit, arg);
}

static int
Semaphore_clear(PyObject *op)
{
    PyaioSemaphore *self = (PyaioSemaphore *)op;
    pyaio_waiters_clear(&self->waiters);
    pyaio_number_set(&self->value, NULL);
    pyaio_number_set(&self->bound, NULL);
    return pyaio_primitive_clear(op);
}

static void
Semaphore_dealloc(PyObject *op)
{
    pyaio_primitive_dealloc(op, Semaphore_clear);
}

/* --- the types ----------------------------------------------------------- */

static PyMethodDef semaphore_methods[] = {
    PYAIO_PRIMITIVE_METHODS,
    {"locked", pyaio_semaphore_py_locked, METH_NOARGS,
     "locked($self, /)\n--\n\nWhether acquire() would have to wait."},
    {"release", pyaio_semaphore_py_release, METH_NOARGS,
     "release($self, /)\n--\n\n"
     "Give one unit back; who has waited longest for one gets it.\n\n"
     "Mirrors asyncio.Semaphore.release."},
    {"_wake_up_next", pyaio_semaphore_py_wake_up_next, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef bounded_methods[] = {
    {"release", pyaio_semaphore_py_release_bounded, METH_NOARGS,
     "release($self, /)\n--\n\n"
     "Give one unit back; who has waited longest for one gets it.\n\n"
     "ValueError where as many are there as in the beginning. Mirrors\n"
     "asyncio.BoundedSemaphore.release."},
    {NULL, NULL, 0, NULL},
};

#define NUMBER(name, field)                                  \
    {name, Semaphore_get_number, Semaphore_set_number, NULL, \
     (void *)offsetof(PyaioSemaphore, field)}

static PyGetSetDef semaphore_getset[] = {
    PYAIO_PRIMITIVE_GETSET,
    NUMBER("_value", value),
    {"_waiters", Semaphore_get_waiters, Semaphore_set_waiters, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyGetSetDef bounded_getset[] = {
    NUMBER("_bound_value", bound),
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef semaphore_members[] = {
    PYAIO_PRIMITIVE_MEMBERS,
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(semaphore_doc,
             "Semaphore(value=1)\n--\n\n"
             "What is native of the Semaphore that stands on it.");

static PyType_Slot semaphore_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)semaphore_doc},
    {Py_tp_new, Semaphore_new},
    {Py_tp_init, Semaphore_init},
    {Py_tp_repr, Semaphore_repr},
    {Py_tp_traverse, Semaphore_traverse},
    {Py_tp_clear, Semaphore_clear},
    {Py_tp_dealloc, Semaphore_dealloc},
    {Py_tp_methods, semaphore_methods},
    {Py_tp_getset, semaphore_getset},
    {Py_tp_members, semaphore_members},
    {0, NULL},
};

static PyType_Spec semaphore_spec = {
    .name = "pyaio._core.Semaphore",
    .basicsize = sizeof(PyaioSemaphore),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = semaphore_slots,
};

PyDoc_STRVAR(bounded_doc,
             "BoundedSemaphore(value=1)\n--\n\n"
             "What is native of the BoundedSemaphore that stands on it.");

static PyType_Slot bounded_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)bounded_doc},
    {Py_tp_init, BoundedSemaphore_init},
    {Py_tp_traverse, Semaphore_traverse},
    {Py_tp_clear, Semaphore_clear},
    {Py_tp_dealloc, Semaphore_dealloc},
    {Py_tp_methods, bounded_methods},
    {Py_tp_getset, bounded_getset},
    {0, NULL},
};

static PyType_Spec bounded_spec = {
    .name = "pyaio._core.BoundedSemaphore",
    .basicsize = sizeof(PyaioSemaphore),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = bounded_slots,
};

int
pyaio_semaphore_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    /* Before, a task that was cancelled did not ask whether it is done. */
    state->semaphore_wakes_all = pyaio_stock_mentions(
        state->stock_Semaphore_acquire, "co_names", "done");
    if (state->semaphore_wakes_all < 0 ||
        pyaio_add_type(module, &state->Semaphore_type, &semaphore_spec, NULL) <
            0 ||
        pyaio_add_type(module, &state->BoundedSemaphore_type, &bounded_spec,
                       state->Semaphore_type) < 0 ||
        /* After both are made: from then on only Python can derive. */
        pyaio_meta_adopt(state, state->Semaphore_type) < 0 ||
        pyaio_meta_adopt(state, state->BoundedSemaphore_type) < 0) {
        return -1;
    }
    return pyaio_semaphore_add_coroutines(state);
}
