/* Which methods of a stream somebody replaced, and what streams have in
 * common. */
#include "stream/methods.h"

static PyObject *
state_object(const PyaioState *state, size_t place)
{
    return *(PyObject *const *)(const void *)((const char *)state + place);
}

static int
is_original(PyObject *type, PyObject *ours, PyObject *name)
{
    PyObject *found = PyObject_GetAttr(type, name);
    PyObject *original = PyObject_GetAttr(ours, name);
    int same = found != NULL && found == original;
    Py_XDECREF(found);
    Py_XDECREF(original);
    return same;
}

unsigned
pyaio_stream_look_up(PyaioState *state, PyTypeObject *type,
                     const PyaioStreamMethods *methods)
{
    PyObject *ours = state_object(state, methods->type);
    if (ours == NULL) {
        return ~0u; /* the module is being torn down */
    }
    PyObject *raised = PyErr_GetRaisedException();
    unsigned replaced = 0;
    for (size_t i = 0; i < methods->count; i++) {
        PyObject *name = state_object(state, methods->names[i]);
        if (!is_original((PyObject *)type, ours, name)) {
            replaced |= 1u << i;
        }
    }
    PyErr_Clear();
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
    unsigned tag = type->tp_version_tag;
    PyaioStreamClass *kept =
        (PyaioStreamClass *)(void *)((char *)state + methods->kept);
    kept[tag % PYAIO_STREAM_CLASSES] = (PyaioStreamClass){tag, replaced};
    return replaced;
}

int
pyaio_stream_setattr(PyObject *op, PyObject *name, PyObject *value,
                     const PyaioStreamMethods *methods)
{
    if (PyObject_GenericSetAttr(op, name, value) < 0) {
        return -1;
    }
    PyaioState *state = pyaio_state_of(op);
    if (state == NULL || !PyUnicode_Check(name)) {
        return 0;
    }
    PyaioStream *self = (PyaioStream *)op;
    int interned = PyUnicode_CHECK_INTERNED(name) != 0;
    for (size_t i = 0; i < methods->count; i++) {
        PyObject *known = state_object(state, methods->names[i]);
        if (name == known || (!interned && known != NULL &&
                              PyUnicode_Compare(name, known) == 0)) {
            unsigned bit = 1u << i;
            self->own = value ? self->own | bit : self->own & ~bit;
        }
    }
    return 0;
}

PyObject *
pyaio_stream_get(PyaioStream *self, PyObject *value, const char *name)
{
    if (value == NULL && self->loop == NULL) {
        PyErr_Format(PyExc_AttributeError, "'%s' object has no attribute '%s'",
                     Py_TYPE(self)->tp_name, name);
        return NULL;
    }
    return Py_NewRef(value ? value : Py_None);
}

PyObject *
pyaio_stream_argument(PyObject *const *args, Py_ssize_t nargs,
                      PyObject *kwnames, PyObject *name)
{
    Py_ssize_t named = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    if (nargs + named != 1 ||
        (named && PyUnicode_Compare(PyTuple_GET_ITEM(kwnames, 0), name))) {
        PyErr_Format(PyExc_TypeError, "expected exactly one argument, '%U'",
                     name);
        return NULL;
    }
    return args[0];
}

int
pyaio_stream_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioStream *self = (PyaioStream *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->dict);
    Py_VISIT(self->loop);
    return 0;
}

int
pyaio_stream_clear(PyObject *op)
{
    PyaioStream *self = (PyaioStream *)op;
    Py_CLEAR(self->dict);
    Py_CLEAR(self->loop);
    return 0;
}

void
pyaio_stream_dealloc(PyObject *op, inquiry clear)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    if (((PyaioStream *)op)->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    (void)clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}
