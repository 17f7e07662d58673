/* as_completed(): an iterator over futures in the order of their ends, and the
 * coroutines that wait for the next one. */
#ifndef PYAIO_COMBINE_AS_COMPLETED_H
#define PYAIO_COMBINE_AS_COMPLETED_H

#include "combine/coroutine.h"
#include "combine/delay.h"
#include "combine/watching.h"

typedef struct {
    PyObject_HEAD
    PyObject *todo; /* owned: set of futures that have not ended */
    /* Owned, and each from `first` to `last`: what ended and nobody has taken
     * yet; NULL stands for the timeout. There is space for all of `todo`. */
    PyObject **ended;
    Py_ssize_t first;
    Py_ssize_t last;
    Py_ssize_t capacity;
    Py_ssize_t left;     /* how many the iteration has still to give out */
    PyObject *loop;      /* owned: which all consumers run on, NULL before */
    PyaioLink consumers; /* coroutines that wait, owned, by age */
    PyaioDelay delay;
    PyaioWatching watching;
} PyaioAsCompleted;

/* A coroutine that takes what ended next. */
typedef struct {
    PyaioCoroutine head;
    PyaioAsCompleted *source; /* owned */
    PyaioLink link;           /* in the source's consumers while it waits */
    uint8_t resolve;          /* it returns the future's result */
} PyaioConsumer;

/* For __next__(): it returns the future's result. */
PyObject *pyaio_consumer_new(PyaioState *state, PyaioAsCompleted *source);
/* For __anext__(): it returns the future. */
PyObject *pyaio_anext_new(PyaioState *state, PyaioAsCompleted *source);

/* Takes it out of the consumers, where it is among them; the caller holds
 * it. */
void pyaio_consumer_unlink(PyaioConsumer *self);
/* Lets the oldest consumer go on. Returns 0, or -1 with an exception. */
int pyaio_consumer_wake_next(PyaioState *state, PyaioAsCompleted *source);

int pyaio_consumer_init(PyObject *module);

#endif
