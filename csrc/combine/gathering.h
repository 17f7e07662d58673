/* GatheringFuture: what gather() returns, done when its children are. */
#ifndef PYAIO_COMBINE_GATHERING_H
#define PYAIO_COMBINE_GATHERING_H

#include "task/future.h"

typedef struct {
    PyaioFutureObject base;
    PyObject **children;  /* owned, and each of them: futures in the order of
                             gather()'s arguments, an equal one again */
    Py_ssize_t length;    /* of that array, so far */
    Py_ssize_t different; /* how many different children there are */
    Py_ssize_t finished;  /* how many of these have ended */
    PyObject *waiter;     /* owned: the task that called gather(), where the
                             running version records who awaits whom */
    uint8_t waiter_is_ours;
    uint8_t complete; /* every child is known; otherwise gather() failed */
    uint8_t return_exceptions;
    uint8_t cancel_requested;
} PyaioGathering;

/* A new one with space for that many children, bound to no loop yet. */
PyaioGathering *pyaio_gathering_new(PyaioState *state, Py_ssize_t capacity,
                                    int return_exceptions);
/* Registers with a child that is its next one; `early` says that it has ended
 * and that pyaio_gathering_child_ended() will be called. */
int pyaio_gathering_add(PyaioState *state, PyaioGathering *self,
                        PyObject *child, int early);
/* The turn after `child` has ended. Returns 0, or -1 with an exception. */
int pyaio_gathering_child_ended(PyaioState *state, PyaioGathering *self,
                                PyObject *child);

int pyaio_gathering_init(PyObject *module);

#endif
