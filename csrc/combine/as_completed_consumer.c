/* The coroutines that wait for what as_completed() gives out next. */
#include "base/errors.h"
#include "base/interop.h"
#include "combine/inner.h"
#include "combine/as_completed.h"

void
pyaio_consumer_unlink(PyaioConsumer *self)
{
    if (self->link.prev != NULL) {
        pyaio_list_remove(&self->link);
        Py_DECREF(self);
    }
}

/* --- being woken up ------------------------------------------------------ */

int
pyaio_consumer_wake_next(PyaioState *state, PyaioAsCompleted *source)
{
    PyaioLink *head = &source->consumers;
    int done = 1;
    while (done > 0 && head->next != head) {
        PyaioConsumer *consumer =
            PYAIO_CONTAINER_OF(head->next, PyaioConsumer, link);
        PyObject *future = Py_XNewRef(consumer->head.await.awaited);
        Py_INCREF(consumer);
        pyaio_consumer_unlink(consumer);
        Py_DECREF(consumer);
        if (future == NULL) {
            continue;
        }
        done = pyaio_any_future_done(state, future);
        if (done == 0 &&
            pyaio_any_future_release(state, future, Py_None) < 0) {
            done = -1;
        }
        Py_DECREF(future);
    }
    return done < 0 ? -1 : 0;
}

/* The wait was interrupted, by the exception that is set: whoever was to wake
 * this consumer up shall not have done so in vain. */
static PySendResult
consumer_give_up(PyaioState *state, PyaioConsumer *self)
{
    PyObject *raised = PyErr_GetRaisedException();
    PyObject *future = Py_NewRef(self->head.await.awaited);
    PyaioAsCompleted *source = self->source;
    int err = pyaio_any_future_cancel(state, future, NULL);
    pyaio_consumer_unlink(self);
    int cancelled = 1;
    if (err >= 0 && source->first < source->last) {
        cancelled = pyaio_any_future_cancelled(state, future);
    }
    if (cancelled == 0) {
        cancelled = pyaio_consumer_wake_next(state, source);
    }
    Py_DECREF(future);
    if (err < 0 || cancelled < 0) {
        pyaio_chain_exception(raised);
    }
    else {
        PyErr_SetRaisedException(raised);
    }
    return PYGEN_ERROR;
}

/* --- waiting ------------------------------------------------------------- */

/* The loop that runs, which must be that of every consumer before: a new
 * reference. */
static PyObject *
consumer_loop(PyaioState *state, PyaioAsCompleted *source)
{
    PyObject *loop = pyaio_require_running_loop(state);
    if (loop == NULL) {
        return NULL;
    }
    if (source->loop == NULL) {
        source->loop = Py_NewRef(loop);
    }
    if (source->loop != loop) {
        PyErr_Format(PyExc_RuntimeError,
                     "%R is bound to a different event loop", source);
        Py_CLEAR(loop);
    }
    return loop;
}

/* Waits on a future of its own that nobody else knows. */
static PySendResult
consumer_wait(PyaioState *state, PyaioConsumer *self, PyObject **result)
{
    PyObject *loop = consumer_loop(state, self->source);
    PyObject *future = loop ? pyaio_loop_create_future(state, loop) : NULL;
    Py_XDECREF(loop);
    if (future == NULL) {
        return PYGEN_ERROR;
    }
    pyaio_consumer_unlink(self);
    pyaio_await_stop(&self->head.await);
    pyaio_list_append(&self->source->consumers, &self->link);
    Py_INCREF(self);
    PySendResult went =
        pyaio_await_start(state, &self->head.await, future, result);
    Py_DECREF(future);
    return went;
}

/* `future` has ended; NULL stands for the timeout. */
static PySendResult
consumer_finish(PyaioState *state, PyaioConsumer *self, PyObject *future,
                PyObject **result)
{
    if (future == NULL) {
        PyErr_SetNone(PyExc_TimeoutError);
        return PYGEN_ERROR;
    }
    *result = self->resolve ? pyaio_any_future_result(state, future)
                            : Py_NewRef(future);
    return *result ? PYGEN_RETURN : PYGEN_ERROR;
}

/* Takes what has ended, waiting for it as long as there is nothing. `went` is
 * how the last wait went, PYGEN_RETURN before the first. */
static PySendResult
consumer_go_on(PyaioState *state, PyaioConsumer *self, PySendResult went,
               PyObject **result)
{
    PyaioAsCompleted *source = self->source;
    while (went == PYGEN_RETURN && source->first == source->last) {
        Py_CLEAR(*result);
        went = consumer_wait(state, self, result);
        if (went == PYGEN_ERROR && self->head.await.awaited == NULL) {
            return went; /* it did not come to waiting */
        }
    }
    if (went == PYGEN_NEXT) {
        return went;
    }
    if (went == PYGEN_ERROR) {
        return consumer_give_up(state, self);
    }
    Py_CLEAR(*result);
    pyaio_consumer_unlink(self);
    PyObject *future = source->ended[source->first++];
    went = consumer_finish(state, self, future, result);
    Py_XDECREF(future);
    return went;
}

static PySendResult
consumer_send(PyaioState *state, PyaioCoroutine *op, PyObject *value,
              PyObject **result)
{
    PySendResult went = pyaio_await_send(state, &op->await, value, result);
    return consumer_go_on(state, (PyaioConsumer *)op, went, result);
}

static PySendResult
consumer_throw(PyaioState *state, PyaioCoroutine *op, PyObject *exception,
               PyObject **result)
{
    PySendResult went =
        pyaio_await_throw(state, &op->await, exception, result);
    return consumer_go_on(state, (PyaioConsumer *)op, went, result);
}

static int
consumer_traverse(PyaioCoroutine *op, visitproc visit, void *arg)
{
    Py_VISIT(((PyaioConsumer *)op)->source);
    return 0;
}

static void
consumer_clear(PyaioState *Py_UNUSED(state), PyaioCoroutine *op)
{
    PyaioConsumer *self = (PyaioConsumer *)op;
    pyaio_consumer_unlink(self);
    Py_CLEAR(self->source);
}

/* --- __next__() ---------------------------------------------------------- */

static PySendResult
next_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    return consumer_go_on(state, (PyaioConsumer *)op, PYGEN_RETURN, result);
}

static PyObject *
next_mirror(PyaioState *state, PyaioCoroutine *op)
{
    if (op->mirror == NULL) {
        PyaioConsumer *self = (PyaioConsumer *)op;
        op->mirror =
            PYAIO_AS_COMPLETED_IS_ASYNC
                ? PyObject_CallFunctionObjArgs(state->wait_for_one,
                                               self->source, Py_True, NULL)
                : PyObject_CallNoArgs(state->wait_for_one);
    }
    return Py_XNewRef(op->mirror);
}

static const PyaioCoroutineKind next_kind = {
    .function = offsetof(PyaioState, wait_for_one),
    .start = next_start,
    .send = consumer_send,
    .throw = consumer_throw,
    .mirror = next_mirror,
    .inner = pyaio_inner_get,
    .traverse = consumer_traverse,
    .clear = consumer_clear,
};

/* --- __anext__() --------------------------------------------------------- */

static PySendResult
anext_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    PyaioAsCompleted *source = ((PyaioConsumer *)op)->source;
    if (source->left == 0) {
        PyErr_SetNone(PyExc_StopAsyncIteration);
        return PYGEN_ERROR;
    }
    source->left--;
    return consumer_go_on(state, (PyaioConsumer *)op, PYGEN_RETURN, result);
}

static PyObject *
anext_mirror(PyaioState *state, PyaioCoroutine *op)
{
    if (op->mirror == NULL) {
        PyaioConsumer *self = (PyaioConsumer *)op;
        op->mirror =
            PyObject_CallOneArg(state->stock_anext, (PyObject *)self->source);
    }
    return Py_XNewRef(op->mirror);
}

static const PyaioCoroutineKind anext_kind = {
    .function = offsetof(PyaioState, stock_anext),
    .start = anext_start,
    .send = consumer_send,
    .throw = consumer_throw,
    .mirror = anext_mirror,
    .inner = pyaio_inner_next,
    .traverse = consumer_traverse,
    .clear = consumer_clear,
};

/* --- both ---------------------------------------------------------------- */

static PyObject *
consumer_new(PyaioState *state, const PyaioCoroutineKind *kind,
             PyaioAsCompleted *source)
{
    PyTypeObject *type = state->AsCompletedCoroutine_type;
    PyaioConsumer *self = (PyaioConsumer *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->source = (PyaioAsCompleted *)Py_NewRef(source);
    self->resolve = kind == &next_kind;
    if (pyaio_coroutine_setup(&self->head, kind) < 0) {
        self->head.status = PYAIO_CORO_CLOSED; /* nobody will know of it */
        Py_CLEAR(self->source);
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

PyObject *
pyaio_consumer_new(PyaioState *state, PyaioAsCompleted *source)
{
    return consumer_new(state, &next_kind, source);
}

PyObject *
pyaio_anext_new(PyaioState *state, PyaioAsCompleted *source)
{
    return consumer_new(state, &anext_kind, source);
}

int
pyaio_consumer_init(PyObject *module)
{
    return pyaio_coroutine_add_type(
        module, &pyaio_module_state(module)->AsCompletedCoroutine_type,
        "pyaio._core.AsCompletedCoroutine", sizeof(PyaioConsumer));
}
