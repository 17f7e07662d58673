/* The list of waiters, and the deque in its place once somebody looked. */
#include "sync/waiters.h"
#include "sync/primitive.h"

static inline PyaioWaiter *
waiter_of(PyaioLink *link)
{
    return PYAIO_CONTAINER_OF(link, PyaioWaiter, link);
}

/* State of the future of a waiter in the list: it is exactly ours there. */
static inline int
waiter_state(PyaioLink *link)
{
    PyObject *op = waiter_of(link)->future;
    return pyaio_future_state(&((PyaioFutureObject *)op)->future);
}

/* --- the list ------------------------------------------------------------ */

void
pyaio_waiters_init(PyaioWaiters *self, int is_none)
{
    if (self->head.next != NULL) {
        pyaio_waiters_clear(self);
    }
    pyaio_list_init(&self->head);
    self->pending = self->standing = &self->head;
    self->is_none = (uint8_t)is_none;
}

int
pyaio_waiters_traverse(PyaioWaiters *self, visitproc visit, void *arg)
{
    Py_VISIT(self->exposed);
    if (self->head.next == NULL) {
        return 0;
    }
    for (PyaioLink *link = self->head.next; link != &self->head;
         link = link->next) {
        Py_VISIT(waiter_of(link)->future);
    }
    return 0;
}

static void
waiters_link(PyaioWaiters *self, PyaioWaiter *waiter)
{
    PyaioLink *link = &waiter->link;
    pyaio_list_append(&self->head, link);
    if (self->pending == &self->head) {
        self->pending = link;
    }
    if (self->standing == &self->head) {
        self->standing = link;
    }
    self->count++;
}

/* Leaves the waiter its future. */
static void
waiters_unlink(PyaioWaiters *self, PyaioLink *link)
{
    if (self->pending == link) {
        self->pending = link->next;
    }
    if (self->standing == link) {
        self->standing = link->next;
    }
    pyaio_list_remove(link);
    self->count--;
}

/* Runs no code of others: the waiters keep their futures. */
static void
waiters_unlink_all(PyaioWaiters *self)
{
    while (self->count > 0) {
        waiters_unlink(self, self->head.next);
    }
}

void
pyaio_waiters_clear(PyaioWaiters *self)
{
    waiters_unlink_all(self);
    Py_CLEAR(self->exposed);
}

/* The first waiter that is pending, or the head. */
static PyaioLink *
waiters_seek_pending(PyaioWaiters *self)
{
    while (self->pending != &self->head &&
           waiter_state(self->pending) != PYAIO_FUTURE_PENDING) {
        self->pending = self->pending->next;
    }
    return self->pending;
}

/* The first waiter that is not cancelled, or the head. */
static PyaioLink *
waiters_seek_standing(PyaioWaiters *self)
{
    while (self->standing != &self->head &&
           waiter_state(self->standing) == PYAIO_FUTURE_CANCELLED) {
        self->standing = self->standing->next;
    }
    return self->standing;
}

/* --- the deque in its place ---------------------------------------------- */

/* Returns a borrowed reference. */
static PyObject *
waiters_expose(PyaioState *state, PyaioWaiters *self)
{
    PyObject *deque = PyObject_CallNoArgs(state->deque);
    if (self->exposed != NULL) { /* by what the collector ran */
        Py_XDECREF(deque);
        return self->exposed;
    }
    for (PyaioLink *link = self->head.next;
         deque != NULL && link != &self->head; link = link->next) {
        PyObject *done = PyObject_CallMethodOneArg(deque, state->str_append,
                                                   waiter_of(link)->future);
        if (done == NULL) {
            Py_CLEAR(deque);
        }
        Py_XDECREF(done);
    }
    if (deque == NULL) {
        return NULL;
    }
    waiters_unlink_all(self);
    self->exposed = deque;
    self->is_none = 0;
    return deque;
}

/* Takes the list back where nobody looks at it any more. */
static void
waiters_take_back(PyaioState *state, PyaioWaiters *self)
{
    PyObject *exposed = self->exposed;
    if ((PyObject *)Py_TYPE(exposed) == state->deque &&
        Py_REFCNT(exposed) == 1 && PyObject_Size(exposed) == 0) {
        self->exposed = NULL;
        Py_DECREF(exposed);
    }
}

PyObject *
pyaio_waiters_get(PyaioState *state, PyaioWaiters *self)
{
    if (self->exposed != NULL) {
        return Py_NewRef(self->exposed);
    }
    if (self->is_none) {
        Py_RETURN_NONE;
    }
    return Py_XNewRef(waiters_expose(state, self));
}

int
pyaio_waiters_set(PyaioWaiters *self, PyObject *value)
{
    if (value == NULL) {
        PyErr_SetString(PyExc_TypeError, "cannot delete the waiters");
        return -1;
    }
    waiters_unlink_all(self);
    self->is_none = value == Py_None;
    Py_XSETREF(self->exposed, value == Py_None ? NULL : Py_NewRef(value));
    return 0;
}

/* --- coming and going ---------------------------------------------------- */

int
pyaio_waiters_append(PyaioState *state, PyaioWaiters *self,
                     PyaioWaiter *waiter, PyObject *future)
{
    Py_XSETREF(waiter->future, Py_NewRef(future));
    self->is_none = 0;
    if (self->exposed != NULL) {
        waiters_take_back(state, self);
    }
    if (self->exposed == NULL && Py_IS_TYPE(future, state->Future_type)) {
        waiters_link(self, waiter);
        return 0;
    }
    if (self->exposed == NULL && waiters_expose(state, self) == NULL) {
        return -1;
    }
    PyObject *exposed = Py_NewRef(self->exposed);
    PyObject *done =
        PyObject_CallMethodOneArg(exposed, state->str_append, future);
    Py_DECREF(exposed);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

PyObject *
pyaio_waiters_add(PyaioState *state, PyaioWaiters *self, PyaioWaiter *waiter,
                  PyObject *loop)
{
    PyObject *future = pyaio_loop_create_future(state, loop);
    if (future == NULL) {
        return NULL;
    }
    int err = pyaio_waiters_append(state, self, waiter, future);
    Py_DECREF(future); /* the waiter keeps it */
    return err < 0 ? NULL : future;
}

/* exposed.remove(future), keeping what is raised. */
static int
exposed_remove(PyaioState *state, PyaioWaiters *self, PyObject *future)
{
    PyObject *raised = PyErr_GetRaisedException();
    PyObject *exposed = Py_NewRef(self->exposed);
    PyObject *done =
        PyObject_CallMethodOneArg(exposed, state->str_remove, future);
    Py_DECREF(exposed);
    pyaio_raise_again(raised);
    if (done == NULL) {
        return -1;
    }
    Py_DECREF(done);
    return 0;
}

int
pyaio_waiters_remove(PyaioState *state, PyaioWaiters *self,
                     PyaioWaiter *waiter)
{
    if (waiter->link.prev != NULL) {
        waiters_unlink(self, &waiter->link);
    }
    else if (self->exposed != NULL && waiter->future != NULL) {
        return exposed_remove(state, self, waiter->future);
    }
    return 0;
}

int
pyaio_waiter_traverse(PyaioWaiter *self, visitproc visit, void *arg)
{
    if (self->link.prev == NULL) {
        Py_VISIT(self->future);
    }
    return 0;
}

void
pyaio_waiter_clear(PyaioWaiter *self, PyaioWaiters *list)
{
    if (self->link.prev != NULL) {
        waiters_unlink(list, &self->link);
    }
    Py_CLEAR(self->future);
}

/* --- waking -------------------------------------------------------------- */

int
pyaio_waiter_wake(PyaioState *state, PyObject *op, PyObject *result)
{
    PyaioFuture *future = pyaio_as_native_future(state, op);
    if (future != NULL && !future->is_task && !pyaio_future_done(future)) {
        return pyaio_future_set_result(state, future, result);
    }
    PyObject *done =
        PyObject_CallMethodOneArg(op, state->str_set_result, result);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* Wakes up to `n` of those that an exposed list yields; `first_only` looks at
 * no more than one. */
static int
exposed_wake(PyaioState *state, PyObject *exposed, Py_ssize_t n,
             int first_only, PyObject *result)
{
    PyObject *iterator = PyObject_GetIter(exposed);
    if (iterator == NULL) {
        return -1;
    }
    int err = 0;
    PyObject *future;
    while (n > 0 && err == 0 && (future = PyIter_Next(iterator)) != NULL) {
        int done = pyaio_any_future_done(state, future);
        if (done < 0) {
            err = -1;
        }
        else if (!done) {
            n--;
            err = pyaio_waiter_wake(state, future, result);
        }
        Py_DECREF(future);
        if (first_only) {
            break;
        }
    }
    Py_DECREF(iterator);
    return err < 0 || PyErr_Occurred() ? -1 : 0;
}

static int
wake_link(PyaioState *state, PyaioLink *link, PyObject *result)
{
    PyObject *future = Py_NewRef(waiter_of(link)->future);
    int err = pyaio_waiter_wake(state, future, result);
    Py_DECREF(future);
    return err;
}

/* Whether an exposed list has anything in it. */
static int
exposed_is_empty(PyObject *exposed)
{
    int truth = PyObject_IsTrue(exposed);
    return truth < 0 ? -1 : !truth;
}

int
pyaio_waiters_wake_first(PyaioState *state, PyaioWaiters *self,
                         PyObject *result)
{
    if (self->exposed != NULL) {
        PyObject *exposed = Py_NewRef(self->exposed);
        int empty = exposed_is_empty(exposed);
        int err = empty ? (empty < 0 ? -1 : 0)
                        : exposed_wake(state, exposed, 1, 1, result);
        Py_DECREF(exposed);
        return err;
    }
    PyaioLink *link = self->head.next;
    if (self->count == 0 || waiter_state(link) != PYAIO_FUTURE_PENDING) {
        return 0;
    }
    return wake_link(state, link, result);
}

int
pyaio_waiters_wake(PyaioState *state, PyaioWaiters *self, Py_ssize_t n,
                   PyObject *result)
{
    if (self->exposed != NULL) {
        PyObject *exposed = Py_NewRef(self->exposed);
        int err = exposed_wake(state, exposed, n, 0, result);
        Py_DECREF(exposed);
        return err;
    }
    for (; n > 0 && self->exposed == NULL; n--) {
        PyaioLink *link = waiters_seek_pending(self);
        if (link == &self->head) {
            return 0;
        }
        if (wake_link(state, link, result) < 0) {
            return -1;
        }
    }
    return 0;
}

PyObject *
pyaio_waiters_first_pending(PyaioState *state, PyaioWaiters *self)
{
    if (self->exposed == NULL) {
        PyaioLink *link = waiters_seek_pending(self);
        return link == &self->head ? NULL : Py_NewRef(waiter_of(link)->future);
    }
    PyObject *iterator = PyObject_GetIter(self->exposed);
    PyObject *future = NULL;
    while (iterator != NULL && (future = PyIter_Next(iterator)) != NULL) {
        int done = pyaio_any_future_done(state, future);
        if (done == 0) {
            break;
        }
        Py_CLEAR(future);
        if (done < 0) {
            break;
        }
    }
    Py_XDECREF(iterator);
    return future;
}

/* The same as pyaio_waiters_pop_and_wake() on an exposed list. */
static int
exposed_pop_and_wake(PyaioState *state, PyObject *exposed, PyObject *result)
{
    int empty;
    while ((empty = exposed_is_empty(exposed)) == 0) {
        PyObject *future =
            PyObject_CallMethodNoArgs(exposed, state->str_popleft);
        int done = future ? pyaio_any_future_done(state, future) : -1;
        int err = done == 0 ? pyaio_waiter_wake(state, future, result) : 0;
        Py_XDECREF(future);
        if (done <= 0) {
            return done < 0 ? -1 : err;
        }
    }
    return empty < 0 ? -1 : 0;
}

int
pyaio_waiters_pop_and_wake(PyaioState *state, PyaioWaiters *self,
                           PyObject *result)
{
    if (self->exposed != NULL) {
        PyObject *exposed = Py_NewRef(self->exposed);
        int err = exposed_pop_and_wake(state, exposed, result);
        Py_DECREF(exposed);
        return err;
    }
    while (self->count > 0) {
        PyaioLink *link = self->head.next;
        int pending = waiter_state(link) == PYAIO_FUTURE_PENDING;
        waiters_unlink(self, link);
        if (pending) {
            return wake_link(state, link, result);
        }
    }
    return 0;
}

/* --- questions ----------------------------------------------------------- */

int
pyaio_waiters_all_cancelled(PyaioState *state, PyaioWaiters *self)
{
    if (self->exposed == NULL) {
        return self->count == 0 || waiters_seek_standing(self) == &self->head;
    }
    PyObject *iterator = PyObject_GetIter(self->exposed);
    if (iterator == NULL) {
        return -1;
    }
    int cancelled = 1;
    PyObject *future;
    while (cancelled > 0 && (future = PyIter_Next(iterator)) != NULL) {
        cancelled = pyaio_any_future_cancelled(state, future);
        Py_DECREF(future);
    }
    Py_DECREF(iterator);
    return PyErr_Occurred() ? -1 : cancelled;
}

Py_ssize_t
pyaio_waiters_count(PyaioWaiters *self)
{
    return self->exposed ? PyObject_Size(self->exposed) : self->count;
}
