/* StreamReader: a buffer between who feeds it and who reads.
 *
 * What is unusual (a limit that is no number of bytes, a buffer that is no
 * bytearray, data that is not bytes) is left to stock's methods, which find
 * all they need in the reader's attributes. */
#ifndef PYAIO_STREAM_READER_H
#define PYAIO_STREAM_READER_H

#include "stream/buffer.h"
#include "stream/methods.h"

/* Methods that others of the reader's, or its protocol and writer, call; in
 * the order of the table in reader.c. */
enum {
    PYAIO_READER_FEED_DATA = 1u << 0,
    PYAIO_READER_EXCEPTION = 1u << 1,
    PYAIO_READER_WAKEUP = 1u << 2,
    PYAIO_READER_RESUME = 1u << 3,
    PYAIO_READER_WAIT = 1u << 4,
    PYAIO_READER_READ = 1u << 5,
    PYAIO_READER_READLINE = 1u << 6,
    PYAIO_READER_READUNTIL = 1u << 7,
};

typedef struct {
    PyaioStream head;
    PyaioBuffer buffer;
    PyObject *waiter;      /* owned: future of who waits for data, or NULL */
    PyObject *exception;   /* owned, or NULL */
    PyObject *transport;   /* owned, or NULL */
    PyObject *limit_given; /* owned, NULL before initialisation */
    Py_ssize_t limit;      /* in bytes; 0 where `limit_given` is unusual */
    uint8_t eof;
    uint8_t paused; /* the transport, by us */
} PyaioReader;

extern const PyaioStreamMethods pyaio_reader_methods;

static inline unsigned
pyaio_reader_replaced(PyaioState *state, PyaioReader *self)
{
    return pyaio_stream_replaced(state, &self->head, &pyaio_reader_methods);
}

static inline int
pyaio_reader_is_usual(const PyaioReader *self)
{
    return self->limit > 0 && self->head.loop != NULL &&
           pyaio_buffer_is_usual(&self->buffer);
}

/* StreamReader(limit, loop) */
PyObject *pyaio_reader_new(PyaioState *state, PyObject *limit, PyObject *loop);

/* The reader in `op`, NULL where that is none of ours. */
static inline PyaioReader *
pyaio_as_reader(const PyaioState *state, PyObject *op)
{
    return op != NULL && PyObject_TypeCheck(op, state->StreamReader_type)
               ? (PyaioReader *)op
               : NULL;
}

/* All of these return 0, or -1 with an exception. */

/* Our own feed_data(), and reader.feed_data() of any reader. */
int pyaio_reader_feed(PyaioState *state, PyaioReader *self, PyObject *data);
int pyaio_reader_feed_data(PyaioState *state, PyObject *reader,
                           PyObject *data);
/* self._wakeup_waiter(), and our own of that name. */
int pyaio_reader_wake(PyaioState *state, PyaioReader *self);
int pyaio_reader_wake_waiter(PyaioState *state, PyaioReader *self);
/* self._maybe_resume_transport(), and our own of that name. */
int pyaio_reader_resume(PyaioState *state, PyaioReader *self);
int pyaio_reader_maybe_resume(PyaioState *state, PyaioReader *self);
/* Resumes the transport if it is paused: before who reads waits. */
int pyaio_reader_unpause(PyaioState *state, PyaioReader *self);
int pyaio_reader_set_exception(PyaioState *state, PyaioReader *self,
                               PyObject *exc);
int pyaio_reader_set_limit(PyaioReader *self, PyObject *limit);

int pyaio_read_coroutines_init(PyObject *module);

#endif
