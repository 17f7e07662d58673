/* The poller contract: what every readiness back end offers.
 *
 * A back end keeps its registrations in the kernel, level-triggered. Every
 * function returns -errno on failure. Descriptors belong to the caller. */
#ifndef PYAIO_POLL_POLLER_H
#define PYAIO_POLL_POLLER_H

#include <stddef.h>

#define PYAIO_POLL_READ 1u
#define PYAIO_POLL_WRITE 2u
/* Part of what a descriptor is registered for: the next event of it is the
 * last until it is modified. */
#define PYAIO_POLL_ONCE 4u

typedef struct {
    int fd;
    unsigned mask; /* PYAIO_POLL_READ and _WRITE; errors and hang-ups set
                      both of those that were asked for */
} PyaioPollEvent;

typedef struct PyaioPoller PyaioPoller;

typedef struct {
    const char *name;
    /* Makes a poller with no descriptor watched. */
    int (*open)(PyaioPoller **result);
    void (*close)(PyaioPoller *poller);
    int (*add)(PyaioPoller *poller, int fd, unsigned mask);
    int (*modify)(PyaioPoller *poller, int fd, unsigned mask);
    int (*remove)(PyaioPoller *poller, int fd);
    /* Waits at most timeout_ms milliseconds (-1: without limit) and points
     * *events at what is ready, valid until the next call. Returns how
     * many. */
    int (*wait)(PyaioPoller *poller, int timeout_ms,
                const PyaioPollEvent **events);
    /* The back end's own descriptor, or -1. */
    int (*fileno)(const PyaioPoller *poller);
} PyaioPollerOps;

/* The back end chosen when the extension was built. */
extern const PyaioPollerOps pyaio_poller;

#endif
