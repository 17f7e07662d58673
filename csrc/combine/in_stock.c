/* Going on in a coroutine of stock's. */
#include "combine/in_stock.h"

PySendResult
pyaio_in_stock_await(PyaioState *state, PyaioCoroutine *self, PyObject *coro,
                     PyObject **result)
{
    if (coro == NULL) {
        return PYGEN_ERROR;
    }
    self->in_stock = 1;
    return pyaio_await_call(state, &self->await, coro, result);
}

PyObject *
pyaio_in_stock_pack(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    Py_ssize_t total = nargs + (kwnames ? PyTuple_GET_SIZE(kwnames) : 0);
    PyObject *packed = PyTuple_New(total);
    for (Py_ssize_t i = 0; packed != NULL && i < total; i++) {
        PyTuple_SET_ITEM(packed, i, Py_NewRef(args[i]));
    }
    return packed;
}

PyObject *
pyaio_in_stock_call(PyaioState *state, const PyaioCoroutine *self,
                    PyObject *packed, PyObject *kwnames)
{
    PyObject *function = pyaio_state_object(state, self->kind->function);
    Py_ssize_t named = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    Py_ssize_t count = PyTuple_GET_SIZE(packed) - named;
    return PyObject_Vectorcall(function, ((PyTupleObject *)packed)->ob_item,
                               (size_t)count, kwnames);
}

PySendResult
pyaio_in_stock_start(PyaioState *state, PyaioCoroutine *self,
                     PyObject *function, PyObject *arguments,
                     PyObject **result)
{
    return pyaio_in_stock_await(
        state, self, PyObject_CallObject(function, arguments), result);
}

PySendResult
pyaio_in_stock_send(PyaioState *state, PyaioCoroutine *self, PyObject *value,
                    PyObject **result)
{
    return pyaio_await_send(state, &self->await, value, result);
}

PySendResult
pyaio_in_stock_throw(PyaioState *state, PyaioCoroutine *self,
                     PyObject *exception, PyObject **result)
{
    return pyaio_await_throw(state, &self->await, exception, result);
}

PyObject *
pyaio_in_stock_mirror(PyaioCoroutine *self, PyObject *function,
                      PyObject *arguments)
{
    if (self->in_stock) {
        return Py_NewRef(self->await.awaited);
    }
    if (self->mirror == NULL && arguments != NULL) {
        self->mirror = PyObject_CallObject(function, arguments);
    }
    return Py_XNewRef(self->mirror);
}
