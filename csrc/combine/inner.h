/* Coroutines that stock has between one of ours and what that awaits. They are
 * never driven: debuggers and call graphs look at them. */
#ifndef PYAIO_COMBINE_INNER_H
#define PYAIO_COMBINE_INNER_H

#include "combine/coroutine.h"

/* Each returns a new reference: what `self` awaits in stock. */
PyObject *pyaio_inner_wait(PyaioState *state, PyaioCoroutine *self);
PyObject *pyaio_inner_next(PyaioState *state, PyaioCoroutine *self);
PyObject *pyaio_inner_get(PyaioState *state, PyaioCoroutine *self);
PyObject *pyaio_inner_wait_for_data(PyaioState *state, PyaioCoroutine *self);
PyObject *pyaio_inner_readuntil(PyaioState *state, PyaioCoroutine *self);
PyObject *pyaio_inner_readline(PyaioState *state, PyaioCoroutine *self);
PyObject *pyaio_inner_drain(PyaioState *state, PyaioCoroutine *self);

#endif
