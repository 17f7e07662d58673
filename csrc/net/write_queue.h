/* What waits to be written: a queue of pieces of immutable bytes. In that of a
 * datagram socket each piece is a datagram. */
#ifndef PYAIO_NET_WRITE_QUEUE_H
#define PYAIO_NET_WRITE_QUEUE_H

#include "base/compat.h"

#include <sys/uio.h>

typedef struct {
    PyObject *owner; /* owned: the bytes object that the piece lies in */
    const char *data;
    size_t length;     /* not 0, but in datagrams */
    PyObject *address; /* owned: to whom, of a datagram; otherwise NULL */
} PyaioPiece;

typedef struct {
    PyaioPiece *pieces; /* a ring; NULL while it never held anything */
    size_t head;
    size_t count;
    size_t capacity; /* a power of two, or 0 */
    size_t bytes;    /* sum of the lengths, and a header for each datagram */
} PyaioWriteQueue;

/* The bytes object in which `length` bytes at `data`, a part of what `source`
 * exports, stay as they are: the one that `source` is or shows, if any,
 * otherwise a copy; *data follows. A new reference. */
PyObject *pyaio_write_queue_hold(PyObject *source, const char **data,
                                 size_t length);

/* Appends a piece, taking over the reference to its owner in any case. Returns
 * 0, or -1 with MemoryError. */
int pyaio_write_queue_append(PyaioWriteQueue *queue, PyObject *owner,
                             const char *data, size_t length);
/* The same of a datagram, taking over both references. */
int pyaio_write_queue_append_datagram(PyaioWriteQueue *queue, PyObject *owner,
                                      const char *data, size_t length,
                                      PyObject *address);
/* Takes the first piece out; the caller owns what it refers to. */
PyaioPiece pyaio_write_queue_pop(PyaioWriteQueue *queue);
/* The first piece, borrowed. */
static inline const PyaioPiece *
pyaio_write_queue_first(const PyaioWriteQueue *queue)
{
    return &queue->pieces[queue->head];
}
/* Moves every piece of `from` to the end of `to`. Returns 0, or -1 with
 * MemoryError. */
int pyaio_write_queue_move(PyaioWriteQueue *from, PyaioWriteQueue *to);
/* Describes the first pieces, `room` at most. Returns how many. */
int pyaio_write_queue_gather(const PyaioWriteQueue *queue, struct iovec *parts,
                             int room);
/* Drops the first `length` bytes, or everything. May run Python. */
void pyaio_write_queue_consume(PyaioWriteQueue *queue, size_t length);
void pyaio_write_queue_clear(PyaioWriteQueue *queue);
int pyaio_write_queue_traverse(const PyaioWriteQueue *queue, visitproc visit,
                               void *arg);
/* The datagrams as a list of (bytes, address). */
PyObject *pyaio_write_queue_datagrams(const PyaioWriteQueue *queue);
/* The pieces as a list of bytes-like objects. */
PyObject *pyaio_write_queue_list(const PyaioWriteQueue *queue);
/* The same as one bytearray. */
PyObject *pyaio_write_queue_joined(const PyaioWriteQueue *queue);

#endif
