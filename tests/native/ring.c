/* The ring against a plain array: the same items in the same order. */
#include "check.h"
#include "ds/ring.h"

#define MOST 3000

static PyaioRingItem model[MOST];
static size_t first, length;

static void
compare(const PyaioRing *ring)
{
    CHECK(pyaio_ring_length(ring) == length);
    for (size_t i = 0; i < length; i++) {
        PyaioRingItem *item = pyaio_ring_at(ring, i);
        PyaioRingItem *expected = &model[(first + i) % MOST];
        CHECK(item->kind == expected->kind && item->a == expected->a &&
              item->b == expected->b);
    }
}

static void
push(PyaioRing *ring, uintptr_t number)
{
    PyaioRingItem item = {(void *)number, (void *)(number + 1),
                          (void *)(number + 2)};
    allocations_left = random_below(4) == 0 ? 0 : -1;
    int grows = length == ring->capacity;
    int fails = grows && allocations_left == 0;
    int err = pyaio_ring_push(ring, item.kind, item.a, item.b);
    allocations_left = -1;
    CHECK(err == (fails ? -ENOMEM : 0));
    if (err == 0) {
        model[(first + length++) % MOST] = item;
    }
}

static void
pop(PyaioRing *ring)
{
    PyaioRingItem item = pyaio_ring_pop(ring);
    CHECK(item.a == model[first].a && item.b == model[first].b);
    first = (first + 1) % MOST;
    length--;
}

int
main(int argc, char **argv)
{
    long rounds = start(argc, argv);
    PyaioRing ring = {0};
    uint64_t bias = 5;
    for (long round = 0; round < rounds; round++) {
        if (random_below(500) == 0) {
            bias = 1 + random_below(9); /* phases of growing and shrinking */
        }
        if (random_below(10) < bias) {
            if (length < MOST) {
                push(&ring, (uintptr_t)round);
            }
        }
        else if (length > 0) {
            pop(&ring);
        }
        if (random_below(100) == 0) {
            compare(&ring);
        }
    }
    compare(&ring);
    pyaio_ring_free(&ring);
    CHECK(ring.items == NULL && pyaio_ring_length(&ring) == 0);
    CHECK(pyaio_ring_push(&ring, NULL, NULL, NULL) == 0);
    pyaio_ring_free(&ring);
    return 0;
}
