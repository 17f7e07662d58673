/* The scheduler: ready queue, timers, descriptor watches and the poll, as one
 * plain struct. Its Python face, the event loop, embeds it.
 *
 * Invariants
 * - Only what was ready when an iteration began runs in it, in FIFO order.
 * - `polling` is set exactly while the thread that runs the loop may be
 * blocked
 *   without the GIL; everything else here is guarded by the GIL.
 * - Each descriptor in `watches` with a reader or a writer is registered with
 *   the poller for these events, and for others only while its reader is
 *   paused (sched/watch.h). */
#ifndef PYAIO_SCHED_SCHED_H
#define PYAIO_SCHED_SCHED_H

#include "base/state.h"
#include "ds/heap.h"
#include "ds/ring.h"
#include "poll/clock.h"
#include "poll/simulated.h"
#include "sched/ready.h"

/* Loop methods that native code replaces by shortcuts, as long as nobody
 * overrode them in a subclass, on the instance or on the class itself. One bit
 * may stand for several, which sched/overrides.c names. */
enum {
    PYAIO_LOOP_CALL_SOON = 1u << 0,
    PYAIO_LOOP_CALL_AT = 1u << 1,
    PYAIO_LOOP_CALL_LATER = 1u << 2,
    PYAIO_LOOP_TIME = 1u << 3,
    PYAIO_LOOP_CREATE_FUTURE = 1u << 4,
    PYAIO_LOOP_CREATE_TASK = 1u << 5,
    PYAIO_LOOP_GET_DEBUG = 1u << 6,
    PYAIO_LOOP_TIMER_CANCELLED = 1u << 7,
    PYAIO_LOOP_IS_RUNNING = 1u << 8,
    PYAIO_LOOP_CALL_SOON_THREADSAFE = 1u << 9,
    PYAIO_LOOP_RUN_IN_EXECUTOR = 1u << 10,
    PYAIO_LOOP_MAKE_TRANSPORT = 1u << 11, /* over a connected socket */
    PYAIO_LOOP_ACCEPT = 1u << 12,         /* what a listening socket does */
    PYAIO_LOOP_CONNECT = 1u << 13,        /* what create_connection() calls */
    PYAIO_LOOP_WATCH = 1u << 14,          /* what sock_*() wait with */
    PYAIO_LOOP_SENDFILE = 1u << 15,       /* what sock_sendfile() calls */
    PYAIO_LOOP_PIPES = 1u << 16,          /* what a child's pipes begin with */
    PYAIO_LOOP_CHILDREN = 1u << 17,       /* what children are started by */
};

/* What runs when a descriptor is ready in one direction. */
typedef struct {
    const PyaioReadyKind *kind; /* pyaio_ready_handle, or one whose entries
                                   ask pyaio_watch_take() */
    PyObject *target;           /* owned: the Handle or the kind's object,
                                   NULL for none */
} PyaioWatcher;

typedef struct {
    PyaioWatcher reader;
    PyaioWatcher writer;
    PyObject *file;      /* owned: the object that was given for the
                            descriptor, NULL where that was a number */
    unsigned registered; /* directions that the poller knows; with
                            PYAIO_POLL_ONCE until it reports one */
    int last_read;       /* bytes that sock_recv() last read from it */
    unsigned queued;     /* directions whose native entry is in the ready
                            queue and was not called off since */
    const void *paused;  /* the reader that is paused, to be compared only:
                            registered, as long as no poll says otherwise */
} PyaioWatch;

/* As much as stock asyncio receives at once. */
#define PYAIO_SCRATCH_SIZE (256 * 1024)

typedef struct PyaioScheduler {
    PyaioRing ready;  /* of owned object references */
    PyaioHeap timers; /* each node's owner is an owned reference */
    const PyaioPollerOps *backend; /* of the poller */
    PyaioPoller *poller; /* NULL before initialisation and once closed */
    PyaioWatch *watches; /* indexed by descriptor */
    int watch_capacity;
    int watch_count; /* descriptors with a reader or a writer */
    int wakeup_fd;   /* watched by the poller, not in `watches` */
    int polling;
    int stopping;
    int debug;
    char *scratch; /* PYAIO_SCRATCH_SIZE bytes to receive into, NULL before
                      first use; nobody keeps anything in it */
    double clock_resolution; /* seconds; a timer due within it may fire */
    unsigned quiet_turns;    /* turns since the poll was last made */
    unsigned long fork_generation; /* of the process that made the poller */
    unsigned long thread_id;       /* of the running thread, 0 while stopped */
    PyThreadState *thread;         /* borrowed: that thread, for tools that
                                      look at the memory */

    PyaioState *state;
    PyObject *loop;           /* borrowed: the object this is embedded in */
    PyObject *task_factory;   /* owned, or NULL */
    PyObject *current_handle; /* borrowed: debug mode, what is running */

    unsigned overridden;     /* mask of PYAIO_LOOP_*, valid for type_tag */
    unsigned type_tag;       /* version of the loop's type */
    uint64_t instance_names; /* which watched names are set on the instance, by
                                their place in the table */

    int shares_current_task; /* the two fields below are in use: nobody gave
                                the loop a hash of its own */
    PyObject *current_task;  /* borrowed: our task that is running, where the
                               interpreter has no field for it */
    PyObject *written_task;  /* borrowed: what we wrote for this loop into
                               asyncio's dictionary of current tasks */
} PyaioScheduler;

/* How every event loop object of ours begins. */
typedef struct {
    PyObject_HEAD
    PyaioScheduler sched;
} PyaioLoopHead;

/* Opens the poller. Returns 0, or -1 with an exception. */
int pyaio_sched_open(PyaioScheduler *sched, PyaioState *state, PyObject *loop);
/* Drops everything queued and closes the poller. Safe to repeat. */
void pyaio_sched_close(PyaioScheduler *sched);
int pyaio_sched_traverse(PyaioScheduler *sched, visitproc visit, void *arg);

/* Runs until `stopping`. Returns 0, or -1 with the exception that broke
 * out. */
int pyaio_sched_run(PyaioScheduler *sched);

/* The scheduler's scratch memory, or NULL with MemoryError. */
char *pyaio_sched_scratch(PyaioScheduler *sched);

/* Lets a blocked poll return. Needs the GIL. */
void pyaio_sched_wake(PyaioScheduler *sched);

/* Makes a loop that does not run wait in simulated time from now on, for
 * tests. Returns 0, or -1 with an exception. */
int pyaio_sched_simulate_time(PyaioScheduler *sched);

/* The loop's own clock, in seconds. */
static inline double
pyaio_sched_clock(const PyaioScheduler *sched)
{
    if (sched->backend == &pyaio_simulated_poller) {
        return pyaio_simulated_now(sched->poller);
    }
    return pyaio_clock_now();
}

/* The loop's time in seconds, through an overridden time(). */
int pyaio_sched_time(PyaioScheduler *sched, double *now);

/* Whether loop.get_debug() of any loop is true; -1 with an exception. */
int pyaio_loop_get_debug(PyaioState *state, PyObject *loop);

/* Puts a timer whose node is filled in into the heap, taking a reference to
 * its owner. */
int pyaio_sched_add_timer(PyaioScheduler *sched, double when,
                          PyaioTimerNode *node);
/* Takes it out if it is in, releasing that reference. */
void pyaio_sched_remove_timer(PyaioScheduler *sched, PyaioTimerNode *node);

/* Schedules a native entry on any loop: directly where it is one of ours,
 * through call_soon() otherwise. `done` says that `b` is a future that has
 * finished, which call_soon() then gets as the callback's argument. */
int pyaio_schedule_slowly(PyaioState *state, PyObject *loop,
                          const PyaioReadyKind *kind, PyObject *a, PyObject *b,
                          int done);

/* Schedules (kind, a, NULL) from any thread: as call_soon_threadsafe(). */
int pyaio_schedule_threadsafe(PyaioState *state, PyObject *loop,
                              const PyaioReadyKind *kind, PyObject *a);

/* Notes what the watched methods of our event loop class are before anybody
 * can have replaced them. Returns 0 or -1. */
int pyaio_sched_note_originals(PyaioState *state, PyObject *type);
/* Computes `overridden` anew. Never fails. */
void pyaio_sched_check_overrides(PyaioScheduler *sched);
/* Tells the scheduler that attribute `name` of its loop was set or deleted. */
void pyaio_sched_attribute_set(PyaioScheduler *sched, PyObject *name,
                               int present);

static inline PyaioScheduler *
pyaio_scheduler_of(const PyaioState *state, PyObject *loop)
{
    if ((PyObject *)Py_TYPE(loop) == state->EventLoop ||
        (state->EventLoopBase_type != NULL &&
         PyType_IsSubtype(Py_TYPE(loop), state->EventLoopBase_type))) {
        return &((PyaioLoopHead *)loop)->sched;
    }
    return NULL;
}

/* Whether none of the methods in `mask` is overridden. */
static inline int
pyaio_sched_is_native(PyaioScheduler *sched, unsigned mask)
{
    unsigned tag = Py_TYPE(sched->loop)->tp_version_tag;
    if (tag != sched->type_tag || tag == 0) {
        pyaio_sched_check_overrides(sched);
    }
    return !(sched->overridden & mask);
}

/* The scheduler of a loop of ours whose methods in `mask` may be passed by: it
 * is open, not in debug mode, and none of them is overridden. NULL for any
 * other loop. */
static inline PyaioScheduler *
pyaio_sched_direct(const PyaioState *state, PyObject *loop, unsigned mask)
{
    PyaioScheduler *sched = pyaio_scheduler_of(state, loop);
    return sched != NULL && !sched->debug && sched->poller != NULL &&
                   pyaio_sched_is_native(sched, mask)
               ? sched
               : NULL;
}

/* Queues an entry, taking new references. Returns 0, or -1 with
 * MemoryError. */
static inline int
pyaio_sched_push(PyaioScheduler *sched, const PyaioReadyKind *kind,
                 PyObject *a, PyObject *b)
{
    if (pyaio_ring_push(&sched->ready, kind, a, b) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    Py_INCREF(a);
    Py_XINCREF(b);
    return 0;
}

static inline int
pyaio_schedule(PyaioState *state, PyObject *loop, const PyaioReadyKind *kind,
               PyObject *a, PyObject *b, int done)
{
    PyaioScheduler *sched =
        pyaio_sched_direct(state, loop, PYAIO_LOOP_CALL_SOON);
    if (sched != NULL) {
        return pyaio_sched_push(sched, kind, a, b);
    }
    return pyaio_schedule_slowly(state, loop, kind, a, b, done);
}

#endif
