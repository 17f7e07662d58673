/* StreamWriter.drain() and FlowControlMixin._drain_helper(). */
#include "combine/coroutine.h"
#include "combine/inner.h"
#include "net/transport.h"
#include "stream/flow_control.h"
#include "stream/reader.h"
#include "stream/writer.h"
#include "sync/waiting.h"

typedef struct {
    PyaioCoroutine head;
    PyObject *owner;        /* owned: the writer, or the protocol */
    PyaioFlowControl *flow; /* owned: in whose list it waits, or NULL */
    PyaioWaiter waiter;
    uint8_t yielded; /* it has given way because the transport closes */
} Drain;

/* --- waiting at the protocol --------------------------------------------- */

/* Our own _drain_helper(). */
static PySendResult
help(PyaioState *state, Drain *self, PyaioFlowControl *flow, PyObject **result)
{
    if (flow->connection_lost) {
        PyErr_SetString(PyExc_ConnectionResetError, "Connection lost");
        return PYGEN_ERROR;
    }
    if (!flow->paused) {
        *result = Py_NewRef(Py_None);
        return PYGEN_RETURN;
    }
    PyObject *future = pyaio_waiters_add(state, &flow->drainers, &self->waiter,
                                         flow->head.loop);
    if (future == NULL) {
        return PYGEN_ERROR;
    }
    self->flow = (PyaioFlowControl *)Py_NewRef(flow);
    return pyaio_await_start(state, &self->head.await, future, result);
}

/* protocol._drain_helper() of any protocol. */
static PySendResult
ask_for_help(PyaioState *state, Drain *self, PyObject *protocol,
             PyObject **result)
{
    PyaioFlowControl *flow = pyaio_flow_control_plain(state, protocol);
    if (flow != NULL) {
        return help(state, self, flow, result);
    }
    return pyaio_await_call(
        state, &self->head.await,
        PyObject_CallMethodNoArgs(protocol, state->str__drain_helper), result);
}

/* What was awaited has come as far as `went` says. */
static PySendResult
went_on(PyaioState *state, Drain *self, PySendResult went, PyObject **result)
{
    if (went == PYGEN_NEXT) {
        return went;
    }
    if (self->flow != NULL &&
        pyaio_waiters_remove(state, &self->flow->drainers, &self->waiter) <
            0) {
        Py_CLEAR(*result);
        return PYGEN_ERROR;
    }
    if (went == PYGEN_RETURN) {
        Py_SETREF(*result, Py_NewRef(Py_None));
    }
    return went;
}

/* --- drain() ------------------------------------------------------------- */

static PySendResult
help_writer(PyaioState *state, Drain *self, PyObject **result)
{
    PyObject *protocol = pyaio_writer_protocol((PyaioWriter *)self->owner);
    if (protocol == NULL) {
        return PYGEN_ERROR;
    }
    PySendResult went = ask_for_help(state, self, protocol, result);
    Py_DECREF(protocol);
    return went_on(state, self, went, result);
}

static PySendResult
drain_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    Drain *self = (Drain *)op;
    PyaioWriter *writer = (PyaioWriter *)self->owner;
    if (pyaio_writer_check_reader(state, writer) < 0) {
        return PYGEN_ERROR;
    }
    int closing = pyaio_writer_is_closing(state, writer);
    if (closing > 0) {
        /* For connection_lost() to be called, as sleep(0) does. */
        self->yielded = 1;
        *result = Py_NewRef(Py_None);
        return PYGEN_NEXT;
    }
    return closing < 0 ? PYGEN_ERROR : help_writer(state, self, result);
}

static PySendResult
drain_send(PyaioState *state, PyaioCoroutine *op, PyObject *value,
           PyObject **result)
{
    Drain *self = (Drain *)op;
    if (op->await.awaited == NULL) {
        return help_writer(state, self, result);
    }
    return went_on(state, self,
                   pyaio_await_send(state, &op->await, value, result), result);
}

static PySendResult
drain_throw(PyaioState *state, PyaioCoroutine *op, PyObject *exception,
            PyObject **result)
{
    return went_on(state, (Drain *)op,
                   pyaio_await_throw(state, &op->await, exception, result),
                   result);
}

static PySendResult
helper_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    Drain *self = (Drain *)op;
    PyaioFlowControl *flow = (PyaioFlowControl *)self->owner;
    return went_on(state, self, help(state, self, flow, result), result);
}

/* --- the coroutine ------------------------------------------------------- */

static PyObject *
drain_mirror(PyaioState *state, PyaioCoroutine *op)
{
    if (op->mirror == NULL) {
        PyObject *function = pyaio_state_object(state, op->kind->function);
        op->mirror = PyObject_CallOneArg(function, ((Drain *)op)->owner);
    }
    return Py_XNewRef(op->mirror);
}

/* Of one that only gives way there is nothing more to see. */
static PyObject *
drain_inner(PyaioState *state, PyaioCoroutine *op)
{
    if (op->await.awaited == NULL) {
        return Py_NewRef(Py_None);
    }
    return ((Drain *)op)->flow ? pyaio_inner_drain(state, op)
                               : Py_NewRef(op->await.awaited);
}

static int
drain_traverse(PyaioCoroutine *op, visitproc visit, void *arg)
{
    Drain *self = (Drain *)op;
    Py_VISIT(self->owner);
    Py_VISIT(self->flow);
    return pyaio_waiter_traverse(&self->waiter, visit, arg);
}

static void
drain_clear(PyaioState *Py_UNUSED(state), PyaioCoroutine *op)
{
    Drain *self = (Drain *)op;
    if (self->flow != NULL) {
        pyaio_waiter_clear(&self->waiter, &self->flow->drainers);
    }
    Py_CLEAR(self->flow);
    Py_CLEAR(self->owner);
}

static const PyaioCoroutineKind drain_kind = {
    .function = offsetof(PyaioState, stock_writer_drain),
    .pool = offsetof(PyaioState, drain_pool),
    .start = drain_start,
    .send = drain_send,
    .throw = drain_throw,
    .mirror = drain_mirror,
    .inner = drain_inner,
    .traverse = drain_traverse,
    .clear = drain_clear,
};

static const PyaioCoroutineKind helper_kind = {
    .function = offsetof(PyaioState, stock_drain_helper),
    .pool = offsetof(PyaioState, drain_pool),
    .start = helper_start,
    .send = drain_send,
    .throw = drain_throw,
    .mirror = drain_mirror,
    .traverse = drain_traverse,
    .clear = drain_clear,
};

static PyObject *
drain_new(PyaioState *state, const PyaioCoroutineKind *kind, PyObject *owner)
{
    PyObject *op = pyaio_pool_take(&state->drain_pool,
                                   state->DrainCoroutine_type, sizeof(Drain));
    if (op == NULL) {
        return NULL;
    }
    Drain *self = (Drain *)op;
    self->owner = Py_NewRef(owner);
    if (pyaio_coroutine_setup(&self->head, kind) < 0) {
        drain_clear(state, &self->head);
        self->head.status = PYAIO_CORO_CLOSED; /* nobody will know of it */
        Py_CLEAR(op);
    }
    return op;
}

static PyObject *
call_drain(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
           PyObject *kwnames)
{
    return nargs == 1 && kwnames == NULL &&
                   PyObject_TypeCheck(args[0], state->StreamWriter_type)
               ? drain_new(state, &drain_kind, args[0])
               : NULL;
}

static PyObject *
call_helper(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames)
{
    return nargs == 1 && kwnames == NULL &&
                   PyObject_TypeCheck(args[0], state->FlowControl_type) &&
                   ((PyaioStream *)args[0])->loop != NULL
               ? drain_new(state, &helper_kind, args[0])
               : NULL;
}

int
pyaio_drain_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_coroutine_add_type(module, &state->DrainCoroutine_type,
                                 "pyaio._core.DrainCoroutine",
                                 sizeof(Drain)) < 0 ||
        pyaio_primitive_add(state, state->FlowControl_type, "_drain_helper",
                            state->stock_drain_helper, call_helper) < 0) {
        return -1;
    }
    return pyaio_primitive_add(state, state->StreamWriter_type, "drain",
                               state->stock_writer_drain, call_drain);
}
