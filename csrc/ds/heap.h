/* A four-way heap of timers: earliest deadline first, equal deadlines in the
 * order of their insertion, any timer removable in O(log n). */
#ifndef PYAIO_DS_HEAP_H
#define PYAIO_DS_HEAP_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#define PYAIO_HEAP_NONE ((size_t)-1)

/* Embedded in whatever waits for a deadline. */
typedef struct {
    size_t index;     /* place in the heap, PYAIO_HEAP_NONE while outside */
    const void *kind; /* what the owner is; the heap never looks into it */
    void *owner;      /* the object around this node */
} PyaioTimerNode;

typedef struct {
    double when;       /* deadline in seconds of the scheduler's clock */
    uint64_t sequence; /* insertion order, breaks ties */
    PyaioTimerNode *node;
} PyaioHeapEntry;

typedef struct {
    PyaioHeapEntry *entries;
    size_t length;
    size_t capacity;
    uint64_t next_sequence;
} PyaioHeap;

/* Returns 0 or -ENOMEM, the heap then unchanged. */
int pyaio_heap_push(PyaioHeap *heap, double when, PyaioTimerNode *node);
/* The node must be in the heap. */
void pyaio_heap_remove(PyaioHeap *heap, PyaioTimerNode *node);
/* Puts `other`, which is outside, in the place of a node that is in the heap:
 * deadline and order stay. */
void pyaio_heap_replace(PyaioHeap *heap, PyaioTimerNode *node,
                        PyaioTimerNode *other);
/* Frees the storage; the nodes are the caller's to release before. */
void pyaio_heap_free(PyaioHeap *heap);

#endif
