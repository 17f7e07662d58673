/* Condition: what its two files share. */
#ifndef PYAIO_SYNC_CONDITION_H
#define PYAIO_SYNC_CONDITION_H

#include "sync/waiting.h"

typedef struct {
    PyaioPrimitive head;
    PyaioWaiters waiters;
    PyObject *lock; /* owned: whose acquire(), release() and locked() stand in
                       the instance's attributes */
} PyaioCondition;

/* self._notify(n). Returns 0 or -1. */
int pyaio_condition_notify(PyaioState *state, PyaioCondition *self,
                           Py_ssize_t n);
/* Raises RuntimeError where self.locked() is false: one cannot `what` then. */
int pyaio_condition_require_lock(PyaioState *state, PyaioCondition *self,
                                 const char *what);
/* self._get_loop(). */
PyObject *pyaio_condition_loop(PyaioState *state, PyaioCondition *self);

/* Puts the stand-ins for async functions into Condition. */
int pyaio_condition_coroutines_init(PyObject *module);

#endif
