/* The monotonic clock, in the same arithmetic as time.monotonic(). */
#ifndef PYAIO_POLL_CLOCK_H
#define PYAIO_POLL_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Seconds since an arbitrary point. */
static inline double
pyaio_clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t nanoseconds = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    return (double)nanoseconds / 1e9;
}

#endif
