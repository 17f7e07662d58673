/* Descriptor watches: what runs when a descriptor becomes ready.
 *
 * A Handle, as add_reader() makes one, or an object with a kind of ready
 * entry, which costs nothing per event. Such an entry begins by asking
 * pyaio_watch_take() whether it still stands: it may have been called off
 * since it was queued, as cancelling a Handle would have done.
 *
 * A paused reader runs no more, but the poller goes on to know it until it
 * would keep the loop from sleeping: who pauses usually resumes soon.
 *
 * A kind that is watched `once` leaves the table when it is queued. Where
 * nothing else watches the descriptor, the poller keeps it, but disarmed: the
 * next watch costs one system call instead of two, and a socket that its
 * owner closes meanwhile is never reported again, whoever else has it open. */
#ifndef PYAIO_SCHED_WATCH_H
#define PYAIO_SCHED_WATCH_H

#include "sched/sched.h"

/* Watches `fd` for one direction (PYAIO_POLL_READ or _WRITE) in place of what
 * did before; a Handle is cancelled then. `file` is the object given for the
 * descriptor, NULL where that was a number. Returns 0, or -1 with OSError. */
int pyaio_watch_add(PyaioScheduler *sched, int fd, unsigned direction,
                    const PyaioReadyKind *kind, PyObject *target,
                    PyObject *file);
/* The descriptor watched on behalf of exactly `file`, or -1. */
int pyaio_watch_find(const PyaioScheduler *sched, const PyObject *file);
/* Ends it. Returns 1, or 0 where there was none. */
int pyaio_watch_remove(PyaioScheduler *sched, int fd, unsigned direction);
/* Ends it unless something else than `target` watches by now: the number may
 * be that of another file. */
void pyaio_watch_remove_of(PyaioScheduler *sched, int fd, unsigned direction,
                           const PyObject *target);
/* Pauses the reader of a descriptor whose owner removes it before closing. */
void pyaio_watch_pause(PyaioScheduler *sched, int fd);
/* Queues what watches a descriptor that is ready. `blocking` says that the
 * poll might have slept. */
int pyaio_watch_dispatch(PyaioScheduler *sched, int fd, unsigned mask,
                         int blocking);
/* Gives a fresh poller every registration: after a fork. */
int pyaio_watch_register_all(PyaioScheduler *sched);
/* Releases everything, leaving the poller alone. */
void pyaio_watch_clear(PyaioScheduler *sched);

static inline PyaioWatcher *
pyaio_watch_side(PyaioWatch *watch, unsigned direction)
{
    return direction == PYAIO_POLL_READ ? &watch->reader : &watch->writer;
}

/* The directions somebody watches. */
static inline unsigned
pyaio_watch_mask(const PyaioWatch *watch)
{
    return (watch->reader.target ? PYAIO_POLL_READ : 0u) |
           (watch->writer.target ? PYAIO_POLL_WRITE : 0u);
}

/* The same of a descriptor. */
static inline unsigned
pyaio_watch_mask_of(const PyaioScheduler *sched, int fd)
{
    return fd >= 0 && fd < sched->watch_capacity
               ? pyaio_watch_mask(&sched->watches[fd])
               : 0;
}

/* Whether the entry of `target` that is about to run still stands; it does
 * once. */
static inline int
pyaio_watch_take(PyaioScheduler *sched, int fd, unsigned direction,
                 const PyObject *target)
{
    if (fd < 0 || fd >= sched->watch_capacity) {
        return 0;
    }
    PyaioWatch *watch = &sched->watches[fd];
    if (!(watch->queued & direction) ||
        pyaio_watch_side(watch, direction)->target != target) {
        return 0;
    }
    watch->queued &= ~direction;
    return 1;
}

#endif
