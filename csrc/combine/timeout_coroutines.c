/* Timeout.__aenter__() and __aexit__(), timeout() and timeout_at(). */
#include "base/interop.h"
#include "combine/in_stock.h"
#include "combine/timeout.h"
#include "task/step.h"

/* A coroutine of either. */
typedef struct {
    PyaioCoroutine head;
    PyObject *timeout;   /* owned */
    PyObject *arguments; /* owned: tuple (timeout, type, value, traceback) of
                            an exit with an exception, else NULL */
} TimeoutCoroutine;

static int
timeout_coroutine_traverse(PyaioCoroutine *op, visitproc visit, void *arg)
{
    TimeoutCoroutine *self = (TimeoutCoroutine *)op;
    Py_VISIT(self->timeout);
    Py_VISIT(self->arguments);
    return 0;
}

static void
timeout_coroutine_clear(PyaioState *Py_UNUSED(state), PyaioCoroutine *op)
{
    TimeoutCoroutine *self = (TimeoutCoroutine *)op;
    Py_CLEAR(self->timeout);
    Py_CLEAR(self->arguments);
}

static PyObject *
timeout_coroutine_new(PyaioState *state, const PyaioCoroutineKind *kind,
                      PyObject *timeout)
{
    PyObject *op = pyaio_pool_take(&state->timeout_coroutine_pool,
                                   state->TimeoutCoroutine_type,
                                   sizeof(TimeoutCoroutine));
    if (op == NULL) {
        return NULL;
    }
    TimeoutCoroutine *self = (TimeoutCoroutine *)op;
    self->timeout = Py_NewRef(timeout);
    if (pyaio_coroutine_setup(&self->head, kind) < 0) {
        self->head.status = PYAIO_CORO_CLOSED; /* nobody will know of it */
        Py_CLEAR(self->timeout);
        Py_CLEAR(op);
    }
    return op;
}

/* --- __aenter__() -------------------------------------------------------- */

/* Enters in the running task of a native loop, as far as that is the common
 * course. Returns as pyaio_timeout_schedule(). */
static int
timeout_enter_on(PyaioState *state, PyaioTimeout *self, PyObject *loop)
{
    double when;
    if (pyaio_deadline_scheduler(state, loop) == NULL ||
        (self->when != Py_None &&
         !pyaio_timeout_read_number(self->when, &when))) {
        return 0;
    }
    PyaioTaskPlace place;
    PyObject *task =
        pyaio_current_task(state, pyaio_task_place(state, loop, &place), loop);
    if (task == NULL) {
        return -1;
    }
    if (!Py_IS_TYPE(task, state->Task_type)) {
        Py_DECREF(task);
        return 0;
    }
    PyObject *cancelling =
        PyLong_FromLong(((PyaioTask *)task)->future.cancel_requests);
    if (cancelling == NULL) {
        Py_DECREF(task);
        return -1;
    }
    self->status = PYAIO_TIMEOUT_ENTERED;
    Py_XSETREF(self->task, task);
    Py_XSETREF(self->cancelling, cancelling);
    return pyaio_timeout_schedule(state, self, loop);
}

static int
timeout_enter(PyaioState *state, PyaioTimeout *self)
{
    if (self->status != PYAIO_TIMEOUT_CREATED || self->when == NULL ||
        !pyaio_timeout_is_plain(state, (PyObject *)self)) {
        return 0;
    }
    PyObject *loop = pyaio_running_loop(state);
    if (loop == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    int went = timeout_enter_on(state, self, loop);
    Py_DECREF(loop);
    return went;
}

static PySendResult
enter_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    PyObject *timeout = ((TimeoutCoroutine *)op)->timeout;
    int went = timeout_enter(state, (PyaioTimeout *)timeout);
    if (went != 0) {
        *result = went < 0 ? NULL : Py_NewRef(timeout);
        return went < 0 ? PYGEN_ERROR : PYGEN_RETURN;
    }
    PyObject *arguments = PyTuple_Pack(1, timeout);
    if (arguments == NULL) {
        return PYGEN_ERROR;
    }
    PySendResult sent = pyaio_in_stock_start(
        state, op, state->stock_Timeout_aenter, arguments, result);
    Py_DECREF(arguments);
    return sent;
}

static PyObject *
enter_mirror(PyaioState *state, PyaioCoroutine *op)
{
    PyObject *arguments = PyTuple_Pack(1, ((TimeoutCoroutine *)op)->timeout);
    PyObject *mirror =
        pyaio_in_stock_mirror(op, state->stock_Timeout_aenter, arguments);
    Py_XDECREF(arguments);
    return mirror;
}

static const PyaioCoroutineKind enter_kind = {
    .function = offsetof(PyaioState, stock_Timeout_aenter),
    .pool = offsetof(PyaioState, timeout_coroutine_pool),
    .start = enter_start,
    .send = pyaio_in_stock_send,
    .throw = pyaio_in_stock_throw,
    .mirror = enter_mirror,
    .traverse = timeout_coroutine_traverse,
    .clear = timeout_coroutine_clear,
};

static PyObject *
timeout_aenter(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
               PyObject *kwnames)
{
    if (nargs != 1 || kwnames != NULL ||
        (PyObject *)Py_TYPE(args[0]) != state->Timeout) {
        return NULL;
    }
    return timeout_coroutine_new(state, &enter_kind, args[0]);
}

/* --- __aexit__() --------------------------------------------------------- */

static PyObject *
exit_arguments(TimeoutCoroutine *self)
{
    if (self->arguments != NULL) {
        return Py_NewRef(self->arguments);
    }
    return PyTuple_Pack(4, self->timeout, Py_None, Py_None, Py_None);
}

static PySendResult
exit_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    TimeoutCoroutine *self = (TimeoutCoroutine *)op;
    PyaioTimeout *timeout = (PyaioTimeout *)self->timeout;
    if (timeout->status == PYAIO_TIMEOUT_ENTERED) {
        if (pyaio_timeout_unschedule(state, timeout) < 0) {
            return PYGEN_ERROR;
        }
        timeout->status = PYAIO_TIMEOUT_EXITED;
        *result = Py_NewRef(Py_None);
        return PYGEN_RETURN;
    }
    PyObject *arguments = exit_arguments(self);
    if (arguments == NULL) {
        return PYGEN_ERROR;
    }
    PySendResult sent = pyaio_in_stock_start(
        state, op, state->stock_Timeout_aexit, arguments, result);
    Py_DECREF(arguments);
    return sent;
}

static PyObject *
exit_mirror(PyaioState *state, PyaioCoroutine *op)
{
    PyObject *arguments = exit_arguments((TimeoutCoroutine *)op);
    PyObject *mirror =
        pyaio_in_stock_mirror(op, state->stock_Timeout_aexit, arguments);
    Py_XDECREF(arguments);
    return mirror;
}

static const PyaioCoroutineKind exit_kind = {
    .function = offsetof(PyaioState, stock_Timeout_aexit),
    .pool = offsetof(PyaioState, timeout_coroutine_pool),
    .start = exit_start,
    .send = pyaio_in_stock_send,
    .throw = pyaio_in_stock_throw,
    .mirror = exit_mirror,
    .traverse = timeout_coroutine_traverse,
    .clear = timeout_coroutine_clear,
};

static PyObject *
timeout_aexit(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
              PyObject *kwnames)
{
    if (nargs != 4 || kwnames != NULL ||
        (PyObject *)Py_TYPE(args[0]) != state->Timeout) {
        return NULL;
    }
    PyaioTimeout *timeout = (PyaioTimeout *)args[0];
    if (timeout->status != PYAIO_TIMEOUT_ENTERED) {
        return NULL;
    }
    PyObject *op = timeout_coroutine_new(state, &exit_kind, args[0]);
    if (op != NULL && args[1] != Py_None) {
        PyObject *arguments =
            PyTuple_Pack(4, args[0], args[1], args[2], args[3]);
        if (arguments == NULL) {
            Py_CLEAR(op);
        }
        else {
            ((TimeoutCoroutine *)op)->arguments = arguments;
        }
    }
    return op;
}

/* --- timeout() and timeout_at() ------------------------------------------ */

/* Timeout(when), by the name that stock looks up. */
static PyObject *
timeout_make(PyaioState *state, PyObject *when)
{
    if (pyaio_timeout_class_is_ours(state) &&
        pyaio_timeout_class_is_plain(state)) {
        return pyaio_timeout_new(state, when);
    }
    PyObject *class =
        PyDict_GetItemWithError(state->timeouts_names, state->str_Timeout);
    if (class == NULL || class == state->stock_Timeout) {
        class = state->Timeout;
    }
    PyErr_Clear();
    Py_INCREF(class);
    PyObject *op = PyObject_CallOneArg(class, when);
    Py_DECREF(class);
    return op;
}

/* loop.time() + delay. */
static PyObject *
deadline_after(PyaioState *state, PyObject *loop, PyObject *delay)
{
    PyaioScheduler *sched = pyaio_scheduler_of(state, loop);
    double seconds;
    if (sched != NULL && sched->state != NULL &&
        pyaio_sched_is_native(sched, PYAIO_LOOP_TIME) &&
        pyaio_timeout_read_number(delay, &seconds)) {
        return PyFloat_FromDouble(pyaio_sched_clock(sched) + seconds);
    }
    PyObject *now = PyObject_CallMethodNoArgs(loop, state->str_time);
    PyObject *when = now ? PyNumber_Add(now, delay) : NULL;
    Py_XDECREF(now);
    return when;
}

/* The one argument `name`, or NULL where stock is to say what is wrong. */
static PyObject *
only_argument(const char *name, PyObject *const *args, Py_ssize_t nargs,
              PyObject *kwnames)
{
    Py_ssize_t keywords = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    if (nargs + keywords != 1 ||
        (keywords == 1 && PyUnicode_CompareWithASCIIString(
                              PyTuple_GET_ITEM(kwnames, 0), name) != 0)) {
        return NULL;
    }
    return args[0];
}

static PyObject *
timeout(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
        PyObject *kwnames)
{
    PyaioState *state = pyaio_module_state(module);
    PyObject *delay = only_argument("delay", args, nargs, kwnames);
    if (delay == NULL) {
        return PyObject_Vectorcall(state->stock_timeout, args, (size_t)nargs,
                                   kwnames);
    }
    PyObject *loop = pyaio_require_running_loop(state);
    if (loop == NULL) {
        return NULL;
    }
    PyObject *when = delay == Py_None ? Py_NewRef(Py_None)
                                      : deadline_after(state, loop, delay);
    Py_DECREF(loop);
    PyObject *op = when ? timeout_make(state, when) : NULL;
    Py_XDECREF(when);
    return op;
}

static PyObject *
timeout_at(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
           PyObject *kwnames)
{
    PyaioState *state = pyaio_module_state(module);
    PyObject *when = only_argument("when", args, nargs, kwnames);
    if (when == NULL) {
        return PyObject_Vectorcall(state->stock_timeout_at, args,
                                   (size_t)nargs, kwnames);
    }
    return timeout_make(state, when);
}

PyDoc_STRVAR(timeout_doc,
             "timeout(delay)\n--\n\n"
             "Return a Timeout whose block may take `delay` seconds; None: "
             "any time.\n\n"
             "The task inside is cancelled when they are over, which leaves\n"
             "the block as TimeoutError. Mirrors asyncio.timeout.");
PyDoc_STRVAR(timeout_at_doc,
             "timeout_at(when)\n--\n\n"
             "Return a Timeout whose block may last until `when`, in seconds "
             "of loop.time();\n"
             "None: for ever. Mirrors asyncio.timeout_at.");

static PyMethodDef timeout_functions[] = {
    {"timeout", (PyCFunction)(void (*)(void))timeout,
     METH_FASTCALL | METH_KEYWORDS, timeout_doc},
    {"timeout_at", (PyCFunction)(void (*)(void))timeout_at,
     METH_FASTCALL | METH_KEYWORDS, timeout_at_doc},
    {NULL, NULL, 0, NULL},
};

static int
timeout_add(PyaioState *state, const char *name, PyObject *stock,
            PyaioNativeCall call)
{
    return pyaio_coroutine_function_add(
        state, (PyObject *)state->TimeoutBase_type, name, stock, call);
}

int
pyaio_timeout_coroutines_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_coroutine_add_type(module, &state->TimeoutCoroutine_type,
                                 "pyaio._core.TimeoutCoroutine",
                                 sizeof(TimeoutCoroutine)) < 0 ||
        timeout_add(state, "__aenter__", state->stock_Timeout_aenter,
                    timeout_aenter) < 0 ||
        timeout_add(state, "__aexit__", state->stock_Timeout_aexit,
                    timeout_aexit) < 0) {
        return -1;
    }
    if (PyModule_AddFunctions(module, timeout_functions) < 0) {
        return -1;
    }
    state->timeout = PyObject_GetAttr(module, state->str_timeout);
    return state->timeout ? 0 : -1;
}
