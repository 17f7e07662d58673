/* EventLoopBase: the scheduler's Python face. */
#ifndef PYAIO_LOOP_LOOP_H
#define PYAIO_LOOP_LOOP_H

#include "sched/sched.h"

typedef struct {
    PyaioLoopHead head;
    PyObject *exception_handler; /* owned, or NULL */
    PyObject *old_agen_hooks; /* owned: asyncgen hooks to restore, or NULL */
    int closed;
} PyaioLoop;

/* Raises RuntimeError and returns NULL unless the loop is open. */
PyaioScheduler *pyaio_loop_require_open(PyObject *op);
/* In debug mode: is this the loop's own thread? Returns 0, or -1 with
 * RuntimeError. */
int pyaio_loop_check_thread(PyaioScheduler *sched);

/* method(op, ...), a method of the running version's loop, with the arguments
 * of a vectorcall. */
PyObject *pyaio_loop_call_stock(PyObject *method, PyObject *op,
                                PyObject *const *args, Py_ssize_t nargs,
                                PyObject *kwnames);

/* Checks a vectorcall of (`required` arguments, *args, context=None). Returns
 * 0 with *context borrowed or NULL, or -1 with TypeError. */
int pyaio_loop_parse_context(PyaioState *state, const char *method,
                             PyObject *const *args, Py_ssize_t nargs,
                             Py_ssize_t required, PyObject *kwnames,
                             PyObject **context);

/* _simulate_time(loop, milliseconds): for tests. */
PyObject *pyaio_py_simulate_time(PyObject *module, PyObject *args);

int pyaio_loop_init(PyObject *module);

/* The methods of the type, by subject; each ends with a NULL entry. */
extern PyMethodDef pyaio_loop_schedule_methods[];
extern PyMethodDef pyaio_loop_run_methods[];
extern PyMethodDef pyaio_loop_watch_methods[];
extern PyMethodDef pyaio_loop_executor_methods[];
extern PyMethodDef pyaio_loop_network_methods[];
/* The type behind run_in_executor(). */
int pyaio_work_item_init(PyObject *module);

#endif
