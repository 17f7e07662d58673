/* EventLoop methods that run, stop and close. */
#include "base/interop.h"
#include "loop/loop.h"

#include <pythread.h>

PyaioScheduler *
pyaio_loop_require_open(PyObject *op)
{
    PyaioLoop *self = (PyaioLoop *)op;
    if (self->head.sched.poller != NULL) {
        return &self->head.sched;
    }
    PyErr_SetString(PyExc_RuntimeError,
                    self->head.sched.state == NULL
                        ? "EventLoop.__init__() was not called"
                        : "Event loop is closed");
    return NULL;
}

static PyObject *
Loop_check_closed(PyObject *op, PyObject *Py_UNUSED(unused))
{
    if (pyaio_loop_require_open(op) == NULL) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static int
call_method_quietly(PyObject *op, PyObject *name)
{
    PyObject *done = PyObject_CallMethodNoArgs(op, name);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int
track_coroutine_origins(PyaioLoop *self, int enabled)
{
    PyObject *done = PyObject_CallMethodOneArg(
        (PyObject *)self,
        self->head.sched.state->str__set_coroutine_origin_tracking,
        enabled ? Py_True : Py_False);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* Makes the loop the one that hears of asynchronous generators. */
static int
install_asyncgen_hooks(PyaioLoop *self)
{
    PyObject *op = (PyObject *)self;
    PyaioState *state = self->head.sched.state;
    PyObject *old = PyObject_CallNoArgs(state->get_asyncgen_hooks);
    if (old == NULL) {
        return -1;
    }
    Py_XSETREF(self->old_agen_hooks, old);
    PyObject *first =
        PyObject_GetAttr(op, state->str__asyncgen_firstiter_hook);
    PyObject *final =
        first ? PyObject_GetAttr(op, state->str__asyncgen_finalizer_hook)
              : NULL;
    PyObject *done = final ? PyObject_CallFunctionObjArgs(
                                 state->set_asyncgen_hooks, first, final, NULL)
                           : NULL;
    Py_XDECREF(first);
    Py_XDECREF(final);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int
restore_asyncgen_hooks(PyaioLoop *self)
{
    PyObject *old = self->old_agen_hooks;
    if (old == NULL) {
        return 0;
    }
    self->old_agen_hooks = NULL;
    PyObject *done =
        PyObject_CallObject(self->head.sched.state->set_asyncgen_hooks, old);
    Py_DECREF(old);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* Takes the exception of a step that failed, and keeps the first one. */
static void
keep_first(PyObject **raised, int err)
{
    if (err < 0) {
        PyObject *exc = PyErr_GetRaisedException();
        if (*raised == NULL) {
            *raised = exc;
        }
        else {
            Py_XDECREF(exc);
        }
    }
}

/* Undoes what the start of a run did, all of it whatever fails. Returns 0, or
 * -1 with the first exception, which may be one that was set before. */
static int
run_forever_end(PyaioLoop *self)
{
    PyaioScheduler *sched = &self->head.sched;
    PyObject *raised = PyErr_GetRaisedException();
    sched->stopping = 0;
    sched->thread_id = 0;
    sched->thread = NULL;
    keep_first(&raised, pyaio_set_running_loop(sched->state, Py_None));
    keep_first(&raised, track_coroutine_origins(self, 0));
    keep_first(&raised, restore_asyncgen_hooks(self));
    if (raised == NULL) {
        return 0;
    }
    PyErr_SetRaisedException(raised);
    return -1;
}

static PyObject *
Loop_run_forever_setup(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioLoop *self = (PyaioLoop *)op;
    PyaioScheduler *sched = pyaio_loop_require_open(op);
    if (sched == NULL ||
        call_method_quietly(op, sched->state->str__check_running) < 0) {
        return NULL;
    }
    sched->thread_id = PyThread_get_thread_ident();
    sched->thread = PyThreadState_Get();
    if (track_coroutine_origins(self, sched->debug) < 0 ||
        install_asyncgen_hooks(self) < 0 ||
        pyaio_set_running_loop(sched->state, op) < 0) {
        (void)run_forever_end(self);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
Loop_run_forever_cleanup(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioLoop *self = (PyaioLoop *)op;
    if (self->head.sched.state != NULL && run_forever_end(self) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
Loop_run_forever(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioScheduler *sched = pyaio_loop_require_open(op);
    if (sched == NULL ||
        call_method_quietly(op, sched->state->str__run_forever_setup) < 0) {
        return NULL;
    }
    int err = pyaio_sched_run(sched);
    PyObject *raised = PyErr_GetRaisedException();
    if (call_method_quietly(op, sched->state->str__run_forever_cleanup) < 0) {
        err = -1;
    }
    if (raised != NULL) {
        PyErr_Clear();
        PyErr_SetRaisedException(raised);
    }
    if (err < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
Loop_stop(PyObject *op, PyObject *Py_UNUSED(unused))
{
    ((PyaioLoop *)op)->head.sched.stopping = 1;
    Py_RETURN_NONE;
}

static PyObject *
Loop_close(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioLoop *self = (PyaioLoop *)op;
    if (self->head.sched.thread_id != 0) {
        PyErr_SetString(PyExc_RuntimeError,
                        "Cannot close a running event loop");
        return NULL;
    }
    self->closed = 1;
    pyaio_sched_close(&self->head.sched);
    Py_RETURN_NONE;
}

static PyObject *
Loop_is_running(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return PyBool_FromLong(((PyaioLoop *)op)->head.sched.thread_id != 0);
}

static PyObject *
Loop_is_closed(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return PyBool_FromLong(((PyaioLoop *)op)->closed);
}

static PyObject *
Loop_get_debug(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return PyBool_FromLong(((PyaioLoop *)op)->head.sched.debug);
}

static PyObject *
Loop_write_to_self(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioScheduler *sched = &((PyaioLoop *)op)->head.sched;
    if (sched->poller != NULL) {
        pyaio_sched_wake(sched);
    }
    Py_RETURN_NONE;
}

PyMethodDef pyaio_loop_run_methods[] = {
    {"run_forever", Loop_run_forever, METH_NOARGS,
     "Run until stop() is called."},
    {"stop", Loop_stop, METH_NOARGS,
     "Let run_forever() return after the iteration that is under way."},
    {"close", Loop_close, METH_NOARGS,
     "Drop what is scheduled and close the poller; RuntimeError while the "
     "loop runs."},
    {"is_running", Loop_is_running, METH_NOARGS,
     "Return True while the loop runs."},
    {"is_closed", Loop_is_closed, METH_NOARGS,
     "Return True once the loop is closed."},
    {"get_debug", Loop_get_debug, METH_NOARGS, "Return True in debug mode."},
    {"_check_closed", Loop_check_closed, METH_NOARGS, NULL},
    {"_run_forever_setup", Loop_run_forever_setup, METH_NOARGS, NULL},
    {"_run_forever_cleanup", Loop_run_forever_cleanup, METH_NOARGS, NULL},
    {"_write_to_self", Loop_write_to_self, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
