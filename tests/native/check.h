/* What the C tests share: checks, random numbers, allocations that fail. */
#ifndef PYAIO_TESTS_CHECK_H
#define PYAIO_TESTS_CHECK_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                    \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

/* Allocations left until one fails; negative: none does. The linker puts these
 * functions in the place of malloc() and its kin. */
static long allocations_left = -1;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);

static int
allocation_fails(void)
{
    return allocations_left >= 0 && allocations_left-- == 0;
}

void *
__wrap_malloc(size_t size)
{
    return allocation_fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
    return allocation_fails() ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *memory, size_t size)
{
    return allocation_fails() ? NULL : __real_realloc(memory, size);
}

static uint64_t random_state;

/* A number below `bound` (xorshift). */
static inline uint64_t
random_below(uint64_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % bound;
}

/* Every program is run as NAME SEED ROUNDS. */
static inline long
start(int argc, char **argv)
{
    CHECK(argc == 3);
    random_state = strtoull(argv[1], NULL, 10) * 2654435769u + 1;
    return strtol(argv[2], NULL, 10);
}

#endif
