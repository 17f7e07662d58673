/* The queue of what waits to be written. */
#include "net/write_queue.h"

#define FIRST_CAPACITY 8
/* An empty queue gives back more room than this. */
#define KEPT_CAPACITY 64

static PyaioPiece *
queue_at(const PyaioWriteQueue *queue, size_t i)
{
    return &queue->pieces[(queue->head + i) & (queue->capacity - 1)];
}

PyObject *
pyaio_write_queue_hold(PyObject *source, const char **data, size_t length)
{
    if (PyMemoryView_Check(source)) {
        source = PyMemoryView_GET_BASE(source);
    }
    if (source != NULL && PyBytes_Check(source)) {
        return Py_NewRef(source);
    }
    PyObject *copy = PyBytes_FromStringAndSize(*data, (Py_ssize_t)length);
    if (copy != NULL) {
        *data = PyBytes_AS_STRING(copy);
    }
    return copy;
}

static int
queue_grow(PyaioWriteQueue *queue)
{
    size_t capacity =
        queue->capacity ? queue->capacity * 2 : (size_t)FIRST_CAPACITY;
    PyaioPiece *pieces = PyMem_New(PyaioPiece, capacity);
    if (pieces == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < queue->count; i++) {
        pieces[i] = *queue_at(queue, i);
    }
    PyMem_Free(queue->pieces);
    queue->pieces = pieces;
    queue->head = 0;
    queue->capacity = capacity;
    return 0;
}

/* What a piece counts for. */
static size_t
piece_bytes(const PyaioPiece *piece)
{
    return piece->length + (piece->address ? PYAIO_DATAGRAM_HEADER : 0);
}

static void
piece_release(PyaioPiece piece)
{
    Py_DECREF(piece.owner);
    Py_XDECREF(piece.address);
}

static int
queue_push(PyaioWriteQueue *queue, PyaioPiece piece)
{
    if (queue->count == queue->capacity && queue_grow(queue) < 0) {
        piece_release(piece);
        return -1;
    }
    *queue_at(queue, queue->count) = piece;
    queue->count++;
    queue->bytes += piece_bytes(&piece);
    return 0;
}

int
pyaio_write_queue_append(PyaioWriteQueue *queue, PyObject *owner,
                         const char *data, size_t length)
{
    return queue_push(queue, (PyaioPiece){owner, data, length, NULL});
}

int
pyaio_write_queue_append_datagram(PyaioWriteQueue *queue, PyObject *owner,
                                  const char *data, size_t length,
                                  PyObject *address)
{
    return queue_push(queue, (PyaioPiece){owner, data, length, address});
}

PyaioPiece
pyaio_write_queue_pop(PyaioWriteQueue *queue)
{
    PyaioPiece piece = *queue_at(queue, 0);
    queue->head = (queue->head + 1) & (queue->capacity - 1);
    queue->count--;
    queue->bytes -= piece_bytes(&piece);
    return piece;
}

int
pyaio_write_queue_move(PyaioWriteQueue *from, PyaioWriteQueue *to)
{
    if (to->count == 0) {
        PyaioWriteQueue empty = *to;
        *to = *from;
        *from = empty;
        return 0;
    }
    while (from->count > 0) {
        PyaioPiece piece = *queue_at(from, 0);
        if (pyaio_write_queue_append(to, Py_NewRef(piece.owner), piece.data,
                                     piece.length) < 0) {
            return -1;
        }
        piece_release(pyaio_write_queue_pop(from));
    }
    return 0;
}

int
pyaio_write_queue_gather(const PyaioWriteQueue *queue, struct iovec *parts,
                         int room)
{
    int count = queue->count < (size_t)room ? (int)queue->count : room;
    for (int i = 0; i < count; i++) {
        const PyaioPiece *piece = queue_at(queue, (size_t)i);
        parts[i].iov_base = (void *)(uintptr_t)piece->data;
        parts[i].iov_len = piece->length;
    }
    return count;
}

static void
queue_shrink(PyaioWriteQueue *queue)
{
    if (queue->count == 0 && queue->capacity > KEPT_CAPACITY) {
        PyMem_Free(queue->pieces);
        queue->pieces = NULL;
        queue->head = queue->capacity = 0;
    }
}

void
pyaio_write_queue_consume(PyaioWriteQueue *queue, size_t length)
{
    while (length > 0 && queue->count > 0) {
        PyaioPiece *piece = queue_at(queue, 0);
        if (length < piece->length) {
            piece->data += length;
            piece->length -= length;
            queue->bytes -= length;
            return;
        }
        length -= piece->length;
        piece_release(pyaio_write_queue_pop(queue));
    }
    queue_shrink(queue);
}

void
pyaio_write_queue_clear(PyaioWriteQueue *queue)
{
    PyaioWriteQueue old = *queue;
    *queue = (PyaioWriteQueue){0};
    while (old.count > 0) {
        piece_release(pyaio_write_queue_pop(&old));
    }
    PyMem_Free(old.pieces);
}

int
pyaio_write_queue_traverse(const PyaioWriteQueue *queue, visitproc visit,
                           void *arg)
{
    for (size_t i = 0; i < queue->count; i++) {
        Py_VISIT(queue_at(queue, i)->owner);
        Py_VISIT(queue_at(queue, i)->address);
    }
    return 0;
}

PyObject *
pyaio_write_queue_list(const PyaioWriteQueue *queue)
{
    PyObject *list = PyList_New((Py_ssize_t)queue->count);
    for (size_t i = 0; list != NULL && i < queue->count; i++) {
        const PyaioPiece *piece = queue_at(queue, i);
        PyObject *shown =
            piece->length == (size_t)PyBytes_GET_SIZE(piece->owner)
                ? Py_NewRef(piece->owner)
                : PyBytes_FromStringAndSize(piece->data,
                                            (Py_ssize_t)piece->length);
        if (shown == NULL) {
            Py_CLEAR(list);
        }
        else {
            PyList_SET_ITEM(list, (Py_ssize_t)i, shown);
        }
    }
    return list;
}

PyObject *
pyaio_write_queue_joined(const PyaioWriteQueue *queue)
{
    PyObject *list = pyaio_write_queue_list(queue);
    PyObject *empty = PyByteArray_FromStringAndSize(NULL, 0);
    PyObject *joined = list != NULL && empty != NULL
                           ? PyObject_CallMethod(empty, "join", "O", list)
                           : NULL;
    Py_XDECREF(empty);
    Py_XDECREF(list);
    return joined;
}

PyObject *
pyaio_write_queue_datagrams(const PyaioWriteQueue *queue)
{
    PyObject *list = PyList_New((Py_ssize_t)queue->count);
    for (size_t i = 0; list != NULL && i < queue->count; i++) {
        const PyaioPiece *piece = queue_at(queue, i);
        PyObject *pair = Py_BuildValue(
            "(y#O)", piece->data, (Py_ssize_t)piece->length, piece->address);
        if (pair == NULL) {
            Py_CLEAR(list);
        }
        else {
            PyList_SET_ITEM(list, (Py_ssize_t)i, pair);
        }
    }
    return list;
}
