/* EventLoop methods that schedule: callbacks, timers, futures, tasks. */
#include "loop/loop.h"
#include "sched/handle.h"
#include "task/task.h"

#include <math.h>
#include <pythread.h>

int
pyaio_loop_check_thread(PyaioScheduler *sched)
{
    if (sched->thread_id != 0 &&
        sched->thread_id != PyThread_get_thread_ident()) {
        PyErr_SetString(PyExc_RuntimeError,
                        "Non-thread-safe operation invoked on an event loop "
                        "other than the current one");
        return -1;
    }
    return 0;
}

PyObject *
pyaio_loop_call_stock(PyObject *method, PyObject *op, PyObject *const *args,
                      Py_ssize_t nargs, PyObject *kwnames)
{
    Py_ssize_t total = nargs + (kwnames ? PyTuple_GET_SIZE(kwnames) : 0);
    PyObject **copy = PyMem_New(PyObject *, (size_t)total + 1);
    if (copy == NULL) {
        return PyErr_NoMemory();
    }
    copy[0] = op;
    memcpy(copy + 1, args, (size_t)total * sizeof(PyObject *));
    PyObject *result =
        PyObject_Vectorcall(method, copy, (size_t)nargs + 1, kwnames);
    PyMem_Free(copy);
    return result;
}

/* What debug mode checks before a callback is scheduled. */
static int
debug_check(PyaioScheduler *sched, PyObject *callback, const char *method,
            int check_thread)
{
    if (check_thread && pyaio_loop_check_thread(sched) < 0) {
        return -1;
    }
    PyObject *done = PyObject_CallMethod(sched->loop, "_check_callback", "Os",
                                         callback, method);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

int
pyaio_loop_parse_context(PyaioState *state, const char *method,
                         PyObject *const *args, Py_ssize_t nargs,
                         Py_ssize_t required, PyObject *kwnames,
                         PyObject **context)
{
    *context = NULL;
    if (nargs < required) {
        PyErr_Format(PyExc_TypeError,
                     "%s() missing %zd required positional argument%s", method,
                     required - nargs, required - nargs == 1 ? "" : "s");
        return -1;
    }
    Py_ssize_t keywords = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t i = 0; i < keywords; i++) {
        PyObject *keyword = PyTuple_GET_ITEM(kwnames, i);
        if (PyUnicode_Compare(keyword, state->str_context) != 0) {
            PyErr_Format(PyExc_TypeError,
                         "%s() got an unexpected keyword argument %R", method,
                         keyword);
            return -1;
        }
        *context = args[nargs + i];
    }
    return 0;
}

typedef PyObject *(*LoopMethod)(PyObject *, PyObject *const *, Py_ssize_t,
                                PyObject *);

/* The value that `kwnames` gives to `name`, or NULL. */
static PyObject *
find_keyword(const char *name, PyObject *const *values, PyObject *kwnames)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(kwnames); i++) {
        PyObject *keyword = PyTuple_GET_ITEM(kwnames, i);
        if (PyUnicode_CompareWithASCIIString(keyword, name) == 0) {
            return values[i];
        }
    }
    return NULL;
}

/* Whether required arguments came by keyword, as call_later(delay=1, ...). */
static inline int
came_by_keyword(Py_ssize_t nargs, Py_ssize_t required, PyObject *kwnames)
{
    return nargs < required && kwnames != NULL;
}

/* Calls `method` anew with the arguments `names` (ended by NULL) in their
 * places, whether they were given by position or by keyword. */
static PyObject *
call_positionally(LoopMethod method, PyObject *op, const char *const *names,
                  PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyObject *const *values = args + nargs;
    PyObject *bound[4]; /* at most two required arguments, and context */
    Py_ssize_t count = 0, used = 0;
    for (; names[count] != NULL; count++) {
        PyObject *value = find_keyword(names[count], values, kwnames);
        bound[count] = count < nargs ? args[count] : value;
        used += count >= nargs;
        if (bound[count] == NULL || (count < nargs && value != NULL)) {
            PyErr_Format(PyExc_TypeError,
                         "argument '%s' is missing or given twice",
                         names[count]);
            return NULL;
        }
    }
    bound[count] = find_keyword("context", values, kwnames);
    if (PyTuple_GET_SIZE(kwnames) != used + (bound[count] != NULL)) {
        PyErr_SetString(PyExc_TypeError, "got an unexpected keyword argument");
        return NULL;
    }
    PyObject *context_name = NULL;
    if (bound[count] != NULL) {
        context_name = PyTuple_Pack(1, pyaio_state_of(op)->str_context);
        if (context_name == NULL) {
            return NULL;
        }
    }
    PyObject *result = method(op, bound, count, context_name);
    Py_XDECREF(context_name);
    return result;
}

static const char *const callback_name[] = {"callback", NULL};
static const char *const call_later_names[] = {"delay", "callback", NULL};
static const char *const call_at_names[] = {"when", "callback", NULL};

static PyObject *
Loop_call_soon(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
               PyObject *kwnames)
{
    if (came_by_keyword(nargs, 1, kwnames)) {
        return call_positionally(Loop_call_soon, op, callback_name, args,
                                 nargs, kwnames);
    }
    PyaioScheduler *sched = pyaio_loop_require_open(op);
    PyObject *context;
    if (sched == NULL ||
        pyaio_loop_parse_context(sched->state, "call_soon", args, nargs, 1,
                                 kwnames, &context) < 0) {
        return NULL;
    }
    if (sched->debug && debug_check(sched, args[0], "call_soon", 1) < 0) {
        return NULL;
    }
    PyObject *handle = pyaio_handle_new(sched->state, args[0], args + 1,
                                        nargs - 1, op, context);
    if (handle != NULL &&
        pyaio_sched_push(sched, &pyaio_ready_handle, handle, NULL) < 0) {
        Py_CLEAR(handle);
    }
    return handle;
}

static PyObject *
Loop_call_soon_threadsafe(PyObject *op, PyObject *const *args,
                          Py_ssize_t nargs, PyObject *kwnames)
{
    if (came_by_keyword(nargs, 1, kwnames)) {
        return call_positionally(Loop_call_soon_threadsafe, op, callback_name,
                                 args, nargs, kwnames);
    }
    PyaioScheduler *sched = pyaio_loop_require_open(op);
    PyObject *context;
    if (sched == NULL ||
        pyaio_loop_parse_context(sched->state, "call_soon_threadsafe", args,
                                 nargs, 1, kwnames, &context) < 0) {
        return NULL;
    }
    if (sched->debug &&
        debug_check(sched, args[0], "call_soon_threadsafe", 0) < 0) {
        return NULL;
    }
    PyObject *handle =
        PYAIO_HAS_THREADSAFE_HANDLE
            ? pyaio_threadsafe_handle_new(sched->state, args[0], args + 1,
                                          nargs - 1, op, context)
            : pyaio_handle_new(sched->state, args[0], args + 1, nargs - 1, op,
                               context);
    if (handle == NULL) {
        return NULL;
    }
    if (sched->poller == NULL) { /* closed while the handle was made */
        Py_DECREF(handle);
        return pyaio_loop_require_open(op) ? handle : NULL;
    }
    if (pyaio_sched_push(sched, &pyaio_ready_handle, handle, NULL) < 0) {
        Py_CLEAR(handle);
    }
    pyaio_sched_wake(sched);
    return handle;
}

/* Schedules a timer. `when` is the object that when() shall return, or NULL
 * for a float of `seconds`. */
static PyObject *
loop_add_timer(PyaioScheduler *sched, PyObject *when, double seconds,
               PyObject *const *args, Py_ssize_t nargs, PyObject *context)
{
    PyObject *handle =
        pyaio_timer_handle_new(sched->state, when, seconds, args[0], args + 1,
                               nargs - 1, sched->loop, context);
    if (handle != NULL &&
        pyaio_sched_add_timer(sched, seconds,
                              &((PyaioTimerHandle *)handle)->node) < 0) {
        Py_CLEAR(handle);
    }
    return handle;
}

/* A deadline in seconds; a whole number beyond all floats is as good as
 * infinite. -1.0 with an exception on error. */
static double
deadline_seconds(PyObject *when)
{
    double seconds = PyFloat_AsDouble(when);
    if (seconds == -1.0 && PyErr_Occurred() && PyLong_Check(when) &&
        PyErr_ExceptionMatches(PyExc_OverflowError)) {
        int sign;
        PyErr_Clear();
        (void)PyLong_AsLongAndOverflow(when, &sign);
        return sign * HUGE_VAL;
    }
    return seconds;
}

static PyObject *
Loop_call_at(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
             PyObject *kwnames)
{
    if (came_by_keyword(nargs, 2, kwnames)) {
        return call_positionally(Loop_call_at, op, call_at_names, args, nargs,
                                 kwnames);
    }
    PyaioState *state = pyaio_state_of(op);
    PyObject *context;
    if (pyaio_loop_parse_context(state, "call_at", args, nargs, 2, kwnames,
                                 &context) < 0) {
        return NULL;
    }
    if (args[0] == Py_None) {
        PyErr_SetString(PyExc_TypeError, "when cannot be None");
        return NULL;
    }
    PyaioScheduler *sched = pyaio_loop_require_open(op);
    if (sched == NULL) {
        return NULL;
    }
    if (sched->debug && debug_check(sched, args[1], "call_at", 1) < 0) {
        return NULL;
    }
    double seconds = deadline_seconds(args[0]);
    if (seconds == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    return loop_add_timer(sched, args[0], seconds, args + 1, nargs - 1,
                          context);
}

/* call_at(time() + delay, ...) through methods that somebody overrode. */
static PyObject *
call_later_slowly(PyaioScheduler *sched, PyObject *const *args,
                  Py_ssize_t nargs, PyObject *kwnames)
{
    PyaioState *state = sched->state;
    PyObject *now = PyObject_CallMethodNoArgs(sched->loop, state->str_time);
    PyObject *when = now ? PyNumber_Add(now, args[0]) : NULL;
    Py_XDECREF(now);
    PyObject *call_at =
        when ? PyObject_GetAttr(sched->loop, state->str_call_at) : NULL;
    Py_ssize_t total = nargs + (kwnames ? PyTuple_GET_SIZE(kwnames) : 0);
    PyObject **copy = call_at ? PyMem_New(PyObject *, (size_t)total) : NULL;
    PyObject *handle = NULL;
    if (copy != NULL) {
        memcpy(copy, args, (size_t)total * sizeof(PyObject *));
        copy[0] = when;
        handle = PyObject_Vectorcall(call_at, copy, (size_t)nargs, kwnames);
        PyMem_Free(copy);
    }
    else if (call_at != NULL) {
        PyErr_NoMemory();
    }
    Py_XDECREF(when);
    Py_XDECREF(call_at);
    return handle;
}

static PyObject *
Loop_call_later(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                PyObject *kwnames)
{
    if (came_by_keyword(nargs, 2, kwnames)) {
        return call_positionally(Loop_call_later, op, call_later_names, args,
                                 nargs, kwnames);
    }
    PyaioState *state = pyaio_state_of(op);
    PyObject *context;
    if (pyaio_loop_parse_context(state, "call_later", args, nargs, 2, kwnames,
                                 &context) < 0) {
        return NULL;
    }
    if (args[0] == Py_None) {
        PyErr_SetString(PyExc_TypeError, "delay must not be None");
        return NULL;
    }
    PyaioScheduler *sched = &((PyaioLoop *)op)->head.sched;
    if (sched->state == NULL) {
        return (PyObject *)pyaio_loop_require_open(op);
    }
    int plain = PyFloat_CheckExact(args[0]) || PyLong_CheckExact(args[0]);
    if (!plain || sched->debug ||
        !pyaio_sched_is_native(sched, PYAIO_LOOP_TIME | PYAIO_LOOP_CALL_AT)) {
        return call_later_slowly(sched, args, nargs, kwnames);
    }
    double delay = PyFloat_AsDouble(args[0]);
    if ((delay == -1.0 && PyErr_Occurred()) ||
        pyaio_loop_require_open(op) == NULL) {
        return NULL;
    }
    return loop_add_timer(sched, NULL, pyaio_sched_clock(sched) + delay,
                          args + 1, nargs - 1, context);
}

static PyObject *
Loop_create_future(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return pyaio_future_new(pyaio_state_of(op), op);
}

static PyObject *
Loop_create_task(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                 PyObject *kwnames)
{
    if (nargs != 1) {
        /* coro= by keyword, or wrong: the running version's own method takes
         * it apart. */
        return pyaio_loop_call_stock(
            pyaio_state_of(op)->stock_loop_create_task, op, args, nargs,
            kwnames);
    }
    PyaioScheduler *sched = pyaio_loop_require_open(op);
    if (sched == NULL) {
        return NULL;
    }
    PyaioState *state = sched->state;
    if (sched->task_factory == NULL && pyaio_task_class_is_ours(state)) {
        return pyaio_task_create(state, op, args[0], args + 1, kwnames);
    }
    /* How a factory or another class is called, and with which keywords, is
     * the running version's own affair. */
    return pyaio_loop_call_stock(state->stock_loop_create_task, op, args,
                                 nargs, kwnames);
}

static PyObject *
Loop_set_task_factory(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"factory", NULL};
    PyObject *factory;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:set_task_factory", names,
                                     &factory)) {
        return NULL;
    }
    PyaioScheduler *sched = &((PyaioLoop *)op)->head.sched;
    if (factory != Py_None && !PyCallable_Check(factory)) {
        PyErr_SetString(PyExc_TypeError,
                        "task factory must be a callable or None");
        return NULL;
    }
    Py_XSETREF(sched->task_factory,
               factory == Py_None ? NULL : Py_NewRef(factory));
    Py_RETURN_NONE;
}

static PyObject *
Loop_get_task_factory(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyObject *factory = ((PyaioLoop *)op)->head.sched.task_factory;
    return Py_NewRef(factory ? factory : Py_None);
}

static PyObject *
Loop_time(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioScheduler *sched = &((PyaioLoop *)op)->head.sched;
    return PyFloat_FromDouble(pyaio_sched_clock(sched));
}

/* Queues a handle of any make. */
static PyObject *
Loop_add_callback(PyObject *op, PyObject *handle)
{
    PyaioScheduler *sched = &((PyaioLoop *)op)->head.sched;
    if (sched->state == NULL) {
        return (PyObject *)pyaio_loop_require_open(op);
    }
    PyaioState *state = sched->state;
    int ours = Py_IS_TYPE(handle, state->Handle_type) ||
               Py_IS_TYPE(handle, state->TimerHandle_type) ||
               Py_IS_TYPE(handle, state->ThreadSafeHandle_type);
    if (!(ours && pyaio_handle_is_cancelled(handle)) &&
        pyaio_sched_push(
            sched, ours ? &pyaio_ready_handle : &pyaio_ready_foreign_handle,
            handle, NULL) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
Loop_add_callback_signalsafe(PyObject *op, PyObject *handle)
{
    PyObject *done = Loop_add_callback(op, handle);
    if (done != NULL) {
        pyaio_sched_wake(&((PyaioLoop *)op)->head.sched);
    }
    return done;
}

/* Timers that are cancelled leave the heap at once: nothing is counted. */
static PyObject *
Loop_timer_handle_cancelled(PyObject *Py_UNUSED(op),
                            PyObject *Py_UNUSED(handle))
{
    Py_RETURN_NONE;
}

#define FASTCALL(function) (PyCFunction)(void (*)(void)) function
#define KEYWORDS (METH_FASTCALL | METH_KEYWORDS)

PyMethodDef pyaio_loop_schedule_methods[] = {
    {"call_soon", FASTCALL(Loop_call_soon), KEYWORDS,
     "call_soon($self, callback, *args, context=None)\n--\n\n"
     "Call callback(*args) in the next iteration; return its Handle."},
    {"call_soon_threadsafe", FASTCALL(Loop_call_soon_threadsafe), KEYWORDS,
     "call_soon_threadsafe($self, callback, *args, context=None)\n--\n\n"
     "Like call_soon(), from any thread."},
    {"call_later", FASTCALL(Loop_call_later), KEYWORDS,
     "call_later($self, delay, callback, *args, context=None)\n--\n\n"
     "Call callback(*args) after `delay` seconds; return its TimerHandle."},
    {"call_at", FASTCALL(Loop_call_at), KEYWORDS,
     "call_at($self, when, callback, *args, context=None)\n--\n\n"
     "Call callback(*args) at `when`, in seconds of time(); return its "
     "TimerHandle."},
    {"time", Loop_time, METH_NOARGS,
     "Return the loop's monotonic clock in seconds."},
    {"create_future", Loop_create_future, METH_NOARGS,
     "Return a Future bound to this loop."},
    {"create_task", FASTCALL(Loop_create_task), KEYWORDS,
     "create_task($self, coro, **kwargs)\n--\n\n"
     "Schedule a coroutine; return its Task. Keywords as in the running "
     "version: name, context, and from 3.14 on whatever Task takes."},
    {"set_task_factory", FASTCALL(Loop_set_task_factory),
     METH_VARARGS | METH_KEYWORDS,
     "set_task_factory($self, factory)\n--\n\n"
     "Let factory(loop, coro, **kwargs) make the tasks; None: Task."},
    {"get_task_factory", Loop_get_task_factory, METH_NOARGS,
     "Return the task factory, or None."},
    {"_add_callback", Loop_add_callback, METH_O, NULL},
    {"_add_callback_signalsafe", Loop_add_callback_signalsafe, METH_O, NULL},
    {"_timer_handle_cancelled", Loop_timer_handle_cancelled, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
