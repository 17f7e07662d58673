/* Task: a coroutine driven by a loop. */
#ifndef PYAIO_TASK_TASK_H
#define PYAIO_TASK_TASK_H

#include "task/future.h"

/* Ready entries: (task, exception or NULL) and (task, the future that is
 * done). */
extern const PyaioReadyKind pyaio_ready_task_step;
extern const PyaioReadyKind pyaio_ready_task_wakeup;

/* A new Task, scheduled (or, with `eager`, started at once where its loop is
 * running). `name`, `context` NULL or None: the default. */
PyObject *pyaio_task_new(PyaioState *state, PyObject *coro, PyObject *loop,
                         PyObject *name, PyObject *context, int eager);
/* loop.create_task(coro), with the shortcut where nobody overrode it and no
 * task factory is set. `kwnames`/`kwvalues` as of a vectorcall, may be
 * NULL. */
PyObject *pyaio_loop_create_task(PyaioState *state, PyObject *loop,
                                 PyObject *coro, PyObject *const *kwvalues,
                                 PyObject *kwnames);

/* Whether asyncio.tasks.Task, which stock loops instantiate, is stock's or
 * ours: a program may have put another class there. */
int pyaio_task_class_is_ours(PyaioState *state);
/* The same of a loop of ours that has no task factory. */
PyObject *pyaio_task_create(PyaioState *state, PyObject *loop, PyObject *coro,
                            PyObject *const *kwvalues, PyObject *kwnames);

/* Task.cancel() of exactly our type. Returns its truth, or -1. */
int pyaio_task_cancel(PyaioState *state, PyaioTask *task, PyObject *message);

/* One step, inside the task's context: resumes the coroutine, throwing
 * `exception` if it is not NULL. Returns 0, or -1 with an exception. */
int pyaio_task_step(PyaioState *state, PyaioTask *task, PyObject *exception);

int pyaio_task_init(PyObject *module);
int pyaio_task_registry_init(PyObject *module);

#endif
