/* A growable FIFO of three-word items: the ready queue. */
#ifndef PYAIO_DS_RING_H
#define PYAIO_DS_RING_H

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const void *kind; /* what the item is; the ring never looks into it */
    void *a;
    void *b;
} PyaioRingItem;

typedef struct {
    PyaioRingItem *items; /* NULL until the first push */
    size_t capacity;      /* zero or a power of two */
    size_t head;          /* counts every pop; position is head % capacity */
    size_t tail;          /* counts every push */
} PyaioRing;

/* Doubles the capacity. Returns 0 or -ENOMEM, the ring then unchanged. */
int pyaio_ring_grow(PyaioRing *ring);
/* Frees the storage; the items are the caller's to release before. */
void pyaio_ring_free(PyaioRing *ring);

static inline size_t
pyaio_ring_length(const PyaioRing *ring)
{
    return ring->tail - ring->head;
}

static inline int
pyaio_ring_push(PyaioRing *ring, const void *kind, void *a, void *b)
{
    if (ring->tail - ring->head == ring->capacity) {
        int err = pyaio_ring_grow(ring);
        if (err < 0) {
            return err;
        }
    }
    PyaioRingItem *item = &ring->items[ring->tail & (ring->capacity - 1)];
    item->kind = kind;
    item->a = a;
    item->b = b;
    ring->tail++;
    return 0;
}

/* The ring must not be empty. */
static inline PyaioRingItem
pyaio_ring_pop(PyaioRing *ring)
{
    PyaioRingItem item = ring->items[ring->head & (ring->capacity - 1)];
    ring->head++;
    return item;
}

/* The item at `index`, counted from the head. */
static inline PyaioRingItem *
pyaio_ring_at(const PyaioRing *ring, size_t index)
{
    return &ring->items[(ring->head + index) & (ring->capacity - 1)];
}

#endif
