/* Semaphore and BoundedSemaphore: one struct, two types. */
#ifndef PYAIO_SYNC_SEMAPHORE_H
#define PYAIO_SYNC_SEMAPHORE_H

#include "sync/number.h"
#include "sync/waiting.h"

typedef struct {
    PyaioPrimitive head;
    PyaioWaiters waiters;
    PyaioNumber value; /* without one before initialisation */
    PyaioNumber bound; /* of a BoundedSemaphore */
    int is_bounded;    /* it is one */
} PyaioSemaphore;

/* What the type's table of methods takes from semaphore.c. */
int pyaio_semaphore_is_locked(PyaioState *state, PyaioSemaphore *self);
PyObject *pyaio_semaphore_py_locked(PyObject *op, PyObject *unused);
PyObject *pyaio_semaphore_py_release(PyObject *op, PyObject *unused);
PyObject *pyaio_semaphore_py_release_bounded(PyObject *op, PyObject *unused);
PyObject *pyaio_semaphore_py_wake_up_next(PyObject *op, PyObject *unused);
/* Puts the stand-ins for async functions into Semaphore. */
int pyaio_semaphore_add_coroutines(PyaioState *state);

#endif
