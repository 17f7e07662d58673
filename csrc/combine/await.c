/* The protocol behind `await`: our own futures directly, others by theirs. */
#include "combine/await.h"
#include "task/future.h"

/* What drives any object that can be awaited: a new reference. */
static PyObject *
await_iterator(PyObject *op)
{
    if (PyCoro_CheckExact(op)) {
        return Py_NewRef(op);
    }
    PyAsyncMethods *methods = Py_TYPE(op)->tp_as_async;
    if (methods == NULL || methods->am_await == NULL) {
        PyErr_Format(PyExc_TypeError, PYAIO_NOT_AWAITABLE,
                     Py_TYPE(op)->tp_name);
        return NULL;
    }
    PyObject *iterator = methods->am_await(op);
    if (iterator != NULL && !PyIter_Check(iterator)) {
        PyErr_Format(PyExc_TypeError,
                     "__await__() returned non-iterator of type '%.100s'",
                     Py_TYPE(iterator)->tp_name);
        Py_CLEAR(iterator);
    }
    return iterator;
}

PySendResult
pyaio_await_start(PyaioState *state, PyaioAwait *self, PyObject *awaited,
                  PyObject **result)
{
    *result = NULL;
    self->awaited = Py_NewRef(awaited);
    PyaioFuture *future = pyaio_as_native_future(state, awaited);
    if (future == NULL || future->loop == NULL) {
        self->iterator = await_iterator(awaited);
        if (self->iterator == NULL) {
            return PYGEN_ERROR;
        }
    }
    return pyaio_await_send(state, self, Py_None, result);
}

PySendResult
pyaio_await_call(PyaioState *state, PyaioAwait *self, PyObject *awaited,
                 PyObject **result)
{
    if (awaited == NULL) {
        return PYGEN_ERROR;
    }
    pyaio_await_stop(self);
    PySendResult went = pyaio_await_start(state, self, awaited, result);
    Py_DECREF(awaited);
    return went;
}

PySendResult
pyaio_await_send(PyaioState *state, PyaioAwait *self, PyObject *value,
                 PyObject **result)
{
    if (self->iterator != NULL) {
        return PyIter_Send(self->iterator, value, result);
    }
    /* It was exactly ours, but may have been given another class since. */
    return pyaio_future_await(state, pyaio_own_future(state, self->awaited),
                              result);
}

/* Takes the value out of the StopIteration that is set. */
static PySendResult
await_take_stop_iteration(PyObject **result)
{
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_StopIteration)) {
        return PYGEN_ERROR;
    }
    PyObject *stop = PyErr_GetRaisedException();
    PyObject *value = stop ? ((PyStopIterationObject *)stop)->value : Py_None;
    *result = Py_NewRef(value ? value : Py_None);
    Py_XDECREF(stop);
    return PYGEN_RETURN;
}

PySendResult
pyaio_await_throw(PyaioState *state, PyaioAwait *self, PyObject *exception,
                  PyObject **result)
{
    *result = NULL;
    PyObject *method = NULL;
    if (self->iterator != NULL) {
        method = PyObject_GetAttr(self->iterator, state->str_throw);
        if (method == NULL) {
            if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
                return PYGEN_ERROR;
            }
            PyErr_Clear();
        }
    }
    if (method == NULL) {
        PyErr_SetRaisedException(Py_NewRef(exception));
        return PYGEN_ERROR;
    }
    *result = PyObject_CallOneArg(method, exception);
    Py_DECREF(method);
    return *result ? PYGEN_NEXT : await_take_stop_iteration(result);
}
