/* Reports of failed and of slow callbacks. */
#include "sched/report.h"
#include "base/errors.h"
#include "sched/handle.h"

#include <stdarg.h>

int
pyaio_call_exception_handler(PyaioState *state, PyObject *loop,
                             PyObject *message, ...)
{
    PyObject *context = PyDict_New();
    if (context == NULL ||
        PyDict_SetItem(context, state->str_message, message) < 0) {
        Py_XDECREF(context);
        return -1;
    }
    va_list pairs;
    va_start(pairs, message);
    int err = 0;
    PyObject *name;
    while (err == 0 && (name = va_arg(pairs, PyObject *)) != NULL) {
        PyObject *value = va_arg(pairs, PyObject *);
        if (value != NULL) {
            err = PyDict_SetItem(context, name, value);
        }
    }
    va_end(pairs);
    PyObject *result = NULL;
    if (err == 0) {
        result = PyObject_CallMethodOneArg(
            loop, state->str_call_exception_handler, context);
    }
    Py_DECREF(context);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

int
pyaio_report_handle(PyaioState *state, PyObject *handle)
{
    if (pyaio_error_is_exit()) {
        return -1;
    }
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *source = pyaio_handle_format_source(state, handle);
    PyObject *message =
        source ? PyUnicode_FromFormat("Exception in callback %U", source)
               : NULL;
    Py_XDECREF(source);
    int err = -1;
    if (message != NULL) {
        PyaioHandleBase *self = (PyaioHandleBase *)handle;
        err = pyaio_call_exception_handler(
            state, self->loop, message, state->str_exception, exc,
            state->str_handle, handle, state->str_source_traceback,
            self->source_traceback, NULL);
        Py_DECREF(message);
    }
    Py_DECREF(exc);
    return err;
}

/* A Handle that stands for a native entry. */
static PyObject *
entry_as_handle(PyaioState *state, PyObject *loop, const PyaioReadyKind *kind,
                PyObject *a, PyObject *b)
{
    PyObject *call = pyaio_ready_call_new(state, kind, a, b);
    if (call == NULL) {
        return NULL;
    }
    PyObject *context = NULL;
    if (kind->context != NULL) {
        context = kind->context(state, a);
        if (context == NULL) {
            Py_DECREF(call);
            return NULL;
        }
    }
    PyObject *handle = pyaio_handle_new(state, call, NULL, 0, loop, context);
    Py_DECREF(call);
    return handle;
}

int
pyaio_report_entry(PyaioState *state, PyObject *loop,
                   const PyaioReadyKind *kind, PyObject *a, PyObject *b)
{
    if (pyaio_error_is_exit()) {
        return -1;
    }
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *handle = entry_as_handle(state, loop, kind, a, b);
    if (handle == NULL) {
        Py_DECREF(exc);
        return -1;
    }
    PyErr_SetRaisedException(exc);
    int err = pyaio_report_handle(state, handle);
    pyaio_handle_release(handle);
    return err;
}

/* Warns where `handle` took longer than the loop allows. */
static int
debug_check_duration(PyaioScheduler *sched, PyObject *handle, double duration)
{
    PyObject *limit =
        PyObject_GetAttrString(sched->loop, "slow_callback_duration");
    PyObject *taken = PyFloat_FromDouble(duration);
    int slow = limit != NULL && taken != NULL
                   ? PyObject_RichCompareBool(taken, limit, Py_GE)
                   : -1;
    Py_XDECREF(limit);
    if (slow > 0) {
        PyObject *text =
            PyObject_CallOneArg(sched->state->format_handle, handle);
        PyObject *logger =
            PyObject_GetAttrString(sched->state->base_events, "logger");
        PyObject *done =
            text != NULL && logger != NULL
                ? PyObject_CallMethod(logger, "warning", "sOO",
                                      "Executing %s took %.3f seconds", text,
                                      taken)
                : NULL;
        Py_XDECREF(text);
        Py_XDECREF(logger);
        slow = done ? 0 : -1;
        Py_XDECREF(done);
    }
    Py_XDECREF(taken);
    return slow < 0 ? -1 : 0;
}

/* The Handle to run for an entry, and the time before it runs: a new
 * reference, or NULL with an exception. */
static PyObject *
debug_begin(PyaioScheduler *sched, const PyaioRingItem *item, double *start)
{
    PyObject *handle = item->kind == &pyaio_ready_handle
                           ? Py_NewRef((PyObject *)item->a)
                           : entry_as_handle(sched->state, sched->loop,
                                             item->kind, item->a, item->b);
    if (handle != NULL && !pyaio_handle_is_cancelled(handle) &&
        pyaio_sched_time(sched, start) < 0) {
        pyaio_handle_release(handle);
        return NULL;
    }
    return handle;
}

/* An interrupt came before a native entry could run, which nobody would queue
 * again. Keeps the exception. */
static void
debug_put_back(PyaioScheduler *sched, const PyaioRingItem *item)
{
    PyObject *raised = PyErr_GetRaisedException();
    if (item->kind != &pyaio_ready_handle &&
        pyaio_sched_push(sched, item->kind, item->a, item->b) < 0) {
        PyErr_Clear();
    }
    PyErr_SetRaisedException(raised);
}

int
pyaio_debug_run(PyaioScheduler *sched, PyaioRingItem *item)
{
    double start = 0, end = 0;
    PyObject *handle = debug_begin(sched, item, &start);
    if (handle == NULL) {
        debug_put_back(sched, item);
    }
    Py_DECREF((PyObject *)item->a);
    Py_XDECREF((PyObject *)item->b);
    if (handle == NULL) {
        return -1;
    }
    int cancelled = pyaio_handle_is_cancelled(handle);
    int err = 0;
    if (err == 0 && !cancelled) {
        sched->current_handle = handle;
        err = pyaio_handle_run(sched->state, handle);
        if (err == 0) {
            err = pyaio_sched_time(sched, &end);
        }
        if (err == 0) {
            err = debug_check_duration(sched, handle, end - start);
        }
        sched->current_handle = NULL;
    }
    pyaio_handle_release(handle);
    return err;
}
