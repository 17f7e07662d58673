/* What the layer gives to the module. */
#ifndef PYAIO_COMBINE_COMBINE_H
#define PYAIO_COMBINE_COMBINE_H

#include "base/compat.h"

/* Each adds its types to the state and its names to the module, and needs the
 * ones before it. They return 0 or -1. */
int pyaio_coroutine_init(PyObject *module);
int pyaio_inner_init(PyObject *module);
int pyaio_sleep_init(PyObject *module);
int pyaio_gather_init(PyObject *module);
int pyaio_ensure_future_init(PyObject *module);
int pyaio_wait_init(PyObject *module);
int pyaio_as_completed_init(PyObject *module);
int pyaio_taskgroup_init(PyObject *module);
int pyaio_timeout_init(PyObject *module);
int pyaio_wait_for_init(PyObject *module);
int pyaio_shield_init(PyObject *module);

#endif
