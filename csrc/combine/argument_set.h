/* Which of a call's arguments occur more than once. */
#ifndef PYAIO_COMBINE_ARGUMENT_SET_H
#define PYAIO_COMBINE_ARGUMENT_SET_H

#include "base/compat.h"

typedef struct {
    PyObject *const *args;
    PyObject *dict;    /* owned: argument -> index, where one of them defines
                          its own equality; NULL where identity decides */
    Py_ssize_t *slots; /* owned: hash table of indices plus one; NULL where
                          the arguments are few enough to look through */
    size_t mask;       /* of that table's length, a power of two */
} PyaioArgumentSet;

/* Returns 0, or -1 with an exception, and nothing to free. */
int pyaio_argument_set_init(PyaioArgumentSet *set, PyObject *const *args,
                            Py_ssize_t nargs);
void pyaio_argument_set_free(PyaioArgumentSet *set);

/* Adds argument `index`; those before it are in. Returns the index of an equal
 * one, `index` itself where there is none, or -1 with an exception. */
Py_ssize_t pyaio_argument_set_add(PyaioArgumentSet *set, Py_ssize_t index);

#endif
