/* Queue.get(), put() and join(). */
#include "sync/queue.h"
#include "sync/waiting.h"

/* A coroutine of any of the three. */
typedef struct {
    PyaioCoroutine head;
    PyaioQueue *queue;  /* owned */
    PyObject *item;     /* owned: that put() is to put */
    PyaioWaiter waiter; /* in the queue's getters or putters */
} QueueCoroutine;

static const PyaioCoroutineKind get_kind, put_kind, join_kind;

static inline int
is_put(QueueCoroutine *self)
{
    return self->head.kind == &put_kind;
}

static inline PyaioWaiters *
others_of(QueueCoroutine *self)
{
    return is_put(self) ? &self->queue->putters : &self->queue->getters;
}

static int
queue_coroutine_traverse(PyaioCoroutine *op, visitproc visit, void *arg)
{
    QueueCoroutine *self = (QueueCoroutine *)op;
    Py_VISIT(self->queue);
    Py_VISIT(self->item);
    return pyaio_waiter_traverse(&self->waiter, visit, arg);
}

static void
queue_coroutine_clear(PyaioState *Py_UNUSED(state), PyaioCoroutine *op)
{
    QueueCoroutine *self = (QueueCoroutine *)op;
    if (self->waiter.future != NULL) {
        pyaio_waiter_clear(&self->waiter, others_of(self));
    }
    Py_CLEAR(self->item);
    Py_CLEAR(self->queue);
}

static PyObject *
queue_coroutine_new(PyaioState *state, const PyaioCoroutineKind *kind,
                    PyObject *queue, PyObject *item)
{
    PyObject *op =
        pyaio_pool_take(&state->queue_pool, state->QueueCoroutine_type,
                        sizeof(QueueCoroutine));
    if (op == NULL) {
        return NULL;
    }
    QueueCoroutine *self = (QueueCoroutine *)op;
    self->queue = (PyaioQueue *)Py_NewRef(queue);
    self->item = Py_XNewRef(item);
    if (pyaio_coroutine_setup(&self->head, kind) < 0) {
        self->head.status = PYAIO_CORO_CLOSED; /* nobody will know of it */
        Py_CLEAR(self->queue);
        Py_CLEAR(self->item);
        Py_CLEAR(op);
    }
    return op;
}

/* Whether the call is one of a method of ours without keywords. */
static int
is_plain_call(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
              Py_ssize_t expected, PyObject *kwnames)
{
    return nargs == expected && kwnames == NULL &&
           pyaio_primitive_is(args[0], state->QueueBase_type);
}

/* --- get() and put() ----------------------------------------------------- */

/* Whether there is no item to get, or no room for one to put. */
static int
is_blocked(PyaioState *state, QueueCoroutine *self)
{
    return is_put(self) ? pyaio_queue_full(state, self->queue)
                        : pyaio_queue_empty(state, self->queue);
}

/* After the queue was seen to be blocked: raises QueueShutDown, if it shall
 * not be waited for. get() looks once more by then. */
static int
check_waitable(PyaioState *state, QueueCoroutine *self)
{
    if (!self->queue->is_shutdown || is_put(self)) {
        return pyaio_queue_check_open(state, self->queue);
    }
    int empty = pyaio_queue_empty(state, self->queue);
    return empty > 0 ? pyaio_queue_check_open(state, self->queue) : empty;
}

/* The wait ended in the exception that is set: leaves the others, and hands
 * on a wake-up that came meanwhile. */
static int
leave_waiters(PyaioState *state, QueueCoroutine *self, PyObject *future)
{
    if (pyaio_any_future_cancel(state, future, NULL) < 0) {
        return -1;
    }
    if (pyaio_waiters_remove(state, others_of(self), &self->waiter) < 0) {
        if (!PyErr_ExceptionMatches(PyExc_ValueError)) {
            return -1;
        }
        PyErr_Clear();
    }
    int blocked = is_blocked(state, self);
    if (blocked != 0) {
        return blocked < 0 ? -1 : 0;
    }
    int cancelled = pyaio_any_future_cancelled(state, future);
    if (cancelled != 0) {
        return cancelled < 0 ? -1 : 0;
    }
    return pyaio_queue_wakeup_next(state, self->queue, others_of(self));
}

static PySendResult
give_up(PyaioState *state, QueueCoroutine *self)
{
    PyObject *raised = PyErr_GetRaisedException();
    PyObject *future = Py_NewRef(self->waiter.future);
    pyaio_await_stop(&self->head.await);
    (void)leave_waiters(state, self, future);
    Py_DECREF(future);
    pyaio_raise_again(raised);
    return PYGEN_ERROR;
}

/* self.get_nowait(). */
static PyObject *
finish_get(PyaioState *state, PyaioQueue *queue)
{
    if (pyaio_queue_is_plain(state, queue)) {
        return pyaio_queue_take(state, queue);
    }
    if (pyaio_queue_methods(state, queue)->replaced & PYAIO_QUEUE_GET_NOWAIT) {
        return PyObject_CallMethodNoArgs((PyObject *)queue,
                                         state->str_get_nowait);
    }
    return pyaio_queue_get_nowait(state, queue);
}

/* self.put_nowait(item). */
static PyObject *
finish_put(PyaioState *state, PyaioQueue *queue, PyObject *item)
{
    int err;
    if (pyaio_queue_is_plain(state, queue)) {
        err = pyaio_queue_check_open(state, queue);
        if (err == 0) {
            err = pyaio_queue_add(state, queue, item);
        }
    }
    else if (pyaio_queue_methods(state, queue)->replaced &
             PYAIO_QUEUE_PUT_NOWAIT) {
        return PyObject_CallMethodOneArg((PyObject *)queue,
                                         state->str_put_nowait, item);
    }
    else {
        err = pyaio_queue_put_nowait(state, queue, item);
    }
    return err < 0 ? NULL : Py_NewRef(Py_None);
}

/* The queue was just seen not to be blocked: the coroutine's result. */
static PySendResult
finish(PyaioState *state, QueueCoroutine *self, PyObject **result)
{
    *result = is_put(self) ? finish_put(state, self->queue, self->item)
                           : finish_get(state, self->queue);
    return *result ? PYGEN_RETURN : PYGEN_ERROR;
}

/* Joins the waiters. */
static PySendResult
suspend(PyaioState *state, QueueCoroutine *self, PyObject **result)
{
    PyaioWaiters *others = others_of(self);
    PyObject *loop = pyaio_queue_get_loop(state, self->queue);
    if (loop == NULL ||
        pyaio_queue_require(self->queue, is_put(self)
                                             ? PYAIO_QUEUE_HAS_PUTTERS
                                             : PYAIO_QUEUE_HAS_GETTERS) < 0) {
        Py_XDECREF(loop);
        return PYGEN_ERROR;
    }
    pyaio_waiter_clear(&self->waiter, others);
    PyObject *future = pyaio_waiters_add(state, others, &self->waiter, loop);
    Py_DECREF(loop);
    if (future == NULL) {
        return PYGEN_ERROR;
    }
    PySendResult went =
        pyaio_await_start(state, &self->head.await, future, result);
    return went == PYGEN_ERROR ? give_up(state, self) : went;
}

/* Tries a usual queue. Returns 1 with *result, 0 where it is to wait, -1. */
static inline int
try_usual(PyaioState *state, QueueCoroutine *self, PyObject **result)
{
    if (!is_put(self)) {
        return pyaio_queue_try_get(state, self->queue, result);
    }
    int put = pyaio_queue_try_put(state, self->queue, self->item);
    *result = put > 0 ? Py_NewRef(Py_None) : NULL;
    return put;
}

/* From where it looks at the queue. */
static PySendResult
try_queue(PyaioState *state, QueueCoroutine *self, PyObject **result)
{
    while (pyaio_queue_is_usual(state, self->queue)) {
        int done = try_usual(state, self, result);
        if (done != 0) {
            return done < 0 ? PYGEN_ERROR : PYGEN_RETURN;
        }
        PySendResult went = suspend(state, self, result);
        if (went != PYGEN_RETURN) {
            return went;
        }
        Py_CLEAR(*result);
        pyaio_await_stop(&self->head.await);
    }
    int blocked;
    while ((blocked = is_blocked(state, self)) > 0) {
        if (check_waitable(state, self) < 0) {
            return PYGEN_ERROR;
        }
        PySendResult went = suspend(state, self, result);
        if (went != PYGEN_RETURN) {
            return went;
        }
        Py_CLEAR(*result);
        pyaio_await_stop(&self->head.await);
    }
    return blocked < 0 ? PYGEN_ERROR : finish(state, self, result);
}

static PySendResult
queue_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    return try_queue(state, (QueueCoroutine *)op, result);
}

/* The wait went on as `went` says. */
static PySendResult
waited(PyaioState *state, QueueCoroutine *self, PySendResult went,
       PyObject **result)
{
    if (went == PYGEN_NEXT) {
        return went;
    }
    if (went == PYGEN_ERROR) {
        return give_up(state, self);
    }
    Py_CLEAR(*result);
    pyaio_await_stop(&self->head.await);
    return try_queue(state, self, result);
}

static PySendResult
queue_send(PyaioState *state, PyaioCoroutine *op, PyObject *value,
           PyObject **result)
{
    PySendResult went = pyaio_await_send(state, &op->await, value, result);
    return waited(state, (QueueCoroutine *)op, went, result);
}

static PySendResult
queue_throw(PyaioState *state, PyaioCoroutine *op, PyObject *exception,
            PyObject **result)
{
    PySendResult went =
        pyaio_await_throw(state, &op->await, exception, result);
    return waited(state, (QueueCoroutine *)op, went, result);
}

/* For others to look at: a coroutine of stock's that has not begun. */
static PyObject *
queue_mirror(PyaioState *state, PyaioCoroutine *op)
{
    QueueCoroutine *self = (QueueCoroutine *)op;
    if (op->mirror == NULL) {
        op->mirror = PyObject_CallFunctionObjArgs(
            pyaio_state_object(state, op->kind->function), self->queue,
            self->item, NULL);
    }
    return Py_XNewRef(op->mirror);
}

static const PyaioCoroutineKind get_kind = {
    .function = offsetof(PyaioState, stock_queue_get),
    .pool = offsetof(PyaioState, queue_pool),
    .start = queue_start,
    .send = queue_send,
    .throw = queue_throw,
    .mirror = queue_mirror,
    .traverse = queue_coroutine_traverse,
    .clear = queue_coroutine_clear,
};

static const PyaioCoroutineKind put_kind = {
    .function = offsetof(PyaioState, stock_queue_put),
    .pool = offsetof(PyaioState, queue_pool),
    .start = queue_start,
    .send = queue_send,
    .throw = queue_throw,
    .mirror = queue_mirror,
    .traverse = queue_coroutine_traverse,
    .clear = queue_coroutine_clear,
};

static PyObject *
queue_get(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames)
{
    if (!is_plain_call(state, args, nargs, 1, kwnames)) {
        return NULL;
    }
    return queue_coroutine_new(state, &get_kind, args[0], NULL);
}

static PyObject *
queue_put(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames)
{
    if (kwnames != NULL && nargs == 1 && PyTuple_GET_SIZE(kwnames) == 1 &&
        PyUnicode_Compare(PyTuple_GET_ITEM(kwnames, 0), state->str_item) ==
            0) {
        nargs = 2;
        kwnames = NULL;
    }
    if (!is_plain_call(state, args, nargs, 2, kwnames)) {
        return NULL;
    }
    return queue_coroutine_new(state, &put_kind, args[0], args[1]);
}

/* --- join() -------------------------------------------------------------- */

/* What it awaits has come as far as `went` says: its value is of no use. */
static PySendResult
joined(PySendResult went, PyObject **result)
{
    if (went == PYGEN_RETURN) {
        Py_SETREF(*result, Py_NewRef(Py_None));
    }
    return went;
}

static PySendResult
join_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    PyaioQueue *queue = ((QueueCoroutine *)op)->queue;
    int unfinished = pyaio_queue_has_unfinished(queue);
    if (unfinished <= 0) {
        *result = unfinished < 0 ? NULL : Py_NewRef(Py_None);
        return unfinished < 0 ? PYGEN_ERROR : PYGEN_RETURN;
    }
    PyObject *event = pyaio_queue_finished(state, queue);
    PyObject *coro =
        event ? PyObject_CallMethodNoArgs(event, state->str_wait) : NULL;
    Py_XDECREF(event);
    if (coro == NULL) {
        return PYGEN_ERROR;
    }
    PySendResult went = pyaio_await_start(state, &op->await, coro, result);
    Py_DECREF(coro);
    return joined(went, result);
}

static PySendResult
join_send(PyaioState *state, PyaioCoroutine *op, PyObject *value,
          PyObject **result)
{
    return joined(pyaio_await_send(state, &op->await, value, result), result);
}

static PySendResult
join_throw(PyaioState *state, PyaioCoroutine *op, PyObject *exception,
           PyObject **result)
{
    return joined(pyaio_await_throw(state, &op->await, exception, result),
                  result);
}

static const PyaioCoroutineKind join_kind = {
    .function = offsetof(PyaioState, stock_queue_join),
    .pool = offsetof(PyaioState, queue_pool),
    .start = join_start,
    .send = join_send,
    .throw = join_throw,
    .mirror = queue_mirror,
    .traverse = queue_coroutine_traverse,
    .clear = queue_coroutine_clear,
};

static PyObject *
queue_join(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
           PyObject *kwnames)
{
    if (!is_plain_call(state, args, nargs, 1, kwnames)) {
        return NULL;
    }
    return queue_coroutine_new(state, &join_kind, args[0], NULL);
}

int
pyaio_queue_coroutines_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_coroutine_add_type(module, &state->QueueCoroutine_type,
                                 "pyaio._core.QueueCoroutine",
                                 sizeof(QueueCoroutine)) < 0 ||
        pyaio_primitive_add(state, state->QueueBase_type, "get",
                            state->stock_queue_get, queue_get) < 0 ||
        pyaio_primitive_add(state, state->QueueBase_type, "put",
                            state->stock_queue_put, queue_put) < 0) {
        return -1;
    }
    return pyaio_primitive_add(state, state->QueueBase_type, "join",
                               state->stock_queue_join, queue_join);
}
