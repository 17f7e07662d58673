/* What the coroutines of loop.sock_*() have in common. */
#include "net/operation.h"
#include "net/transport_table.h"
#include "combine/in_stock.h"
#include "net/net.h"
#include "sched/watch.h"
#include "task/future.h"

/* Loop methods that stock's coroutines call. */
#define USED_METHODS (PYAIO_LOOP_CREATE_FUTURE | PYAIO_LOOP_WATCH)

static const PyaioOperationKind *
operation_kind(const PyaioCoroutine *op)
{
    return (const PyaioOperationKind *)(const void *)op->kind;
}

/* The loop, unless the operation was let go of. */
static PyaioScheduler *
operation_sched(PyaioState *state, PyaioOperation *self)
{
    PyObject *loop = self->args[0];
    return loop ? pyaio_scheduler_of(state, loop) : NULL;
}

/* --- waiting ------------------------------------------------------------- */

/* loop._ensure_fd_no_transport(fd). Returns 0, or -1 with RuntimeError. */
static int
check_no_transport(PyaioState *state, PyObject *loop, int fd)
{
    PyObject *number = PyLong_FromLong(fd);
    int err = number ? pyaio_transports_check(state, loop, fd, number) : -1;
    Py_XDECREF(number);
    return err;
}

static int
operation_watch(PyaioOperation *self, PyaioScheduler *sched, int fd)
{
    const PyaioOperationKind *kind = operation_kind(&self->head);
    if (sched == NULL || sched->poller == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
        return -1;
    }
    int err =
        self->at_once
            ? pyaio_sched_push(sched, kind->ready, (PyObject *)self, NULL)
            : pyaio_watch_add(sched, fd, kind->direction, kind->ready,
                              (PyObject *)self, NULL);
    if (err == 0) {
        self->watched = fd;
    }
    return err;
}

/* Ends the watch, unless somebody else took its place. */
static void
operation_unwatch(PyaioState *state, PyaioOperation *self)
{
    int fd = self->watched;
    self->watched = -1;
    PyaioScheduler *sched = fd < 0 ? NULL : operation_sched(state, self);
    if (sched == NULL || fd >= sched->watch_capacity) {
        return;
    }
    unsigned direction = operation_kind(&self->head)->direction;
    if (pyaio_watch_side(&sched->watches[fd], direction)->target ==
        (PyObject *)self) {
        (void)pyaio_watch_remove(sched, fd, direction);
    }
}

static PySendResult
operation_wait(PyaioState *state, PyaioOperation *self, PyObject **result)
{
    PyObject *loop = self->args[0];
    PyObject *future = pyaio_loop_create_future(state, loop);
    if (future == NULL) {
        return PYGEN_ERROR;
    }
    int fd = pyaio_socket_fd(pyaio_operation_socket(self));
    PySendResult went = PYGEN_ERROR;
    if (check_no_transport(state, loop, fd) == 0 &&
        operation_watch(self, operation_sched(state, self), fd) == 0) {
        went = pyaio_await_start(state, &self->head.await, future, result);
    }
    Py_DECREF(future);
    return went;
}

/* Wakes the coroutine, or goes on in its place. */
int
pyaio_operation_ready(PyaioState *state, PyObject *a, PyObject *Py_UNUSED(b))
{
    PyaioOperation *self = (PyaioOperation *)a;
    PyObject *op = self->head.await.awaited;
    int fd = self->watched;
    if (fd < 0 || op == NULL) {
        return 0; /* called off */
    }
    self->watched = -1;
    const PyaioOperationKind *kind = operation_kind(&self->head);
    PyaioFuture *future = pyaio_own_future(state, op);
    if (pyaio_future_done(future)) {
        return kind->called_off ? kind->called_off(state, self) : 0;
    }
    Py_INCREF(op);
    int ended = kind->advance ? kind->advance(state, self) : 1;
    int err = ended < 0 ? -1 : 0;
    if (ended >= 0 && !pyaio_future_done(future)) {
        err = ended ? pyaio_future_set_result(state, future, Py_None)
                    : operation_watch(self, operation_sched(state, self), fd);
    }
    Py_DECREF(op);
    return err;
}

/* --- the coroutine ------------------------------------------------------- */

/* Whether to do it here: 1, 0 for stock's coroutine, or -1. */
static int
operation_is_ours(PyaioState *state, PyaioOperation *self)
{
    const PyaioOperationKind *kind = operation_kind(&self->head);
    if (pyaio_sched_direct(state, self->args[0],
                           USED_METHODS | kind->methods) == NULL) {
        return 0;
    }
    int plain = pyaio_socket_is_plain(state, pyaio_operation_socket(self));
    return plain > 0 && kind->accepts != NULL ? kind->accepts(self) : plain;
}

/* A coroutine of stock's for the same arguments: a new reference. */
static PyObject *
operation_stock(PyaioState *state, const PyaioOperation *self)
{
    PyObject *function = pyaio_state_object(state, self->head.kind->function);
    Py_ssize_t named = self->kwnames ? PyTuple_GET_SIZE(self->kwnames) : 0;
    return PyObject_Vectorcall(function, self->args,
                               (size_t)(self->count - named), self->kwnames);
}

static PySendResult
operation_try(PyaioState *state, PyaioOperation *self, PyObject **result)
{
    PySendResult went =
        operation_kind(&self->head)->attempt(state, self, result);
    return went == PYGEN_NEXT && !self->head.in_stock
               ? operation_wait(state, self, result)
               : went;
}

PySendResult
pyaio_operation_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    PyaioOperation *self = (PyaioOperation *)op;
    int ours = operation_is_ours(state, self);
    if (ours <= 0) {
        return ours == 0 ? pyaio_in_stock_await(
                               state, op, operation_stock(state, self), result)
                         : PYGEN_ERROR;
    }
    return operation_try(state, self, result);
}

PySendResult
pyaio_operation_send(PyaioState *state, PyaioCoroutine *op, PyObject *value,
                     PyObject **result)
{
    PySendResult went = pyaio_await_send(state, &op->await, value, result);
    if (went != PYGEN_RETURN || op->in_stock) {
        return went;
    }
    Py_CLEAR(*result);
    pyaio_await_stop(&op->await);
    return operation_try(state, (PyaioOperation *)op, result);
}

PySendResult
pyaio_operation_throw(PyaioState *state, PyaioCoroutine *op,
                      PyObject *exception, PyObject **result)
{
    return pyaio_await_throw(state, &op->await, exception, result);
}

PyObject *
pyaio_operation_mirror(PyaioState *state, PyaioCoroutine *op)
{
    if (op->mirror == NULL && !op->in_stock) {
        op->mirror = operation_stock(state, (PyaioOperation *)op);
    }
    return pyaio_in_stock_mirror(op, NULL, NULL);
}

int
pyaio_operation_traverse(PyaioCoroutine *op, visitproc visit, void *arg)
{
    PyaioOperation *self = (PyaioOperation *)op;
    for (int i = 0; i < self->count; i++) {
        Py_VISIT(self->args[i]);
    }
    Py_VISIT(self->kwnames);
    Py_VISIT(self->error);
    Py_VISIT(self->view.obj);
    return 0;
}

void
pyaio_operation_clear(PyaioState *state, PyaioCoroutine *op)
{
    PyaioOperation *self = (PyaioOperation *)op;
    PyObject *raised = PyErr_GetRaisedException();
    operation_unwatch(state, self);
    if (self->view.obj != NULL) {
        PyBuffer_Release(&self->view);
    }
    Py_CLEAR(self->error);
    Py_CLEAR(self->kwnames);
    while (self->count > 0) {
        self->count--;
        Py_CLEAR(self->args[self->count]);
    }
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
}

PyObject *
pyaio_operation_new(PyaioState *state, const PyaioOperationKind *kind,
                    PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
                    Py_ssize_t least, Py_ssize_t most)
{
    if (kwnames != NULL || nargs < least || nargs > most ||
        pyaio_scheduler_of(state, args[0]) == NULL) {
        return NULL;
    }
    PyaioOperation *self = (PyaioOperation *)pyaio_pool_take(
        &state->operation_pool, state->OperationCoroutine_type,
        sizeof(PyaioOperation));
    if (self == NULL) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < nargs; i++) {
        self->args[i] = Py_NewRef(args[i]);
    }
    self->count = (int)nargs;
    self->watched = -1;
    if (pyaio_coroutine_setup(&self->head, &kind->base) < 0) {
        pyaio_operation_clear(state, &self->head);
        self->head.status = PYAIO_CORO_CLOSED; /* nobody will know of it */
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

int
pyaio_operation_add(PyaioState *state, const char *name, PyObject *stock,
                    PyaioNativeCall call)
{
    return pyaio_coroutine_function_add(
        state, (PyObject *)state->EventLoopBase_type, name, stock, call);
}

int
pyaio_operation_init(PyObject *module)
{
    return pyaio_coroutine_add_type(
        module, &pyaio_module_state(module)->OperationCoroutine_type,
        "pyaio._core.OperationCoroutine", sizeof(PyaioOperation));
}
