/* Growth of the ready ring. */
#include "ds/ring.h"

#define FIRST_CAPACITY 64

int
pyaio_ring_grow(PyaioRing *ring)
{
    size_t capacity = ring->capacity ? ring->capacity * 2 : FIRST_CAPACITY;
    if (capacity > (size_t)-1 / sizeof(PyaioRingItem)) {
        return -ENOMEM;
    }
    PyaioRingItem *items = malloc(capacity * sizeof(PyaioRingItem));
    if (items == NULL) {
        return -ENOMEM;
    }
    size_t length = pyaio_ring_length(ring);
    if (length > 0) {
        size_t first = ring->head & (ring->capacity - 1);
        size_t upper = ring->capacity - first;
        if (upper > length) {
            upper = length;
        }
        memcpy(items, ring->items + first, upper * sizeof(PyaioRingItem));
        memcpy(items + upper, ring->items,
               (length - upper) * sizeof(PyaioRingItem));
    }
    free(ring->items);
    ring->items = items;
    ring->capacity = capacity;
    ring->head = 0;
    ring->tail = length;
    return 0;
}

void
pyaio_ring_free(PyaioRing *ring)
{
    free(ring->items);
    memset(ring, 0, sizeof(*ring));
}
