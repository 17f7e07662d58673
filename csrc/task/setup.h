/* Filling in a Task: for the layer's own files. */
#ifndef PYAIO_TASK_SETUP_H
#define PYAIO_TASK_SETUP_H

#include "task/task.h"

/* Tells the future inside new memory that it belongs to a task. */
static inline void
pyaio_task_mark(PyObject *op)
{
    PyaioTask *task = (PyaioTask *)op;
    task->future.is_task = 1;
#if PYAIO_HAS_CALL_GRAPH
    task->base.future.is_task = 1; /* for tools that read our memory */
#endif
}

/* Task.__init__(): fills in and starts. */
int pyaio_task_setup(PyaioState *state, PyaioTask *task, PyObject *coro,
                     PyObject *loop, PyObject *name, PyObject *context,
                     int eager);
int pyaio_task_set_name(PyaioTask *task, PyObject *name);

#endif
