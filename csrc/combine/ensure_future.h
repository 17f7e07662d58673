/* ensure_future(), and what counts as a coroutine. */
#ifndef PYAIO_COMBINE_ENSURE_FUTURE_H
#define PYAIO_COMBINE_ENSURE_FUTURE_H

#include "base/state.h"

/* asyncio.iscoroutine(op); -1 with an exception. */
int pyaio_is_coroutine(PyaioState *state, PyObject *op);

/* Whether it can be no awaitable, by its type alone. */
static inline int
pyaio_is_plain_collection(PyObject *op)
{
    return PyList_CheckExact(op) || PyAnySet_CheckExact(op) ||
           PyTuple_CheckExact(op) || PyDict_CheckExact(op);
}

/* Whether it is one of those in the place of several: 1, 0, or -1 with an
 * exception. */
int pyaio_is_future_or_coroutine(PyaioState *state, PyObject *op);

/* ensure_future(op, loop=loop), `loop` NULL for none: a new reference. */
PyObject *pyaio_ensure_future(PyaioState *state, PyObject *op, PyObject *loop);

#endif
