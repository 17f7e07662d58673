/* wait_for(): what its two ways have in common. Each awaits natively as long
 * as the course is the common one. */
#ifndef PYAIO_COMBINE_WAIT_FOR_H
#define PYAIO_COMBINE_WAIT_FOR_H

#include "combine/coroutine.h"
#include "combine/deadline.h"

typedef struct {
    PyaioCoroutine head;
    PyObject *awaitable;    /* owned: what is waited for */
    PyObject *timeout;      /* owned: a number of seconds, or None */
    PyaioDeadline deadline; /* armed while it waits */
#if PYAIO_WAIT_FOR_IN_TIMEOUT
    PyObject *task;      /* owned: the one that waits, to be cancelled */
    PyObject *when;      /* owned: the deadline, or None */
    uint32_t cancelling; /* its cancelling() when the wait began */
    uint8_t expiring;    /* the deadline has passed, the task is cancelled */
#else
    PyObject *waiter; /* owned: future that is done at the deadline, or
                              when the awaitable is */
#endif
} PyaioWaitFor;

/* Lets stock's wait_for() do all of it, from the beginning. */
PySendResult pyaio_wait_for_in_stock(PyaioState *state, PyaioWaitFor *self,
                                     PyObject **result);

/* What the kind of the running version does (combine/wait_for_timeout.c or
 * combine/wait_for_waiter.c); everything but PYGEN_NEXT ends it. */
PySendResult pyaio_wait_for_start(PyaioState *state, PyaioWaitFor *self,
                                  PyObject **result);
/* The await went on as `went` says. */
PySendResult pyaio_wait_for_waited(PyaioState *state, PyaioWaitFor *self,
                                   PySendResult went, PyObject **result);

#endif
