/* What a queue does: items in and out, waiters woken, tasks counted. */
#include "sync/queue.h"
#include "base/interop.h"

/* --- attributes that may be missing -------------------------------------- */

int
pyaio_queue_require(PyaioQueue *self, unsigned mask)
{
    static const char *const names[] = {
        "_getters",
        "_putters",
        "_finished",
        "_is_shutdown",
    };
    unsigned missing = mask & ~(unsigned)self->present;
    for (size_t i = 0; missing != 0; i++, missing >>= 1) {
        if (missing & 1) {
            pyaio_primitive_no_attribute((PyObject *)self, names[i]);
            return -1;
        }
    }
    return 0;
}

/* Whether `_queue` is of a type whose length is in the object, and asking for
 * it runs nobody's code. */
static inline int
has_plain_size(PyaioState *state, PyaioQueue *self)
{
    PyObject *items = self->items;
    return items != NULL && (Py_IS_TYPE(items, (PyTypeObject *)state->deque) ||
                             PyList_CheckExact(items));
}

int
pyaio_queue_is_plain(PyaioState *state, PyaioQueue *self)
{
    return pyaio_queue_methods(state, self)->replaced == 0 &&
           self->maxsize.odd == NULL && has_plain_size(state, self);
}

/* `_queue`: a new reference. */
static PyObject *
queue_items(PyaioQueue *self)
{
    if (self->items == NULL) {
        pyaio_primitive_no_attribute((PyObject *)self, "_queue");
    }
    return Py_XNewRef(self->items);
}

/* --- questions ----------------------------------------------------------- */

static int
call_for_truth(PyaioQueue *self, PyObject *name)
{
    PyObject *answer = PyObject_CallMethodNoArgs((PyObject *)self, name);
    int truth = answer ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    return truth;
}

Py_ssize_t
pyaio_queue_count(PyaioState *state, PyaioQueue *self)
{
    if (has_plain_size(state, self)) {
        return PySequence_Size(self->items);
    }
    PyObject *items = queue_items(self);
    Py_ssize_t count = items ? PyObject_Size(items) : -1;
    Py_XDECREF(items);
    return count;
}

int
pyaio_queue_is_empty(PyaioState *state, PyaioQueue *self)
{
    if (has_plain_size(state, self)) {
        return PySequence_Size(self->items) == 0;
    }
    PyObject *items = queue_items(self);
    int truth = items ? PyObject_IsTrue(items) : -1;
    Py_XDECREF(items);
    return truth < 0 ? -1 : !truth;
}

int
pyaio_queue_empty(PyaioState *state, PyaioQueue *self)
{
    if (pyaio_queue_methods(state, self)->replaced & PYAIO_QUEUE_EMPTY) {
        return call_for_truth(self, state->str_empty);
    }
    return pyaio_queue_is_empty(state, self);
}

/* What full() answers where maxsize or qsize() may be anything at all. */
static int
queue_compare_size(PyaioState *state, PyaioQueue *self)
{
    PyObject *maxsize = pyaio_number_get(&self->maxsize);
    PyObject *zero = maxsize ? PyLong_FromLong(0) : NULL;
    int unlimited = zero ? PyObject_RichCompareBool(maxsize, zero, Py_LE) : -1;
    Py_XDECREF(zero);
    Py_XDECREF(maxsize);
    if (unlimited != 0) {
        return unlimited < 0 ? -1 : 0;
    }
    PyObject *size =
        PyObject_CallMethodNoArgs((PyObject *)self, state->str_qsize);
    maxsize = size ? pyaio_number_get(&self->maxsize) : NULL;
    int full = maxsize ? PyObject_RichCompareBool(size, maxsize, Py_GE) : -1;
    Py_XDECREF(size);
    Py_XDECREF(maxsize);
    return full;
}

int
pyaio_queue_is_full(PyaioState *state, PyaioQueue *self)
{
    const PyaioNumber *maxsize = &self->maxsize;
    if (!maxsize->is_set) {
        pyaio_primitive_no_attribute((PyObject *)self, "_maxsize");
        return -1;
    }
    if (maxsize->odd != NULL) {
        return queue_compare_size(state, self);
    }
    if (maxsize->plain <= 0) {
        return 0;
    }
    if (pyaio_queue_methods(state, self)->replaced & PYAIO_QUEUE_QSIZE) {
        return queue_compare_size(state, self);
    }
    Py_ssize_t count = pyaio_queue_count(state, self);
    return count < 0 ? -1 : count >= maxsize->plain;
}

int
pyaio_queue_full(PyaioState *state, PyaioQueue *self)
{
    if (pyaio_queue_methods(state, self)->replaced & PYAIO_QUEUE_FULL) {
        return call_for_truth(self, state->str_full);
    }
    return pyaio_queue_is_full(state, self);
}

int
pyaio_queue_check_open(PyaioState *state, PyaioQueue *self)
{
    if (!self->is_shutdown) {
        return PYAIO_HAS_QUEUE_SHUTDOWN
                   ? pyaio_queue_require(self, PYAIO_QUEUE_HAS_SHUTDOWN)
                   : 0;
    }
    PyErr_SetNone(state->QueueShutDown);
    return -1;
}

PyObject *
pyaio_queue_get_loop(PyaioState *state, PyaioQueue *self)
{
    unsigned replaced = pyaio_queue_methods(state, self)->replaced;
    return pyaio_primitive_loop(
        state, (PyObject *)self,
        replaced & PYAIO_QUEUE_GET_LOOP ? PYAIO_METHOD_GET_LOOP : 0);
}

/* --- the container ------------------------------------------------------- */

/* self._get(). */
static PyObject *
container_get(PyaioState *state, PyaioQueue *self)
{
    uint8_t whose = pyaio_queue_methods(state, self)->get;
    if (whose == PYAIO_QUEUE_REPLACED) {
        return PyObject_CallMethodNoArgs((PyObject *)self, state->str__get);
    }
    PyObject *items = queue_items(self);
    if (items == NULL) {
        return NULL;
    }
    PyObject *item;
    if (whose == PYAIO_QUEUE_PRIORITY) {
        item = PyObject_CallOneArg(state->heappop, items);
    }
    else if (whose == PYAIO_QUEUE_FIFO) {
        item = Py_IS_TYPE(items, (PyTypeObject *)state->deque) &&
                       state->deque_popleft != NULL
                   ? state->deque_popleft(items, NULL)
                   : PyObject_CallMethodNoArgs(items, state->str_popleft);
    }
    else {
        item = PyObject_CallMethodNoArgs(items, state->str_pop);
    }
    Py_DECREF(items);
    return item;
}

/* self._put(item). */
static int
container_put(PyaioState *state, PyaioQueue *self, PyObject *item)
{
    uint8_t whose = pyaio_queue_methods(state, self)->put;
    PyObject *items = NULL, *done;
    if (whose == PYAIO_QUEUE_REPLACED) {
        done =
            PyObject_CallMethodOneArg((PyObject *)self, state->str__put, item);
    }
    else if ((items = queue_items(self)) == NULL) {
        return -1;
    }
    else if (whose == PYAIO_QUEUE_PRIORITY) {
        done =
            PyObject_CallFunctionObjArgs(state->heappush, items, item, NULL);
    }
    else if (Py_IS_TYPE(items, (PyTypeObject *)state->deque) &&
             state->deque_append != NULL) {
        done = state->deque_append(items, item);
    }
    else {
        done = PyObject_CallMethodOneArg(items, state->str_append, item);
    }
    Py_XDECREF(items);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* --- waiters ------------------------------------------------------------- */

static inline int
nobody_waits(const PyaioWaiters *waiters)
{
    return waiters->count == 0 && waiters->exposed == NULL;
}

int
pyaio_queue_wakeup_next(PyaioState *state, PyaioQueue *self,
                        PyaioWaiters *waiters)
{
    unsigned which = waiters == &self->getters ? PYAIO_QUEUE_HAS_GETTERS
                                               : PYAIO_QUEUE_HAS_PUTTERS;
    if (pyaio_queue_require(self, which) < 0) {
        return -1;
    }
    if (!(pyaio_queue_methods(state, self)->replaced &
          PYAIO_QUEUE_WAKEUP_NEXT)) {
        if (nobody_waits(waiters)) {
            return 0;
        }
        return pyaio_waiters_pop_and_wake(state, waiters, Py_None);
    }
    PyObject *shown = pyaio_waiters_get(state, waiters);
    PyObject *done = NULL;
    if (shown != NULL) {
        done = PyObject_CallMethodOneArg((PyObject *)self,
                                         state->str__wakeup_next, shown);
        Py_DECREF(shown);
    }
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int
queue_wake_everybody(PyaioState *state, PyaioQueue *self,
                     PyaioWaiters *waiters, unsigned which)
{
    for (;;) {
        if (pyaio_queue_require(self, which) < 0) {
            return -1;
        }
        Py_ssize_t count = pyaio_waiters_count(waiters);
        if (count <= 0) {
            return count < 0 ? -1 : 0;
        }
        if (pyaio_waiters_pop_and_wake(state, waiters, Py_None) < 0) {
            return -1;
        }
    }
}

/* --- tasks that are not done --------------------------------------------- */

static PyObject *
new_event(PyaioState *state, int is_set)
{
    PyObject *module = PyImport_ImportModule("pyaio._locks");
    PyObject *event =
        module ? PyObject_CallMethod(module, "Event", NULL) : NULL;
    Py_XDECREF(module);
    if (event != NULL && is_set) {
        PyObject *done = PyObject_CallMethodNoArgs(event, state->str_set);
        if (done == NULL) {
            Py_CLEAR(event);
        }
        Py_XDECREF(done);
    }
    return event;
}

PyObject *
pyaio_queue_finished(PyaioState *state, PyaioQueue *self)
{
    if (pyaio_queue_require(self, PYAIO_QUEUE_HAS_FINISHED) < 0) {
        return NULL;
    }
    if (self->finished == NULL) {
        PyObject *event = new_event(state, self->is_finished);
        if (self->finished == NULL) {
            self->finished = event;
        }
        else { /* by what the collector ran */
            Py_XDECREF(event);
        }
    }
    return Py_XNewRef(self->finished);
}

/* self._finished.set() or .clear(). */
static int
queue_mark_finished(PyaioState *state, PyaioQueue *self, int is_finished)
{
    if (pyaio_queue_require(self, PYAIO_QUEUE_HAS_FINISHED) < 0) {
        return -1;
    }
    self->is_finished = (uint8_t)is_finished;
    if (self->finished == NULL) {
        return 0;
    }
    PyObject *event = Py_NewRef(self->finished);
    PyObject *done = PyObject_CallMethodNoArgs(
        event, is_finished ? state->str_set : state->str_clear);
    Py_DECREF(event);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

int
pyaio_queue_has_unfinished(PyaioQueue *self)
{
    if (!self->unfinished.is_set) {
        pyaio_primitive_no_attribute((PyObject *)self, "_unfinished_tasks");
        return -1;
    }
    return pyaio_number_is_positive(&self->unfinished);
}

/* Tells the event where no task is unfinished any more. */
static int
queue_check_finished(PyaioState *state, PyaioQueue *self)
{
    int zero = pyaio_number_is_zero(&self->unfinished);
    return zero > 0 ? queue_mark_finished(state, self, 1) : zero;
}

int
pyaio_queue_task_done(PyaioState *state, PyaioQueue *self)
{
    int unfinished = pyaio_queue_has_unfinished(self);
    if (unfinished <= 0) {
        if (unfinished == 0) {
            PyErr_SetString(PyExc_ValueError,
                            "task_done() called too many times");
        }
        return -1;
    }
    if (pyaio_number_add(&self->unfinished, -1) < 0) {
        return -1;
    }
    return queue_check_finished(state, self);
}

/* --- in, out, and the end ------------------------------------------------ */

PyObject *
pyaio_queue_take(PyaioState *state, PyaioQueue *self)
{
    PyObject *item = container_get(state, self);
    if (item != NULL &&
        pyaio_queue_wakeup_next(state, self, &self->putters) < 0) {
        Py_CLEAR(item);
    }
    return item;
}

int
pyaio_queue_add(PyaioState *state, PyaioQueue *self, PyObject *item)
{
    if (container_put(state, self, item) < 0 ||
        pyaio_queue_has_unfinished(self) < 0 ||
        pyaio_number_add(&self->unfinished, 1) < 0 ||
        queue_mark_finished(state, self, 0) < 0) {
        return -1;
    }
    return pyaio_queue_wakeup_next(state, self, &self->getters);
}

/* len(self._queue) of a usual queue. */
static inline Py_ssize_t
usual_count(const PyaioQueue *self)
{
    return Py_TYPE(self->items)->tp_as_sequence->sq_length(self->items);
}

int
pyaio_queue_try_get(PyaioState *state, PyaioQueue *self, PyObject **item)
{
    *item = NULL;
    if (usual_count(self) == 0) {
        return 0;
    }
    if (state->deque_popleft == NULL) {
        *item = pyaio_queue_take(state, self);
        return *item ? 1 : -1;
    }
    *item = state->deque_popleft(self->items, NULL);
    if (*item == NULL) {
        return -1;
    }
    if (!nobody_waits(&self->putters) &&
        pyaio_waiters_pop_and_wake(state, &self->putters, Py_None) < 0) {
        Py_CLEAR(*item);
        return -1;
    }
    return 1;
}

int
pyaio_queue_try_put(PyaioState *state, PyaioQueue *self, PyObject *item)
{
    Py_ssize_t maxsize = self->maxsize.plain;
    if (maxsize > 0 && usual_count(self) >= maxsize) {
        return 0;
    }
    return pyaio_queue_add(state, self, item) < 0 ? -1 : 1;
}

PyObject *
pyaio_queue_get_nowait(PyaioState *state, PyaioQueue *self)
{
    int empty = pyaio_queue_empty(state, self);
    if (empty != 0) {
        if (empty > 0 && pyaio_queue_check_open(state, self) == 0) {
            PyErr_SetNone(state->QueueEmpty);
        }
        return NULL;
    }
    return pyaio_queue_take(state, self);
}

int
pyaio_queue_put_nowait(PyaioState *state, PyaioQueue *self, PyObject *item)
{
    if (pyaio_queue_check_open(state, self) < 0) {
        return -1;
    }
    int full = pyaio_queue_full(state, self);
    if (full != 0) {
        if (full > 0) {
            PyErr_SetNone(state->QueueFull);
        }
        return -1;
    }
    return pyaio_queue_add(state, self, item);
}

/* Drops every item. */
static int
queue_drain(PyaioState *state, PyaioQueue *self)
{
    int empty;
    while ((empty = pyaio_queue_empty(state, self)) == 0) {
        PyObject *item = container_get(state, self);
        if (item == NULL) {
            return -1;
        }
        Py_DECREF(item);
        int unfinished = pyaio_queue_has_unfinished(self);
        if (unfinished < 0 ||
            (unfinished && pyaio_number_add(&self->unfinished, -1) < 0)) {
            return -1;
        }
    }
    if (empty < 0 || pyaio_queue_has_unfinished(self) < 0) {
        return -1;
    }
    return queue_check_finished(state, self);
}

int
pyaio_queue_shutdown(PyaioState *state, PyaioQueue *self, PyObject *immediate)
{
    self->is_shutdown = 1;
    self->present |= PYAIO_QUEUE_HAS_SHUTDOWN;
    int at_once = PyObject_IsTrue(immediate);
    if (at_once < 0 || (at_once && queue_drain(state, self) < 0) ||
        queue_wake_everybody(state, self, &self->getters,
                             PYAIO_QUEUE_HAS_GETTERS) < 0) {
        return -1;
    }
    return queue_wake_everybody(state, self, &self->putters,
                                PYAIO_QUEUE_HAS_PUTTERS);
}
