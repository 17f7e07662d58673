/* Receiving as much as comes, into as little fresh memory as needed. */
#ifndef PYAIO_NET_RECEIVE_H
#define PYAIO_NET_RECEIVE_H

#include "sched/sched.h"

#include <sys/uio.h>

/* One system call that fills `count` parts, 1 or 2. Returns their bytes, or
 * anything else that is not above 0. */
typedef Py_ssize_t (*PyaioReceiver)(PyObject *source, struct iovec *parts,
                                    int count);

/* Receives once, PYAIO_SCRATCH_SIZE bytes at most; `last` is what the last
 * time brought. Returns what the receiver did, with a bytes object in *data
 * where that is above 0; -1 also with MemoryError. */
Py_ssize_t pyaio_receive(PyaioScheduler *sched, PyaioReceiver receiver,
                         PyObject *source, Py_ssize_t last, PyObject **data);

#endif
