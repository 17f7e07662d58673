/* BaseSubprocessTransport._wait(): waiting for the end of a child. */
#include "combine/coroutine.h"
#include "combine/in_stock.h"
#include "process/process.h"
#include "process/transport.h"
#include "task/future.h"

typedef struct {
    PyaioCoroutine head;
    PyObject *transport; /* owned */
    PyObject *waiter;    /* owned: future in the transport's collection of
                            those, or NULL */
} ChildWait;

/* Puts it among those who wait: 1, 0 where stock's has to say what is wrong,
 * -1 with an exception. */
static int
join(PyaioState *state, PyaioSubprocess *transport, PyObject *waiter)
{
    PyObject *waiters = pyaio_subprocess_exit_waiters(transport);
    PyObject *kind = waiters ? PyObject_GetAttr((PyObject *)transport,
                                                state->str__new_exit_waiters)
                             : NULL;
    if (kind == NULL) {
        return -1;
    }
    int usual = (PyObject *)Py_TYPE(waiters) == kind;
    Py_DECREF(kind);
    if (!usual) {
        return 0;
    }
    int err = PySet_CheckExact(waiters) ? PySet_Add(waiters, waiter)
                                        : PyList_Append(waiters, waiter);
    return err < 0 ? -1 : 1;
}

/* Where the running version keeps them in a set it takes them out again. */
static int
leave(const PyaioSubprocess *transport, PyObject *waiter)
{
    PyObject *waiters = transport->exit_waiters;
    return waiters == NULL || !PySet_CheckExact(waiters)
               ? 0
               : PySet_Discard(waiters, waiter);
}

static PySendResult
wait_go_on(ChildWait *self, PySendResult went, PyObject **result)
{
    if (went == PYGEN_NEXT || self->waiter == NULL) {
        return went;
    }
    PyObject *raised = PyErr_GetRaisedException();
    PyObject *waiter = self->waiter;
    self->waiter = NULL;
    int err = leave((PyaioSubprocess *)self->transport, waiter);
    Py_DECREF(waiter);
    if (err < 0) {
        Py_CLEAR(*result);
        Py_XDECREF(raised);
        return PYGEN_ERROR;
    }
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
    return went;
}

/* The method as it is by now: a program may have replaced it. */
static PySendResult
go_on_in_stock(PyaioState *state, ChildWait *self, PyObject **result)
{
    PyObject *function =
        PyObject_GetAttrString(state->stock_Subprocess, "_wait");
    PyObject *coro =
        function ? PyObject_CallOneArg(function, self->transport) : NULL;
    Py_XDECREF(function);
    return pyaio_in_stock_await(state, &self->head, coro, result);
}

static PySendResult
wait_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    ChildWait *self = (ChildWait *)op;
    PyaioSubprocess *transport = (PyaioSubprocess *)self->transport;
    if (transport->from_stock) {
        return go_on_in_stock(state, self, result);
    }
    if (!pyaio_is_none(transport->returncode)) {
        *result = Py_NewRef(transport->returncode);
        return PYGEN_RETURN;
    }
    if (pyaio_is_none(transport->loop)) {
        return go_on_in_stock(state, self, result);
    }
    PyObject *waiter = pyaio_loop_create_future(state, transport->loop);
    int joined = waiter ? join(state, transport, waiter) : -1;
    if (joined <= 0) {
        Py_XDECREF(waiter);
        return joined < 0 ? PYGEN_ERROR : go_on_in_stock(state, self, result);
    }
    self->waiter = waiter;
    return wait_go_on(
        self, pyaio_await_start(state, &op->await, waiter, result), result);
}

static PySendResult
wait_send(PyaioState *state, PyaioCoroutine *op, PyObject *value,
          PyObject **result)
{
    PySendResult went = pyaio_await_send(state, &op->await, value, result);
    return wait_go_on((ChildWait *)op, went, result);
}

static PySendResult
wait_throw(PyaioState *state, PyaioCoroutine *op, PyObject *exception,
           PyObject **result)
{
    PySendResult went =
        pyaio_await_throw(state, &op->await, exception, result);
    return wait_go_on((ChildWait *)op, went, result);
}

static PyObject *
wait_mirror(PyaioState *state, PyaioCoroutine *op)
{
    PyObject *args = PyTuple_Pack(1, ((ChildWait *)op)->transport);
    PyObject *mirror =
        pyaio_in_stock_mirror(op, state->stock_Subprocess_wait, args);
    Py_XDECREF(args);
    return mirror;
}

static int
wait_traverse(PyaioCoroutine *op, visitproc visit, void *arg)
{
    Py_VISIT(((ChildWait *)op)->transport);
    Py_VISIT(((ChildWait *)op)->waiter);
    return 0;
}

static void
wait_clear(PyaioState *Py_UNUSED(state), PyaioCoroutine *op)
{
    Py_CLEAR(((ChildWait *)op)->waiter);
    Py_CLEAR(((ChildWait *)op)->transport);
}

static const PyaioCoroutineKind wait_kind = {
    .function = offsetof(PyaioState, stock_Subprocess_wait),
    .start = wait_start,
    .send = wait_send,
    .throw = wait_throw,
    .mirror = wait_mirror,
    .traverse = wait_traverse,
    .clear = wait_clear,
};

static PyObject *
wait_call(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames)
{
    if (nargs != 1 || kwnames != NULL ||
        !PyObject_TypeCheck(args[0], state->Subprocess_type)) {
        return NULL;
    }
    PyTypeObject *type = state->ChildWaitCoroutine_type;
    ChildWait *self = (ChildWait *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->transport = Py_NewRef(args[0]);
    if (pyaio_coroutine_setup(&self->head, &wait_kind) < 0) {
        self->head.status = PYAIO_CORO_CLOSED; /* nobody will know of it */
        wait_clear(state, &self->head);
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

int
pyaio_child_wait_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_coroutine_add_type(module, &state->ChildWaitCoroutine_type,
                                 "pyaio._core.ChildWaitCoroutine",
                                 sizeof(ChildWait)) < 0) {
        return -1;
    }
    return pyaio_coroutine_function_add(
        state, (PyObject *)state->Subprocess_type, "_wait",
        state->stock_Subprocess_wait, wait_call);
}
