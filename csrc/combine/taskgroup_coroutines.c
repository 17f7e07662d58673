/* TaskGroup.__aenter__() and __aexit__(). */
#include "base/interop.h"
#include "combine/in_stock.h"
#include "combine/taskgroup.h"
#include "task/step.h"

/* A coroutine of either: it runs natively as long as the group's course is the
 * common one, then awaits a coroutine of stock's, whose outcome is its own. */
typedef struct {
    PyaioCoroutine head;
    PyObject *group;     /* owned */
    PyObject *arguments; /* owned: tuple (group, type, value, traceback) of an
                            exit with an exception, else NULL */
} GroupCoroutine;

static int
group_coroutine_traverse(PyaioCoroutine *op, visitproc visit, void *arg)
{
    GroupCoroutine *self = (GroupCoroutine *)op;
    Py_VISIT(self->group);
    Py_VISIT(self->arguments);
    return 0;
}

static void
group_coroutine_clear(PyaioState *Py_UNUSED(state), PyaioCoroutine *op)
{
    GroupCoroutine *self = (GroupCoroutine *)op;
    Py_CLEAR(self->group);
    Py_CLEAR(self->arguments);
}

static PyObject *
group_coroutine_new(PyaioState *state, const PyaioCoroutineKind *kind,
                    PyObject *group)
{
    PyTypeObject *type = state->TaskGroupCoroutine_type;
    GroupCoroutine *self = (GroupCoroutine *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->group = Py_NewRef(group);
    if (pyaio_coroutine_setup(&self->head, kind) < 0) {
        self->head.status = PYAIO_CORO_CLOSED; /* nobody will know of it */
        Py_CLEAR(self->group);
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

/* --- __aenter__() -------------------------------------------------------- */

/* Fills in what entering finds out. Returns 1, 0 where it is for stock to say
 * what is wrong, or -1 with an exception. */
static int
group_enter(PyaioState *state, PyaioTaskGroup *group)
{
    if (group->entered || group->cancel_on_enter || group->tasks == NULL) {
        return 0;
    }
    if (!pyaio_taskgroup_has(group->loop)) {
        PyObject *running = pyaio_require_running_loop(state);
        if (running == NULL) {
            return -1;
        }
        Py_XSETREF(group->loop, running);
    }
    PyObject *loop = Py_NewRef(group->loop);
    PyaioTaskPlace place;
    PyObject *task =
        pyaio_current_task(state, pyaio_task_place(state, loop, &place), loop);
    Py_DECREF(loop);
    if (task == NULL || task == Py_None) {
        Py_XDECREF(task);
        return task ? 0 : -1;
    }
    Py_XSETREF(group->parent_task, task);
    group->entered = 1;
    return 1;
}

static PySendResult
enter_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    GroupCoroutine *self = (GroupCoroutine *)op;
    int entered = group_enter(state, (PyaioTaskGroup *)self->group);
    if (entered < 0) {
        return PYGEN_ERROR;
    }
    if (entered) {
        *result = Py_NewRef(self->group);
        return PYGEN_RETURN;
    }
    PyObject *arguments = PyTuple_Pack(1, self->group);
    if (arguments == NULL) {
        return PYGEN_ERROR;
    }
    PySendResult went = pyaio_in_stock_start(
        state, &self->head, state->stock_TaskGroup_aenter, arguments, result);
    Py_DECREF(arguments);
    return went;
}

static PyObject *
enter_mirror(PyaioState *state, PyaioCoroutine *op)
{
    GroupCoroutine *self = (GroupCoroutine *)op;
    PyObject *arguments = PyTuple_Pack(1, self->group);
    PyObject *mirror =
        pyaio_in_stock_mirror(op, state->stock_TaskGroup_aenter, arguments);
    Py_XDECREF(arguments);
    return mirror;
}

static const PyaioCoroutineKind enter_kind = {
    .function = offsetof(PyaioState, stock_TaskGroup_aenter),
    .start = enter_start,
    .send = pyaio_in_stock_send,
    .throw = pyaio_in_stock_throw,
    .mirror = enter_mirror,
    .traverse = group_coroutine_traverse,
    .clear = group_coroutine_clear,
};

static PyObject *
taskgroup_aenter(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
                 PyObject *kwnames)
{
    if (nargs != 1 || kwnames != NULL ||
        !pyaio_taskgroup_check(state, args[0])) {
        return NULL;
    }
    return group_coroutine_new(state, &enter_kind, args[0]);
}

/* --- __aexit__(), its handing over to stock ------------------------------ */

/* A group's state, as it would look to a coroutine of stock's __aexit__() that
 * had been running from the beginning in place of the native one. */
typedef struct {
    PyObject *tasks; /* owned: the real set, where it is empty */
    char parent_cancel_requested;
} Disguise;

/* So that it starts to wait: for children, of which there is at least one, on
 * a future of its own; and finds no cancellation of the parent, which it would
 * undo on 3.11 and 3.12 (there, only one before the exit is undone). */
static int
disguise_put_on(PyaioTaskGroup *group, Disguise *disguise)
{
    disguise->tasks = NULL;
    if (PySet_GET_SIZE(group->tasks) == 0) {
        PyObject *crowd = PySet_New(NULL);
        if (crowd == NULL || PySet_Add(crowd, Py_None) < 0) {
            Py_XDECREF(crowd);
            return -1;
        }
        disguise->tasks = group->tasks;
        group->tasks = crowd;
    }
    disguise->parent_cancel_requested = group->parent_cancel_requested;
    group->parent_cancel_requested = 0;
    Py_CLEAR(group->on_completed);
    return 0;
}

static void
disguise_take_off(PyaioTaskGroup *group, Disguise *disguise)
{
    if (disguise->parent_cancel_requested) {
        group->parent_cancel_requested = 1;
    }
    if (disguise->tasks != NULL) {
        Py_XSETREF(group->tasks, disguise->tasks);
    }
}

/* The future on which stock's coroutine waits has been yielded, to nobody. */
static int
release_yielded(PyaioState *state, PyObject *yielded, int finish)
{
    PyaioFuture *future = pyaio_as_native_future(state, yielded);
    if (future != NULL) {
        future->blocking = 0;
    }
    if (!finish) {
        return 0;
    }
    PyObject *done =
        PyObject_CallMethodOneArg(yielded, state->str_set_result, Py_True);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* From the middle of the wait: starts a coroutine of stock's __aexit__(), to
 * stand at the same place, and raises `exception` in it, or lets it find that
 * the children have ended. */
static PySendResult
exit_hand_over(PyaioState *state, GroupCoroutine *self, PyObject *exception,
               PyObject **result)
{
    PyaioTaskGroup *group = (PyaioTaskGroup *)self->group;
    PyObject *arguments =
        PyTuple_Pack(4, self->group, Py_None, Py_None, Py_None);
    PyObject *waited = Py_XNewRef(group->on_completed);
    Disguise disguise;
    if (arguments == NULL || disguise_put_on(group, &disguise) < 0) {
        Py_XDECREF(arguments);
        Py_XDECREF(waited);
        return PYGEN_ERROR;
    }
    PyObject *yielded = NULL;
    PySendResult went = pyaio_in_stock_start(
        state, &self->head, state->stock_TaskGroup_aexit, arguments, &yielded);
    Py_DECREF(arguments);
    disguise_take_off(group, &disguise);
    if (went != PYGEN_NEXT) {
        Py_XDECREF(waited);
        *result = yielded;
        return went;
    }
    if (release_yielded(state, yielded, exception == NULL) < 0) {
        went = PYGEN_ERROR;
    }
    else if (exception == NULL) {
        went = pyaio_await_send(state, &self->head.await, Py_None, result);
    }
    else {
        went = pyaio_await_throw(state, &self->head.await, exception, result);
        if (went == PYGEN_ERROR && group->on_completed == yielded) {
            /* It went no further: who waits, waits for the first one. */
            Py_XSETREF(group->on_completed, Py_XNewRef(waited));
        }
    }
    Py_DECREF(yielded);
    Py_XDECREF(waited);
    return went;
}

/* The same with the exception that is set. */
static PySendResult
exit_hand_over_error(PyaioState *state, GroupCoroutine *self,
                     PyObject **result)
{
    PyObject *exception = PyErr_GetRaisedException();
    PySendResult went = exit_hand_over(state, self, exception, result);
    Py_DECREF(exception);
    return went;
}

/* --- __aexit__(), its common course -------------------------------------- */

/* Every child has ended. */
static PySendResult
exit_finish(PyaioState *state, GroupCoroutine *self, PyObject **result)
{
    PyaioTaskGroup *group = (PyaioTaskGroup *)self->group;
    if (!pyaio_taskgroup_is_calm(group)) {
        return exit_hand_over(state, self, NULL, result);
    }
    if (state->stock_TaskGroup_leave != Py_None) {
        /* Versions with _aexit() leave no references to what is over. */
        Py_CLEAR(group->parent_task);
        Py_CLEAR(group->base_error);
        Py_XSETREF(group->errors, Py_NewRef(Py_None));
    }
    *result = Py_NewRef(PYAIO_HAS_GROUP_CANCEL ? Py_True : Py_None);
    return PYGEN_RETURN;
}

static int
group_require_completed_future(PyaioState *state, PyaioTaskGroup *group)
{
    if (pyaio_taskgroup_has(group->on_completed)) {
        return 0;
    }
    PyObject *loop = group->loop ? group->loop : Py_None;
    Py_INCREF(loop);
    PyObject *future = pyaio_loop_create_future(state, loop);
    Py_DECREF(loop);
    if (future == NULL) {
        return -1;
    }
    Py_XSETREF(group->on_completed, future);
    return 0;
}

/* Waits for the children that are left. */
static PySendResult
exit_wait(PyaioState *state, GroupCoroutine *self, PyObject **result)
{
    PyaioTaskGroup *group = (PyaioTaskGroup *)self->group;
    while (PySet_GET_SIZE(group->tasks) > 0) {
        if (group_require_completed_future(state, group) < 0) {
            return PYGEN_ERROR;
        }
        PyObject *future = Py_NewRef(group->on_completed);
        PySendResult went =
            pyaio_await_start(state, &self->head.await, future, result);
        Py_DECREF(future);
        if (went == PYGEN_NEXT) {
            return went;
        }
        if (went == PYGEN_ERROR) {
            return exit_hand_over_error(state, self, result);
        }
        Py_CLEAR(*result);
        pyaio_await_stop(&self->head.await);
        Py_CLEAR(group->on_completed);
    }
    return exit_finish(state, self, result);
}

/* Whether the wait can be native: nothing unusual has happened, and what it
 * waits for is a future of ours. -1 with an exception. */
static int
exit_can_be_native(PyaioState *state, PyaioTaskGroup *group)
{
    if (!pyaio_taskgroup_is_calm(group)) {
        return 0;
    }
    if (PySet_GET_SIZE(group->tasks) == 0) {
        return 1;
    }
    if (group_require_completed_future(state, group) < 0) {
        return -1;
    }
    return pyaio_as_native_future(state, group->on_completed) != NULL;
}

static PySendResult
exit_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    GroupCoroutine *self = (GroupCoroutine *)op;
    PyaioTaskGroup *group = (PyaioTaskGroup *)self->group;
    int native =
        self->arguments == NULL ? exit_can_be_native(state, group) : 0;
    if (native < 0) {
        return PYGEN_ERROR;
    }
    if (native) {
        group->exiting = 1;
        return exit_wait(state, self, result);
    }
    PyObject *arguments = self->arguments;
    self->arguments = NULL; /* it may hold a traceback: not for longer */
    if (arguments == NULL) {
        arguments = PyTuple_Pack(4, self->group, Py_None, Py_None, Py_None);
        if (arguments == NULL) {
            return PYGEN_ERROR;
        }
    }
    PySendResult went = pyaio_in_stock_start(
        state, &self->head, state->stock_TaskGroup_aexit, arguments, result);
    Py_DECREF(arguments);
    return went;
}

/* The native wait went on as `went` says. */
static PySendResult
exit_waited(PyaioState *state, GroupCoroutine *self, PySendResult went,
            PyObject **result)
{
    if (self->head.in_stock || went == PYGEN_NEXT) {
        return went;
    }
    if (went == PYGEN_ERROR) {
        return exit_hand_over_error(state, self, result);
    }
    Py_CLEAR(*result);
    pyaio_await_stop(&self->head.await);
    Py_CLEAR(((PyaioTaskGroup *)self->group)->on_completed);
    return exit_wait(state, self, result);
}

static PySendResult
exit_send(PyaioState *state, PyaioCoroutine *op, PyObject *value,
          PyObject **result)
{
    PySendResult went = pyaio_await_send(state, &op->await, value, result);
    return exit_waited(state, (GroupCoroutine *)op, went, result);
}

static PySendResult
exit_throw(PyaioState *state, PyaioCoroutine *op, PyObject *exception,
           PyObject **result)
{
    PySendResult went =
        pyaio_await_throw(state, &op->await, exception, result);
    return exit_waited(state, (GroupCoroutine *)op, went, result);
}

/* Has a coroutine of stock's wait for the same future, and goes on in it, if
 * it does. Returns 0, or -1 with an exception. */
static int
exit_settle_in_stock(PyaioState *state, GroupCoroutine *self,
                     PyObject *arguments, PyaioFuture *future)
{
    PyaioTaskGroup *group = (PyaioTaskGroup *)self->group;
    PyObject *coro =
        PyObject_CallObject(state->stock_TaskGroup_aexit, arguments);
    Disguise disguise;
    if (coro == NULL || disguise_put_on(group, &disguise) < 0) {
        Py_XDECREF(coro);
        return -1;
    }
    PyObject *op = pyaio_future_object(future);
    group->on_completed = Py_NewRef(op);
    uint8_t blocking = future->blocking;
    future->blocking = 0;
    PyObject *yielded = NULL;
    PySendResult went = PyIter_Send(coro, Py_None, &yielded);
    future->blocking = blocking;
    disguise_take_off(group, &disguise);
    if (went == PYGEN_NEXT && yielded == op) {
        pyaio_await_stop(&self->head.await);
        self->head.await.awaited = Py_NewRef(coro);
        self->head.await.iterator = Py_NewRef(coro);
        self->head.in_stock = 1;
    }
    Py_XDECREF(yielded);
    Py_DECREF(coro);
    return went == PYGEN_ERROR ? -1 : 0;
}

static PyObject *
exit_mirror(PyaioState *state, PyaioCoroutine *op)
{
    GroupCoroutine *self = (GroupCoroutine *)op;
    PyaioTaskGroup *group = (PyaioTaskGroup *)self->group;
    PyObject *arguments = Py_XNewRef(self->arguments);
    if (arguments == NULL) {
        arguments = PyTuple_Pack(4, self->group, Py_None, Py_None, Py_None);
        if (arguments == NULL) {
            return NULL;
        }
    }
    int err = 0;
    if (op->status == PYAIO_CORO_SUSPENDED && !self->head.in_stock &&
        op->await.awaited == group->on_completed) {
        PyObject *awaited = Py_NewRef(op->await.awaited);
        PyaioFuture *future = pyaio_as_native_future(state, awaited);
        if (future != NULL && !pyaio_future_done(future)) {
            op->status = PYAIO_CORO_RUNNING; /* for whoever resumes it now */
            err = exit_settle_in_stock(state, self, arguments, future);
            op->status = PYAIO_CORO_SUSPENDED;
        }
        Py_DECREF(awaited);
    }
    PyObject *mirror = NULL;
    if (err == 0) {
        mirror = pyaio_in_stock_mirror(
            &self->head, state->stock_TaskGroup_aexit, arguments);
    }
    Py_DECREF(arguments);
    return mirror;
}

static const PyaioCoroutineKind exit_kind = {
    .function = offsetof(PyaioState, stock_TaskGroup_aexit),
    .start = exit_start,
    .send = exit_send,
    .throw = exit_throw,
    .mirror = exit_mirror,
    .traverse = group_coroutine_traverse,
    .clear = group_coroutine_clear,
};

static PyObject *
taskgroup_aexit(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
                PyObject *kwnames)
{
    if (nargs != 4 || kwnames != NULL ||
        !pyaio_taskgroup_check(state, args[0])) {
        return NULL;
    }
    PyObject *op = group_coroutine_new(state, &exit_kind, args[0]);
    if (op != NULL && (args[1] != Py_None || args[2] != Py_None)) {
        PyObject *arguments =
            PyTuple_Pack(4, args[0], args[1], args[2], args[3]);
        if (arguments == NULL) {
            Py_CLEAR(op);
        }
        else {
            ((GroupCoroutine *)op)->arguments = arguments;
        }
    }
    return op;
}

int
pyaio_taskgroup_coroutines_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_coroutine_add_type(module, &state->TaskGroupCoroutine_type,
                                 "pyaio._core.TaskGroupCoroutine",
                                 sizeof(GroupCoroutine)) < 0 ||
        pyaio_taskgroup_add(state, "__aenter__", state->stock_TaskGroup_aenter,
                            taskgroup_aenter) < 0) {
        return -1;
    }
    return pyaio_taskgroup_add(state, "__aexit__",
                               state->stock_TaskGroup_aexit, taskgroup_aexit);
}
