/* Arming, disarming and firing deadlines. */
#include "combine/deadline.h"
#include "base/context.h"
#include "sched/handle.h"

PyaioScheduler *
pyaio_deadline_scheduler(PyaioState *state, PyObject *loop)
{
    return pyaio_sched_direct(state, loop,
                              PYAIO_LOOP_CALL_SOON | PYAIO_LOOP_CALL_AT |
                                  PYAIO_LOOP_TIME);
}

int
pyaio_deadline_arm(PyaioState *state, PyaioDeadline *self,
                   const PyaioReadyKind *kind, PyObject *owner,
                   PyaioScheduler *sched, double when)
{
    PyObject *context = pyaio_context_capture(state);
    double now;
    if (context == NULL || pyaio_sched_time(sched, &now) < 0) {
        Py_XDECREF(context);
        return -1;
    }
    Py_XSETREF(self->context, context);
    Py_XSETREF(self->loop, Py_NewRef(sched->loop));
    self->node.index = PYAIO_HEAP_NONE;
    self->node.kind = kind;
    self->node.owner = owner;
    self->soon = when <= now;
    int err = self->soon ? pyaio_sched_push(sched, kind, owner, NULL)
                         : pyaio_sched_add_timer(sched, when, &self->node);
    self->armed = err == 0;
    return err;
}

/* The scheduler whose queues hold it, or NULL. */
static PyaioScheduler *
deadline_queued_on(PyaioState *state, PyaioDeadline *self)
{
    PyaioScheduler *sched = NULL;
    if (self->armed && self->loop != NULL) {
        sched = pyaio_scheduler_of(state, self->loop);
    }
    /* A loop that was closed has dropped what was queued. */
    return sched != NULL && sched->poller != NULL ? sched : NULL;
}

void
pyaio_deadline_disarm(PyaioState *state, PyaioDeadline *self)
{
    PyaioScheduler *sched = deadline_queued_on(state, self);
    self->armed = 0;
    if (sched == NULL) {
        return;
    }
    if (self->node.index == PYAIO_HEAP_NONE) {
        self->stale++;
        return;
    }
    PyObject *context = self->context;
    self->context = NULL;
    pyaio_sched_remove_timer(sched, &self->node);
    Py_XDECREF(context);
}

int
pyaio_deadline_fire(PyaioDeadline *self)
{
    if (self->stale > 0) {
        self->stale--;
        if (self->loop == NULL) { /* cleared since, which is not done again */
            Py_CLEAR(self->context);
        }
        return 0;
    }
    int armed = self->armed;
    self->armed = 0;
    return armed;
}

PyObject *
pyaio_deadline_context(PyaioState *state, PyaioDeadline *self)
{
    if (self->context == NULL) { /* disarmed, and cleared since */
        self->context = pyaio_context_capture(state);
        if (self->context == NULL) {
            return NULL;
        }
    }
    return pyaio_context_resolve(state, &self->context);
}

/* The deadline's entry in the ready queue, where it has fired already. */
static PyaioRingItem *
deadline_ready_entry(PyaioDeadline *self, PyaioScheduler *sched)
{
    uint32_t stale = self->stale;
    size_t length = pyaio_ring_length(&sched->ready);
    for (size_t i = 0; i < length; i++) {
        PyaioRingItem *item = pyaio_ring_at(&sched->ready, i);
        if (item->kind == self->node.kind && item->a == self->node.owner &&
            stale-- == 0) {
            return item;
        }
    }
    return NULL;
}

/* Gives the deadline's place in the queues, and with it a new reference, to
 * `handle`. */
static void
deadline_replace(PyaioDeadline *self, PyaioScheduler *sched, PyObject *handle)
{
    PyObject *owner = self->node.owner;
    if (self->node.index != PYAIO_HEAP_NONE) {
        PyaioTimerNode *node = &((PyaioTimerHandle *)handle)->node;
        pyaio_heap_replace(&sched->timers, &self->node, node);
    }
    else {
        PyaioRingItem *item = deadline_ready_entry(self, sched);
        if (item == NULL) {
            return;
        }
        item->kind = &pyaio_ready_handle;
        item->a = handle;
    }
    Py_INCREF(handle);
    Py_DECREF(owner);
}

PyObject *
pyaio_deadline_as_handle(PyaioState *state, PyaioDeadline *self,
                         PyObject *callback, PyObject *when)
{
    PyObject *context = pyaio_deadline_context(state, self);
    if (context == NULL) {
        return NULL;
    }
    double seconds = self->soon ? 0 : PyFloat_AsDouble(when);
    if (seconds == -1.0 && PyErr_Occurred()) {
        return NULL;
    }
    PyObject *loop = self->loop;
    PyObject *handle =
        self->soon ? pyaio_handle_new(state, callback, NULL, 0, loop, context)
                   : pyaio_timer_handle_new(state, when, seconds, callback,
                                            NULL, 0, loop, context);
    if (handle == NULL) {
        return NULL;
    }
    PyObject_GC_Track(handle);
    PyaioScheduler *sched = deadline_queued_on(state, self);
    if (sched != NULL) {
        deadline_replace(self, sched, handle);
    }
    self->armed = 0;
    return handle;
}
