/* What `await future` drives: yields the future once, then has its result.
 *
 * Its whole state is in the future, which therefore drives itself where the
 * interpreter awaits it; a FutureIter is for those who call __await__() or
 * __iter__(), and for classes derived in Python. */
#include "base/stop.h"
#include "task/future.h"
#include "task/future_methods.h"

typedef struct {
    PyObject_HEAD
    PyObject *future; /* owned, NULL once exhausted */
} FutureIter;

PyObject *
pyaio_future_iter_new(PyObject *op)
{
    PyaioState *state = pyaio_state_of(op);
    PyObject *iter = pyaio_pool_take(
        &state->future_iter_pool, state->FutureIter_type, sizeof(FutureIter));
    if (iter != NULL) {
        ((FutureIter *)iter)->future = Py_NewRef(op);
    }
    return iter;
}

PySendResult
pyaio_future_await(PyaioState *state, PyaioFuture *future, PyObject **result)
{
    *result = NULL;
    if (!pyaio_future_done(future)) {
        if (future->blocking) {
            PyErr_SetString(PyExc_RuntimeError,
                            "await wasn't used with future");
            return PYGEN_ERROR;
        }
        future->blocking = 1;
        *result = Py_NewRef(pyaio_future_object(future));
        return PYGEN_NEXT;
    }
    PyObject *exception;
    *result = pyaio_future_get_result(state, future, &exception);
    if (exception != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
        Py_DECREF(exception);
    }
    return *result ? PYGEN_RETURN : PYGEN_ERROR;
}

static PySendResult
FutureIter_send_value(PyObject *op, PyObject *Py_UNUSED(value),
                      PyObject **result)
{
    FutureIter *self = (FutureIter *)op;
    PyObject *future = self->future;
    if (future == NULL) {
        *result = Py_NewRef(Py_None);
        return PYGEN_RETURN;
    }
    PyaioState *state = pyaio_state_of(op);
    Py_INCREF(future);
    PySendResult went =
        pyaio_future_await(state, pyaio_own_future(state, future), result);
    if (went != PYGEN_NEXT &&
        pyaio_future_done(pyaio_own_future(state, future))) {
        Py_CLEAR(self->future);
    }
    Py_DECREF(future);
    return went;
}

/* Raises StopIteration(value), also where the value is a tuple or itself an
 * exception, which PyErr_SetObject() would unpack. */
static void
set_stop_iteration(PyObject *value)
{
    PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, value);
    if (stop != NULL) {
        PyErr_SetObject(PyExc_StopIteration, stop);
        Py_DECREF(stop);
    }
}

static PyObject *
FutureIter_iternext(PyObject *op)
{
    PyObject *result;
    if (FutureIter_send_value(op, Py_None, &result) != PYGEN_RETURN) {
        return result;
    }
    if (result != Py_None) { /* plain NULL means that */
        set_stop_iteration(result);
    }
    Py_DECREF(result);
    return NULL;
}

static PyObject *
Future_iternext(PyObject *op)
{
    PyaioState *state = pyaio_state_of(op);
    PyaioFuture *future = pyaio_future_require(state, op);
    PyObject *result = NULL;
    if (future == NULL ||
        pyaio_future_await(state, future, &result) != PYGEN_RETURN) {
        return result;
    }
    if (result == Py_None) {
        Py_DECREF(result);
    }
    else {
        pyaio_stop_raise(state, result);
    }
    return NULL;
}

PyObject *
pyaio_future_am_await(PyObject *op)
{
    if (pyaio_future_require(pyaio_state_of(op), op) == NULL) {
        return NULL;
    }
    /* A class derived in Python has no such slot. */
    return Py_TYPE(op)->tp_iternext == Future_iternext
               ? Py_NewRef(op)
               : pyaio_future_iter_new(op);
}

void
pyaio_future_drive_itself(PyTypeObject *type)
{
    type->tp_iternext = Future_iternext;
}

PyObject *
pyaio_future_tp_iter(PyObject *op)
{
    return pyaio_future_require(pyaio_state_of(op), op)
               ? pyaio_future_iter_new(op)
               : NULL;
}

PyObject *
pyaio_future_py_await(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return pyaio_future_tp_iter(op);
}

static PyObject *
FutureIter_send(PyObject *op, PyObject *Py_UNUSED(value))
{
    PyObject *result = FutureIter_iternext(op);
    if (result == NULL && !PyErr_Occurred()) {
        PyErr_SetNone(PyExc_StopIteration);
    }
    return result;
}

static PyObject *
FutureIter_throw(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    FutureIter *self = (FutureIter *)op;
    if (nargs < 1 || nargs > 3) {
        PyErr_Format(PyExc_TypeError,
                     "throw expected 1 to 3 arguments, got %zd", nargs);
        return NULL;
    }
    if (pyaio_throw_deprecated(nargs) < 0) {
        return NULL;
    }
    PyObject *type = args[0], *value = nargs > 1 ? args[1] : Py_None;
    PyObject *traceback = nargs > 2 ? args[2] : Py_None;
    if (traceback != Py_None && !PyTraceBack_Check(traceback)) {
        PyErr_SetString(PyExc_TypeError,
                        "throw() third argument must be a traceback");
        return NULL;
    }
    if (PyExceptionClass_Check(type)) {
        PyErr_SetObject(type, value == Py_None ? NULL : value);
    }
    else if (PyExceptionInstance_Check(type)) {
        if (value != Py_None) {
            PyErr_SetString(
                PyExc_TypeError,
                "instance exception may not have a separate value");
            return NULL;
        }
        PyErr_SetObject((PyObject *)Py_TYPE(type), type);
    }
    else {
        PyErr_SetString(PyExc_TypeError,
                        "exceptions must be classes deriving BaseException or "
                        "instances of such a class");
        return NULL;
    }
    if (traceback != Py_None) {
        PyObject *exc = PyErr_GetRaisedException();
        PyException_SetTraceback(exc, traceback);
        PyErr_SetRaisedException(exc);
    }
    Py_CLEAR(self->future);
    return NULL;
}

static PyObject *
FutureIter_close(PyObject *op, PyObject *Py_UNUSED(unused))
{
    Py_CLEAR(((FutureIter *)op)->future);
    Py_RETURN_NONE;
}

static int
FutureIter_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(((FutureIter *)op)->future);
    return 0;
}

static int
FutureIter_clear(PyObject *op)
{
    Py_CLEAR(((FutureIter *)op)->future);
    return 0;
}

static void
FutureIter_dealloc(PyObject *op)
{
    PyObject_GC_UnTrack(op);
    Py_CLEAR(((FutureIter *)op)->future);
    PyaioState *state = pyaio_state_of(op);
    if (state == NULL) {
        PyTypeObject *type = Py_TYPE(op);
        type->tp_free(op);
        Py_DECREF(type);
        return;
    }
    pyaio_pool_give(&state->future_iter_pool, op);
}

static PyMethodDef future_iter_methods[] = {
    {"send", FutureIter_send, METH_O, NULL},
    {"throw", (PyCFunction)(void (*)(void))FutureIter_throw, METH_FASTCALL,
     NULL},
    {"close", FutureIter_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot future_iter_slots[] = {
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, FutureIter_iternext},
    {Py_am_send, FutureIter_send_value},
    {Py_tp_traverse, FutureIter_traverse},
    {Py_tp_clear, FutureIter_clear},
    {Py_tp_dealloc, FutureIter_dealloc},
    {Py_tp_methods, future_iter_methods},
    {0, NULL},
};

static PyType_Spec future_iter_spec = {
    .name = "pyaio._core.FutureIter",
    .basicsize = sizeof(FutureIter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = future_iter_slots,
};

int
pyaio_future_iter_init(PyObject *module)
{
    return pyaio_add_type(module, &pyaio_module_state(module)->FutureIter_type,
                          &future_iter_spec, NULL);
}
