/* The bytes that a reader has received and nobody has read yet.
 *
 * A chunk that finds nothing before it stays the bytes object that it came
 * as, and is handed on as that where all of it is wanted. The bytearray that
 * stock has is made when there are several chunks, or somebody asks for it. */
#ifndef PYAIO_STREAM_BUFFER_H
#define PYAIO_STREAM_BUFFER_H

#include "base/state.h"

typedef struct {
    PyObject *array;  /* owned: the bytearray, or whatever somebody put in its
                         place; NULL until it is needed */
    PyObject *chunk;  /* owned: bytes, or NULL. With it the array is NULL, or
                         empty and nobody else's */
    Py_ssize_t start; /* what comes before it in the chunk has been read */
} PyaioBuffer;

/* Whether the functions below can be used. */
static inline int
pyaio_buffer_is_usual(const PyaioBuffer *self)
{
    return self->array == NULL || PyByteArray_CheckExact(self->array);
}

static inline Py_ssize_t
pyaio_buffer_size(const PyaioBuffer *self)
{
    if (self->chunk != NULL) {
        return PyBytes_GET_SIZE(self->chunk) - self->start;
    }
    return self->array ? PyByteArray_GET_SIZE(self->array) : 0;
}

/* Where the bytes are, until anything else is done to the buffer. */
static inline const char *
pyaio_buffer_bytes(const PyaioBuffer *self)
{
    if (self->chunk != NULL) {
        return PyBytes_AS_STRING(self->chunk) + self->start;
    }
    return self->array ? PyByteArray_AS_STRING(self->array) : "";
}

/* Appends a bytes object. Returns 0, or -1: BufferError where somebody holds a
 * view of the array, MemoryError. */
int pyaio_buffer_append(PyaioBuffer *self, PyObject *data);
/* Takes the first `size` bytes, of which there are so many: a new bytes
 * object, or NULL. */
PyObject *pyaio_buffer_take(PyaioBuffer *self, Py_ssize_t size);
/* Drops the first `size` bytes. Returns 0, or -1 with BufferError. */
int pyaio_buffer_drop(PyaioBuffer *self, Py_ssize_t size);
/* The array with everything in it, for others: a new reference. */
PyObject *pyaio_buffer_share(PyaioBuffer *self);
/* Puts another object in the array's place. */
void pyaio_buffer_replace(PyaioBuffer *self, PyObject *array);

static inline int
pyaio_buffer_traverse(PyaioBuffer *self, visitproc visit, void *arg)
{
    Py_VISIT(self->array);
    return 0;
}

#endif
