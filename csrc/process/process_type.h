/* Process: a child with its streams. */
#ifndef PYAIO_PROCESS_PROCESS_TYPE_H
#define PYAIO_PROCESS_PROCESS_TYPE_H

#include "stream/methods.h"

/* Methods that communicate() calls, in the order of the table in
 * process_type.c. */
enum {
    PYAIO_PROCESS_FEED_STDIN = 1u << 0,
    PYAIO_PROCESS_READ_STREAM = 1u << 1,
    PYAIO_PROCESS_NOOP = 1u << 2,
    PYAIO_PROCESS_WAIT = 1u << 3,
};

typedef struct {
    PyaioStream head;
    /* Each NULL where there is no such attribute. */
    PyObject *transport;  /* owned */
    PyObject *protocol;   /* owned */
    PyObject *streams[3]; /* owned: stdin, stdout, stderr; None for no pipe */
    PyObject *pid;        /* owned */
} PyaioProcess;

extern const PyaioStreamMethods pyaio_process_methods;

#endif
