/* The one wait of a coroutine at a primitive, whatever the primitive is. */
#include "sync/waiting.h"
#include "sync/sync.h"

PyObject *
pyaio_waiting_setup(PyaioWaiting *self, const PyaioWaitingKind *kind)
{
    if (pyaio_coroutine_setup(&self->head, &kind->base) < 0) {
        kind->base.clear(pyaio_state_of((PyObject *)self), &self->head);
        self->head.status = PYAIO_CORO_CLOSED; /* nobody will know of it */
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

PyObject *
pyaio_waiting_new(PyaioState *state, const PyaioWaitingKind *kind,
                  PyObject *owner)
{
    PyObject *op =
        pyaio_pool_take(&state->waiting_pool, state->WaitingCoroutine_type,
                        sizeof(PyaioWaiting));
    if (op == NULL) {
        return NULL;
    }
    ((PyaioWaiting *)op)->owner = Py_NewRef(owner);
    return pyaio_waiting_setup((PyaioWaiting *)op, kind);
}

static inline PySendResult
waiting_go_on(PyaioState *state, PyaioWaiting *self, PySendResult went,
              PyObject **result)
{
    if (went == PYGEN_NEXT) {
        return went;
    }
    const PyaioWaitingKind *kind =
        (const PyaioWaitingKind *)(const void *)self->head.kind;
    return kind->waited(state, self, went, result);
}

PySendResult
pyaio_waiting_begin(PyaioState *state, PyaioWaiting *self, PyaioWaiters *list,
                    PyObject *loop, PyObject **result)
{
    if (loop == NULL) {
        return PYGEN_ERROR;
    }
    self->list = list;
    PyObject *future = pyaio_waiters_add(state, list, &self->waiter, loop);
    Py_DECREF(loop);
    if (future == NULL) {
        return PYGEN_ERROR;
    }
    PySendResult went =
        pyaio_await_start(state, &self->head.await, future, result);
    return waiting_go_on(state, self, went, result);
}

PySendResult
pyaio_waiting_leave(PyaioState *state, PyaioWaiting *self, PySendResult went,
                    PyObject **result)
{
    Py_CLEAR(*result);
    if (pyaio_waiters_remove(state, self->list, &self->waiter) < 0) {
        return PYGEN_ERROR;
    }
    return went;
}

PySendResult
pyaio_waiting_send(PyaioState *state, PyaioCoroutine *op, PyObject *value,
                   PyObject **result)
{
    PySendResult went = pyaio_await_send(state, &op->await, value, result);
    return waiting_go_on(state, (PyaioWaiting *)op, went, result);
}

PySendResult
pyaio_waiting_throw(PyaioState *state, PyaioCoroutine *op, PyObject *exception,
                    PyObject **result)
{
    PySendResult went =
        pyaio_await_throw(state, &op->await, exception, result);
    return waiting_go_on(state, (PyaioWaiting *)op, went, result);
}

/* One that has not begun: whoever looks sees the function and, through
 * cr_await, what the native one waits for. */
PyObject *
pyaio_waiting_mirror(PyaioState *state, PyaioCoroutine *op)
{
    if (op->mirror == NULL) {
        PyaioWaiting *self = (PyaioWaiting *)op;
        const PyaioWaitingKind *kind =
            (const PyaioWaitingKind *)(const void *)op->kind;
        PyObject *function = pyaio_state_object(state, kind->base.function);
        PyObject *args[] = {self->owner, Py_None, Py_None, Py_None};
        op->mirror =
            PyObject_Vectorcall(function, args, 1 + (size_t)kind->nones, NULL);
    }
    return Py_XNewRef(op->mirror);
}

int
pyaio_waiting_traverse(PyaioCoroutine *op, visitproc visit, void *arg)
{
    PyaioWaiting *self = (PyaioWaiting *)op;
    Py_VISIT(self->owner);
    return pyaio_waiter_traverse(&self->waiter, visit, arg);
}

void
pyaio_waiting_clear(PyaioState *Py_UNUSED(state), PyaioCoroutine *op)
{
    PyaioWaiting *self = (PyaioWaiting *)op;
    pyaio_waiter_clear(&self->waiter, self->list);
    Py_CLEAR(self->owner);
}

int
pyaio_primitive_add(PyaioState *state, PyTypeObject *type, const char *name,
                    PyObject *stock, PyaioNativeCall call)
{
    return pyaio_coroutine_function_add(state, (PyObject *)type, name, stock,
                                        call);
}

int
pyaio_waiting_init(PyObject *module)
{
    return pyaio_coroutine_add_type(
        module, &pyaio_module_state(module)->WaitingCoroutine_type,
        "pyaio._core.WaitingCoroutine", sizeof(PyaioWaiting));
}
