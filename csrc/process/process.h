/* What the layer gives to the module. */
#ifndef PYAIO_PROCESS_PROCESS_H
#define PYAIO_PROCESS_PROCESS_H

#include "base/state.h"

/* _watch_child(): process/child.c */
PyObject *pyaio_py_watch_child(PyObject *module, PyObject *args);

int pyaio_child_init(PyObject *module);
int pyaio_subprocess_init(PyObject *module);
int pyaio_child_pipe_init(PyObject *module);

#endif
