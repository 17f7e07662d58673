/* run_in_executor(): for the loop's own thread pool a work item of ours, which
 * hands its outcome to the loop; for other executors stock's way. */
#include "base/errors.h"
#include "loop/loop.h"
#include "task/future.h"

typedef enum {
    PENDING,
    RUNNING,
    FINISHED,
    CANCELLED,
} Status;

/* What the pool's queue holds. It takes the place of the work items and of the
 * concurrent futures of concurrent.futures.thread. */
typedef struct {
    PyObject_HEAD
    PyObject *function;  /* owned, until it ran */
    PyObject *arguments; /* owned tuple, until it ran */
    PyObject *future;    /* owned: of the loop */
    PyObject *loop;      /* owned */
    PyObject *result;    /* owned: NULL where it failed */
    PyObject *exception; /* owned: NULL where it did not */
    Status status;
} WorkItem;

/* --- in the loop --------------------------------------------------------- */

static int
call_future(PyObject *future, PyObject *method, PyObject *argument)
{
    PyObject *done = argument
                         ? PyObject_CallMethodOneArg(future, method, argument)
                         : PyObject_CallMethodNoArgs(future, method);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int
work_item_fail(PyaioState *state, PyObject *future, PyObject *exception)
{
    PyObject *converted =
        PyObject_CallOneArg(state->convert_exception, exception);
    if (converted == NULL) {
        return -1;
    }
    int err = call_future(future, state->str_set_exception, converted);
    Py_DECREF(converted);
    return err;
}

/* The future takes over the outcome. */
static int
work_item_ended(PyaioState *state, PyObject *a, PyObject *Py_UNUSED(b))
{
    WorkItem *self = (WorkItem *)a;
    PyObject *op = self->future, *result = self->result;
    PyObject *exception = self->exception;
    self->future = self->result = self->exception = NULL;
    int cancelled = op ? pyaio_any_future_cancelled(state, op) : 1;
    int done = cancelled == 0 ? pyaio_any_future_done(state, op) : cancelled;
    int err = done < 0 ? -1 : 0;
    if (done > 0 && !cancelled) {
        PyErr_SetNone(PyExc_AssertionError); /* somebody else finished it */
        err = -1;
    }
    else if (done == 0 && self->status == CANCELLED) {
        err = call_future(op, state->str_cancel, NULL);
    }
    else if (done == 0 && exception != NULL) {
        err = work_item_fail(state, op, exception);
    }
    else if (done == 0) {
        err = pyaio_any_future_release(state, op, result);
    }
    Py_XDECREF(op);
    Py_XDECREF(result);
    Py_XDECREF(exception);
    return err;
}

static const PyaioReadyKind work_item_end = {
    .name = "_chain_future.<locals>._set_state",
    .run = work_item_ended,
};

/* --- in the worker ------------------------------------------------------- */

/* Lets the loop know, unless that is closed. */
static void
work_item_report(PyaioState *state, WorkItem *self)
{
    PyaioScheduler *sched = pyaio_scheduler_of(state, self->loop);
    if (sched == NULL || sched->poller == NULL) {
        return;
    }
    if (pyaio_schedule_threadsafe(state, self->loop, &work_item_end,
                                  (PyObject *)self) < 0) {
        PyErr_WriteUnraisable((PyObject *)self);
    }
}

/* Whether the work is still wanted. */
static int
work_item_begin(PyaioState *state, WorkItem *self)
{
    if (self->status != PENDING || self->function == NULL) {
        return 0;
    }
    PyaioFuture *future = pyaio_as_future(state, self->future);
    if (future != NULL &&
        pyaio_future_state(future) == PYAIO_FUTURE_CANCELLED) {
        self->status = CANCELLED;
        return 0;
    }
    self->status = RUNNING;
    return 1;
}

/* run(): what the pool's worker calls, with its context from 3.14 on. */
static PyObject *
WorkItem_run(PyObject *op, PyObject *const *Py_UNUSED(args),
             Py_ssize_t Py_UNUSED(nargs))
{
    WorkItem *self = (WorkItem *)op;
    PyaioState *state = pyaio_state_of(op);
    if (!work_item_begin(state, self)) {
        Py_RETURN_NONE;
    }
    PyObject *function = self->function, *arguments = self->arguments;
    self->function = self->arguments = NULL;
    PyObject *result = PyObject_CallObject(function, arguments);
    PyObject *exception = result ? NULL : PyErr_GetRaisedException();
    Py_DECREF(function);
    Py_DECREF(arguments);
    Py_XSETREF(self->result, result);
    Py_XSETREF(self->exception, exception);
    self->status = FINISHED;
    work_item_report(state, self);
    Py_RETURN_NONE;
}

/* What the pool asks of an item's future when it is shut down or breaks. */

static PyObject *
WorkItem_get_future(PyObject *op, void *Py_UNUSED(closure))
{
    return Py_NewRef(op);
}

static PyObject *
WorkItem_cancel(PyObject *op, PyObject *Py_UNUSED(unused))
{
    WorkItem *self = (WorkItem *)op;
    if (self->status == PENDING) {
        self->status = CANCELLED;
        work_item_report(pyaio_state_of(op), self);
    }
    return PyBool_FromLong(self->status == CANCELLED);
}

static PyObject *
WorkItem_set_exception(PyObject *op, PyObject *exception)
{
    WorkItem *self = (WorkItem *)op;
    if (self->status == PENDING) {
        self->status = FINISHED;
        Py_XSETREF(self->exception, Py_NewRef(exception));
        work_item_report(pyaio_state_of(op), self);
    }
    Py_RETURN_NONE;
}

static int
WorkItem_traverse(PyObject *op, visitproc visit, void *arg)
{
    WorkItem *self = (WorkItem *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->function);
    Py_VISIT(self->arguments);
    Py_VISIT(self->future);
    Py_VISIT(self->loop);
    Py_VISIT(self->result);
    Py_VISIT(self->exception);
    return 0;
}

static int
WorkItem_clear(PyObject *op)
{
    WorkItem *self = (WorkItem *)op;
    Py_CLEAR(self->function);
    Py_CLEAR(self->arguments);
    Py_CLEAR(self->future);
    Py_CLEAR(self->result);
    Py_CLEAR(self->exception);
    Py_CLEAR(self->loop);
    return 0;
}

static void
WorkItem_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    (void)WorkItem_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef work_item_methods[] = {
    {"run", (PyCFunction)(void (*)(void))WorkItem_run, METH_FASTCALL,
     "Run the function, and let the loop know."},
    {"cancel", WorkItem_cancel, METH_NOARGS,
     "Cancel it where it does not run yet; return whether it is cancelled."},
    {"set_exception", WorkItem_set_exception, METH_O,
     "Let it fail where it does not run yet."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef work_item_getset[] = {
    {"future", WorkItem_get_future, NULL, "What can be cancelled.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot work_item_slots[] = {
    {Py_tp_traverse, WorkItem_traverse}, {Py_tp_clear, WorkItem_clear},
    {Py_tp_dealloc, WorkItem_dealloc},   {Py_tp_methods, work_item_methods},
    {Py_tp_getset, work_item_getset},    {0, NULL},
};

static PyType_Spec work_item_spec = {
    .name = "pyaio._core.WorkItem",
    .basicsize = sizeof(WorkItem),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = work_item_slots,
};

int
pyaio_work_item_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    state->stock_submit =
        PyObject_GetAttr(state->ThreadPoolExecutor, state->str_submit);
    if (state->stock_submit == NULL ||
        pyaio_add_type(module, &state->WorkItem_type, &work_item_spec, NULL) <
            0) {
        return -1;
    }
    return PyModule_AddObjectRef(module, "WorkItem",
                                 (PyObject *)state->WorkItem_type);
}

/* --- run_in_executor() --------------------------------------------------- */

static PyObject *
work_item_new(PyaioState *state, PyObject *loop, PyObject *const *args,
              Py_ssize_t nargs)
{
    PyTypeObject *type = state->WorkItem_type;
    WorkItem *self = (WorkItem *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->function = Py_NewRef(args[0]);
    self->loop = Py_NewRef(loop);
    self->arguments = PyTuple_New(nargs - 1);
    for (Py_ssize_t i = 1; self->arguments != NULL && i < nargs; i++) {
        PyTuple_SET_ITEM(self->arguments, i - 1, Py_NewRef(args[i]));
    }
    self->future =
        self->arguments ? pyaio_loop_create_future(state, loop) : NULL;
    if (self->future == NULL) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

/* Whether the executor is a thread pool as it comes. */
static int
is_plain_pool(PyaioState *state, PyObject *executor)
{
    if ((PyObject *)Py_TYPE(executor) != state->ThreadPoolExecutor) {
        return 0;
    }
    PyObject *submit = PyObject_GetAttr(executor, state->str_submit);
    int plain = submit != NULL && PyMethod_Check(submit) &&
                PyMethod_GET_FUNCTION(submit) == state->stock_submit;
    Py_XDECREF(submit);
    return plain;
}

/* Puts the work into `executor`: the future, or NULL without an exception
 * where that is for stock to do. */
static PyObject *
submit_directly(PyaioState *state, PyObject *loop, PyObject *executor,
                PyObject *const *args, Py_ssize_t nargs)
{
    if (!is_plain_pool(state, executor)) {
        PyErr_Clear();
        return NULL;
    }
    PyObject *item = work_item_new(state, loop, args, nargs);
    if (item == NULL) {
        return NULL;
    }
    PyObject *future = Py_NewRef(((WorkItem *)item)->future);
    PyObject *queued = PyObject_CallFunctionObjArgs(state->executor_submit,
                                                    executor, item, NULL);
    if (queued != Py_True) {
        Py_CLEAR(future);
    }
    Py_XDECREF(queued);
    Py_DECREF(item);
    return future;
}

/* The loop's own executor, while stock would use it without a word: a new
 * reference, or NULL with no exception. */
static PyObject *
default_executor(PyaioState *state, PyObject *loop)
{
    if (pyaio_sched_direct(state, loop, 0) == NULL ||
        state->executor_submit == NULL || state->executor_submit == Py_None) {
        return NULL;
    }
    PyObject *shut =
        PyObject_GetAttr(loop, state->str__executor_shutdown_called);
    PyObject *executor =
        shut == Py_False ? PyObject_GetAttr(loop, state->str__default_executor)
                         : NULL;
    Py_XDECREF(shut);
    PyErr_Clear();
    return executor;
}

static PyObject *
Loop_run_in_executor(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                     PyObject *kwnames)
{
    PyaioState *state = pyaio_state_of(op);
    PyObject *executor = NULL;
    if (nargs >= 2 && kwnames == NULL && args[0] == Py_None) {
        executor = default_executor(state, op);
    }
    if (executor != NULL) {
        PyObject *future =
            submit_directly(state, op, executor, args + 1, nargs - 1);
        Py_DECREF(executor);
        if (future != NULL || PyErr_Occurred()) {
            return future;
        }
    }
    return pyaio_loop_call_stock(state->stock_run_in_executor, op, args, nargs,
                                 kwnames);
}

PyMethodDef pyaio_loop_executor_methods[] = {
    {"run_in_executor", (PyCFunction)(void (*)(void))Loop_run_in_executor,
     METH_FASTCALL | METH_KEYWORDS,
     "run_in_executor($self, executor, func, *args)\n--\n\n"
     "Call func(*args) in an executor, None for the loop's own threads;\n"
     "return a future for the result."},
    {NULL, NULL, 0, NULL},
};
