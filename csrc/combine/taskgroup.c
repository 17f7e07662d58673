/* TaskGroupBase: a group's state, its children and their ends. */
#include "combine/taskgroup.h"
#include "base/interop.h"
#include "base/meta.h"
#include "combine/combine.h"
#include "task/task.h"

enum {
    CHILD_END_UNKNOWN = 0,
    CHILD_END_NATIVE,
    CHILD_END_OVERRIDDEN,
};

/* --- the end of a child -------------------------------------------------- */

/* The last child has ended: lets the exit go on. */
static int
group_complete(PyaioState *state, PyaioTaskGroup *self)
{
    PyObject *op = Py_NewRef(self->on_completed);
    int err = pyaio_any_future_release(state, op, Py_True);
    Py_DECREF(op);
    return err;
}

/* Whether there is nothing to do about the child but to forget it. */
static int
child_ended_well(PyaioState *state, PyObject *child)
{
    PyaioFuture *future = pyaio_as_native_future(state, child);
    if (future == NULL) {
        return 0;
    }
    PyaioFutureBase *base = pyaio_future_base(future);
    return base->state == PYAIO_FUTURE_CANCELLED ||
           (base->state == PYAIO_FUTURE_FINISHED && base->exception == NULL);
}

static int
group_forget_parent(PyaioState *state, PyaioTaskGroup *self, PyObject *child)
{
    if (!pyaio_taskgroup_has(self->parent_task)) {
        return 0;
    }
    PyObject *parent = Py_NewRef(self->parent_task);
    int err = pyaio_any_awaited_by_discard(state, child, parent);
    Py_DECREF(parent);
    return err;
}

static int
group_child_ended(PyaioState *state, PyObject *a, PyObject *b)
{
    PyaioTaskGroup *self = (PyaioTaskGroup *)a;
    if (b == NULL || self->tasks == NULL || !child_ended_well(state, b)) {
        PyObject *done = PyObject_CallFunctionObjArgs(
            state->stock_TaskGroup_ended, a, b, NULL);
        Py_XDECREF(done);
        return done ? 0 : -1;
    }
    PyObject *tasks = Py_NewRef(self->tasks);
    int err = PySet_Discard(tasks, b) < 0 ? -1 : 0;
    if (err == 0) {
        err = group_forget_parent(state, self, b);
    }
    if (err == 0 && PySet_GET_SIZE(tasks) == 0 &&
        pyaio_taskgroup_has(self->on_completed)) {
        err = group_complete(state, self);
    }
    Py_DECREF(tasks);
    return err;
}

static const PyaioReadyKind group_child = {
    .name = "TaskGroup._on_task_done",
    .run = group_child_ended,
    .waiter = offsetof(PyaioTaskGroup, parent_task),
};

static PyObject *
TaskGroup_on_task_done(PyObject *op, PyObject *task)
{
    if (group_child_ended(pyaio_state_of(op), op, task) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* --- create_task() ------------------------------------------------------- */

/* Whether `callback` is our own _on_task_done() of this group. */
static int
is_native_child_end(PyaioTaskGroup *self, PyObject *callback)
{
    return PyCFunction_CheckExact(callback) &&
           PyCFunction_GET_FUNCTION(callback) == TaskGroup_on_task_done &&
           PyCFunction_GET_SELF(callback) == (PyObject *)self;
}

/* task.add_done_callback(self._on_task_done). */
static int
group_watch_child(PyaioState *state, PyaioTaskGroup *self, PyObject *task)
{
    if (self->child_end != CHILD_END_NATIVE) {
        PyObject *callback =
            PyObject_GetAttr((PyObject *)self, state->str__on_task_done);
        if (callback == NULL) {
            return -1;
        }
        if (!is_native_child_end(self, callback)) {
            self->child_end = CHILD_END_OVERRIDDEN;
            PyObject *done = PyObject_CallMethodOneArg(
                task, state->str_add_done_callback, callback);
            Py_DECREF(callback);
            Py_XDECREF(done);
            return done ? 0 : -1;
        }
        Py_DECREF(callback);
        self->child_end = CHILD_END_NATIVE;
    }
    return pyaio_any_future_add_waiter(state, task, &group_child,
                                       (PyObject *)self);
}

/* Whether stock's create_task() uses an attribute of that name, by which patch
 * releases tell themselves apart. -1 on error. */
static int
stock_create_mentions(PyaioState *state, const char *name)
{
    return pyaio_stock_mentions(state->stock_TaskGroup_create, "co_names",
                                name);
}

/* Whether a child that has ended by the time create_task() has made it is
 * dealt with on the spot: before gh-128588. */
static int
group_ends_child_at_once(PyaioState *state)
{
    int looks = stock_create_mentions(state, "done");
    int cancels = looks > 0 ? stock_create_mentions(state, "cancel") : 0;
    return looks < 0 || cancels < 0 ? -1 : looks && !cancels;
}

/* For a child that was started eagerly and cancelled the group meanwhile:
 * from gh-155418 on. */
static int
group_cancel_late_child(PyaioState *state, PyObject *task)
{
    int cancels = stock_create_mentions(state, "cancel");
    int done = cancels > 0 ? pyaio_any_future_done(state, task) : 0;
    if (cancels < 0 || done < 0) {
        return -1;
    }
    if (!cancels || done) {
        return 0;
    }
    return pyaio_any_future_cancel(state, task, NULL) < 0 ? -1 : 0;
}

static int
group_record_parent(PyaioState *state, PyaioTaskGroup *self, PyObject *task)
{
    if (!pyaio_taskgroup_has(self->parent_task)) {
        return 0;
    }
    PyObject *parent = Py_NewRef(self->parent_task);
    int err = pyaio_any_awaited_by_add(state, task, parent);
    Py_DECREF(parent);
    return err;
}

/* Takes the new task into the group. */
static int
group_adopt(PyaioState *state, PyaioTaskGroup *self, PyObject *task)
{
    if (group_record_parent(state, self, task) < 0) {
        return -1;
    }
    int done = pyaio_any_future_done(state, task);
    int at_once = done > 0 ? group_ends_child_at_once(state) : 0;
    if (done < 0 || at_once < 0) {
        return -1;
    }
    if (at_once) {
        PyObject *ended = PyObject_CallMethodOneArg(
            (PyObject *)self, state->str__on_task_done, task);
        Py_XDECREF(ended);
        return ended ? 0 : -1;
    }
    PyObject *tasks = Py_XNewRef(self->tasks);
    int err = tasks ? PySet_Add(tasks, task) : -1;
    Py_XDECREF(tasks);
    if (err < 0 || group_watch_child(state, self, task) < 0) {
        return -1;
    }
    return self->aborting ? group_cancel_late_child(state, task) : 0;
}

/* Whether the running version hands every keyword to loop.create_task(). */
static int
stock_create_forwards(PyaioState *state)
{
    PyObject *function = state->stock_TaskGroup_create;
    return PyFunction_Check(function) &&
           (((PyCodeObject *)PyFunction_GET_CODE(function))->co_flags &
            CO_VARKEYWORDS);
}

static PyObject *
taskgroup_create_task(PyaioState *state, PyObject *const *args,
                      Py_ssize_t nargs, PyObject *kwnames)
{
    if (nargs != 2 || !pyaio_taskgroup_check(state, args[0]) ||
        (kwnames != NULL && !stock_create_forwards(state))) {
        return NULL;
    }
    PyaioTaskGroup *self = (PyaioTaskGroup *)args[0];
    if (!self->entered || self->aborting || self->tasks == NULL ||
        !pyaio_taskgroup_has(self->loop) ||
        (self->exiting && PySet_GET_SIZE(self->tasks) == 0)) {
        return NULL;
    }
    PyaioScheduler *sched = pyaio_scheduler_of(state, self->loop);
    if (sched == NULL || sched->state == NULL ||
        !pyaio_sched_is_native(sched, PYAIO_LOOP_CREATE_TASK)) {
        return NULL;
    }
    PyObject *loop = Py_NewRef(self->loop);
    PyObject *task =
        pyaio_loop_create_task(state, loop, args[1], args + 2, kwnames);
    Py_DECREF(loop);
    if (task != NULL && group_adopt(state, self, task) < 0) {
        Py_CLEAR(task);
    }
    return task;
}

/* --- the type ------------------------------------------------------------ */

static int
TaskGroup_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, ":TaskGroup", names)) {
        return -1;
    }
    PyObject *tasks = PySet_New(NULL);
    if (tasks == NULL) {
        return -1;
    }
    PyaioTaskGroup *self = (PyaioTaskGroup *)op;
    self->entered = self->exiting = self->aborting = 0;
    self->parent_cancel_requested = self->cancel_on_enter = 0;
    self->child_end = CHILD_END_UNKNOWN;
    Py_XSETREF(self->tasks, tasks);
    Py_CLEAR(self->loop);
    Py_CLEAR(self->parent_task);
    Py_CLEAR(self->errors);
    Py_CLEAR(self->base_error);
    Py_CLEAR(self->on_completed);
    return 0;
}

/* As where stock's __init__() has not run. */
static int
group_require(PyaioTaskGroup *self, const char *name)
{
    if (self->tasks != NULL) {
        return 0;
    }
    PyErr_Format(PyExc_AttributeError, "'%s' object has no attribute '%s'",
                 Py_TYPE(self)->tp_name, name);
    return -1;
}

static PyObject *
TaskGroup_get_entered(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioTaskGroup *self = (PyaioTaskGroup *)op;
    return group_require(self, "_entered") < 0
               ? NULL
               : PyBool_FromLong(self->entered);
}

static int
TaskGroup_set_entered(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    int truth = value ? PyObject_IsTrue(value) : 0;
    if (truth >= 0) {
        ((PyaioTaskGroup *)op)->entered = (char)truth;
    }
    return truth < 0 ? -1 : 0;
}

static PyObject *
TaskGroup_get_tasks(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioTaskGroup *self = (PyaioTaskGroup *)op;
    return group_require(self, "_tasks") < 0 ? NULL : Py_NewRef(self->tasks);
}

static int
TaskGroup_set_tasks(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    if (value == NULL || !PySet_Check(value)) {
        PyErr_SetString(PyExc_TypeError, "_tasks must be a set");
        return -1;
    }
    Py_XSETREF(((PyaioTaskGroup *)op)->tasks, Py_NewRef(value));
    return 0;
}

static PyObject *
TaskGroup_get_errors(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioTaskGroup *self = (PyaioTaskGroup *)op;
    if (group_require(self, "_errors") < 0) {
        return NULL;
    }
    if (self->errors == NULL) {
        self->errors = PyList_New(0);
    }
    return Py_XNewRef(self->errors);
}

static int
TaskGroup_set_errors(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    Py_XSETREF(((PyaioTaskGroup *)op)->errors, Py_XNewRef(value));
    return 0;
}

static int
TaskGroup_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioTaskGroup *self = (PyaioTaskGroup *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->loop);
    Py_VISIT(self->parent_task);
    Py_VISIT(self->tasks);
    Py_VISIT(self->errors);
    Py_VISIT(self->base_error);
    Py_VISIT(self->on_completed);
    return 0;
}

static int
TaskGroup_clear(PyObject *op)
{
    PyaioTaskGroup *self = (PyaioTaskGroup *)op;
    Py_CLEAR(self->loop);
    Py_CLEAR(self->parent_task);
    Py_CLEAR(self->tasks);
    Py_CLEAR(self->errors);
    Py_CLEAR(self->base_error);
    Py_CLEAR(self->on_completed);
    return 0;
}

static void
TaskGroup_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    (void)TaskGroup_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef taskgroup_methods[] = {
    {"_on_task_done", TaskGroup_on_task_done, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef taskgroup_getset[] = {
    {"_entered", TaskGroup_get_entered, TaskGroup_set_entered, NULL, NULL},
    {"_tasks", TaskGroup_get_tasks, TaskGroup_set_tasks, NULL, NULL},
    {"_errors", TaskGroup_get_errors, TaskGroup_set_errors, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

#define MEMBER(name, type, field) \
    {name, type, offsetof(PyaioTaskGroup, field), 0, NULL}

static PyMemberDef taskgroup_members[] = {
    MEMBER("_loop", T_OBJECT, loop),
    MEMBER("_parent_task", T_OBJECT, parent_task),
    MEMBER("_base_error", T_OBJECT, base_error),
    MEMBER("_on_completed_fut", T_OBJECT, on_completed),
    MEMBER("_exiting", T_BOOL, exiting),
    MEMBER("_aborting", T_BOOL, aborting),
    MEMBER("_parent_cancel_requested", T_BOOL, parent_cancel_requested),
#if PYAIO_HAS_GROUP_CANCEL
    MEMBER("_cancel_on_enter", T_BOOL, cancel_on_enter),
#endif
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(taskgroup_doc,
             "TaskGroup()\n--\n\n"
             "What is native of the TaskGroup that stands on it.");

static PyType_Slot taskgroup_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)taskgroup_doc},
    {Py_tp_init, TaskGroup_init},
    {Py_tp_traverse, TaskGroup_traverse},
    {Py_tp_clear, TaskGroup_clear},
    {Py_tp_dealloc, TaskGroup_dealloc},
    {Py_tp_methods, taskgroup_methods},
    {Py_tp_getset, taskgroup_getset},
    {Py_tp_members, taskgroup_members},
    {0, NULL},
};

static PyType_Spec taskgroup_spec = {
    .name = "pyaio._core.TaskGroup",
    .basicsize = sizeof(PyaioTaskGroup),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = taskgroup_slots,
};

int
pyaio_taskgroup_add(PyaioState *state, const char *name, PyObject *stock,
                    PyaioNativeCall call)
{
    return pyaio_coroutine_function_add(
        state, (PyObject *)state->TaskGroupBase_type, name, stock, call);
}

int
pyaio_taskgroup_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_add_type(module, &state->TaskGroupBase_type, &taskgroup_spec,
                       NULL) < 0 ||
        pyaio_meta_adopt(state, state->TaskGroupBase_type) < 0 ||
        pyaio_taskgroup_add(state, "create_task",
                            state->stock_TaskGroup_create,
                            taskgroup_create_task) < 0 ||
        pyaio_taskgroup_coroutines_init(module) < 0) {
        return -1;
    }
    return 0;
}
