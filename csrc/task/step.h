/* Inside a task: its steps and its place in asyncio's bookkeeping. */
#ifndef PYAIO_TASK_STEP_H
#define PYAIO_TASK_STEP_H

#include "base/interop.h"
#include "task/task.h"

/* A step where the task is current already. Returns 0, or -1 with an exception
 * (of the machinery, or one that breaks out of the loop). */
int pyaio_task_step_inside(PyaioState *state, PyaioTask *task,
                           PyObject *exception);

/* Queues a step that throws `exception`, or none. */
int pyaio_task_schedule_step(PyaioState *state, PyaioTask *task,
                             PyObject *exception);

/* Where `loop` keeps its current task, filled into *storage; NULL where the
 * loop is not ours. */
static inline const PyaioTaskPlace *
pyaio_task_place(PyaioState *state, PyObject *loop, PyaioTaskPlace *storage)
{
    PyaioScheduler *sched = pyaio_scheduler_of(state, loop);
    if (sched == NULL || !sched->shares_current_task) {
        return NULL;
    }
    storage->loop = loop;
    storage->current = &sched->current_task;
    storage->written = &sched->written_task;
    return storage;
}

/* The registry of unfinished tasks, which all_tasks() reads. */
int pyaio_task_register(PyaioState *state, PyaioTask *task);
void pyaio_task_unregister(PyaioTask *task);

#endif
