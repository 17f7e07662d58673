/* sock_sendall() and sock_sendto(). */
#include "base/errors.h"
#include "net/foreign_socket.h"
#include "net/net.h"
#include "net/operation.h"

/* --- sock_sendall() ------------------------------------------------------ */

/* Sends what is left, once. PYGEN_NEXT: there is more. */
static PySendResult
send_rest(PyaioOperation *self)
{
    const char *data = self->view.buf;
    Py_ssize_t sent =
        pyaio_socket_send(pyaio_operation_socket(self), data + self->size,
                          (size_t)(self->view.len - self->size));
    if (sent < 0) {
        return sent == PYAIO_SOCKET_BLOCKED ? PYGEN_NEXT : PYGEN_ERROR;
    }
    self->size += sent;
    return self->size == self->view.len ? PYGEN_RETURN : PYGEN_NEXT;
}

/* Data whose length is its number of bytes. */
static int
sendall_accepts(PyaioOperation *self)
{
    PyObject *data = self->args[2];
    if (!PyBytes_Check(data) && !PyByteArray_Check(data) &&
        !PyMemoryView_Check(data)) {
        return 0;
    }
    Py_buffer *view = &self->view;
    if (PyObject_GetBuffer(data, view, PyBUF_SIMPLE) < 0) {
        PyErr_Clear();
        return 0;
    }
    Py_ssize_t length = PyObject_Length(data);
    if (length != view->len) {
        PyBuffer_Release(view);
        PyErr_Clear();
        return 0;
    }
    return 1;
}

static PySendResult
sendall_attempt(PyaioState *Py_UNUSED(state), PyaioOperation *self,
                PyObject **result)
{
    if (self->error != NULL) {
        PyErr_SetRaisedException(self->error);
        self->error = NULL;
        return PYGEN_ERROR;
    }
    PySendResult went = PYGEN_RETURN;
    /* What went on while the coroutine waited may have been everything. */
    if (self->size < self->view.len || self->view.len == 0) {
        went = send_rest(self);
    }
    if (went == PYGEN_RETURN) {
        *result = Py_NewRef(Py_None);
    }
    return went;
}

/* Goes on without the coroutine, as stock does: what a task that is cancelled
 * has sent is not known in any case. */
static int
sendall_advance(PyaioState *Py_UNUSED(state), PyaioOperation *self)
{
    PySendResult went = send_rest(self);
    if (went == PYGEN_ERROR) {
        if (pyaio_error_is_exit()) {
            return -1;
        }
        self->error = PyErr_GetRaisedException();
    }
    return went != PYGEN_NEXT;
}

static const PyaioReadyKind sendall_ready =
    PYAIO_OPERATION_READY("_sock_sendall");

static const PyaioOperationKind sendall_kind = {
    .base = PYAIO_OPERATION_KIND(stock_sock_sendall),
    .ready = &sendall_ready,
    .direction = PYAIO_POLL_WRITE,
    .accepts = sendall_accepts,
    .attempt = sendall_attempt,
    .advance = sendall_advance,
};

static PyObject *
sendall_call(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
             PyObject *kwnames)
{
    return pyaio_operation_new(state, &sendall_kind, args, nargs, kwnames, 3,
                               3);
}

/* --- sock_sendto() ------------------------------------------------------- */

/* sock.sendto(data, address), for what only the socket module understands. */
static PySendResult
sendto_method(PyaioOperation *self, PyObject **result)
{
    *result = PyObject_CallMethod(pyaio_operation_socket(self), "sendto", "OO",
                                  self->args[2], self->args[3]);
    if (*result != NULL) {
        return PYGEN_RETURN;
    }
    return pyaio_foreign_failed() == PYAIO_SOCKET_BLOCKED ? PYGEN_NEXT
                                                          : PYGEN_ERROR;
}

static PySendResult
sendto_attempt(PyaioState *Py_UNUSED(state), PyaioOperation *self,
               PyObject **result)
{
    PyObject *sock = pyaio_operation_socket(self), *data = self->args[2];
    PyaioAddress to;
    if (!PyBytes_CheckExact(data) ||
        !pyaio_address_read(((PyaioSocketBase *)sock)->family, self->args[3],
                            &to)) {
        return sendto_method(self, result);
    }
    if (PySys_Audit("socket.sendto", "OO", sock, self->args[3]) < 0) {
        return PYGEN_ERROR;
    }
    Py_ssize_t sent = pyaio_socket_send_to(
        sock, PyBytes_AS_STRING(data), (size_t)PyBytes_GET_SIZE(data), &to);
    if (sent < 0) {
        return sent == PYAIO_SOCKET_BLOCKED ? PYGEN_NEXT : PYGEN_ERROR;
    }
    *result = PyLong_FromSsize_t(sent);
    return *result ? PYGEN_RETURN : PYGEN_ERROR;
}

static const PyaioReadyKind sendto_ready =
    PYAIO_OPERATION_READY("_sock_sendto");

static const PyaioOperationKind sendto_kind = {
    .base = PYAIO_OPERATION_KIND(stock_sock_sendto),
    .ready = &sendto_ready,
    .direction = PYAIO_POLL_WRITE,
    .attempt = sendto_attempt,
};

static PyObject *
sendto_call(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames)
{
    return pyaio_operation_new(state, &sendto_kind, args, nargs, kwnames, 4,
                               4);
}

int
pyaio_sock_send_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_operation_add(state, "sock_sendall", state->stock_sock_sendall,
                            sendall_call) < 0) {
        return -1;
    }
    return pyaio_operation_add(state, "sock_sendto", state->stock_sock_sendto,
                               sendto_call);
}
