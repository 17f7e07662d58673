/* StopIteration, cheaply: how a coroutine or a future hands its result to the
 * interpreter, which awaits what is not its own through tp_iternext. */
#ifndef PYAIO_BASE_STOP_H
#define PYAIO_BASE_STOP_H

#include "base/state.h"

/* Raises a StopIteration with the result, whose reference it steals. */
void pyaio_stop_raise(PyaioState *state, PyObject *result);

int pyaio_stop_init(PyObject *module);

#endif
