/* Making, starting, registering and cancelling tasks. */
#include "task/task.h"
#include "base/context.h"
#include "task/setup.h"
#include "task/step.h"

/* --- the registry -------------------------------------------------------- */

#if PYAIO_HAS_CALL_GRAPH
/* As _asyncio links its tasks: into a ring whose head stands in the thread
 * state. */
typedef struct TaskNode {
    struct TaskNode *next;
    struct TaskNode *prev;
} TaskNode;

static int
task_register_through_stock(PyaioState *state, PyaioTask *task)
{
    PyObject *done =
        PyObject_CallOneArg(state->register_task, (PyObject *)task);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

int
pyaio_task_register(PyaioState *state, PyaioTask *task)
{
    if (state->task_list_offset == 0) {
        return task_register_through_stock(state, task);
    }
    TaskNode *node = (TaskNode *)(void *)&task->base.node_next;
    if (node->next == NULL) {
        char *tstate = (char *)PyThreadState_Get();
        TaskNode *head =
            (TaskNode *)(void *)(tstate + state->task_list_offset);
        node->next = head;
        node->prev = head->prev;
        head->prev->next = node;
        head->prev = node;
    }
    return 0;
}

void
pyaio_task_unregister(PyaioTask *task)
{
    TaskNode *node = (TaskNode *)(void *)&task->base.node_next;
    if (node->next != NULL) {
        node->prev->next = node->next;
        node->next->prev = node->prev;
        node->next = node->prev = NULL;
    }
}

/* Finds the head by having stock's function link a task: the newest one's
 * successor. It stands right behind the current task. */
static int
task_find_list(PyaioState *state)
{
    PyObject *op = state->Task_type->tp_alloc(state->Task_type, 0);
    if (op == NULL) {
        return -1;
    }
    PyaioTask *task = (PyaioTask *)op;
    pyaio_task_mark(op);
    int err = task_register_through_stock(state, task);
    char *tstate = (char *)PyThreadState_Get();
    Py_ssize_t expected =
        state->current_task_offset + (Py_ssize_t)sizeof(PyObject *);
    if (err == 0 && state->current_task_offset != 0 &&
        task->base.node_next == tstate + expected) {
        state->task_list_offset = expected;
    }
    pyaio_task_unregister(task);
    Py_DECREF(op);
    return err;
}
#else
int
pyaio_task_register(PyaioState *state, PyaioTask *task)
{
    if (task->link.prev == NULL) {
        pyaio_list_append(&state->tasks, &task->link);
    }
    return 0;
}

void
pyaio_task_unregister(PyaioTask *task)
{
    pyaio_list_remove(&task->link);
}

static int
task_find_list(PyaioState *Py_UNUSED(state))
{
    return 0; /* it is our own */
}
#endif

int
pyaio_task_registry_init(PyObject *module)
{
    return task_find_list(pyaio_module_state(module));
}

/* --- starting ------------------------------------------------------------ */

#if PYAIO_HAS_EAGER
/* Runs the first step inside the task's context. */
static int
task_eager_step(PyaioState *state, PyaioTask *task)
{
    PyObject *context =
        Py_XNewRef(pyaio_context_resolve(state, &task->base.context));
    if (context == NULL) {
        return -1;
    }
    int err = PyContext_Enter(context);
    if (err == 0) {
        err = pyaio_task_step_inside(state, task, NULL);
        PyObject *raised = PyErr_GetRaisedException();
        if (PyContext_Exit(context) < 0) {
            err = -1;
        }
        if (raised != NULL) {
            PyErr_Clear();
            PyErr_SetRaisedException(raised);
            err = -1;
        }
    }
    Py_DECREF(context);
    return err;
}

static int
call_with_task(PyObject *function, PyaioTask *task)
{
    PyObject *done = PyObject_CallOneArg(function, (PyObject *)task);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* Takes the task out of the set of eager tasks, keeping what is raised. */
static int
task_leave_eager(PyaioState *state, PyaioTask *task)
{
    PyObject *raised = PyErr_GetRaisedException();
    int err = call_with_task(state->unregister_eager_task, task);
    if (raised != NULL) {
        PyErr_Clear();
        PyErr_SetRaisedException(raised);
        err = -1;
    }
    return err;
}

/* The first step at once, on the caller's stack. */
static int
task_eager_start(PyaioState *state, PyaioTask *task)
{
    PyObject *loop = task->future.loop;
    PyaioTaskPlace storage;
    const PyaioTaskPlace *place = pyaio_task_place(state, loop, &storage);
    PyaioEagerScope scope;
    if (pyaio_eager_enter(state, place, loop, (PyObject *)task, &scope) < 0) {
        return -1;
    }
    int err = call_with_task(state->register_eager_task, task);
    if (err == 0) {
        err = task_eager_step(state, task);
        if (task_leave_eager(state, task) < 0) {
            err = -1;
        }
    }
    if (pyaio_eager_leave(state, place, loop, &scope) < 0) {
        err = -1;
    }
    if (pyaio_future_done(&task->future)) {
        Py_CLEAR(task->base.coro);
    }
    else if (err == 0) {
        err = pyaio_task_register(state, task);
    }
    return err;
}
#endif

/* Whether loop.is_running(); -1 with an exception. */
static int
loop_is_running(PyaioState *state, PyObject *loop)
{
    PyaioScheduler *sched = pyaio_scheduler_of(state, loop);
    if (sched != NULL && sched->state != NULL &&
        pyaio_sched_is_native(sched, PYAIO_LOOP_IS_RUNNING)) {
        return sched->thread_id != 0;
    }
    PyObject *answer = PyObject_CallMethodNoArgs(loop, state->str_is_running);
    int truth = answer ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    return truth;
}

static int
task_start(PyaioState *state, PyaioTask *task, int eager)
{
#if PYAIO_HAS_EAGER
    if (eager) {
        int running = loop_is_running(state, task->future.loop);
        if (running != 0) {
            return running < 0 ? -1 : task_eager_start(state, task);
        }
    }
#else
    (void)eager;
    (void)loop_is_running;
#endif
    if (pyaio_task_schedule_step(state, task, NULL) < 0) {
        return -1;
    }
    return pyaio_task_register(state, task);
}

/* --- making -------------------------------------------------------------- */

static int
task_check_coroutine(PyaioState *state, PyaioTask *task, PyObject *coro)
{
    if (PyCoro_CheckExact(coro)) {
        return 0;
    }
    PyObject *answer = PyObject_CallOneArg(state->iscoroutine, coro);
    int truth = answer ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    if (truth == 0) {
        task->future.log_destroy = 0;
        PyErr_Format(PyExc_TypeError, "a coroutine was expected, got %R",
                     coro);
    }
    return truth > 0 ? 0 : -1;
}

static int
task_set_default_name(PyaioState *state, PyaioTask *task)
{
    /* A number until somebody asks: most tasks are never asked. */
    PyObject *number = PyLong_FromUnsignedLongLong(++state->task_count);
    if (number == NULL) {
        return -1;
    }
    Py_XSETREF(task->base.name, number);
    return 0;
}

int
pyaio_task_set_name(PyaioTask *task, PyObject *name)
{
    PyObject *text =
        PyUnicode_CheckExact(name) ? Py_NewRef(name) : PyObject_Str(name);
    if (text == NULL) {
        return -1;
    }
    Py_XSETREF(task->base.name, text);
    return 0;
}

int
pyaio_task_setup(PyaioState *state, PyaioTask *task, PyObject *coro,
                 PyObject *loop, PyObject *name, PyObject *context, int eager)
{
    if (pyaio_future_setup(state, &task->future, loop) < 0 ||
        task_check_coroutine(state, task, coro) < 0) {
        return -1;
    }
    if (PYAIO_CHECKS_CONTEXT && context != NULL && context != Py_None &&
        !PyContext_CheckExact(context)) {
        task->future.log_destroy = 0;
        PyErr_Format(PyExc_TypeError,
                     "a contextvars.Context was expected, got %R", context);
        return -1;
    }
    PyObject *own = context != NULL && context != Py_None
                        ? Py_NewRef(context)
                        : pyaio_context_capture(state);
    if (own == NULL) {
        return -1;
    }
    Py_XSETREF(task->base.context, own);
    Py_CLEAR(task->base.fut_waiter);
    task->future.must_cancel = 0;
    task->future.cancel_requests = 0;
    Py_XSETREF(task->base.coro, Py_NewRef(coro));
    int err = name == NULL || name == Py_None
                  ? task_set_default_name(state, task)
                  : pyaio_task_set_name(task, name);
    if (err < 0) {
        return -1;
    }
    task->future.log_destroy = 1;
    return task_start(state, task, eager);
}

PyObject *
pyaio_task_new(PyaioState *state, PyObject *coro, PyObject *loop,
               PyObject *name, PyObject *context, int eager)
{
    PyObject *op = pyaio_pool_take_untracked(
        &state->task_pool, state->Task_type, sizeof(PyaioTask));
    if (op == NULL) {
        return NULL;
    }
    pyaio_task_mark(op); /* before anybody traverses it */
    PyObject_GC_Track(op);
    if (pyaio_task_setup(state, (PyaioTask *)op, coro, loop, name, context,
                         eager) < 0) {
        PyObject *raised = PyErr_GetRaisedException();
        Py_DECREF(op);
        PyErr_SetRaisedException(raised);
        return NULL;
    }
    return op;
}

/* Reads name= and context= of a vectorcall. Returns 1, or 0 where there is
 * any other keyword. */
static int
parse_name_and_context(PyaioState *state, PyObject *const *values,
                       PyObject *names, PyObject **name, PyObject **context)
{
    Py_ssize_t count = names ? PyTuple_GET_SIZE(names) : 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *keyword = PyTuple_GET_ITEM(names, i);
        if (PyUnicode_Compare(keyword, state->str_name) == 0) {
            *name = values[i];
        }
        else if (PyUnicode_Compare(keyword, state->str_context) == 0) {
            *context = values[i];
        }
        else {
            return 0;
        }
    }
    return 1;
}

/* Whether the running version's create_task() hands every keyword on to the
 * task: some patch releases do, so it is read off the method. */
static int
create_task_forwards(PyaioState *state)
{
    PyObject *code =
        PyObject_GetAttrString(state->stock_loop_create_task, "__code__");
    int forwards =
        code != NULL && ((PyCodeObject *)code)->co_flags & CO_VARKEYWORDS;
    Py_XDECREF(code);
    PyErr_Clear();
    return forwards;
}

/* function(first, second, keywords...); `second` may be NULL. */
static PyObject *
call_with_keywords(PyObject *function, PyObject *first, PyObject *second,
                   PyObject *const *values, PyObject *names)
{
    Py_ssize_t count = names ? PyTuple_GET_SIZE(names) : 0;
    PyObject **args = PyMem_New(PyObject *, (size_t)count + 2);
    if (args == NULL) {
        return PyErr_NoMemory();
    }
    size_t nargs = 0;
    args[nargs++] = first;
    if (second != NULL) {
        args[nargs++] = second;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        args[nargs + (size_t)i] = values[i];
    }
    PyObject *result = PyObject_Vectorcall(function, args, nargs, names);
    PyMem_Free(args);
    return result;
}

/* Task(coro, loop=loop, keywords...). */
static PyObject *
task_create_forwarding(PyaioState *state, PyObject *loop, PyObject *coro,
                       PyObject *const *values, PyObject *names)
{
    PyObject *kwargs = PyDict_New();
    PyObject *args = PyTuple_Pack(1, coro);
    PyObject *task = NULL;
    int err = kwargs != NULL && args != NULL
                  ? PyDict_SetItem(kwargs, state->str_loop, loop)
                  : -1;
    for (Py_ssize_t i = 0; err == 0 && i < PyTuple_GET_SIZE(names); i++) {
        err = PyDict_SetItem(kwargs, PyTuple_GET_ITEM(names, i), values[i]);
    }
    if (err == 0) {
        task = PyObject_Call((PyObject *)state->Task_type, args, kwargs);
    }
    Py_XDECREF(kwargs);
    Py_XDECREF(args);
    return task;
}

PyObject *
pyaio_task_create(PyaioState *state, PyObject *loop, PyObject *coro,
                  PyObject *const *values, PyObject *names)
{
    PyObject *name = NULL, *context = NULL;
    if (parse_name_and_context(state, values, names, &name, &context)) {
        return pyaio_task_new(state, coro, loop, name, context, 0);
    }
    if (create_task_forwards(state)) {
        return task_create_forwarding(state, loop, coro, values, names);
    }
    /* The running version's own method refuses the keyword. */
    return call_with_keywords(state->stock_loop_create_task, loop, coro,
                              values, names);
}

int
pyaio_task_class_is_ours(PyaioState *state)
{
    PyObject *found =
        PyDict_GetItemWithError(state->tasks_names, state->str_Task);
    PyErr_Clear();
    return found == state->stock_Task || found == (PyObject *)state->Task_type;
}

PyObject *
pyaio_loop_create_task(PyaioState *state, PyObject *loop, PyObject *coro,
                       PyObject *const *values, PyObject *names)
{
    PyaioScheduler *sched = pyaio_scheduler_of(state, loop);
    if (sched != NULL && sched->poller != NULL &&
        pyaio_sched_is_native(sched, PYAIO_LOOP_CREATE_TASK)) {
        if (sched->task_factory == NULL && pyaio_task_class_is_ours(state)) {
            return pyaio_task_create(state, loop, coro, values, names);
        }
        if (sched->task_factory == state->eager_factory && names == NULL &&
            !sched->debug) {
            return pyaio_task_new(state, coro, loop, NULL, NULL, 1);
        }
    }
    PyObject *method = PyObject_GetAttr(loop, state->str_create_task);
    if (method == NULL) {
        return NULL;
    }
    PyObject *task = call_with_keywords(method, coro, NULL, values, names);
    Py_DECREF(method);
    return task;
}

int
pyaio_task_cancel(PyaioState *state, PyaioTask *task, PyObject *message)
{
    task->future.log_tb = 0;
    if (pyaio_future_done(&task->future)) {
        return 0;
    }
    if (message == NULL) {
        message = Py_None;
    }
    task->future.cancel_requests++;
    PyObject *waiter = task->base.fut_waiter;
    if (waiter != NULL) {
        Py_INCREF(waiter);
        int cancelled = pyaio_any_future_cancel(state, waiter, message);
        Py_DECREF(waiter);
        if (cancelled != 0) {
            return cancelled;
        }
    }
    task->future.must_cancel = 1;
    Py_XSETREF(task->base.future.cancel_message,
               message == Py_None ? NULL : Py_NewRef(message));
    return 1;
}
