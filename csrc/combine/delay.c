/* Delay: an entry that runs later, in the timers of a loop of ours itself. */
#include "combine/delay.h"

/* Whether call_later(seconds) of that loop is what we do ourselves. */
static PyaioScheduler *
delay_scheduler(PyaioState *state, PyObject *loop, PyObject *seconds)
{
    if (!PyFloat_CheckExact(seconds) && !PyLong_CheckExact(seconds)) {
        return NULL;
    }
    return pyaio_sched_direct(state, loop,
                              PYAIO_LOOP_CALL_LATER | PYAIO_LOOP_CALL_AT |
                                  PYAIO_LOOP_TIME);
}

static int
delay_start_directly(PyaioDelay *self, PyaioScheduler *sched,
                     PyObject *seconds, const PyaioReadyKind *kind,
                     PyObject *target)
{
    double now, delay = PyFloat_AsDouble(seconds);
    if ((delay == -1.0 && PyErr_Occurred()) ||
        pyaio_sched_time(sched, &now) < 0) {
        return -1;
    }
    self->node.index = PYAIO_HEAP_NONE;
    self->node.kind = kind;
    self->node.owner = target;
    if (pyaio_sched_add_timer(sched, now + delay, &self->node) < 0) {
        return -1;
    }
    Py_XSETREF(self->loop, Py_NewRef(sched->loop));
    return 0;
}

int
pyaio_delay_start(PyaioState *state, PyaioDelay *self, PyObject *loop,
                  PyObject *seconds, const PyaioReadyKind *kind,
                  PyObject *target)
{
    PyaioScheduler *sched = delay_scheduler(state, loop, seconds);
    if (sched != NULL) {
        return delay_start_directly(self, sched, seconds, kind, target);
    }
    PyObject *call = pyaio_ready_call_new(state, kind, target, NULL);
    PyObject *method =
        call ? PyObject_GetAttr(loop, state->str_call_later) : NULL;
    PyObject *handle =
        method ? PyObject_CallFunctionObjArgs(method, seconds, call, NULL)
               : NULL;
    Py_XDECREF(method);
    Py_XDECREF(call);
    Py_XSETREF(self->handle, handle);
    return handle ? 0 : -1;
}

int
pyaio_delay_cancel(PyaioState *state, PyaioDelay *self)
{
    PyObject *loop = self->loop, *handle = self->handle;
    self->loop = self->handle = NULL;
    if (loop != NULL) {
        PyaioScheduler *sched = pyaio_scheduler_of(state, loop);
        if (sched != NULL) { /* or the module is being torn down */
            pyaio_sched_remove_timer(sched, &self->node);
        }
        Py_DECREF(loop);
    }
    int err = 0;
    if (handle != NULL) {
        PyObject *done = PyObject_CallMethodNoArgs(handle, state->str_cancel);
        err = done ? 0 : -1;
        Py_XDECREF(done);
        Py_DECREF(handle);
    }
    return err;
}

void
pyaio_delay_clear(PyaioState *state, PyaioDelay *self)
{
    /* A handle owns the target while it is scheduled. It has run, or the
     * collector takes both, perhaps the handle's fields first. */
    Py_CLEAR(self->handle);
    PyObject *raised = PyErr_GetRaisedException();
    if (pyaio_delay_cancel(state, self) < 0) {
        PyErr_WriteUnraisable(NULL);
    }
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
}
