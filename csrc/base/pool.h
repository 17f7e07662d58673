/* Freelists: memory of dead objects of one exact type, kept for the next.
 *
 * A pooled object is untracked, owns nothing and was never finalised (an
 * object's finalizer runs once in the life of its memory). */
#ifndef PYAIO_BASE_POOL_H
#define PYAIO_BASE_POOL_H

#include "base/compat.h"

#include <stddef.h>

#define PYAIO_POOL_SIZE 1024

typedef struct {
    int count;
    int closed; /* drained for good: what still dies is freed */
    PyObject *items[PYAIO_POOL_SIZE];
} PyaioPool;

/* A new object of the exact type `type` that the collector does not track yet,
 * whose fields behind the object header are zero; `size` is the C size of its
 * struct. */
static inline PyObject *
pyaio_pool_take_untracked(PyaioPool *pool, PyTypeObject *type, size_t size)
{
    if (pool->count == 0) {
        PyObject *op = type->tp_alloc(type, 0);
        if (op != NULL) {
            PyObject_GC_UnTrack(op);
        }
        return op;
    }
    PyObject *op = pool->items[--pool->count];
    memset((char *)op + sizeof(PyObject), 0, size - sizeof(PyObject));
    Py_INCREF(type);
    pyaio_new_reference(op);
    return op;
}

/* The same, tracked. */
static inline PyObject *
pyaio_pool_take(PyaioPool *pool, PyTypeObject *type, size_t size)
{
    if (pool->count == 0) {
        return type->tp_alloc(type, 0);
    }
    PyObject *op = pyaio_pool_take_untracked(pool, type, size);
    PyObject_GC_Track(op);
    return op;
}

/* Takes the memory of `op`, which is untracked and owns nothing any more, or
 * frees it. Releases the reference to its type. */
static inline void
pyaio_pool_give(PyaioPool *pool, PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    if (pool->count < PYAIO_POOL_SIZE && !pool->closed &&
        !PyObject_GC_IsFinalized(op)) {
        pool->items[pool->count++] = op;
    }
    else {
        type->tp_free(op);
    }
    Py_DECREF(type);
}

/* Frees everything, and keeps nothing from then on. The types must be
 * alive. */
void pyaio_pool_drain(PyaioPool *pool);

#endif
