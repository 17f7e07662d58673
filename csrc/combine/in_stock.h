/* A native coroutine that goes on in one of stock's: what is unusual is left
 * to the running version's own code, whose outcome is then the native
 * coroutine's. */
#ifndef PYAIO_COMBINE_IN_STOCK_H
#define PYAIO_COMBINE_IN_STOCK_H

#include "combine/coroutine.h"

/* Starts the coroutine that `function` returns for the arguments, a tuple,
 * and awaits it from now on: as a kind's start(). */
PySendResult pyaio_in_stock_start(PyaioState *state, PyaioCoroutine *self,
                                  PyObject *function, PyObject *arguments,
                                  PyObject **result);

/* The same with a coroutine that was made already. Steals it; NULL is an
 * exception that is set. */
PySendResult pyaio_in_stock_await(PyaioState *state, PyaioCoroutine *self,
                                  PyObject *coro, PyObject **result);

/* The arguments of a vectorcall in one tuple, to be kept: those by keyword
 * after the others. */
PyObject *pyaio_in_stock_pack(PyObject *const *args, Py_ssize_t nargs,
                              PyObject *kwnames);
/* Calls the function of the kind with what was packed; `kwnames` as there. */
PyObject *pyaio_in_stock_call(PyaioState *state, const PyaioCoroutine *self,
                              PyObject *packed, PyObject *kwnames);

/* send() and throw() of kinds that await nothing else. */
PySendResult pyaio_in_stock_send(PyaioState *state, PyaioCoroutine *self,
                                 PyObject *value, PyObject **result);
PySendResult pyaio_in_stock_throw(PyaioState *state, PyaioCoroutine *self,
                                  PyObject *exception, PyObject **result);

/* For others to look at: the coroutine that it goes on in, or one that has not
 * begun. `arguments` NULL: an exception is set. */
PyObject *pyaio_in_stock_mirror(PyaioCoroutine *self, PyObject *function,
                                PyObject *arguments);

#endif
