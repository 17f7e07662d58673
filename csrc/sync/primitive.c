/* Primitives: being bound to a loop, and methods that somebody replaced. */
#include "sync/primitive.h"
#include "base/interop.h"
#include "base/meta.h"

static PyObject *
table_name(PyaioState *state, const PyaioMethodTable *table, size_t i)
{
    return i == 0 ? state->str__get_loop
                  : pyaio_state_object(state, table->names[i - 1]);
}

unsigned
pyaio_primitive_check_methods(PyaioState *state, PyObject *op,
                              const PyaioMethodTable *table)
{
    PyaioPrimitive *self = (PyaioPrimitive *)op;
    PyObject *type = (PyObject *)Py_TYPE(op);
    PyObject *ours = pyaio_state_object(state, table->type);
    PyObject *raised = PyErr_GetRaisedException();
    unsigned tag = Py_TYPE(op)->tp_version_tag;
    if (tag == 0 || tag != self->type_tag) {
        self->replaced = 0;
        for (size_t i = 0; i <= table->count; i++) {
            PyObject *name = table_name(state, table, i);
            if (!pyaio_attribute_is_original(type, ours, name)) {
                self->replaced |= 1u << i;
            }
        }
        self->type_tag = Py_TYPE(op)->tp_version_tag;
    }
    unsigned replaced = self->replaced;
    for (size_t i = 0; self->dict != NULL && i <= table->count; i++) {
        if (PyDict_Contains(self->dict, table_name(state, table, i)) != 0) {
            replaced |= 1u << i;
        }
    }
    PyErr_Clear();
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
    return replaced;
}

/* --- the loop ------------------------------------------------------------ */

static PyObject *
primitive_bind(PyaioState *state, PyaioPrimitive *self)
{
    PyObject *running = pyaio_running_loop(state);
    if (running == NULL) {
        if (PyErr_Occurred()) {
            return NULL;
        }
        running = Py_NewRef(Py_None);
    }
    if (self->loop == NULL || self->loop == Py_None) {
        Py_XSETREF(self->loop, Py_NewRef(running));
    }
    if (self->loop != running) {
        PyErr_Format(PyExc_RuntimeError,
                     "%R is bound to a different event loop", self);
        Py_CLEAR(running);
    }
    return running;
}

PyObject *
pyaio_primitive_loop(PyaioState *state, PyObject *op, unsigned replaced)
{
    if (replaced & PYAIO_METHOD_GET_LOOP) {
        return PyObject_CallMethodNoArgs(op, state->str__get_loop);
    }
    return primitive_bind(state, (PyaioPrimitive *)op);
}

PyObject *
pyaio_primitive_py_get_loop(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return primitive_bind(pyaio_state_of(op), (PyaioPrimitive *)op);
}

void
pyaio_primitive_no_attribute(PyObject *op, const char *name)
{
    PyErr_Format(PyExc_AttributeError, "'%s' object has no attribute '%s'",
                 Py_TYPE(op)->tp_name, name);
}

PyObject *
pyaio_primitive_repr(PyObject *op, PyObject *extra, Py_ssize_t waiters)
{
    PyObject *plain = NULL, *inner = NULL, *text = NULL;
    if (extra != NULL && waiters >= 0) {
        plain = PyBaseObject_Type.tp_repr(op);
    }
    if (plain != NULL) {
        inner = PyUnicode_Substring(plain, 1, PyUnicode_GET_LENGTH(plain) - 1);
    }
    if (inner != NULL && waiters > 0) {
        text = PyUnicode_FromFormat("<%U [%U, waiters:%zd]>", inner, extra,
                                    waiters);
    }
    else if (inner != NULL) {
        text = PyUnicode_FromFormat("<%U [%U]>", inner, extra);
    }
    Py_XDECREF(plain);
    Py_XDECREF(inner);
    Py_XDECREF(extra);
    return text;
}

void
pyaio_raise_again(PyObject *raised)
{
    if (raised == NULL) {
        return;
    }
    if (PyErr_Occurred()) {
        PyObject *error = PyErr_GetRaisedException();
        PyObject *context = PyException_GetContext(error);
        if (context == NULL && error != raised) {
            PyException_SetContext(error, raised);
        }
        else {
            Py_DECREF(raised);
        }
        Py_XDECREF(context);
        PyErr_SetRaisedException(error);
        return;
    }
    PyErr_SetRaisedException(raised);
}

/* --- making them --------------------------------------------------------- */

int
pyaio_primitive_stock_init(PyObject *stock, PyObject *op, PyObject *args,
                           PyObject *kwargs)
{
    PyObject *init = PyObject_GetAttrString(stock, "__init__");
    PyObject *self = PyTuple_Pack(1, op);
    PyObject *all = self ? PySequence_Concat(self, args) : NULL;
    PyObject *done = NULL;
    if (init != NULL && all != NULL) {
        done = PyObject_Call(init, all, kwargs);
    }
    Py_XDECREF(init);
    Py_XDECREF(self);
    Py_XDECREF(all);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* --- memory -------------------------------------------------------------- */

int
pyaio_primitive_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioPrimitive *self = (PyaioPrimitive *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->dict);
    Py_VISIT(self->loop);
    return 0;
}

int
pyaio_primitive_clear(PyObject *op)
{
    PyaioPrimitive *self = (PyaioPrimitive *)op;
    Py_CLEAR(self->dict);
    Py_CLEAR(self->loop);
    return 0;
}

void
pyaio_primitive_dealloc(PyObject *op, inquiry clear)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    if (((PyaioPrimitive *)op)->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    (void)clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}
