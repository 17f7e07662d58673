/* What a coroutine tells about itself: names, state, place of origin. */
#include "combine/coroutine_attributes.h"

static inline PyObject *
coroutine_function(PyaioState *state, PyaioCoroutine *self)
{
    return pyaio_state_object(state, self->kind->function);
}

static PyObject *
origin_entry(PyFrameObject *frame)
{
    PyCodeObject *code = PyFrame_GetCode(frame);
    PyObject *entry = Py_BuildValue(
        "OiO", code->co_filename, PyFrame_GetLineNumber(frame), code->co_name);
    Py_DECREF(code);
    return entry;
}

/* A tuple of (file, line, function) of up to `depth` callers. */
PyObject *
pyaio_coroutine_origin(int depth)
{
    PyObject *entries = PyList_New(0);
    if (entries == NULL) {
        return NULL;
    }
    PyFrameObject *frame = PyThreadState_GetFrame(PyThreadState_Get());
    while (frame != NULL && PyList_GET_SIZE(entries) < depth) {
        PyObject *entry = origin_entry(frame);
        if (entry == NULL || PyList_Append(entries, entry) < 0) {
            Py_XDECREF(entry);
            Py_DECREF(frame);
            Py_DECREF(entries);
            return NULL;
        }
        Py_DECREF(entry);
        PyFrameObject *back = PyFrame_GetBack(frame);
        Py_DECREF(frame);
        frame = back;
    }
    Py_XDECREF(frame);
    PyObject *origin = PyList_AsTuple(entries);
    Py_DECREF(entries);
    return origin;
}

static PyObject *
Coroutine_get_name(PyObject *op, void *closure)
{
    PyaioCoroutine *self = (PyaioCoroutine *)op;
    PyObject *own = closure ? self->qualname : self->name;
    if (own != NULL) {
        return Py_NewRef(own);
    }
    return PyObject_GetAttrString(coroutine_function(pyaio_state_of(op), self),
                                  closure ? "__qualname__" : "__name__");
}

static int
Coroutine_set_name(PyObject *op, PyObject *value, void *closure)
{
    PyaioCoroutine *self = (PyaioCoroutine *)op;
    if (value == NULL || !PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s must be set to a string object",
                     closure ? "__qualname__" : "__name__");
        return -1;
    }
    Py_XSETREF(*(closure ? &self->qualname : &self->name), Py_NewRef(value));
    return 0;
}

/* inspect and others ask isinstance(..., CoroutineType). */
static PyObject *
Coroutine_get_class(PyObject *op, void *Py_UNUSED(closure))
{
    return Py_NewRef(pyaio_state_of(op)->CoroutineType);
}

static PyObject *
Coroutine_get_await(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioCoroutine *self = (PyaioCoroutine *)op;
    if (self->status != PYAIO_CORO_SUSPENDED) {
        Py_RETURN_NONE;
    }
    if (self->kind->inner != NULL && !self->in_stock) {
        if (self->inner == NULL) {
            self->inner = self->kind->inner(pyaio_state_of(op), self);
        }
        return Py_XNewRef(self->inner);
    }
    PyObject *mirror = self->kind->mirror(pyaio_state_of(op), self);
    PyObject *awaited =
        mirror ? PyObject_GetAttrString(mirror, "cr_await") : NULL;
    Py_XDECREF(mirror);
    if (awaited == Py_None && self->await.awaited != NULL) {
        Py_SETREF(awaited, Py_NewRef(self->await.awaited));
    }
    return awaited;
}

static PyObject *
Coroutine_get_code(PyObject *op, void *Py_UNUSED(closure))
{
    return PyObject_GetAttrString(
        coroutine_function(pyaio_state_of(op), (PyaioCoroutine *)op),
        "__code__");
}

static PyObject *
Coroutine_get_frame(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioCoroutine *self = (PyaioCoroutine *)op;
    if (self->status == PYAIO_CORO_CLOSED) {
        Py_RETURN_NONE;
    }
    PyObject *mirror = self->kind->mirror(pyaio_state_of(op), self);
    PyObject *frame =
        mirror ? PyObject_GetAttrString(mirror, "cr_frame") : NULL;
    Py_XDECREF(mirror);
    return frame;
}

static PyObject *
Coroutine_get_running(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((PyaioCoroutine *)op)->status ==
                           PYAIO_CORO_RUNNING);
}

static PyObject *
Coroutine_get_suspended(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((PyaioCoroutine *)op)->status ==
                           PYAIO_CORO_SUSPENDED);
}

#if PYAIO_HAS_CORO_STATE
static PyObject *
Coroutine_get_state(PyObject *op, void *Py_UNUSED(closure))
{
    static const char *const names[] = {
        [PYAIO_CORO_CREATED] = "CORO_CREATED",
        [PYAIO_CORO_SUSPENDED] = "CORO_SUSPENDED",
        [PYAIO_CORO_RUNNING] = "CORO_RUNNING",
        [PYAIO_CORO_CLOSED] = "CORO_CLOSED",
    };
    return PyUnicode_InternFromString(names[((PyaioCoroutine *)op)->status]);
}
#endif

static PyObject *
Coroutine_get_origin(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *origin = ((PyaioCoroutine *)op)->origin;
    return Py_NewRef(origin ? origin : Py_None);
}

PyGetSetDef pyaio_coroutine_getset[] = {
    {"__class__", Coroutine_get_class, NULL, NULL, NULL},
    {"__name__", Coroutine_get_name, Coroutine_set_name, NULL, NULL},
    {"__qualname__", Coroutine_get_name, Coroutine_set_name, NULL, ""},
    {"cr_await", Coroutine_get_await, NULL, NULL, NULL},
    {"cr_code", Coroutine_get_code, NULL, NULL, NULL},
    {"cr_frame", Coroutine_get_frame, NULL, NULL, NULL},
    {"cr_origin", Coroutine_get_origin, NULL, NULL, NULL},
    {"cr_running", Coroutine_get_running, NULL, NULL, NULL},
#if PYAIO_HAS_CORO_STATE
    {"cr_state", Coroutine_get_state, NULL, NULL, NULL},
#endif
    {"cr_suspended", Coroutine_get_suspended, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
