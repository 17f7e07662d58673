/* The Python methods and attributes that Future and Task have in common. The
 * two extend different stock types, so each lists them in its own table. */
#ifndef PYAIO_TASK_FUTURE_METHODS_H
#define PYAIO_TASK_FUTURE_METHODS_H

#include "task/future.h"

PyObject *pyaio_future_py_result(PyObject *op, PyObject *unused);
PyObject *pyaio_future_py_exception(PyObject *op, PyObject *unused);
PyObject *pyaio_future_py_add_done_callback(PyObject *op,
                                            PyObject *const *args,
                                            Py_ssize_t nargs,
                                            PyObject *kwnames);
PyObject *pyaio_future_py_remove_done_callback(PyObject *op, PyObject *fn);
PyObject *pyaio_future_py_cancelled(PyObject *op, PyObject *unused);
PyObject *pyaio_future_py_done(PyObject *op, PyObject *unused);
PyObject *pyaio_future_py_await(PyObject *op, PyObject *unused);
PyObject *pyaio_future_py_get_loop(PyObject *op, PyObject *unused);
PyObject *pyaio_future_py_make_cancelled_error(PyObject *op, PyObject *unused);
PyObject *pyaio_future_py_class_getitem(PyObject *cls, PyObject *item);

PyObject *pyaio_future_get_state(PyObject *op, void *closure);
PyObject *pyaio_future_get_blocking(PyObject *op, void *closure);
int pyaio_future_set_blocking(PyObject *op, PyObject *value, void *closure);
PyObject *pyaio_future_get_loop(PyObject *op, void *closure);
PyObject *pyaio_future_get_callbacks(PyObject *op, void *closure);
PyObject *pyaio_future_get_result_field(PyObject *op, void *closure);
PyObject *pyaio_future_get_exception(PyObject *op, void *closure);
PyObject *pyaio_future_get_log_tb(PyObject *op, void *closure);
int pyaio_future_set_log_tb(PyObject *op, PyObject *value, void *closure);
PyObject *pyaio_future_get_source_traceback(PyObject *op, void *closure);
PyObject *pyaio_future_get_cancel_message(PyObject *op, void *closure);
int pyaio_future_set_cancel_message(PyObject *op, PyObject *value,
                                    void *closure);

/* Parses cancel(msg=None). Returns 0 with *message borrowed (NULL: none). */
int pyaio_future_parse_cancel(PyObject *const *args, Py_ssize_t nargs,
                              PyObject *kwnames, PyObject **message);

/* The future inside `op`, or NULL with RuntimeError where it was never
 * initialised. */
PyaioFuture *pyaio_future_require(PyaioState *state, PyObject *op);

/* The slots behind `await` and iter() (task/iter.c). */
PyObject *pyaio_future_am_await(PyObject *op);
PyObject *pyaio_future_tp_iter(PyObject *op);

/* Reports an exception that nobody retrieved: the part of a finalizer that
 * Future and Task share. Keeps an exception that is set. */
void pyaio_future_finalize_log(PyaioState *state, PyaioFuture *future);

/* Empties a future that is initialised for the second time, or refuses where
 * the running version does. */
int pyaio_future_prepare_again(PyaioFuture *future, const char *name);

/* What a collector sees and clears: our own fields and those of the stock
 * Future, attribute dictionary included. */
int pyaio_future_traverse(PyaioFuture *future, visitproc visit, void *arg);
void pyaio_future_clear(PyaioFuture *future);
void pyaio_future_clear_fields(PyaioFutureBase *base);

/* Setting attributes: notices a cancel() put on the instance. */
int pyaio_future_setattro(PyObject *op, PyObject *name, PyObject *value);

#define PYAIO_FUTURE_METHODS                                                 \
    {"result", pyaio_future_py_result, METH_NOARGS,                          \
     "Return the result, or raise the exception; InvalidStateError while "   \
     "there is none, CancelledError once cancelled."},                       \
        {"exception", pyaio_future_py_exception, METH_NOARGS,                \
         "Return the exception, or None; InvalidStateError while pending, "  \
         "CancelledError once cancelled."},                                  \
        {"add_done_callback",                                                \
         (PyCFunction)(void (*)(void))pyaio_future_py_add_done_callback,     \
         METH_FASTCALL | METH_KEYWORDS,                                      \
         "add_done_callback($self, fn, /, *, context=None)\n--\n\n"          \
         "Call fn(self) soon after this is done, in `context` or a copy of " \
         "the current one."},                                                \
        {"remove_done_callback", pyaio_future_py_remove_done_callback,       \
         METH_O,                                                             \
         "remove_done_callback($self, fn, /)\n--\n\n"                        \
         "Remove every registration of fn; return how many there were."},    \
        {"__await__", pyaio_future_py_await, METH_NOARGS | METH_COEXIST,     \
         "Return an iterator to be used in an await expression."},           \
        {"cancelled", pyaio_future_py_cancelled, METH_NOARGS,                \
         "Return True if this was cancelled."},                              \
        {"done", pyaio_future_py_done, METH_NOARGS,                          \
         "Return True if this has a result or an exception or was "          \
         "cancelled."},                                                      \
        {"get_loop", pyaio_future_py_get_loop, METH_NOARGS,                  \
         "Return the event loop that this is bound to."},                    \
        {"_make_cancelled_error", pyaio_future_py_make_cancelled_error,      \
         METH_NOARGS,                                                        \
         "Create the CancelledError to raise; once only, because it hands "  \
         "out the stored one."},                                             \
    {                                                                        \
        "__class_getitem__", pyaio_future_py_class_getitem,                  \
            METH_O | METH_CLASS, NULL                                        \
    }

#define PYAIO_FUTURE_GETSET                                                  \
    {"_state", pyaio_future_get_state, NULL, NULL, NULL},                    \
        {"_asyncio_future_blocking", pyaio_future_get_blocking,              \
         pyaio_future_set_blocking, NULL, NULL},                             \
        {"_loop", pyaio_future_get_loop, NULL, NULL, NULL},                  \
        {"_callbacks", pyaio_future_get_callbacks, NULL, NULL, NULL},        \
        {"_result", pyaio_future_get_result_field, NULL, NULL, NULL},        \
        {"_exception", pyaio_future_get_exception, NULL, NULL, NULL},        \
        {"_log_traceback", pyaio_future_get_log_tb, pyaio_future_set_log_tb, \
         NULL, NULL},                                                        \
        {"_source_traceback", pyaio_future_get_source_traceback, NULL, NULL, \
         NULL},                                                              \
    {                                                                        \
        "_cancel_message", pyaio_future_get_cancel_message,                  \
            pyaio_future_set_cancel_message, NULL, NULL                      \
    }

#endif
