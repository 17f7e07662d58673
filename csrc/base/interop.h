/* What we share with the running interpreter's asyncio: the running loop, the
 * current task, the registry of tasks, and who awaits whom.
 *
 * Current task. From 3.14 on it is a field of the thread state, written at an
 * offset that was verified at import, or through _asyncio's functions where it
 * could not be. Before, it stands in a dictionary with the loop as key, and
 * every stock reader hashes the loop first: pyaio_interop_sync(), called from
 * our loop's tp_hash, brings the dictionary up to date only then.
 *
 * Registry. From 3.14 on _asyncio links tasks derived from its own into a
 * list.
 * Before, it has a WeakSet; ours stand in state->tasks instead, which the
 * package makes that WeakSet's iteration include. */
#ifndef PYAIO_BASE_INTEROP_H
#define PYAIO_BASE_INTEROP_H

#include "base/layout.h"
#include "base/state.h"

/* Finds and verifies the offsets in the thread state. */
int pyaio_interop_init(PyaioState *state);

/* The loop running in this thread: a new reference, or NULL, with an exception
 * only when one is set. */
PyObject *pyaio_running_loop(PyaioState *state);
/* The same, raising RuntimeError where no loop runs. */
PyObject *pyaio_require_running_loop(PyaioState *state);
int pyaio_set_running_loop(PyaioState *state, PyObject *loop);

/* How one of our loops takes part where there is no field for the current
 * task; NULL for any other loop. */
typedef struct {
    PyObject *loop;     /* borrowed */
    PyObject **current; /* our task that runs on it */
    PyObject **written; /* what the dictionary holds on our behalf */
} PyaioTaskPlace;

int pyaio_interop_sync(PyaioState *state, const PyaioTaskPlace *place);

/* `place` is NULL for a loop that is not ours. */
int pyaio_enter_task(PyaioState *state, const PyaioTaskPlace *place,
                     PyObject *loop, PyObject *task);
/* Keeps an exception that is set. */
int pyaio_leave_task(PyaioState *state, const PyaioTaskPlace *place,
                     PyObject *loop, PyObject *task);
#if PYAIO_HAS_EAGER
/* An eager start: `task` is current inside the scope, also where another task
 * is current around it. */
typedef struct {
    PyObject *previous; /* owned: the task around it, or None */
    PyObject *outer;    /* borrowed: that task where `place` says so */
} PyaioEagerScope;

int pyaio_eager_enter(PyaioState *state, const PyaioTaskPlace *place,
                      PyObject *loop, PyObject *task, PyaioEagerScope *scope);
/* Keeps an exception that is set. */
int pyaio_eager_leave(PyaioState *state, const PyaioTaskPlace *place,
                      PyObject *loop, PyaioEagerScope *scope);
#endif

#if PYAIO_HAS_CALL_GRAPH
/* The thread state's field for the current task, for a task of a loop of ours
 * that is about to run; NULL where it was not found. */
static inline PyObject **
pyaio_current_task_field(const PyaioState *state, const PyaioTaskPlace *place)
{
    if (place == NULL || state->current_task_offset == 0) {
        return NULL;
    }
    char *tstate = (char *)PyThreadState_Get();
    return (PyObject **)(void *)(tstate + state->current_task_offset);
}
#endif

/* The task that runs on `loop`: a new reference, None, or NULL on error. */
PyObject *pyaio_current_task(PyaioState *state, const PyaioTaskPlace *place,
                             PyObject *loop);

#if PYAIO_HAS_CALL_GRAPH
/* Records that `waiter`, a task, awaits `future` (both of native layout), and
 * takes it back. */
int pyaio_awaited_by_add(PyaioState *state, PyObject *future,
                         PyObject *waiter);
int pyaio_awaited_by_discard(PyaioState *state, PyObject *future,
                             PyObject *waiter);
/* The same for any object that can be awaited, through stock's functions. */
int pyaio_stock_awaited_by_add(PyaioState *state, PyObject *op,
                               PyObject *waiter);
int pyaio_stock_awaited_by_discard(PyaioState *state, PyObject *op,
                                   PyObject *waiter);
#else
static inline int
pyaio_awaited_by_add(PyaioState *Py_UNUSED(state), PyObject *Py_UNUSED(future),
                     PyObject *Py_UNUSED(waiter))
{
    return 0;
}

static inline int
pyaio_awaited_by_discard(PyaioState *Py_UNUSED(state),
                         PyObject *Py_UNUSED(future),
                         PyObject *Py_UNUSED(waiter))
{
    return 0;
}

#define pyaio_stock_awaited_by_add pyaio_awaited_by_add
#define pyaio_stock_awaited_by_discard pyaio_awaited_by_discard
#endif

/* Whether `name` is in the tuple `names` ("co_names", "co_varnames") of a
 * stock function's code, by which patch releases tell themselves apart; -1 on
 * error. */
int pyaio_stock_mentions(PyObject *function, const char *names,
                         const char *name);

#endif
