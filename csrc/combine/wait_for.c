/* wait_for(): the function and its coroutine. */
#include "combine/wait_for.h"
#include "combine/combine.h"
#include "combine/in_stock.h"

static PyObject *
wait_for_arguments(PyaioWaitFor *self)
{
    return PyTuple_Pack(2, self->awaitable, self->timeout);
}

PySendResult
pyaio_wait_for_in_stock(PyaioState *state, PyaioWaitFor *self,
                        PyObject **result)
{
    PyObject *arguments = wait_for_arguments(self);
    if (arguments == NULL) {
        return PYGEN_ERROR;
    }
    PySendResult went = pyaio_in_stock_start(
        state, &self->head, state->stock_wait_for, arguments, result);
    Py_DECREF(arguments);
    return went;
}

static PySendResult
wait_for_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    return pyaio_wait_for_start(state, (PyaioWaitFor *)op, result);
}

static PySendResult
wait_for_go_on(PyaioState *state, PyaioCoroutine *op, PySendResult went,
               PyObject **result)
{
    if (op->in_stock || went == PYGEN_NEXT) {
        return went;
    }
    return pyaio_wait_for_waited(state, (PyaioWaitFor *)op, went, result);
}

static PySendResult
wait_for_send(PyaioState *state, PyaioCoroutine *op, PyObject *value,
              PyObject **result)
{
    PySendResult went = pyaio_await_send(state, &op->await, value, result);
    return wait_for_go_on(state, op, went, result);
}

static PySendResult
wait_for_throw(PyaioState *state, PyaioCoroutine *op, PyObject *exception,
               PyObject **result)
{
    PySendResult went =
        pyaio_await_throw(state, &op->await, exception, result);
    return wait_for_go_on(state, op, went, result);
}

static PyObject *
wait_for_mirror(PyaioState *state, PyaioCoroutine *op)
{
    PyObject *arguments = wait_for_arguments((PyaioWaitFor *)op);
    PyObject *mirror =
        pyaio_in_stock_mirror(op, state->stock_wait_for, arguments);
    Py_XDECREF(arguments);
    return mirror;
}

static int
wait_for_traverse(PyaioCoroutine *op, visitproc visit, void *arg)
{
    PyaioWaitFor *self = (PyaioWaitFor *)op;
    Py_VISIT(self->awaitable);
    Py_VISIT(self->timeout);
#if PYAIO_WAIT_FOR_IN_TIMEOUT
    Py_VISIT(self->task);
    Py_VISIT(self->when);
#else
    Py_VISIT(self->waiter);
#endif
    return pyaio_deadline_traverse(&self->deadline, visit, arg);
}

/* The loop's queues hold a reference to the coroutine while the deadline is
 * armed, so that this cannot be its last moment then. */
static void
wait_for_clear(PyaioState *state, PyaioCoroutine *op)
{
    PyaioWaitFor *self = (PyaioWaitFor *)op;
    pyaio_deadline_disarm(state, &self->deadline);
    pyaio_deadline_clear(&self->deadline);
    Py_CLEAR(self->awaitable);
    Py_CLEAR(self->timeout);
#if PYAIO_WAIT_FOR_IN_TIMEOUT
    Py_CLEAR(self->task);
    Py_CLEAR(self->when);
#else
    Py_CLEAR(self->waiter);
#endif
}

static const PyaioCoroutineKind wait_for_kind = {
    .function = offsetof(PyaioState, stock_wait_for),
    .pool = offsetof(PyaioState, wait_for_pool),
    .start = wait_for_start,
    .send = wait_for_send,
    .throw = wait_for_throw,
    .mirror = wait_for_mirror,
    .traverse = wait_for_traverse,
    .clear = wait_for_clear,
};

/* Puts the argument `name`, given by keyword, in its place. Returns 0 where
 * there is none of that name left. */
static int
take_keyword(PyObject *name, PyObject *value, PyObject *places[2])
{
    static const char *const names[] = {"fut", "timeout"};
    for (int i = 0; i < 2; i++) {
        if (places[i] == NULL && PyUnicode_Check(name) &&
            PyUnicode_CompareWithASCIIString(name, names[i]) == 0) {
            places[i] = value;
            return 1;
        }
    }
    return 0;
}

static PyObject *
wait_for_call(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
              PyObject *kwnames)
{
    Py_ssize_t keywords = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    if (nargs + keywords != 2) {
        return NULL;
    }
    PyObject *places[2] = {NULL, NULL};
    for (Py_ssize_t i = 0; i < nargs; i++) {
        places[i] = args[i];
    }
    for (Py_ssize_t i = 0; i < keywords; i++) {
        if (!take_keyword(PyTuple_GET_ITEM(kwnames, i), args[nargs + i],
                          places)) {
            return NULL;
        }
    }
    PyObject *op =
        pyaio_pool_take(&state->wait_for_pool, state->WaitForCoroutine_type,
                        sizeof(PyaioWaitFor));
    if (op == NULL) {
        return NULL;
    }
    PyaioWaitFor *self = (PyaioWaitFor *)op;
    self->awaitable = Py_NewRef(places[0]);
    self->timeout = Py_NewRef(places[1]);
    if (pyaio_coroutine_setup(&self->head, &wait_for_kind) < 0) {
        self->head.status = PYAIO_CORO_CLOSED; /* nobody will know of it */
        wait_for_clear(state, &self->head);
        Py_CLEAR(op);
    }
    return op;
}

int
pyaio_wait_for_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_coroutine_add_type(module, &state->WaitForCoroutine_type,
                                 "pyaio._core.WaitForCoroutine",
                                 sizeof(PyaioWaitFor)) < 0) {
        return -1;
    }
    return pyaio_coroutine_function_add(state, module, "wait_for",
                                        state->stock_wait_for, wait_for_call);
}
