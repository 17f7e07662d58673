/* TaskGroup, natively: its common course. Whatever is unusual (a body or a
 * child that fails, a cancellation, wrong use) is left to the methods of the
 * running version, which work on the same object through its attributes. */
#ifndef PYAIO_COMBINE_TASKGROUP_H
#define PYAIO_COMBINE_TASKGROUP_H

#include "combine/coroutine.h"

typedef struct {
    PyObject_HEAD
    PyObject *loop;         /* owned; NULL or None, here and below */
    PyObject *parent_task;  /* owned */
    PyObject *tasks;        /* owned: set of children that have not ended; NULL
                               before initialisation */
    PyObject *errors;       /* owned: list; NULL is an empty one */
    PyObject *base_error;   /* owned */
    PyObject *on_completed; /* owned: future that the exit waits for */
    char entered;
    char exiting;
    char aborting;
    char parent_cancel_requested;
    char cancel_on_enter;
    char child_end; /* CHILD_END_*: whether _on_task_done() is ours */
} PyaioTaskGroup;

/* Whether `op` is a group of ours, or of a class derived from ours. */
static inline int
pyaio_taskgroup_check(const PyaioState *state, PyObject *op)
{
    return (PyObject *)Py_TYPE(op) == state->TaskGroup ||
           PyObject_TypeCheck(op, state->TaskGroupBase_type);
}

/* Whether a field has a value other than None. */
static inline int
pyaio_taskgroup_has(const PyObject *field)
{
    return field != NULL && field != Py_None;
}

/* Whether nothing has happened that only stock's own code shall deal with. */
static inline int
pyaio_taskgroup_is_calm(const PyaioTaskGroup *self)
{
    return self->tasks != NULL && !self->aborting &&
           !self->parent_cancel_requested &&
           !pyaio_taskgroup_has(self->base_error) &&
           (self->errors == NULL || (PyList_CheckExact(self->errors) &&
                                     PyList_GET_SIZE(self->errors) == 0));
}

/* __aenter__() and __aexit__() (combine/taskgroup_coroutines.c): makes their
 * type and puts them into TaskGroupBase. */
int pyaio_taskgroup_coroutines_init(PyObject *module);

/* Puts a stand-in for `stock` into TaskGroupBase. */
int pyaio_taskgroup_add(PyaioState *state, const char *name, PyObject *stock,
                        PyaioNativeCall call);

#endif
