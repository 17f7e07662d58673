/* sock_connect() and sock_accept(), which go through the socket's methods. */
#include "net/foreign_socket.h"
#include "net/net.h"
#include "net/operation.h"

/* What a method that raised means for the operation. */
static PySendResult
method_failed(void)
{
    return pyaio_foreign_failed() == PYAIO_SOCKET_BLOCKED ? PYGEN_NEXT
                                                          : PYGEN_ERROR;
}

/* --- sock_connect() ------------------------------------------------------ */

/* An address that needs no lookup. */
static int
connect_accepts(PyaioOperation *self)
{
    int family =
        ((const PyaioSocketBase *)pyaio_operation_socket(self))->family;
    if (family != AF_INET && family != AF_INET6) {
        return 1;
    }
    PyaioAddress unused;
    PyaioScheduler *sched =
        pyaio_scheduler_of(pyaio_state_of((PyObject *)self), self->args[0]);
    return pyaio_address_read(family, self->args[2], &unused) &&
           pyaio_sched_is_native(sched, PYAIO_LOOP_CONNECT);
}

/* How the connection that was begun has ended. */
static PySendResult
connect_outcome(PyaioOperation *self, PyObject **result)
{
    PyObject *number =
        PyObject_CallMethod(pyaio_operation_socket(self), "getsockopt", "ii",
                            SOL_SOCKET, SO_ERROR);
    if (number == NULL) {
        return method_failed();
    }
    if (PyObject_IsTrue(number) == 0) {
        Py_DECREF(number);
        *result = Py_NewRef(Py_None);
        return PYGEN_RETURN;
    }
    PyObject *text =
        PyUnicode_FromFormat("Connect call failed %S", self->args[2]);
    PyObject *error =
        text ? PyObject_CallFunctionObjArgs(PyExc_OSError, number, text, NULL)
             : NULL;
    Py_DECREF(number);
    Py_XDECREF(text);
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    return PYGEN_ERROR;
}

static PySendResult
connect_attempt(PyaioState *state, PyaioOperation *self, PyObject **result)
{
    if (self->size > 0) {
        return connect_outcome(self, result);
    }
    PyObject *done = PyObject_CallMethodOneArg(
        pyaio_operation_socket(self), state->str_connect, self->args[2]);
    if (done != NULL) {
        *result = done;
        return PYGEN_RETURN;
    }
    self->size = 1; /* begun */
    return method_failed();
}

static const PyaioReadyKind connect_ready =
    PYAIO_OPERATION_READY("_sock_connect_cb");

static const PyaioOperationKind connect_kind = {
    .base = PYAIO_OPERATION_KIND(stock_sock_connect),
    .ready = &connect_ready,
    .direction = PYAIO_POLL_WRITE,
    .accepts = connect_accepts,
    .attempt = connect_attempt,
};

static PyObject *
connect_call(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
             PyObject *kwnames)
{
    return pyaio_operation_new(state, &connect_kind, args, nargs, kwnames, 3,
                               3);
}

/* --- sock_accept() ------------------------------------------------------- */

static PySendResult
accept_attempt(PyaioState *state, PyaioOperation *self, PyObject **result)
{
    PyObject *pair = PyObject_CallMethodNoArgs(pyaio_operation_socket(self),
                                               state->str_accept);
    if (pair == NULL) {
        return method_failed();
    }
    PyObject *done = NULL;
    if (PyTuple_Check(pair) && PyTuple_GET_SIZE(pair) == 2) {
        done = PyObject_CallMethod(PyTuple_GET_ITEM(pair, 0), "setblocking",
                                   "O", Py_False);
    }
    else {
        PyErr_SetString(PyExc_TypeError, "accept() must return a pair");
    }
    if (done == NULL) {
        Py_DECREF(pair);
        return PYGEN_ERROR;
    }
    Py_DECREF(done);
    *result = pair;
    return PYGEN_RETURN;
}

static const PyaioReadyKind accept_ready =
    PYAIO_OPERATION_READY("_sock_accept");

static const PyaioOperationKind accept_kind = {
    .base = PYAIO_OPERATION_KIND(stock_sock_accept),
    .ready = &accept_ready,
    .direction = PYAIO_POLL_READ,
    .attempt = accept_attempt,
};

static PyObject *
accept_call(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames)
{
    return pyaio_operation_new(state, &accept_kind, args, nargs, kwnames, 2,
                               2);
}

int
pyaio_sock_connect_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_operation_add(state, "sock_connect", state->stock_sock_connect,
                            connect_call) < 0) {
        return -1;
    }
    return pyaio_operation_add(state, "sock_accept", state->stock_sock_accept,
                               accept_call);
}
