/* What the module takes from here. */
#ifndef PYAIO_SYNC_SYNC_H
#define PYAIO_SYNC_SYNC_H

#include "base/compat.h"

/* The coroutines of all of them; the types each need it. */
int pyaio_waiting_init(PyObject *module);
int pyaio_lock_init(PyObject *module);
int pyaio_event_init(PyObject *module);
int pyaio_semaphore_init(PyObject *module);
int pyaio_condition_init(PyObject *module);
int pyaio_barrier_init(PyObject *module);
int pyaio_queue_init(PyObject *module);

#endif
