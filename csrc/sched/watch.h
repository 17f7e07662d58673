/* Descriptor watches: which Handle runs when a descriptor becomes ready. */
#ifndef PYAIO_SCHED_WATCH_H
#define PYAIO_SCHED_WATCH_H

#include "sched/sched.h"

/* Watches `fd` for one direction (PYAIO_POLL_READ or _WRITE), cancelling the
 * handle that did before. `file` is the object given for it, NULL where that
 * was a number. Returns 0, or -1 with OSError. */
int pyaio_watch_add(PyaioScheduler *sched, int fd, unsigned direction,
                    PyObject *handle, PyObject *file);
/* The descriptor watched on behalf of exactly `file`, or -1. */
int pyaio_watch_find(const PyaioScheduler *sched, const PyObject *file);
/* Ends it, cancelling the handle. Returns 1, or 0 where there was none. */
int pyaio_watch_remove(PyaioScheduler *sched, int fd, unsigned direction);
/* Queues the handles of a descriptor that is ready. */
int pyaio_watch_dispatch(PyaioScheduler *sched, int fd, unsigned mask);
/* Gives a fresh poller every registration: after a fork. */
int pyaio_watch_register_all(PyaioScheduler *sched);
/* Releases every handle, leaving the poller alone. */
void pyaio_watch_clear(PyaioScheduler *sched);

#endif
