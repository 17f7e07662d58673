/* Module functions of the task layer. */
#ifndef PYAIO_TASK_CREATE_H
#define PYAIO_TASK_CREATE_H

#include "base/compat.h"

/* create_task(coro, **kwargs) of the running loop. */
PyObject *pyaio_py_create_task(PyObject *module, PyObject *const *args,
                               Py_ssize_t nargs, PyObject *kwnames);
/* current_task(loop=None). */
PyObject *pyaio_py_current_task(PyObject *module, PyObject *args,
                                PyObject *kwargs);
/* Every unfinished task of ours, where stock's registry does not hold them. */
PyObject *pyaio_py_native_tasks(PyObject *module, PyObject *unused);

#endif
