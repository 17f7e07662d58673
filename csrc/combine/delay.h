/* Delay: call_later() for native entries, without a handle where the loop is
 * ours. */
#ifndef PYAIO_COMBINE_DELAY_H
#define PYAIO_COMBINE_DELAY_H

#include "sched/sched.h"

/* All zero while nothing is scheduled. Embedded in the object whose turn it
 * is to be, which the timers then hold a reference to. */
typedef struct {
    PyaioTimerNode node;
    PyObject *loop;   /* owned: of ours, while `node` is in use */
    PyObject *handle; /* owned: of call_later(), for any other loop */
} PyaioDelay;

/* Runs the entry (kind, target, NULL) on `loop` in `seconds`, an object that
 * call_later() takes. Returns 0, or -1 with an exception. */
int pyaio_delay_start(PyaioState *state, PyaioDelay *self, PyObject *loop,
                      PyObject *seconds, const PyaioReadyKind *kind,
                      PyObject *target);
/* Takes it back; safe to repeat, and while nothing is scheduled. Returns 0, or
 * -1 with the exception of a foreign handle's cancel(). Whoever calls this
 * holds the target. */
int pyaio_delay_cancel(PyaioState *state, PyaioDelay *self);
/* The same in a clear(): keeps an exception that is set. */
void pyaio_delay_clear(PyaioState *state, PyaioDelay *self);

static inline int
pyaio_delay_traverse(PyaioDelay *self, visitproc visit, void *arg)
{
    Py_VISIT(self->loop);
    Py_VISIT(self->handle);
    return 0;
}

#endif
