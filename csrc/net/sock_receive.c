/* sock_recv(), sock_recv_into(), sock_recvfrom(), sock_recvfrom_into(). */
#include "base/errors.h"
#include "net/net.h"
#include "net/operation.h"
#include "net/receive.h"
#include "sched/watch.h"

static Py_ssize_t
receive_parts(const PyaioOperation *self, struct iovec *parts, int count)
{
    PyObject *sock = pyaio_operation_socket(self);
    return self->from ? pyaio_socket_recv_from(sock, parts, count, self->from)
                      : pyaio_socket_recv_parts(sock, parts, count);
}

/* Keeps the parts within what was asked for. */
static Py_ssize_t
receive_limited(PyObject *source, struct iovec *parts, int count)
{
    const PyaioOperation *self = (const PyaioOperation *)source;
    size_t limit = (size_t)self->size;
    if (parts[0].iov_len >= limit) {
        parts[0].iov_len = limit;
        count = 1;
    }
    else if (count == 2 && parts[1].iov_len > limit - parts[0].iov_len) {
        parts[1].iov_len = limit - parts[0].iov_len;
    }
    return receive_parts(self, parts, count);
}

/* More than the scratch memory holds was asked for. */
static Py_ssize_t
receive_whole(const PyaioOperation *self, PyObject **data)
{
    PyObject *op = PyBytes_FromStringAndSize(NULL, self->size);
    if (op == NULL) {
        return -1;
    }
    struct iovec part = {PyBytes_AS_STRING(op), (size_t)self->size};
    Py_ssize_t size = receive_parts(self, &part, 1);
    if (size <= 0) {
        Py_DECREF(op);
        return size;
    }
    if (size < self->size && pyaio_bytes_resize(&op, size) < 0) {
        return -1;
    }
    *data = op;
    return size;
}

/* The table of watches remembers how much came last from a descriptor. */
static int *
last_read_of(PyaioScheduler *sched, int fd)
{
    return sched != NULL && fd >= 0 && fd < sched->watch_capacity
               ? &sched->watches[fd].last_read
               : NULL;
}

static Py_ssize_t
receive(PyaioScheduler *sched, PyaioOperation *self, PyObject **data)
{
    if (self->size > PYAIO_SCRATCH_SIZE) {
        return receive_whole(self, data);
    }
    int *last = last_read_of(sched, pyaio_socket_fd(self->args[1]));
    Py_ssize_t expected = last ? *last : 0;
    Py_ssize_t size =
        pyaio_receive(sched, receive_limited, (PyObject *)self,
                      expected < self->size ? expected : self->size, data);
    if (last != NULL && size > 0) {
        *last = (int)size;
    }
    return size;
}

/* Receives what the operation asks for into a bytes object. */
static PySendResult
receive_bytes(PyaioState *state, PyaioOperation *self, PyObject **result)
{
    PyObject *data = NULL;
    Py_ssize_t size =
        receive(pyaio_scheduler_of(state, self->args[0]), self, &data);
    if (size == PYAIO_SOCKET_BLOCKED) {
        return PYGEN_NEXT;
    }
    *result = size == 0 ? PyBytes_FromStringAndSize(NULL, 0) : data;
    return *result ? PYGEN_RETURN : PYGEN_ERROR;
}

/* (what, address): a new reference. Takes over `what`. */
static PyObject *
with_address(PyObject *what, const PyaioAddress *from)
{
    PyObject *address =
        what ? pyaio_address_object((const struct sockaddr *)&from->any,
                                    from->length)
             : NULL;
    PyObject *pair = address ? PyTuple_New(2) : NULL;
    if (pair == NULL) {
        Py_XDECREF(what);
        Py_XDECREF(address);
        return NULL;
    }
    PyTuple_SET_ITEM(pair, 0, what);
    PyTuple_SET_ITEM(pair, 1, address);
    return pair;
}

/* Makes an attempt that notes from where it has what it received, and returns
 * that too. */
static PySendResult
receive_from(PyaioState *state, PyaioOperation *self,
             PySendResult (*attempt)(PyaioState *, PyaioOperation *,
                                     PyObject **),
             PyObject **result)
{
    PyaioAddress from;
    from.length = 0;
    self->from = &from;
    PySendResult went = attempt(state, self, result);
    self->from = NULL;
    if (went != PYGEN_RETURN) {
        return went;
    }
    *result = with_address(*result, &from);
    return *result ? PYGEN_RETURN : PYGEN_ERROR;
}

/* --- what is done here --------------------------------------------------- */

/* A number of bytes that the socket module takes, and that is not 0. */
static int
accepts_size(PyaioOperation *self)
{
    PyObject *op = self->args[2];
    if (!PyLong_CheckExact(op)) {
        return 0;
    }
    int overflow;
    long size = PyLong_AsLongAndOverflow(op, &overflow);
    self->size = size;
    return size > 0;
}

static int
knows_family(PyaioOperation *self)
{
    const PyaioSocketBase *sock =
        (const PyaioSocketBase *)pyaio_operation_socket(self);
    return pyaio_address_is_known(sock->family);
}

static int
accepts_size_and_family(PyaioOperation *self)
{
    return knows_family(self) && accepts_size(self);
}

/* --- sock_recv() --------------------------------------------------------- */

static const PyaioReadyKind recv_ready = PYAIO_OPERATION_READY("_sock_recv");

static const PyaioOperationKind recv_kind = {
    .base = PYAIO_OPERATION_KIND(stock_sock_recv),
    .ready = &recv_ready,
    .direction = PYAIO_POLL_READ,
    .accepts = accepts_size,
    .attempt = receive_bytes,
};

static PyObject *
recv_call(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames)
{
    return pyaio_operation_new(state, &recv_kind, args, nargs, kwnames, 3, 3);
}

/* --- sock_recvfrom() ----------------------------------------------------- */

static PySendResult
recvfrom_attempt(PyaioState *state, PyaioOperation *self, PyObject **result)
{
    return receive_from(state, self, receive_bytes, result);
}

static const PyaioReadyKind recvfrom_ready =
    PYAIO_OPERATION_READY("_sock_recvfrom");

static const PyaioOperationKind recvfrom_kind = {
    .base = PYAIO_OPERATION_KIND(stock_sock_recvfrom),
    .ready = &recvfrom_ready,
    .direction = PYAIO_POLL_READ,
    .accepts = accepts_size_and_family,
    .attempt = recvfrom_attempt,
};

static PyObject *
recvfrom_call(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
              PyObject *kwnames)
{
    return pyaio_operation_new(state, &recvfrom_kind, args, nargs, kwnames, 3,
                               3);
}

/* --- sock_recv_into(), sock_recvfrom_into() ------------------------------ */

/* A buffer whose length is its number of bytes, and that can be written. */
static int
accepts_buffer(PyaioOperation *self)
{
    Py_buffer view;
    PyObject *op = self->args[2];
    if (!PyByteArray_Check(op) && !PyMemoryView_Check(op)) {
        return 0;
    }
    if (PyObject_GetBuffer(op, &view, PyBUF_WRITABLE) < 0) {
        PyErr_Clear();
        return 0;
    }
    int good = view.itemsize == 1 && view.ndim <= 1 && view.len > 0;
    self->size = view.len;
    PyBuffer_Release(&view);
    return good;
}

/* The buffer may have become another since the last time. */
static PySendResult
receive_into(PyaioState *Py_UNUSED(state), PyaioOperation *self,
             PyObject **result)
{
    Py_buffer view;
    if (PyObject_GetBuffer(self->args[2], &view, PyBUF_WRITABLE) < 0) {
        return PYGEN_ERROR;
    }
    int some = self->from != NULL && self->size < view.len;
    struct iovec part = {view.buf, (size_t)(some ? self->size : view.len)};
    Py_ssize_t size = receive_parts(self, &part, 1);
    PyBuffer_Release(&view);
    if (size < 0) {
        return size == PYAIO_SOCKET_BLOCKED ? PYGEN_NEXT : PYGEN_ERROR;
    }
    *result = PyLong_FromSsize_t(size);
    return *result ? PYGEN_RETURN : PYGEN_ERROR;
}

static const PyaioReadyKind recv_into_ready =
    PYAIO_OPERATION_READY("_sock_recv_into");

static const PyaioOperationKind recv_into_kind = {
    .base = PYAIO_OPERATION_KIND(stock_sock_recv_into),
    .ready = &recv_into_ready,
    .direction = PYAIO_POLL_READ,
    .accepts = accepts_buffer,
    .attempt = receive_into,
};

static PyObject *
recv_into_call(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
               PyObject *kwnames)
{
    return pyaio_operation_new(state, &recv_into_kind, args, nargs, kwnames, 3,
                               3);
}

/* The number of bytes may be given, up to those of the buffer; 0 for all. */
static int
accepts_from_into(PyaioOperation *self)
{
    if (!knows_family(self) || !accepts_buffer(self)) {
        return 0;
    }
    Py_ssize_t whole = self->size;
    if (self->count == 3) {
        return 1;
    }
    PyObject *op = self->args[3];
    int overflow;
    long size =
        PyLong_CheckExact(op) ? PyLong_AsLongAndOverflow(op, &overflow) : -1;
    self->size = size ? size : whole;
    return self->size > 0 && self->size <= whole;
}

static PySendResult
recvfrom_into_attempt(PyaioState *state, PyaioOperation *self,
                      PyObject **result)
{
    return receive_from(state, self, receive_into, result);
}

static const PyaioReadyKind recvfrom_into_ready =
    PYAIO_OPERATION_READY("_sock_recvfrom_into");

static const PyaioOperationKind recvfrom_into_kind = {
    .base = PYAIO_OPERATION_KIND(stock_sock_recvfrom_into),
    .ready = &recvfrom_into_ready,
    .direction = PYAIO_POLL_READ,
    .accepts = accepts_from_into,
    .attempt = recvfrom_into_attempt,
};

static PyObject *
recvfrom_into_call(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
                   PyObject *kwnames)
{
    return pyaio_operation_new(state, &recvfrom_into_kind, args, nargs,
                               kwnames, 3, 4);
}

int
pyaio_sock_receive_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_operation_add(state, "sock_recv", state->stock_sock_recv,
                            recv_call) < 0 ||
        pyaio_operation_add(state, "sock_recv_into",
                            state->stock_sock_recv_into, recv_into_call) < 0 ||
        pyaio_operation_add(state, "sock_recvfrom", state->stock_sock_recvfrom,
                            recvfrom_call) < 0) {
        return -1;
    }
    return pyaio_operation_add(state, "sock_recvfrom_into",
                               state->stock_sock_recvfrom_into,
                               recvfrom_into_call);
}
