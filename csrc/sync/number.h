/* The counter of a semaphore: an int of the usual size, or any object that a
 * program put there, used as Python would. */
#ifndef PYAIO_SYNC_NUMBER_H
#define PYAIO_SYNC_NUMBER_H

#include "base/compat.h"

typedef struct {
    Py_ssize_t plain;
    PyObject *odd; /* owned: the value, where it is not an exact int of that
                      size; else NULL */
    int is_set;    /* 0 while there is no value */
} PyaioNumber;

/* Takes the value of `value`; NULL: none. */
int pyaio_number_set(PyaioNumber *self, PyObject *value);
/* The value as an object: a new reference. */
PyObject *pyaio_number_get(const PyaioNumber *self);
int pyaio_number_add_slowly(PyaioNumber *self, int step);
/* self <op> other, with Py_EQ, Py_GT or Py_GE; -1 on error. */
int pyaio_number_compare(const PyaioNumber *self, const PyaioNumber *other,
                         int op);

/* Adds 1 or -1. Returns 0 or -1. */
static inline int
pyaio_number_add(PyaioNumber *self, int step)
{
    if (self->odd == NULL && self->plain < PY_SSIZE_T_MAX &&
        self->plain > PY_SSIZE_T_MIN) {
        self->plain += step;
        return 0;
    }
    return pyaio_number_add_slowly(self, step);
}

static inline int
pyaio_number_traverse(PyaioNumber *self, visitproc visit, void *arg)
{
    Py_VISIT(self->odd);
    return 0;
}

static inline int
pyaio_number_is_zero(const PyaioNumber *self)
{
    static const PyaioNumber zero = {.is_set = 1};
    return self->odd ? pyaio_number_compare(self, &zero, Py_EQ)
                     : self->plain == 0;
}

static inline int
pyaio_number_is_positive(const PyaioNumber *self)
{
    static const PyaioNumber zero = {.is_set = 1};
    return self->odd ? pyaio_number_compare(self, &zero, Py_GT)
                     : self->plain > 0;
}

#endif
