/* The four-way timer heap. */
#include "ds/heap.h"

#include <stdlib.h>
#include <string.h>

#define ARITY 4
#define FIRST_CAPACITY 64

static inline int
entry_before(const PyaioHeapEntry *x, const PyaioHeapEntry *y)
{
    return x->when < y->when ||
           (x->when <= y->when && x->sequence < y->sequence);
}

static inline void
heap_place(PyaioHeap *heap, size_t index, PyaioHeapEntry entry)
{
    heap->entries[index] = entry;
    entry.node->index = index;
}

static void
heap_sift_up(PyaioHeap *heap, size_t index, PyaioHeapEntry entry)
{
    while (index > 0) {
        size_t parent = (index - 1) / ARITY;
        if (!entry_before(&entry, &heap->entries[parent])) {
            break;
        }
        heap_place(heap, index, heap->entries[parent]);
        index = parent;
    }
    heap_place(heap, index, entry);
}

static void
heap_sift_down(PyaioHeap *heap, size_t index, PyaioHeapEntry entry)
{
    for (;;) {
        size_t child = index * ARITY + 1;
        if (child >= heap->length) {
            break;
        }
        size_t last = child + ARITY;
        if (last > heap->length) {
            last = heap->length;
        }
        size_t least = child;
        for (size_t i = child + 1; i < last; i++) {
            if (entry_before(&heap->entries[i], &heap->entries[least])) {
                least = i;
            }
        }
        if (!entry_before(&heap->entries[least], &entry)) {
            break;
        }
        heap_place(heap, index, heap->entries[least]);
        index = least;
    }
    heap_place(heap, index, entry);
}

int
pyaio_heap_push(PyaioHeap *heap, double when, PyaioTimerNode *node)
{
    if (heap->length == heap->capacity) {
        size_t capacity = heap->capacity ? heap->capacity * 2 : FIRST_CAPACITY;
        PyaioHeapEntry *entries =
            realloc(heap->entries, capacity * sizeof(PyaioHeapEntry));
        if (entries == NULL) {
            return -ENOMEM;
        }
        heap->entries = entries;
        heap->capacity = capacity;
    }
    PyaioHeapEntry entry = {when, heap->next_sequence++, node};
    heap_sift_up(heap, heap->length++, entry);
    return 0;
}

void
pyaio_heap_remove(PyaioHeap *heap, PyaioTimerNode *node)
{
    size_t index = node->index;
    node->index = PYAIO_HEAP_NONE;
    heap->length--;
    if (index == heap->length) {
        return;
    }
    PyaioHeapEntry last = heap->entries[heap->length];
    if (index > 0 &&
        entry_before(&last, &heap->entries[(index - 1) / ARITY])) {
        heap_sift_up(heap, index, last);
    }
    else {
        heap_sift_down(heap, index, last);
    }
}

void
pyaio_heap_replace(PyaioHeap *heap, PyaioTimerNode *node,
                   PyaioTimerNode *other)
{
    PyaioHeapEntry entry = heap->entries[node->index];
    entry.node = other;
    heap_place(heap, node->index, entry);
    node->index = PYAIO_HEAP_NONE;
}

void
pyaio_heap_free(PyaioHeap *heap)
{
    free(heap->entries);
    memset(heap, 0, sizeof(*heap));
}
