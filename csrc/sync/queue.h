/* Queue: items in any container, those who wait for one, those who wait for
 * room.
 *
 * Methods that a program replaces (in a subclass, on the instance, on the
 * class) are called as stock calls them. What is called may replace more: each
 * step looks anew. */
#ifndef PYAIO_SYNC_QUEUE_H
#define PYAIO_SYNC_QUEUE_H

#include "sync/number.h"
#include "sync/primitive.h"
#include "sync/waiters.h"

/* Methods that others of the queue's call. */
enum {
    PYAIO_QUEUE_QSIZE = 1u << 0,
    PYAIO_QUEUE_EMPTY = 1u << 1,
    PYAIO_QUEUE_FULL = 1u << 2,
    PYAIO_QUEUE_GET_NOWAIT = 1u << 3,
    PYAIO_QUEUE_PUT_NOWAIT = 1u << 4,
    PYAIO_QUEUE_WAKEUP_NEXT = 1u << 5,
    PYAIO_QUEUE_GET_LOOP = 1u << 6,
};

/* The classes whose _init(), _put() and _get() are known. */
enum {
    PYAIO_QUEUE_REPLACED = 0,
    PYAIO_QUEUE_FIFO,
    PYAIO_QUEUE_PRIORITY,
    PYAIO_QUEUE_LIFO,
};

/* Attributes that __init__() sets. One without its bit in `present` is
 * missing: nobody has set it, or somebody deleted it. */
enum {
    PYAIO_QUEUE_HAS_GETTERS = 1u << 0,
    PYAIO_QUEUE_HAS_PUTTERS = 1u << 1,
    PYAIO_QUEUE_HAS_FINISHED = 1u << 2,
    PYAIO_QUEUE_HAS_SHUTDOWN = 1u << 3,
    PYAIO_QUEUE_HAS_ALL = (1u << 4) - 1,
};

typedef struct {
    PyaioPrimitive head;
    PyaioQueueMethods methods;
    PyObject *items;    /* owned: `_queue`, NULL while missing */
    PyObject *finished; /* owned: the event, NULL until somebody needs it */
    PyaioNumber maxsize;
    PyaioNumber unfinished; /* how many task_done() are due */
    PyaioWaiters getters;
    PyaioWaiters putters;
    uint16_t own;        /* which methods are set on the instance */
    uint8_t present;     /* mask of PYAIO_QUEUE_HAS_* */
    uint8_t is_finished; /* what the event says, while there is none */
    uint8_t is_shutdown;
} PyaioQueue;

/* --- methods, replaced or not (sync/queue_methods.c) --------------------- */

void pyaio_queue_look_up(PyaioState *state, PyaioQueue *self);
/* Takes note that an attribute of the instance was set or deleted. */
void pyaio_queue_attribute_set(PyaioState *state, PyaioQueue *self,
                               PyObject *name, int present);
/* Collects what the methods are while nobody replaced them. */
int pyaio_queue_methods_init(PyaioState *state);

static inline const PyaioQueueMethods *
pyaio_queue_methods(PyaioState *state, PyaioQueue *self)
{
    unsigned tag = Py_TYPE(self)->tp_version_tag;
    if (tag != self->methods.tag || tag == 0) {
        pyaio_queue_look_up(state, self);
    }
    return &self->methods;
}

/* Whether its items are in a deque and come out first in, first out; nobody
 * replaced a method, deleted an attribute or gave it an odd number; and it was
 * not shut down. */
static inline int
pyaio_queue_is_usual(PyaioState *state, PyaioQueue *self)
{
    const PyaioQueueMethods *methods = pyaio_queue_methods(state, self);
    return methods->replaced == 0 && methods->put == PYAIO_QUEUE_FIFO &&
           methods->get == PYAIO_QUEUE_FIFO &&
           self->present == PYAIO_QUEUE_HAS_ALL && !self->is_shutdown &&
           self->items != NULL &&
           Py_IS_TYPE(self->items, (PyTypeObject *)state->deque) &&
           self->maxsize.is_set && self->maxsize.odd == NULL &&
           self->unfinished.is_set;
}

/* --- what a queue does (sync/queue.c) ------------------------------------ */

/* self.empty() and self.full(): 0, 1, or -1. */
int pyaio_queue_empty(PyaioState *state, PyaioQueue *self);
int pyaio_queue_full(PyaioState *state, PyaioQueue *self);

/* Our own methods of these names. -1 or NULL is an exception. Whoever calls
 * holds the queue. */
int pyaio_queue_is_empty(PyaioState *state, PyaioQueue *self);
int pyaio_queue_is_full(PyaioState *state, PyaioQueue *self);
PyObject *pyaio_queue_get_nowait(PyaioState *state, PyaioQueue *self);
int pyaio_queue_put_nowait(PyaioState *state, PyaioQueue *self,
                           PyObject *item);
int pyaio_queue_task_done(PyaioState *state, PyaioQueue *self);
int pyaio_queue_shutdown(PyaioState *state, PyaioQueue *self,
                         PyObject *immediate);

/* get_nowait() and put_nowait() of a usual queue, without their exceptions:
 * 1 done, 0 where there is no item or no room, -1 on error. */
int pyaio_queue_try_get(PyaioState *state, PyaioQueue *self, PyObject **item);
int pyaio_queue_try_put(PyaioState *state, PyaioQueue *self, PyObject *item);

/* What these two do once they have found an item, or room. */
PyObject *pyaio_queue_take(PyaioState *state, PyaioQueue *self);
int pyaio_queue_add(PyaioState *state, PyaioQueue *self, PyObject *item);
/* Whether empty() and full() run nobody's code: what they said still holds
 * after both. */
int pyaio_queue_is_plain(PyaioState *state, PyaioQueue *self);

/* qsize() where nobody replaced it. */
Py_ssize_t pyaio_queue_count(PyaioState *state, PyaioQueue *self);
/* Raises QueueShutDown where `_is_shutdown` is set. */
int pyaio_queue_check_open(PyaioState *state, PyaioQueue *self);
/* self._wakeup_next(self._getters or self._putters). */
int pyaio_queue_wakeup_next(PyaioState *state, PyaioQueue *self,
                            PyaioWaiters *waiters);
/* Raises AttributeError unless the attributes of `mask` are there. */
int pyaio_queue_require(PyaioQueue *self, unsigned mask);
/* Whether `_unfinished_tasks` is more than 0; -1 on error. */
int pyaio_queue_has_unfinished(PyaioQueue *self);
/* `_finished`: a new reference. */
PyObject *pyaio_queue_finished(PyaioState *state, PyaioQueue *self);
/* self._get_loop(): a new reference. */
PyObject *pyaio_queue_get_loop(PyaioState *state, PyaioQueue *self);

int pyaio_queue_coroutines_init(PyObject *module);

#endif
