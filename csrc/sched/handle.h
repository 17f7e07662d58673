/* Handle, TimerHandle and ThreadSafeHandle: callbacks that were scheduled.
 *
 * They keep their contents in the fields of the stock classes that they
 * extend. Up to three arguments stand in arg0, arg1, arg2, without gaps; any
 * other number is a tuple in arg0, marked by a gap: arg1 NULL, arg2 None.
 * A cancelled handle has no callback; its arg2 may then hold the text that
 * repr() shall go on to show. */
#ifndef PYAIO_SCHED_HANDLE_H
#define PYAIO_SCHED_HANDLE_H

#include "base/layout.h"
#include "sched/sched.h"

typedef struct {
    PyaioTimerHandleBase base;
    double when; /* deadline in seconds of the loop's clock */
    PyaioTimerNode node;
} PyaioTimerHandle;

/* Runs a Handle, a TimerHandle or a ThreadSafeHandle of ours. */
extern const PyaioReadyKind pyaio_ready_handle;
/* Runs any object with a Handle's _cancelled and _run(). */
extern const PyaioReadyKind pyaio_ready_foreign_handle;

/* New handles. `context` NULL means a copy of the current one.
 *
 * The collector does not track them while they are queued: the queue that owns
 * them is traversed for them (sched/sched.c), and most die when they have run.
 * Whoever takes one out of a queue calls pyaio_handle_release(), whoever keeps
 * one elsewhere PyObject_GC_Track(). */
PyObject *pyaio_handle_new(PyaioState *state, PyObject *callback,
                           PyObject *const *args, Py_ssize_t nargs,
                           PyObject *loop, PyObject *context);
PyObject *pyaio_threadsafe_handle_new(PyaioState *state, PyObject *callback,
                                      PyObject *const *args, Py_ssize_t nargs,
                                      PyObject *loop, PyObject *context);
/* `when` may be any real number; `seconds` is its value. */
PyObject *pyaio_timer_handle_new(PyaioState *state, PyObject *when,
                                 double seconds, PyObject *callback,
                                 PyObject *const *args, Py_ssize_t nargs,
                                 PyObject *loop, PyObject *context);

/* Calls the callback of a handle of exactly one of our types; an exception is
 * reported. Returns 0, or -1 with an exception that breaks out of the loop. */
int pyaio_handle_run(PyaioState *state, PyObject *handle);
/* Never fails: errors of a repr() in debug mode are discarded. */
void pyaio_handle_cancel(PyaioState *state, PyObject *handle);

static inline int
pyaio_handle_is_cancelled(PyObject *handle)
{
    return ((PyaioHandleBase *)handle)->callback == NULL;
}

/* Gives up the reference of a queue; what somebody else keeps is tracked from
 * now on. */
static inline void
pyaio_handle_release(PyObject *handle)
{
    if (Py_REFCNT(handle) > 1 && !PyObject_GC_IsTracked(handle)) {
        PyObject_GC_Track(handle);
    }
    Py_DECREF(handle);
}

/* Looks whether somebody put another _run() into the Handle classes. */
void pyaio_handle_check_run(PyaioState *state);
/* "callback(args) at file:line", as asyncio words it. */
PyObject *pyaio_handle_format_source(PyaioState *state, PyObject *handle);

int pyaio_handle_init(PyObject *module);

/* Shared by the three types (sched/handle.c): they extend different stock
 * classes, so none of them can inherit from another. */
PyObject *pyaio_handle_py_cancelled(PyObject *op, PyObject *unused);
PyObject *pyaio_handle_py_run(PyObject *op, PyObject *unused);
PyObject *pyaio_handle_py_get_context(PyObject *op, PyObject *unused);
PyObject *pyaio_handle_py_get_callback(PyObject *op, void *closure);
PyObject *pyaio_handle_py_get_args(PyObject *op, void *closure);
PyObject *pyaio_handle_py_get_cancelled(PyObject *op, void *closure);
PyObject *pyaio_handle_py_get_repr(PyObject *op, void *closure);
PyObject *pyaio_handle_py_get_context_field(PyObject *op, void *closure);
PyObject *pyaio_handle_get_field(PyObject *op, void *closure);
int pyaio_handle_set_field(PyObject *op, PyObject *value, void *closure);

#define PYAIO_HANDLE_FIELD(name) ((void *)offsetof(PyaioHandleBase, name))

#define PYAIO_HANDLE_METHODS                                            \
    {"cancelled", pyaio_handle_py_cancelled, METH_NOARGS,               \
     "Return True if the callback was cancelled."},                     \
        {"get_context", pyaio_handle_py_get_context, METH_NOARGS,       \
         "Return the contextvars.Context in which the callback runs."}, \
    {                                                                   \
        "_run", pyaio_handle_py_run, METH_NOARGS, NULL                  \
    }

#define PYAIO_HANDLE_GETSET                                                  \
    {"_callback", pyaio_handle_py_get_callback, NULL, NULL, NULL},           \
        {"_args", pyaio_handle_py_get_args, NULL, NULL, NULL},               \
        {"_cancelled", pyaio_handle_py_get_cancelled, NULL, NULL, NULL},     \
        {"_repr", pyaio_handle_py_get_repr, NULL, NULL, NULL},               \
        {"_context", pyaio_handle_py_get_context_field, NULL, NULL, NULL},   \
        {"_loop", pyaio_handle_get_field, NULL, NULL,                        \
         PYAIO_HANDLE_FIELD(loop)},                                          \
    {                                                                        \
        "_source_traceback", pyaio_handle_get_field, pyaio_handle_set_field, \
            NULL, PYAIO_HANDLE_FIELD(source_traceback)                       \
    }

int pyaio_handle_fill(PyaioState *state, PyaioHandleBase *self,
                      PyObject *callback, PyObject *const *args,
                      Py_ssize_t nargs, PyObject *loop, PyObject *context);
int pyaio_handle_init_from_python(PyObject *op, PyObject *callback,
                                  PyObject *arguments, PyObject *loop,
                                  PyObject *context);
int pyaio_handle_traverse(PyObject *op, visitproc visit, void *arg);
int pyaio_handle_clear(PyObject *op);
void pyaio_handle_forget(PyaioHandleBase *self);
int pyaio_handle_invoke(PyaioState *state, PyaioHandleBase *self);
/* Runs a ThreadSafeHandle, which other threads may be cancelling. */
int pyaio_threadsafe_handle_invoke(PyaioState *state, PyObject *handle);
int pyaio_timer_handle_init(PyObject *module);
int pyaio_threadsafe_handle_init(PyObject *module);

#endif
