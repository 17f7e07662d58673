/* StreamWriter: a transport, and the protocol whose flow control it waits
 * for. */
#ifndef PYAIO_STREAM_WRITER_H
#define PYAIO_STREAM_WRITER_H

#include "stream/methods.h"

typedef struct {
    PyaioStream head;
    /* Each NULL where there is no such attribute. */
    PyObject *transport; /* owned */
    PyObject *protocol;  /* owned */
    PyObject *reader;    /* owned, or None */
    PyObject *complete;  /* owned: `_complete_fut`, made when it is asked
                            for */
} PyaioWriter;

/* write(), drain() and close(). */
extern const PyaioStreamMethods pyaio_writer_methods;

/* StreamWriter(transport, protocol, None, loop) */
PyObject *pyaio_writer_new(PyaioState *state, PyObject *transport,
                           PyObject *protocol, PyObject *loop);
/* The protocol: a new reference, or NULL with AttributeError. */
PyObject *pyaio_writer_protocol(PyaioWriter *self);
/* transport.is_closing(): 1, 0, or -1 with an exception. */
int pyaio_writer_is_closing(PyaioState *state, PyaioWriter *self);
/* Raises the exception of the reader, if it has one. Returns 0 or -1. */
int pyaio_writer_check_reader(PyaioState *state, PyaioWriter *self);

#endif
