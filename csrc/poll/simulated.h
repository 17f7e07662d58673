/* A back end for tests: descriptors are real, time is not. */
#ifndef PYAIO_POLL_SIMULATED_H
#define PYAIO_POLL_SIMULATED_H

#include "poll/poller.h"

/* Its wait() returns what is ready at once. Where nothing is, it moves the
 * poller's own clock on by the whole timeout instead of blocking; without a
 * timeout it returns -EDEADLK. */
extern const PyaioPollerOps pyaio_simulated_poller;

/* That clock in seconds; it starts at 0. */
double pyaio_simulated_now(const PyaioPoller *poller);
void pyaio_simulated_advance(PyaioPoller *poller, int milliseconds);

#endif
