/* The timer heap against a search through all timers. */
#include "check.h"
#include "ds/heap.h"

#define TIMERS 700

typedef struct {
    PyaioTimerNode node;
    double when;
    uint64_t sequence; /* of its insertion; 0 while outside */
} Timer;

static Timer timers[TIMERS];
static uint64_t insertions;
static size_t inside;

/* The timer that is due first: equal deadlines in order of insertion. */
static Timer *
earliest(void)
{
    Timer *found = NULL;
    for (size_t i = 0; i < TIMERS; i++) {
        Timer *timer = &timers[i];
        if (timer->sequence != 0 &&
            (found == NULL || timer->when < found->when ||
             (timer->when <= found->when &&
              timer->sequence < found->sequence))) {
            found = timer;
        }
    }
    return found;
}

static void
compare(const PyaioHeap *heap)
{
    CHECK(heap->length == inside);
    for (size_t i = 0; i < heap->length; i++) {
        CHECK(heap->entries[i].node->index == i);
        Timer *timer = heap->entries[i].node->owner;
        CHECK(timer->when <= heap->entries[i].when &&
              timer->when >= heap->entries[i].when);
    }
    Timer *first = earliest();
    CHECK(first == NULL ? heap->length == 0
                        : heap->entries[0].node == &first->node);
}

static void
push(PyaioHeap *heap, Timer *timer)
{
    timer->when = (double)random_below(50);
    if (random_below(20) == 0) {
        timer->when *= 1e300 * 1e10; /* infinite, or 0 */
        timer->when = timer->when > 0 ? timer->when : 0;
    }
    allocations_left = random_below(4) == 0 ? 0 : -1;
    int fails = heap->length == heap->capacity && allocations_left == 0;
    int err = pyaio_heap_push(heap, timer->when, &timer->node);
    allocations_left = -1;
    CHECK(err == (fails ? -ENOMEM : 0));
    if (err == 0) {
        timer->sequence = ++insertions;
        inside++;
    }
}

static void
take(PyaioHeap *heap, Timer *timer)
{
    pyaio_heap_remove(heap, &timer->node);
    CHECK(timer->node.index == PYAIO_HEAP_NONE);
    timer->sequence = 0;
    inside--;
}

int
main(int argc, char **argv)
{
    long rounds = start(argc, argv);
    PyaioHeap heap = {0};
    for (size_t i = 0; i < TIMERS; i++) {
        timers[i].node.owner = &timers[i];
        timers[i].node.index = PYAIO_HEAP_NONE;
    }
    for (long round = 0; round < rounds; round++) {
        Timer *timer = &timers[random_below(TIMERS)];
        if (timer->sequence == 0) {
            push(&heap, timer);
        }
        else if (random_below(2) == 0) {
            take(&heap, timer);
        }
        else {
            take(&heap, earliest());
        }
        if (random_below(50) == 0) {
            compare(&heap);
        }
    }
    while (inside > 0) {
        compare(&heap);
        take(&heap, earliest());
    }
    pyaio_heap_free(&heap);
    CHECK(heap.entries == NULL && heap.length == 0);
    return 0;
}
