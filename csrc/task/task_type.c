/* The Python type Task. */
#include "base/context.h"
#include "base/meta.h"
#include "sched/report.h"
#include "task/future_methods.h"
#include "task/setup.h"
#include "task/step.h"

static PyObject *
Task_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
         PyObject *Py_UNUSED(kwargs))
{
    PyaioState *state = pyaio_state_of_type(type);
    int pooled = state != NULL && type == state->Task_type;
    PyObject *op = pooled ? pyaio_pool_take_untracked(&state->task_pool, type,
                                                      sizeof(PyaioTask))
                          : type->tp_alloc(type, 0);
    if (op != NULL) {
        pyaio_task_mark(op); /* before anybody traverses it */
        if (pooled) {
            PyObject_GC_Track(op);
        }
    }
    return op;
}

static int
Task_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    PyObject *coro, *loop = NULL, *name = NULL, *context = NULL;
    int eager = 0;
#if PYAIO_HAS_EAGER
    static char *names[] = {"coro",    "loop",        "name",
                            "context", "eager_start", NULL};
    int parsed =
        PyArg_ParseTupleAndKeywords(args, kwargs, "O|$OOOp:Task", names, &coro,
                                    &loop, &name, &context, &eager);
#else
    static char *names[] = {"coro", "loop", "name", "context", NULL};
    int parsed = PyArg_ParseTupleAndKeywords(
        args, kwargs, "O|$OOO:Task", names, &coro, &loop, &name, &context);
#endif
    if (!parsed) {
        return -1;
    }
    PyaioTask *task = (PyaioTask *)op;
    if (task->future.loop != NULL &&
        pyaio_future_prepare_again(&task->future, "Task") < 0) {
        return -1;
    }
    return pyaio_task_setup(pyaio_state_of(op), task, coro, loop, name,
                            context, eager);
}

static int
Task_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioTask *task = (PyaioTask *)op;
    Py_VISIT(task->base.fut_waiter);
    Py_VISIT(task->base.coro);
    Py_VISIT(task->base.name);
    Py_VISIT(task->base.context);
    return pyaio_future_traverse(&task->future, visit, arg);
}

static int
Task_clear(PyObject *op)
{
    PyaioTask *task = (PyaioTask *)op;
    pyaio_future_clear(&task->future);
    Py_CLEAR(task->base.fut_waiter);
    Py_CLEAR(task->base.coro);
    Py_CLEAR(task->base.name);
    Py_CLEAR(task->base.context);
    return 0;
}

static void
Task_finalize(PyObject *op)
{
    PyaioState *state = pyaio_state_of(op);
    PyaioTask *task = (PyaioTask *)op;
    if (!pyaio_future_done(&task->future) && task->future.log_destroy &&
        task->future.loop != NULL && state != NULL &&
        state->str_message != NULL) {
        PyObject *raised = PyErr_GetRaisedException();
        PyObject *message =
            PyUnicode_FromString("Task was destroyed but it is pending!");
        if (message == NULL ||
            pyaio_call_exception_handler(
                state, task->future.loop, message, state->str_task, op,
                state->str_source_traceback,
                task->base.future.source_traceback, NULL) < 0) {
            PyErr_WriteUnraisable(op);
        }
        Py_XDECREF(message);
        if (raised != NULL) {
            PyErr_SetRaisedException(raised);
        }
    }
    pyaio_future_finalize_log(state, &task->future);
#if !PYAIO_HAS_CALL_GRAPH
    /* Stock's registry holds weak references, which are gone by now, also
     * where the report above brought the task back to life. */
    pyaio_task_unregister(task);
#endif
}

static void
Task_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyaioTask *task = (PyaioTask *)op;
    PyaioState *state = pyaio_state_of_type(type);
    int pending = !pyaio_future_done(&task->future) &&
                  task->future.loop != NULL && task->future.log_destroy;
    if ((state == NULL || type != state->Task_type || task->future.log_tb ||
         pending) &&
        PyObject_CallFinalizerFromDealloc(op) < 0) {
        return; /* resurrected */
    }
    PyObject_GC_UnTrack(op);
    pyaio_task_unregister(task);
    PyObject_ClearWeakRefs(op);
    (void)Task_clear(op);
    if (state != NULL && type == state->Task_type) {
        pyaio_pool_give(&state->task_pool, op);
        return;
    }
    type->tp_free(op);
    Py_DECREF(type);
}

/* --- methods ------------------------------------------------------------- */

static PyObject *
Task_set_result(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(result))
{
    PyErr_SetString(PyExc_RuntimeError,
                    "Task does not support set_result operation");
    return NULL;
}

static PyObject *
Task_set_exception(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(exception))
{
    PyErr_SetString(PyExc_RuntimeError,
                    "Task does not support set_exception operation");
    return NULL;
}

static PyObject *
Task_cancel(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames)
{
    PyObject *message;
    if (pyaio_future_parse_cancel(args, nargs, kwnames, &message) < 0) {
        return NULL;
    }
    int cancelled =
        pyaio_task_cancel(pyaio_state_of(op), (PyaioTask *)op, message);
    return cancelled < 0 ? NULL : PyBool_FromLong(cancelled);
}

static PyObject *
Task_cancelling(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return PyLong_FromUnsignedLong(((PyaioTask *)op)->future.cancel_requests);
}

static PyObject *
Task_uncancel(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioFuture *future = &((PyaioTask *)op)->future;
    if (future->cancel_requests > 0) {
        future->cancel_requests--;
        if (PYAIO_UNCANCEL_CLEARS && future->cancel_requests == 0) {
            future->must_cancel = 0;
        }
    }
    return PyLong_FromUnsignedLong(future->cancel_requests);
}

static PyObject *
Task_get_name(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioTask *task = (PyaioTask *)op;
    PyObject *name = task->base.name;
    if (name != NULL && PyLong_CheckExact(name)) {
        PyObject *text = PyUnicode_FromFormat("Task-%S", name);
        if (text == NULL) {
            return NULL;
        }
        Py_SETREF(task->base.name, text);
        name = text;
    }
    return Py_NewRef(name ? name : Py_None);
}

static PyObject *
Task_set_name(PyObject *op, PyObject *name)
{
    if (pyaio_task_set_name((PyaioTask *)op, name) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
Task_get_coro(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyObject *coro = ((PyaioTask *)op)->base.coro;
    return Py_NewRef(coro ? coro : Py_None);
}

#if PYAIO_HAS_EAGER
static PyObject *
Task_get_context(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyObject **field = &((PyaioTask *)op)->base.context;
    if (*field == NULL) {
        Py_RETURN_NONE;
    }
    return Py_XNewRef(pyaio_context_resolve(pyaio_state_of(op), field));
}
#endif

static PyObject *
Task_get_stack(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"limit", NULL};
    PyObject *limit = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$O:get_stack", names,
                                     &limit)) {
        return NULL;
    }
    return PyObject_CallFunctionObjArgs(pyaio_state_of(op)->task_get_stack, op,
                                        limit, NULL);
}

static PyObject *
Task_print_stack(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"limit", "file", NULL};
    PyObject *limit = Py_None, *file = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$OO:print_stack", names,
                                     &limit, &file)) {
        return NULL;
    }
    return PyObject_CallFunctionObjArgs(pyaio_state_of(op)->task_print_stack,
                                        op, limit, file, NULL);
}

static PyObject *
Task_repr(PyObject *op)
{
    PyaioState *state = pyaio_state_of(op);
    if (pyaio_future_require(state, op) == NULL) {
        return NULL;
    }
    return PyObject_CallOneArg(state->task_repr, op);
}

static PyMethodDef task_methods[] = {
    PYAIO_FUTURE_METHODS,
    {"set_result", Task_set_result, METH_O, NULL},
    {"set_exception", Task_set_exception, METH_O, NULL},
    {"cancel", (PyCFunction)(void (*)(void))Task_cancel,
     METH_FASTCALL | METH_KEYWORDS,
     "cancel($self, /, msg=None)\n--\n\n"
     "Request that CancelledError(msg) is thrown into the coroutine; False "
     "where the task is done already. Counts as one request."},
    {"cancelling", Task_cancelling, METH_NOARGS,
     "Return how many cancellations were requested and not taken back."},
    {"uncancel", Task_uncancel, METH_NOARGS,
     "Take one cancellation request back; return how many remain."},
    {"get_name", Task_get_name, METH_NOARGS, "Return the task's name."},
    {"set_name", Task_set_name, METH_O,
     "set_name($self, value, /)\n--\n\nName the task str(value)."},
    {"get_coro", Task_get_coro, METH_NOARGS,
     "Return the coroutine that the task drives."},
    {"get_stack", (PyCFunction)(void (*)(void))Task_get_stack,
     METH_VARARGS | METH_KEYWORDS,
     "get_stack($self, /, *, limit=None)\n--\n\n"
     "Return the stack frames of the coroutine, or those of the traceback "
     "that it ended with, at most `limit`."},
    {"print_stack", (PyCFunction)(void (*)(void))Task_print_stack,
     METH_VARARGS | METH_KEYWORDS,
     "print_stack($self, /, *, limit=None, file=None)\n--\n\n"
     "Print what get_stack() returns to `file` or sys.stderr."},
#if PYAIO_HAS_EAGER
    {"get_context", Task_get_context, METH_NOARGS,
     "Return the contextvars.Context that the coroutine runs in."},
#endif
    {NULL, NULL, 0, NULL},
};

/* --- attributes ---------------------------------------------------------- */

static PyObject *
Task_get_log_destroy(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((PyaioTask *)op)->future.log_destroy);
}

static int
Task_set_log_destroy(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "cannot delete attribute");
        return -1;
    }
    int truth = PyObject_IsTrue(value);
    if (truth < 0) {
        return -1;
    }
    ((PyaioTask *)op)->future.log_destroy = truth != 0;
    return 0;
}

static PyObject *
Task_get_must_cancel(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((PyaioTask *)op)->future.must_cancel);
}

static PyObject *
Task_get_coro_field(PyObject *op, void *Py_UNUSED(closure))
{
    return Task_get_coro(op, NULL);
}

static int
Task_set_coro_field(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "cannot delete attribute");
        return -1;
    }
    Py_XSETREF(((PyaioTask *)op)->base.coro, Py_NewRef(value));
    return 0;
}

static PyObject *
Task_get_fut_waiter(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *waiter = ((PyaioTask *)op)->base.fut_waiter;
    return Py_NewRef(waiter ? waiter : Py_None);
}

static PyGetSetDef task_getset[] = {
    PYAIO_FUTURE_GETSET,
    {"_log_destroy_pending", Task_get_log_destroy, Task_set_log_destroy, NULL,
     NULL},
    {"_must_cancel", Task_get_must_cancel, NULL, NULL, NULL},
    {"_coro", Task_get_coro_field, Task_set_coro_field, NULL, NULL},
    {"_fut_waiter", Task_get_fut_waiter, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

#if PYAIO_HAS_EAGER
#define TASK_SIGNATURE                                                     \
    "Task(coro, *, loop=None, name=None, context=None, eager_start=False)" \
    "\n--\n\n"
#else
#define TASK_SIGNATURE \
    "Task(coro, *, loop=None, name=None, context=None)\n--\n\n"
#endif

PyDoc_STRVAR(task_doc, TASK_SIGNATURE
             "A coroutine that an event loop drives.\n\n"
             "Raises TypeError where `coro` is not a coroutine. Mirrors "
             "asyncio.Task.");

static PyType_Slot task_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)task_doc},
    {Py_tp_new, Task_new},
    {Py_tp_init, Task_init},
    {Py_tp_traverse, Task_traverse},
    {Py_tp_clear, Task_clear},
    {Py_tp_finalize, Task_finalize},
    {Py_tp_dealloc, Task_dealloc},
    {Py_tp_setattro, pyaio_future_setattro},
    {Py_tp_repr, Task_repr},
    {Py_tp_iter, pyaio_future_tp_iter},
    {Py_am_await, pyaio_future_am_await},
    {Py_tp_methods, task_methods},
    {Py_tp_getset, task_getset},
    {0, NULL},
};

static PyType_Spec task_spec = {
    .name = "pyaio._core.Task",
    .basicsize = sizeof(PyaioTask),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC |
             PYAIO_TPFLAGS_INHERITED_DICT,
    .slots = task_slots,
};

int
pyaio_task_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_add_type(module, &state->Task_type, &task_spec,
                       (PyTypeObject *)state->stock_Task) < 0) {
        return -1;
    }
    pyaio_future_drive_itself(state->Task_type);
    return pyaio_meta_adopt(state, state->Task_type);
}
