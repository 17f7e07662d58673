/* Who waits at a synchronisation primitive, in order of arrival.
 *
 * Stock keeps a deque of futures. Here a waiter is a struct inside the
 * suspended coroutine, linked into a list: nothing is searched when it leaves,
 * and cursors pass over what is done once, so that any course of waiting,
 * waking and cancelling costs time in proportion to its length.
 *
 * The list is shown as the deque that stock has the first time somebody asks
 * for it, or when a future is not exactly ours. From then on that object *is*
 * the list ("exposed"), used through its methods as stock does, until it is
 * empty and nobody else holds it. */
#ifndef PYAIO_SYNC_WAITERS_H
#define PYAIO_SYNC_WAITERS_H

#include "task/future.h"

/* In a coroutine's struct, whose traverse and clear pass it on. */
typedef struct {
    PyaioLink link;   /* outside every list while exposed, woken by
                         pyaio_waiters_pop_and_wake(), or not waiting */
    PyObject *future; /* owned: what it waits for; the list visits it for the
                         collector while it is linked */
} PyaioWaiter;

/* In a primitive's struct. */
typedef struct {
    PyaioLink head;      /* of PyaioWaiter.link */
    PyaioLink *pending;  /* all waiters before it are done */
    PyaioLink *standing; /* all waiters before it are cancelled */
    Py_ssize_t count;    /* how many are linked */
    PyObject *exposed;   /* owned: what stands in for the list, or NULL */
    uint8_t is_none;     /* stock has no deque yet */
} PyaioWaiters;

/* Begins anew, without waiters; `is_none`: stock makes the deque late. The
 * memory is zero or was initialised before. To be called in tp_new, so that
 * no object is without. */
void pyaio_waiters_init(PyaioWaiters *self, int is_none);
int pyaio_waiters_traverse(PyaioWaiters *self, visitproc visit, void *arg);
/* Forgets all waiters. Repeatable, and safe on zeroed memory. */
void pyaio_waiters_clear(PyaioWaiters *self);

/* Makes a future of `loop` and appends the waiter with it. Returns the
 * future, for pyaio_await_start(): a borrowed reference, or NULL. */
PyObject *pyaio_waiters_add(PyaioState *state, PyaioWaiters *self,
                            PyaioWaiter *waiter, PyObject *loop);
/* The same with a future that there is already. Returns 0 or -1. */
int pyaio_waiters_append(PyaioState *state, PyaioWaiters *self,
                         PyaioWaiter *waiter, PyObject *future);
/* Takes the waiter out. It may be out already where the list is not exposed;
 * where it is, an error of exposed.remove() (ValueError where it is not in)
 * is raised. Keeps an exception that is set, as the context of a new one.
 * Returns 0 or -1. waiter->future stays until pyaio_waiter_clear(). */
int pyaio_waiters_remove(PyaioState *state, PyaioWaiters *self,
                         PyaioWaiter *waiter);

/* Sets the result of the first waiter, if that is pending (locks). */
int pyaio_waiters_wake_first(PyaioState *state, PyaioWaiters *self,
                             PyObject *result);
/* Sets the result of the first `n` pending waiters (events, conditions). */
int pyaio_waiters_wake(PyaioState *state, PyaioWaiters *self, Py_ssize_t n,
                       PyObject *result);
/* Takes waiters out from the front, up to one that is pending, and sets its
 * result (queues). */
int pyaio_waiters_pop_and_wake(PyaioState *state, PyaioWaiters *self,
                               PyObject *result);
/* The future of the first pending waiter: a new reference, or NULL, with an
 * exception only when one is set. */
PyObject *pyaio_waiters_first_pending(PyaioState *state, PyaioWaiters *self);
/* future.set_result(result). */
int pyaio_waiter_wake(PyaioState *state, PyObject *future, PyObject *result);

/* Whether every waiter is cancelled; true of none. -1 on error. */
int pyaio_waiters_all_cancelled(PyaioState *state, PyaioWaiters *self);
/* How many there are; -1 on error. */
Py_ssize_t pyaio_waiters_count(PyaioWaiters *self);

/* The attribute that shows them: get exposes them; set puts any object in
 * their place and forgets those there were. */
PyObject *pyaio_waiters_get(PyaioState *state, PyaioWaiters *self);
int pyaio_waiters_set(PyaioWaiters *self, PyObject *value);

/* For the waiter's coroutine. clear() takes it out of the list, if it is in
 * one; `list` is the one that it may be in. */
int pyaio_waiter_traverse(PyaioWaiter *self, visitproc visit, void *arg);
void pyaio_waiter_clear(PyaioWaiter *self, PyaioWaiters *list);

#endif
