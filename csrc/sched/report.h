/* What happens when a callback raises, and what debug mode adds. */
#ifndef PYAIO_SCHED_REPORT_H
#define PYAIO_SCHED_REPORT_H

#include "sched/sched.h"

/* Hands the exception that is set to the loop's exception handler, unless it
 * breaks out of the loop (SystemExit, KeyboardInterrupt). Returns 0, or -1
 * with
 * the exception that breaks out. */
int pyaio_report_handle(PyaioState *state, PyObject *handle);
int pyaio_report_entry(PyaioState *state, PyObject *loop,
                       const PyaioReadyKind *kind, PyObject *a, PyObject *b);

/* loop.call_exception_handler({"message": ..., key: value, ...}): pairs of
 * name
 * and value, NULL values left out, ended by a NULL name. */
int pyaio_call_exception_handler(PyaioState *state, PyObject *loop,
                                 PyObject *message, ...);

/* Runs one ready entry, consuming its references, under the eyes of debug
 * mode: what is slow is reported. */
int pyaio_debug_run(PyaioScheduler *sched, PyaioRingItem *item);

#endif
