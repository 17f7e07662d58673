/* The parts of asyncio's own bookkeeping that we share. */
#include "base/interop.h"

/* --- the running loop ---------------------------------------------------- */

#if PYAIO_HAS_CALL_GRAPH
static inline PyObject **
thread_field(Py_ssize_t offset)
{
    return (PyObject **)(void *)((char *)PyThreadState_Get() + offset);
}
#endif

PyObject *
pyaio_running_loop(PyaioState *state)
{
#if PYAIO_HAS_CALL_GRAPH
    if (state->running_loop_offset != 0) {
        return Py_XNewRef(*thread_field(state->running_loop_offset));
    }
#endif
    PyObject *loop = PyObject_CallNoArgs(state->get_running_loop);
    if (loop == Py_None) {
        Py_DECREF(loop);
        return NULL;
    }
    return loop;
}

PyObject *
pyaio_require_running_loop(PyaioState *state)
{
    PyObject *loop = pyaio_running_loop(state);
    if (loop == NULL && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_RuntimeError, "no running event loop");
    }
    return loop;
}

int
pyaio_set_running_loop(PyaioState *state, PyObject *loop)
{
    /* By its name: tests put another one there. */
    PyObject *done = PyObject_CallMethodOneArg(
        state->events, state->str__set_running_loop, loop);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* --- the current task ---------------------------------------------------- */

static int
refuse_to_enter(PyObject *task, PyObject *current)
{
    PyErr_Format(PyExc_RuntimeError,
                 "Cannot enter into task %R while another task %R is being "
                 "executed.",
                 task, current);
    return -1;
}

static int
call_with_two(PyObject *function, PyObject *first, PyObject *second)
{
    PyObject *done =
        PyObject_CallFunctionObjArgs(function, first, second, NULL);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int
leave_task_keeping_error(PyaioState *state, PyObject *loop, PyObject *task)
{
    PyObject *raised = PyErr_GetRaisedException();
    int err = call_with_two(state->leave_task, loop, task);
    if (raised != NULL) {
        PyErr_Clear();
        PyErr_SetRaisedException(raised);
        return 0;
    }
    return err;
}

#if PYAIO_HAS_CALL_GRAPH

int
pyaio_interop_sync(PyaioState *Py_UNUSED(state),
                   const PyaioTaskPlace *Py_UNUSED(place))
{
    return 0;
}

int
pyaio_enter_task(PyaioState *state, const PyaioTaskPlace *place,
                 PyObject *loop, PyObject *task)
{
    if (place == NULL || state->current_task_offset == 0) {
        return call_with_two(state->enter_task, loop, task);
    }
    PyObject **field = thread_field(state->current_task_offset);
    if (*field != NULL) {
        return refuse_to_enter(task, *field);
    }
    *field = Py_NewRef(task);
    return 0;
}

int
pyaio_leave_task(PyaioState *state, const PyaioTaskPlace *place,
                 PyObject *loop, PyObject *task)
{
    if (place == NULL || state->current_task_offset == 0) {
        return leave_task_keeping_error(state, loop, task);
    }
    PyObject **field = thread_field(state->current_task_offset);
    if (*field != task) {
        return leave_task_keeping_error(state, loop, task);
    }
    *field = NULL;
    Py_DECREF(task);
    return 0;
}

/* Where _asyncio knows of no current task: what a function says that somebody
 * put into asyncio.tasks, as the one of the pure-Python implementation. */
static PyObject *
ask_for_current_task(PyaioState *state, PyObject *loop)
{
    PyObject *function =
        PyDict_GetItemWithError(state->tasks_names, state->str_current_task);
    if (function == NULL || PyCFunction_CheckExact(function)) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    return PyObject_CallOneArg(function, loop);
}

PyObject *
pyaio_current_task(PyaioState *state, const PyaioTaskPlace *place,
                   PyObject *loop)
{
    if (state->current_task_offset != 0 && state->running_loop_offset != 0 &&
        *thread_field(state->running_loop_offset) == loop) {
        PyObject *task = *thread_field(state->current_task_offset);
        if (task != NULL || place != NULL) {
            return Py_NewRef(task ? task : Py_None);
        }
        return ask_for_current_task(state, loop);
    }
    PyObject *task = PyObject_CallOneArg(state->current_task, loop);
    if (task == Py_None && place == NULL) {
        Py_DECREF(task);
        return ask_for_current_task(state, loop);
    }
    return task;
}

/* Looks for `wanted` among the words behind the public part of the thread
 * state, where CPython 3.14 keeps the running loop and the current task. */
static Py_ssize_t
thread_state_find(PyObject *wanted)
{
    char *tstate = (char *)PyThreadState_Get();
    const Py_ssize_t words = 8;
    Py_ssize_t offset = (Py_ssize_t)sizeof(PyThreadState);
    for (Py_ssize_t i = 0; i < words; i++, offset += sizeof(PyObject *)) {
        if (*(PyObject **)(void *)(tstate + offset) == wanted) {
            return offset;
        }
    }
    return 0;
}

static int
interop_probe(PyaioState *state, PyObject *loop, PyObject *task)
{
    if (call_with_two(state->enter_task, loop, task) < 0) {
        return -1;
    }
    Py_ssize_t task_offset = thread_state_find(task);
    Py_ssize_t loop_offset = thread_state_find(loop);
    if (call_with_two(state->leave_task, loop, task) < 0) {
        return -1;
    }
    if (task_offset != 0 && loop_offset != 0 &&
        *thread_field(task_offset) == NULL &&
        *thread_field(loop_offset) == loop) {
        state->current_task_offset = task_offset;
        state->running_loop_offset = loop_offset;
    }
    return 0;
}

int
pyaio_interop_init(PyaioState *state)
{
    PyObject *before = pyaio_running_loop(state);
    if (before == NULL && PyErr_Occurred()) {
        return -1;
    }
    PyObject *current =
        before ? pyaio_current_task(state, NULL, before) : Py_NewRef(Py_None);
    if (current == NULL) {
        Py_XDECREF(before);
        return -1;
    }
    if (current != Py_None) {
        /* Imported inside a task: stay with the public functions' route for
         * finding the offsets out of its way. */
        state->current_task_offset = thread_state_find(current);
        state->running_loop_offset = thread_state_find(before);
        if (state->running_loop_offset == 0) {
            state->current_task_offset = 0;
        }
        Py_DECREF(before);
        Py_DECREF(current);
        return 0;
    }
    Py_DECREF(current);
    PyObject *loop = PyList_New(0), *task = PyList_New(0);
    int err = -1;
    if (loop != NULL && task != NULL &&
        pyaio_set_running_loop(state, loop) == 0) {
        err = interop_probe(state, loop, task);
        if (pyaio_set_running_loop(state, before ? before : Py_None) < 0) {
            err = -1;
        }
    }
    Py_XDECREF(loop);
    Py_XDECREF(task);
    Py_XDECREF(before);
    return err;
}

#else /* !PYAIO_HAS_CALL_GRAPH */

int
pyaio_interop_init(PyaioState *Py_UNUSED(state))
{
    return 0;
}

/* Only our own writes are undone: another task may stand there by now. */
static int
unwrite_current(PyaioState *state, const PyaioTaskPlace *place,
                PyObject *written)
{
    PyObject *found =
        PyDict_GetItemWithError(state->current_tasks, place->loop);
    if (found == written) {
        return PyDict_DelItem(state->current_tasks, place->loop);
    }
    return found == NULL && PyErr_Occurred() ? -1 : 0;
}

int
pyaio_interop_sync(PyaioState *state, const PyaioTaskPlace *place)
{
    PyObject *current = *place->current, *written = *place->written;
    if (current == written) {
        return 0;
    }
    /* First: what follows hashes the loop, which leads here again. */
    *place->written = current;
    PyObject *raised = PyErr_GetRaisedException();
    int err = current
                  ? PyDict_SetItem(state->current_tasks, place->loop, current)
                  : unwrite_current(state, place, written);
    if (raised != NULL) {
        PyErr_Clear();
        PyErr_SetRaisedException(raised);
        err = 0;
    }
    return err;
}

int
pyaio_enter_task(PyaioState *state, const PyaioTaskPlace *place,
                 PyObject *loop, PyObject *task)
{
    if (place == NULL) {
        return call_with_two(state->enter_task, loop, task);
    }
    if (*place->current != NULL) {
        return refuse_to_enter(task, *place->current);
    }
    *place->current = task;
    return 0;
}

int
pyaio_leave_task(PyaioState *state, const PyaioTaskPlace *place,
                 PyObject *loop, PyObject *task)
{
    if (place == NULL) {
        return leave_task_keeping_error(state, loop, task);
    }
    *place->current = NULL;
    /* The dictionary must not keep the task alive. */
    return *place->written ? pyaio_interop_sync(state, place) : 0;
}

PyObject *
pyaio_current_task(PyaioState *state, const PyaioTaskPlace *place,
                   PyObject *loop)
{
    if (place != NULL && *place->current != NULL &&
        *place->current != *place->written) {
        return Py_NewRef(*place->current); /* nobody else had a say */
    }
    PyObject *task = PyDict_GetItemWithError(state->current_tasks, loop);
    if (task == NULL && PyErr_Occurred()) {
        return NULL;
    }
    return Py_NewRef(task ? task : Py_None);
}

#endif

/* --- eager starts -------------------------------------------------------- */

#if PYAIO_HAS_EAGER
/* Makes `task` current, or none where it is None. Returns what was before, or
 * None: a new reference. */
static PyObject *
swap_current_task(PyaioState *state, const PyaioTaskPlace *place,
                  PyObject *loop, PyObject *task)
{
#if PYAIO_HAS_CALL_GRAPH
    PyObject **field = pyaio_current_task_field(state, place);
    if (field != NULL && *thread_field(state->running_loop_offset) == loop) {
        PyObject *previous = *field;
        *field = task == Py_None ? NULL : Py_NewRef(task);
        return previous ? previous : Py_NewRef(Py_None);
    }
#else
    (void)place;
#endif
    return PyObject_CallFunctionObjArgs(state->swap_current_task, loop, task,
                                        NULL);
}

int
pyaio_eager_enter(PyaioState *state, const PyaioTaskPlace *place,
                  PyObject *loop, PyObject *task, PyaioEagerScope *scope)
{
    scope->outer = NULL;
    if (!PYAIO_HAS_CALL_GRAPH && place != NULL && *place->current != NULL) {
        /* From here to the end of the scope the dictionary is the truth. */
        if (pyaio_interop_sync(state, place) < 0) {
            return -1;
        }
        scope->outer = *place->current;
        *place->current = *place->written = NULL;
    }
    scope->previous = swap_current_task(state, place, loop, task);
    if (scope->previous == NULL && scope->outer != NULL) {
        *place->current = *place->written = scope->outer;
    }
    return scope->previous ? 0 : -1;
}

int
pyaio_eager_leave(PyaioState *state, const PyaioTaskPlace *place,
                  PyObject *loop, PyaioEagerScope *scope)
{
    PyObject *raised = PyErr_GetRaisedException();
    PyObject *task = swap_current_task(state, place, loop, scope->previous);
    Py_DECREF(scope->previous);
    if (scope->outer != NULL) {
        *place->current = *place->written = scope->outer;
    }
    int err = task ? 0 : -1;
    Py_XDECREF(task);
    if (raised != NULL) {
        PyErr_Clear();
        PyErr_SetRaisedException(raised);
    }
    return err;
}
#endif

/* --- who awaits whom ----------------------------------------------------- */

#if PYAIO_HAS_CALL_GRAPH
int
pyaio_awaited_by_add(PyaioState *state, PyObject *future, PyObject *waiter)
{
    PyaioFutureBase *base = (PyaioFutureBase *)future;
    if (base->awaited_by == NULL) {
        base->awaited_by = Py_NewRef(waiter);
        return 0;
    }
    if (base->awaited_by == waiter) {
        return 0;
    }
    return call_with_two(state->awaited_by_add, future, waiter);
}

int
pyaio_awaited_by_discard(PyaioState *state, PyObject *future, PyObject *waiter)
{
    PyaioFutureBase *base = (PyaioFutureBase *)future;
    if (base->awaited_by == NULL) {
        return 0;
    }
    if (base->awaited_by == waiter) {
        base->awaited_by = NULL;
        Py_DECREF(waiter);
        return 0;
    }
    return call_with_two(state->awaited_by_discard, future, waiter);
}

/* Calls what stands under that name in asyncio.futures, where other code may
 * have put another implementation. */
static int
tell_futures_module(PyaioState *state, PyObject *name, PyObject *op,
                    PyObject *waiter)
{
    PyObject *function = PyObject_GetAttr(state->futures, name);
    if (function == NULL) {
        return -1;
    }
    int err = call_with_two(function, op, waiter);
    Py_DECREF(function);
    return err;
}

int
pyaio_stock_awaited_by_add(PyaioState *state, PyObject *op, PyObject *waiter)
{
    return tell_futures_module(state, state->str_future_add_to_awaited_by, op,
                               waiter);
}

int
pyaio_stock_awaited_by_discard(PyaioState *state, PyObject *op,
                               PyObject *waiter)
{
    return tell_futures_module(
        state, state->str_future_discard_from_awaited_by, op, waiter);
}
#endif

/* --- what the running release does -------------------------------------- */

int
pyaio_stock_mentions(PyObject *function, const char *names, const char *name)
{
    PyObject *code = PyObject_GetAttrString(function, "__code__");
    PyObject *tuple = code ? PyObject_GetAttrString(code, names) : NULL;
    PyObject *wanted = PyUnicode_FromString(name);
    int found = tuple && wanted ? PySequence_Contains(tuple, wanted) : -1;
    Py_XDECREF(code);
    Py_XDECREF(tuple);
    Py_XDECREF(wanted);
    return found;
}
