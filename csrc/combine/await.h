/* Awaiting an object from C: what `await` does in a coroutine's code. */
#ifndef PYAIO_COMBINE_AWAIT_H
#define PYAIO_COMBINE_AWAIT_H

#include "base/state.h"

/* All NULL while nothing is awaited. */
typedef struct {
    PyObject *awaited;  /* owned */
    PyObject *iterator; /* owned: what drives it; NULL for our own futures */
} PyaioAwait;

/* These return what the awaiting coroutine is to do: PYGEN_NEXT yield *result,
 * PYGEN_RETURN go on with the value *result, PYGEN_ERROR go on with the
 * exception that is set. Whoever awaits holds `self` still meanwhile. */

PySendResult pyaio_await_start(PyaioState *state, PyaioAwait *self,
                               PyObject *awaited, PyObject **result);
/* The same with what a call has returned, in place of what was awaited before.
 * Steals `awaited`; NULL is an exception that is set. */
PySendResult pyaio_await_call(PyaioState *state, PyaioAwait *self,
                              PyObject *awaited, PyObject **result);
PySendResult pyaio_await_send(PyaioState *state, PyaioAwait *self,
                              PyObject *value, PyObject **result);
PySendResult pyaio_await_throw(PyaioState *state, PyaioAwait *self,
                               PyObject *exception, PyObject **result);

/* Forgets what is awaited. Keeps an exception that is set. */
static inline void
pyaio_await_stop(PyaioAwait *self)
{
    Py_CLEAR(self->iterator);
    Py_CLEAR(self->awaited);
}

static inline int
pyaio_await_traverse(PyaioAwait *self, visitproc visit, void *arg)
{
    Py_VISIT(self->awaited);
    Py_VISIT(self->iterator);
    return 0;
}

#endif
