/* Finding where a part of a stream ends. */
#ifndef PYAIO_STREAM_SEPARATOR_H
#define PYAIO_STREAM_SEPARATOR_H

#include "base/compat.h"

/* Whether readuntil() can look for it natively: bytes that are not empty, or
 * a tuple of such where the running version takes one. */
int pyaio_separator_is_usual(PyObject *separator);

/* The same as what the search below takes: the bytes object itself, or a
 * tuple sorted by length. A new reference, or NULL. */
PyObject *pyaio_separator_prepare(PyObject *separator);

typedef struct {
    Py_ssize_t start; /* of the separator that ends first, -1 for none */
    Py_ssize_t end;
} PyaioMatch;

/* Looks for a prepared separator from *offset on. Where there is none, *offset
 * becomes the place from which on one may still begin. */
PyaioMatch pyaio_separator_find(PyObject *separator, const char *bytes,
                                Py_ssize_t size, Py_ssize_t *offset);

#endif
