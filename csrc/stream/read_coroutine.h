/* A coroutine that reads: it tries, waits for data, and tries again. */
#ifndef PYAIO_STREAM_READ_COROUTINE_H
#define PYAIO_STREAM_READ_COROUTINE_H

#include "combine/coroutine.h"
#include "stream/reader.h"

typedef struct {
    PyaioCoroutine head;
    PyaioReader *reader; /* owned */
    PyObject *argument;  /* owned: what it was called with, or NULL */
    PyObject *separator; /* owned: as prepared for the search, or NULL */
    PyObject *blocks;    /* owned: list of what read(-1) has so far, or NULL */
    Py_ssize_t n;        /* bytes that are wanted; in readuntil(), how far
                            there is no separator */
    uint8_t waited;      /* data was waited for since the last block */
    uint8_t owns_waiter; /* the reader's waiter is from here */
} PyaioRead;

typedef struct {
    PyaioCoroutineKind base;
    const char *name; /* in the error of who waits second */
    /* Tries to get along without waiting: PYGEN_NEXT where that is not
     * possible. */
    PySendResult (*attempt)(PyaioState *state, PyaioRead *self,
                            PyObject **result);
    unsigned calls; /* methods that stock's function calls, besides those for
                       waiting and resuming: PYAIO_READER_* */
    int needs_separator; /* the end of the stream does not stand for one */
} PyaioReadForm;

static inline const PyaioReadForm *
pyaio_read_form(PyaioRead *self)
{
    return (const PyaioReadForm *)(const void *)self->head.kind;
}

/* One for each kind, as PyaioReadForm.attempt. */
PySendResult pyaio_attempt_read(PyaioState *state, PyaioRead *self,
                                PyObject **result);
PySendResult pyaio_attempt_exactly(PyaioState *state, PyaioRead *self,
                                   PyObject **result);
PySendResult pyaio_attempt_until(PyaioState *state, PyaioRead *self,
                                 PyObject **result);
PySendResult pyaio_attempt_line(PyaioState *state, PyaioRead *self,
                                PyObject **result);
PySendResult pyaio_attempt_next(PyaioState *state, PyaioRead *self,
                                PyObject **result);

#endif
