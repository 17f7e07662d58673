/* The coroutine of whoever passes a primitive: it may wait there once. */
#ifndef PYAIO_SYNC_WAITING_H
#define PYAIO_SYNC_WAITING_H

#include "combine/coroutine.h"
#include "sync/primitive.h"
#include "sync/waiters.h"

typedef struct {
    PyaioCoroutine head;
    PyObject *owner;    /* owned: the primitive */
    PyaioWaiters *list; /* of the owner: where `waiter` may stand, or NULL */
    PyaioWaiter waiter;
} PyaioWaiting;

typedef struct {
    PyaioCoroutineKind base; /* made by PYAIO_WAITING_KIND */
    /* What to do when the wait is over: `went` is PYGEN_RETURN, with *result
     * owned, or PYGEN_ERROR. NULL where it never waits. */
    PySendResult (*waited)(PyaioState *state, PyaioWaiting *self,
                           PySendResult went, PyObject **result);
    /* Arguments of the stock function behind the primitive: so many None. */
    int nones;
} PyaioWaitingKind;

#define PYAIO_WAITING_KIND(stock, start_function) \
    {.function = offsetof(PyaioState, stock),     \
     .pool = offsetof(PyaioState, waiting_pool),  \
     .start = start_function,                     \
     .send = pyaio_waiting_send,                  \
     .throw = pyaio_waiting_throw,                \
     .mirror = pyaio_waiting_mirror,              \
     .traverse = pyaio_waiting_traverse,          \
     .clear = pyaio_waiting_clear}

PyObject *pyaio_waiting_new(PyaioState *state, const PyaioWaitingKind *kind,
                            PyObject *owner);

/* Finishes a coroutine of a type that extends it, whose owner is set: returns
 * it, or NULL. */
PyObject *pyaio_waiting_setup(PyaioWaiting *self,
                              const PyaioWaitingKind *kind);

/* Begins to wait in one of the owner's lists, for a future of `loop`, which is
 * stolen and may be NULL after an error. */
PySendResult pyaio_waiting_begin(PyaioState *state, PyaioWaiting *self,
                                 PyaioWaiters *list, PyObject *loop,
                                 PyObject **result);

/* The wait is over: leaves the list and releases the value that came. Returns
 * PYGEN_RETURN or PYGEN_ERROR. */
PySendResult pyaio_waiting_leave(PyaioState *state, PyaioWaiting *self,
                                 PySendResult went, PyObject **result);

PySendResult pyaio_waiting_send(PyaioState *state, PyaioCoroutine *op,
                                PyObject *value, PyObject **result);
PySendResult pyaio_waiting_throw(PyaioState *state, PyaioCoroutine *op,
                                 PyObject *exception, PyObject **result);
PyObject *pyaio_waiting_mirror(PyaioState *state, PyaioCoroutine *op);
int pyaio_waiting_traverse(PyaioCoroutine *op, visitproc visit, void *arg);
void pyaio_waiting_clear(PyaioState *state, PyaioCoroutine *op);

/* Puts a stand-in for `stock` into `type`. */
int pyaio_primitive_add(PyaioState *state, PyTypeObject *type,
                        const char *name, PyObject *stock,
                        PyaioNativeCall call);

#endif
