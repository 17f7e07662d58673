/* Simulated time over the platform's back end. */
#include "poll/simulated.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct {
    PyaioPoller *real; /* never waits */
    int64_t milliseconds;
} SimulatedPoller;

static PyaioPoller *
simulated_real(const PyaioPoller *poller)
{
    return ((const SimulatedPoller *)poller)->real;
}

static int
simulated_open(PyaioPoller **result)
{
    SimulatedPoller *poller = calloc(1, sizeof(*poller));
    if (poller == NULL) {
        return -ENOMEM;
    }
    int err = pyaio_poller.open(&poller->real);
    if (err < 0) {
        free(poller);
        return err;
    }
    *result = (PyaioPoller *)poller;
    return 0;
}

static void
simulated_close(PyaioPoller *poller)
{
    pyaio_poller.close(simulated_real(poller));
    free(poller);
}

static int
simulated_add(PyaioPoller *poller, int fd, unsigned mask)
{
    return pyaio_poller.add(simulated_real(poller), fd, mask);
}

static int
simulated_modify(PyaioPoller *poller, int fd, unsigned mask)
{
    return pyaio_poller.modify(simulated_real(poller), fd, mask);
}

static int
simulated_remove(PyaioPoller *poller, int fd)
{
    return pyaio_poller.remove(simulated_real(poller), fd);
}

static int
simulated_wait(PyaioPoller *poller, int timeout_ms,
               const PyaioPollEvent **events)
{
    int count = pyaio_poller.wait(simulated_real(poller), 0, events);
    if (count == 0 && timeout_ms < 0) {
        return -EDEADLK;
    }
    if (count == 0) {
        pyaio_simulated_advance(poller, timeout_ms);
    }
    return count;
}

static int
simulated_fileno(const PyaioPoller *poller)
{
    return pyaio_poller.fileno(simulated_real(poller));
}

double
pyaio_simulated_now(const PyaioPoller *poller)
{
    return (double)((const SimulatedPoller *)poller)->milliseconds / 1000;
}

void
pyaio_simulated_advance(PyaioPoller *poller, int milliseconds)
{
    ((SimulatedPoller *)poller)->milliseconds += milliseconds;
}

const PyaioPollerOps pyaio_simulated_poller = {
    .name = "simulated",
    .open = simulated_open,
    .close = simulated_close,
    .add = simulated_add,
    .modify = simulated_modify,
    .remove = simulated_remove,
    .wait = simulated_wait,
    .fileno = simulated_fileno,
};
