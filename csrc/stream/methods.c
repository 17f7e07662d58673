/* Which methods of a stream somebody replaced, and what streams have in
 * common. */
#include "stream/methods.h"
#include "base/meta.h"

unsigned
pyaio_stream_look_up(PyaioState *state, PyTypeObject *type,
                     const PyaioStreamMethods *methods)
{
    PyObject *ours = pyaio_state_object(state, methods->type);
    if (ours == NULL) {
        return ~0u; /* the module is being torn down */
    }
    PyObject *raised = PyErr_GetRaisedException();
    unsigned replaced = 0;
    for (size_t i = 0; i < methods->count; i++) {
        PyObject *name = pyaio_state_object(state, methods->names[i]);
        if (!pyaio_attribute_is_original((PyObject *)type, ours, name)) {
            replaced |= 1u << i;
        }
    }
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
        PyObject *known = pyaio_state_object(state, methods->names[i]);
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

int
pyaio_stream_keep(PyObject *value)
{
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError,
                        "this attribute cannot be deleted");
        return -1;
    }
    return 0;
}

PyObject *
pyaio_stream_get_object(PyObject *op, void *closure)
{
    const PyaioStreamAttribute *attribute = closure;
    PyObject *value = *(PyObject **)((char *)op + attribute->place);
    return pyaio_stream_get((PyaioStream *)op, value, attribute->name);
}

int
pyaio_stream_set_object(PyObject *op, PyObject *value, void *closure)
{
    const PyaioStreamAttribute *attribute = closure;
    if (pyaio_stream_keep(value) < 0) {
        return -1;
    }
    PyObject **field = (PyObject **)((char *)op + attribute->place);
    Py_XSETREF(*field, value == Py_None ? NULL : Py_NewRef(value));
    return 0;
}

PyObject *
pyaio_stream_get_flag(PyObject *op, void *closure)
{
    const PyaioStreamAttribute *attribute = closure;
    if (((PyaioStream *)op)->loop == NULL) {
        return pyaio_stream_get((PyaioStream *)op, NULL, attribute->name);
    }
    return PyBool_FromLong(*((uint8_t *)op + attribute->place));
}

int
pyaio_stream_set_flag(PyObject *op, PyObject *value, void *closure)
{
    const PyaioStreamAttribute *attribute = closure;
    int truth = pyaio_stream_keep(value) < 0 ? -1 : PyObject_IsTrue(value);
    if (truth < 0) {
        return -1;
    }
    *((uint8_t *)op + attribute->place) = (uint8_t)truth;
    return 0;
}

void
pyaio_stream_raise(PyObject *exc)
{
    if (PyExceptionInstance_Check(exc)) {
        PyErr_SetObject((PyObject *)Py_TYPE(exc), exc);
    }
    else if (PyExceptionClass_Check(exc)) {
        PyErr_SetNone(exc);
    }
    else {
        PyErr_SetString(PyExc_TypeError,
                        "exceptions must derive from BaseException");
    }
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
