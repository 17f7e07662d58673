/* wait(): a coroutine that counts the ends of a set of futures. */
#include "base/errors.h"
#include "base/interop.h"
#include "combine/inner.h"
#include "combine/combine.h"
#include "combine/coroutine.h"
#include "combine/delay.h"
#include "combine/ensure_future.h"
#include "combine/watching.h"

typedef enum {
    ALL_COMPLETED,
    FIRST_COMPLETED,
    FIRST_EXCEPTION,
    OTHERWISE, /* for stock to judge */
} ReturnWhen;

typedef struct {
    PyaioCoroutine head;
    PyObject *argument; /* owned: what wait() was given, until it begins */
    PyObject *timeout;  /* owned: NULL for none */
    PyObject
        *mode_name;    /* owned: return_when as given, NULL for the default */
    PyObject *set;     /* owned: the futures */
    PyObject *futures; /* owned: a list of them, in the order of the set */
    PyObject *waiter;  /* owned: the future that the coroutine awaits */
    PyaioDelay delay;  /* releases the waiter */
    PyaioWatching watching;
    Py_ssize_t left; /* how many have not ended */
    ReturnWhen mode;
} Wait;

static int
wait_release(PyaioState *state, Wait *self)
{
    if (self->waiter == NULL) {
        return 0; /* it has gone on already */
    }
    PyObject *waiter = Py_NewRef(self->waiter);
    int err = pyaio_any_future_release(state, waiter, Py_None);
    Py_DECREF(waiter);
    return err;
}

static int
wait_delay_run(PyaioState *state, PyObject *a, PyObject *Py_UNUSED(b))
{
    return wait_release(state, (Wait *)a);
}

static const PyaioReadyKind wait_delay = {
    .name = "_release_waiter",
    .run = wait_delay_run,
};

/* Whether the end of `future` ends the wait: 1, 0, or -1 with an exception. */
static int
wait_is_over(PyaioState *state, Wait *self, PyObject *future)
{
    if (self->left <= 0 || self->mode == FIRST_COMPLETED) {
        return 1;
    }
    if (self->mode != FIRST_EXCEPTION) {
        return 0;
    }
    int cancelled = pyaio_any_future_cancelled(state, future);
    if (cancelled != 0) {
        return cancelled < 0 ? -1 : 0;
    }
    PyObject *exception = pyaio_any_future_exception(state, future);
    if (exception == NULL) {
        return -1;
    }
    int failed = exception != Py_None;
    Py_DECREF(exception);
    return failed;
}

static int
wait_child_run(PyaioState *state, PyObject *a, PyObject *b)
{
    Wait *self = (Wait *)a;
    if (b == NULL) {
        PyErr_SetString(PyExc_TypeError,
                        "_wait.<locals>._on_completion() missing 1 required "
                        "positional argument: 'f'");
        return -1;
    }
    self->left--;
    int over = wait_is_over(state, self, b);
    if (over < 0 || (over && (pyaio_delay_cancel(state, &self->delay) < 0 ||
                              wait_release(state, self) < 0))) {
        return -1;
    }
    return pyaio_watching_forget(state, &self->watching, b);
}

static const PyaioReadyKind wait_child = {
    .name = "_wait.<locals>._on_completion",
    .run = wait_child_run,
};

/* --- the beginning ------------------------------------------------------- */

static ReturnWhen
wait_read_mode(PyObject *name)
{
    static const char *const names[] = {
        [ALL_COMPLETED] = "ALL_COMPLETED",
        [FIRST_COMPLETED] = "FIRST_COMPLETED",
        [FIRST_EXCEPTION] = "FIRST_EXCEPTION",
    };
    if (name == NULL) {
        return ALL_COMPLETED;
    }
    int mode = ALL_COMPLETED;
    while (mode != OTHERWISE &&
           !(PyUnicode_CheckExact(name) &&
             PyUnicode_CompareWithASCIIString(name, names[mode]) == 0)) {
        mode++;
    }
    return (ReturnWhen)mode;
}

/* A coroutine of the stock function for the same arguments. */
static PyObject *
wait_make_stock(PyaioState *state, Wait *self)
{
    PyObject *args = PyTuple_Pack(1, self->set ? self->set : self->argument);
    PyObject *kwargs = PyDict_New();
    PyObject *coro = NULL;
    if (args != NULL && kwargs != NULL &&
        (self->timeout == NULL ||
         PyDict_SetItemString(kwargs, "timeout", self->timeout) == 0) &&
        (self->mode_name == NULL ||
         PyDict_SetItemString(kwargs, "return_when", self->mode_name) == 0)) {
        coro = PyObject_Call(state->stock_wait, args, kwargs);
    }
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    return coro;
}

/* Goes on in stock's coroutine, which says what is wrong. */
static PySendResult
wait_ask_stock(PyaioState *state, Wait *self, PyObject **result)
{
    return pyaio_await_call(state, &self->head.await,
                            wait_make_stock(state, self), result);
}

/* Fills in the set and the list. Returns 0, or -1 with an exception. */
static int
wait_collect(PyaioState *state, Wait *self)
{
    int any = PyObject_IsTrue(self->argument);
    if (any <= 0) {
        if (any == 0) {
            PyErr_SetString(PyExc_ValueError,
                            "Set of Tasks/Futures is empty.");
        }
        return -1;
    }
    self->set = PySet_New(self->argument);
    self->futures = self->set ? PySequence_List(self->set) : NULL;
    if (self->futures == NULL) {
        return -1;
    }
    self->left = PyList_GET_SIZE(self->futures);
    for (Py_ssize_t i = 0; i < self->left; i++) {
        PyObject *op = PyList_GET_ITEM(self->futures, i);
        int coroutine = pyaio_is_coroutine(state, op);
        if (coroutine > 0) {
            PyErr_SetString(PyExc_TypeError, "Passing coroutines is "
                                             "forbidden, use tasks "
                                             "explicitly.");
        }
        if (coroutine != 0) {
            return -1;
        }
    }
    return 0;
}

static int
wait_watch(PyaioState *state, Wait *self, PyObject *loop)
{
    if (self->left == 0) { /* of an iterator */
        PyErr_SetString(PyExc_AssertionError, "Set of Futures is empty.");
        return -1;
    }
    self->waiter = pyaio_loop_create_future(state, loop);
    if (self->waiter == NULL ||
        (self->timeout != NULL &&
         pyaio_delay_start(state, &self->delay, loop, self->timeout,
                           &wait_delay, (PyObject *)self) < 0) ||
        pyaio_watching_init(state, &self->watching, &wait_child,
                            (PyObject *)self, loop) < 0) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(self->futures); i++) {
        PyObject *future = PyList_GET_ITEM(self->futures, i);
        if (pyaio_watching_add(state, &self->watching, future) < 0) {
            return -1;
        }
    }
    return 0;
}

/* --- the end ------------------------------------------------------------- */

static int
wait_unwatch(PyaioState *state, Wait *self)
{
    if (pyaio_delay_cancel(state, &self->delay) < 0) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(self->futures); i++) {
        PyObject *future = PyList_GET_ITEM(self->futures, i);
        if (pyaio_watching_remove(state, &self->watching, future) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Adds each future to the set of its kind. Returns 0 or -1. */
static int
wait_sort(PyaioState *state, Wait *self, PyObject *done, PyObject *pending)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(self->futures); i++) {
        PyObject *future = PyList_GET_ITEM(self->futures, i);
        int is_done = pyaio_any_future_done(state, future);
        if (is_done < 0 || PySet_Add(is_done ? done : pending, future) < 0) {
            return -1;
        }
    }
    return 0;
}

static PyObject *
wait_outcome(PyaioState *state, Wait *self)
{
    PyObject *done = PySet_New(NULL), *pending = PySet_New(NULL);
    PyObject *outcome = NULL;
    if (done != NULL && pending != NULL &&
        wait_sort(state, self, done, pending) == 0) {
        outcome = PyTuple_Pack(2, done, pending);
    }
    Py_XDECREF(done);
    Py_XDECREF(pending);
    return outcome;
}

/* What was awaited went on as `went` says. */
static PySendResult
wait_waited(PyaioState *state, Wait *self, PySendResult went,
            PyObject **result)
{
    if (went == PYGEN_NEXT || self->waiter == NULL) {
        return went; /* the latter: in stock's coroutine */
    }
    PyObject *raised = went == PYGEN_ERROR ? PyErr_GetRaisedException() : NULL;
    Py_CLEAR(*result);
    PyObject *waiter = self->waiter;
    self->waiter = NULL;
    Py_DECREF(waiter);
    if (wait_unwatch(state, self) < 0) {
        pyaio_chain_exception(raised);
        return PYGEN_ERROR;
    }
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
        return PYGEN_ERROR;
    }
    *result = wait_outcome(state, self);
    return *result ? PYGEN_RETURN : PYGEN_ERROR;
}

/* --- the coroutine ------------------------------------------------------- */

static PySendResult
wait_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    Wait *self = (Wait *)op;
    int single = pyaio_is_future_or_coroutine(state, self->argument);
    if (single < 0) {
        return PYGEN_ERROR;
    }
    if (single || self->mode == OTHERWISE) {
        return wait_ask_stock(state, self, result);
    }
    PyObject *loop = NULL;
    PySendResult went = PYGEN_ERROR;
    if (wait_collect(state, self) == 0 &&
        (loop = pyaio_require_running_loop(state)) != NULL &&
        wait_watch(state, self, loop) == 0) {
        Py_CLEAR(self->argument);
        went = pyaio_await_start(state, &op->await, self->waiter, result);
        went = wait_waited(state, self, went, result);
    }
    Py_XDECREF(loop);
    return went;
}

static PySendResult
wait_send(PyaioState *state, PyaioCoroutine *op, PyObject *value,
          PyObject **result)
{
    PySendResult went = pyaio_await_send(state, &op->await, value, result);
    return wait_waited(state, (Wait *)op, went, result);
}

static PySendResult
wait_throw(PyaioState *state, PyaioCoroutine *op, PyObject *exception,
           PyObject **result)
{
    PySendResult went =
        pyaio_await_throw(state, &op->await, exception, result);
    return wait_waited(state, (Wait *)op, went, result);
}

static PyObject *
wait_mirror(PyaioState *state, PyaioCoroutine *op)
{
    if (op->mirror == NULL) {
        op->mirror = wait_make_stock(state, (Wait *)op);
    }
    return Py_XNewRef(op->mirror);
}

static int
wait_traverse(PyaioCoroutine *op, visitproc visit, void *arg)
{
    Wait *self = (Wait *)op;
    Py_VISIT(self->argument);
    Py_VISIT(self->timeout);
    Py_VISIT(self->mode_name);
    Py_VISIT(self->set);
    Py_VISIT(self->futures);
    Py_VISIT(self->waiter);
    int err = pyaio_delay_traverse(&self->delay, visit, arg);
    return err ? err : pyaio_watching_traverse(&self->watching, visit, arg);
}

/* The mode and the count stay: callbacks that are queued still ask them. */
static void
wait_clear(PyaioState *state, PyaioCoroutine *op)
{
    Wait *self = (Wait *)op;
    pyaio_delay_clear(state, &self->delay);
    pyaio_watching_clear(&self->watching);
    Py_CLEAR(self->argument);
    Py_CLEAR(self->timeout);
    Py_CLEAR(self->mode_name);
    Py_CLEAR(self->set);
    Py_CLEAR(self->futures);
    Py_CLEAR(self->waiter);
}

static const PyaioCoroutineKind wait_kind = {
    .function = offsetof(PyaioState, stock_wait),
    .start = wait_start,
    .send = wait_send,
    .throw = wait_throw,
    .mirror = wait_mirror,
    .inner = pyaio_inner_wait,
    .traverse = wait_traverse,
    .clear = wait_clear,
};

static PyObject *
wait_call(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames)
{
    PyObject *timeout = NULL, *mode_name = NULL;
    Py_ssize_t keywords = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t i = 0; i < keywords; i++) {
        PyObject *keyword = PyTuple_GET_ITEM(kwnames, i);
        PyObject *value = args[nargs + i];
        if (PyUnicode_CompareWithASCIIString(keyword, "timeout") == 0) {
            timeout = value == Py_None ? NULL : value;
        }
        else if (PyUnicode_CompareWithASCIIString(keyword, "return_when") ==
                 0) {
            mode_name = value;
        }
        else {
            return NULL;
        }
    }
    if (nargs != 1) {
        return NULL;
    }
    PyTypeObject *type = state->WaitCoroutine_type;
    Wait *self = (Wait *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->argument = Py_NewRef(args[0]);
    self->timeout = Py_XNewRef(timeout);
    self->mode_name = Py_XNewRef(mode_name);
    self->mode = wait_read_mode(mode_name);
    if (pyaio_coroutine_setup(&self->head, &wait_kind) < 0) {
        self->head.status = PYAIO_CORO_CLOSED; /* nobody will know of it */
        wait_clear(state, &self->head);
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

int
pyaio_wait_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_coroutine_add_type(module, &state->WaitCoroutine_type,
                                 "pyaio._core.WaitCoroutine",
                                 sizeof(Wait)) < 0) {
        return -1;
    }
    return pyaio_coroutine_function_add(state, module, "wait",
                                        state->stock_wait, wait_call);
}
