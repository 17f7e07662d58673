/* What stands in the ready queue.
 *
 * An entry is a kind with two object references. Plain callbacks are Handles;
 * a step of a task or the end of a gathered child has a kind of its own, which
 * the layer that owns it defines, so that nothing is allocated to schedule
 * it. */
#ifndef PYAIO_SCHED_READY_H
#define PYAIO_SCHED_READY_H

#include "base/state.h"

typedef struct {
    /* Qualified name under which the entry is shown as a callback. */
    const char *name;
    /* Runs the entry, inside its context. `b` may be NULL. Returns 0, or -1
     * with an exception set, which is reported as a callback's. */
    int (*run)(PyaioState *state, PyObject *a, PyObject *b);
    /* The context to run in, borrowed from `a`, or NULL with an exception. The
     * function itself is NULL where none is needed. */
    PyObject *(*context)(PyaioState *state, PyObject *a);
    /* For tools that look at the memory: the place in `a` of the task or
     * future that waits for what this entry is about; 0 for `a` itself, be it
     * a task, a future or a coroutine. */
    size_t waiter;
    /* Where there are several: the place in `a` of a list (ds/list.h), with
     * `waiter` counted from each link. */
    size_t waiters;
    /* Of what watches a descriptor: its watch ends when it is queued. */
    int once;
} PyaioReadyKind;

/* A Python callable that runs an entry: what other loops and debug mode
 * schedule, and what stands for it in a future's list of callbacks. Called
 * with
 * an argument it runs with that as `b`. */
typedef struct {
    PyObject_HEAD
    const PyaioReadyKind *kind;
    PyObject *a; /* owned */
    PyObject *b; /* owned, may be NULL */
} PyaioReadyCall;

PyObject *pyaio_ready_call_new(PyaioState *state, const PyaioReadyKind *kind,
                               PyObject *a, PyObject *b);

int pyaio_ready_call_init(PyObject *module);

#endif
