/* A deadline: a timer of a native loop that stands in the loop's heap itself,
 * without a Handle, embedded in the object that it is about. */
#ifndef PYAIO_COMBINE_DEADLINE_H
#define PYAIO_COMBINE_DEADLINE_H

#include "sched/sched.h"

/* All zero while it was never armed. The queues own a reference to the object
 * around it (node.owner) as long as they hold it. */
typedef struct {
    PyaioTimerNode node;
    PyObject *loop;    /* owned: the loop that it was last armed on, or NULL */
    PyObject *context; /* owned: where its entry runs (base/context.h), or
                          NULL */
    uint32_t stale;    /* how many of its entries in the ready queue were
                          disarmed: they come before one that is not */
    uint8_t armed;
    uint8_t soon; /* armed for the next iteration: it never was a timer */
} PyaioDeadline;

/* Whether a deadline can be armed on `loop`: the scheduler, or NULL where the
 * loop's methods have to be called (it is of another make, is closed, is in
 * debug mode, or somebody overrode them). */
PyaioScheduler *pyaio_deadline_scheduler(PyaioState *state, PyObject *loop);

/* Lets the entry (kind, owner) run at `when`, in the loop's seconds, which is
 * not NaN; soon where that is over. It must not be armed. Returns 0 or -1. */
int pyaio_deadline_arm(PyaioState *state, PyaioDeadline *self,
                       const PyaioReadyKind *kind, PyObject *owner,
                       PyaioScheduler *sched, double when);
/* Never fails, keeps an exception that is set; may release the owner. */
void pyaio_deadline_disarm(PyaioState *state, PyaioDeadline *self);

/* For the kind's run(): 1 where it is this entry's turn, which disarms it, 0
 * where it was disarmed before. */
int pyaio_deadline_fire(PyaioDeadline *self);
/* For the kind's context(). */
PyObject *pyaio_deadline_context(PyaioState *state, PyaioDeadline *self);

/* Puts a Handle that calls `callback` in the place of an armed deadline, which
 * that disarms: a new reference. `when` is what its when() returns. */
PyObject *pyaio_deadline_as_handle(PyaioState *state, PyaioDeadline *self,
                                   PyObject *callback, PyObject *when);

static inline int
pyaio_deadline_traverse(PyaioDeadline *self, visitproc visit, void *arg)
{
    Py_VISIT(self->loop);
    Py_VISIT(self->context);
    return 0;
}

/* For an object that no queue can reach any more. */
static inline void
pyaio_deadline_clear(PyaioDeadline *self)
{
    Py_CLEAR(self->loop);
    Py_CLEAR(self->context);
}

#endif
