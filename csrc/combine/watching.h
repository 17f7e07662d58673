/* What wait() and as_completed() have in common: futures of any make that a
 * native object watches, and the task that is said to await them. */
#ifndef PYAIO_COMBINE_WATCHING_H
#define PYAIO_COMBINE_WATCHING_H

#include "task/future.h"

typedef struct {
    const PyaioReadyKind *kind; /* run with (target, future) at the end */
    PyObject *target;           /* borrowed: the object around this struct */
    PyObject *callback; /* owned: what foreign futures were given, or NULL */
    PyObject *task;     /* owned: the current task when it began, where the
                           running version records who awaits whom, or NULL */
    uint8_t task_is_ours;
} PyaioWatching;

/* Prepares one whose memory is zero. Returns 0, or -1 with an exception. */
int pyaio_watching_init(PyaioState *state, PyaioWatching *self,
                        const PyaioReadyKind *kind, PyObject *target,
                        PyObject *loop);

/* Each returns 0, or -1 with an exception. */
int pyaio_watching_add(PyaioState *state, PyaioWatching *self,
                       PyObject *future);
int pyaio_watching_remove(PyaioState *state, PyaioWatching *self,
                          PyObject *future);
/* The task does not await it any more: the part of remove() that is due when
 * the future has ended. */
int pyaio_watching_forget(PyaioState *state, PyaioWatching *self,
                          PyObject *future);

static inline int
pyaio_watching_traverse(PyaioWatching *self, visitproc visit, void *arg)
{
    Py_VISIT(self->callback);
    Py_VISIT(self->task);
    return 0;
}

static inline void
pyaio_watching_clear(PyaioWatching *self)
{
    Py_CLEAR(self->callback);
    Py_CLEAR(self->task);
}

#endif
