/* One iteration of the loop, and what it stands on. */
#include "sched/sched.h"
#include "base/errors.h"
#include "poll/wakeup.h"
#include "sched/handle.h"
#include "sched/report.h"
#include "sched/watch.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

/* Longest single wait, in seconds: that of stock asyncio. */
#define LONGEST_WAIT (24.0 * 3600)
/* Turns without a poll after which signals are looked at and other threads
 * get a chance to run. */
#define QUIET_TURNS 64

static int
sched_open_poller(PyaioScheduler *sched, const PyaioPollerOps *backend)
{
    int err = backend->open(&sched->poller);
    if (err < 0) {
        sched->poller = NULL;
        pyaio_set_errno(-err);
        return -1;
    }
    sched->wakeup_fd = pyaio_wakeup_open();
    err = sched->wakeup_fd < 0
              ? sched->wakeup_fd
              : backend->add(sched->poller, sched->wakeup_fd, PYAIO_POLL_READ);
    if (err < 0) {
        if (sched->wakeup_fd >= 0) {
            close(sched->wakeup_fd);
        }
        backend->close(sched->poller);
        sched->poller = NULL;
        pyaio_set_errno(-err);
        return -1;
    }
    sched->backend = backend;
    sched->fork_generation = sched->state->fork_generation;
    return 0;
}

static void
sched_close_poller(PyaioScheduler *sched)
{
    if (sched->poller != NULL) {
        sched->backend->close(sched->poller);
        close(sched->wakeup_fd);
        sched->poller = NULL;
        sched->backend = NULL;
    }
}

int
pyaio_sched_open(PyaioScheduler *sched, PyaioState *state, PyObject *loop)
{
    sched->state = state;
    sched->loop = loop;
    sched->clock_resolution = 1e-9;
    return sched_open_poller(sched, &pyaio_poller);
}

static int
sched_change_poller(PyaioScheduler *sched, const PyaioPollerOps *backend)
{
    sched_close_poller(sched);
    if (sched_open_poller(sched, backend) < 0) {
        return -1;
    }
    return pyaio_watch_register_all(sched);
}

int
pyaio_sched_simulate_time(PyaioScheduler *sched)
{
    return sched_change_poller(sched, &pyaio_simulated_poller);
}

/* The child of a fork shares the kernel's poll set with its parent: it must
 * not change that one, and makes its own. */
static int
sched_after_fork(PyaioScheduler *sched)
{
    return sched_change_poller(sched, sched->backend);
}

void
pyaio_sched_close(PyaioScheduler *sched)
{
    sched_close_poller(sched);
    PyaioHeap timers = sched->timers;
    memset(&sched->timers, 0, sizeof(timers));
    for (size_t i = 0; i < timers.length; i++) {
        timers.entries[i].node->index = PYAIO_HEAP_NONE;
    }
    for (size_t i = 0; i < timers.length; i++) {
        pyaio_handle_release(timers.entries[i].node->owner);
    }
    pyaio_heap_free(&timers);
    PyaioRing ready = sched->ready;
    memset(&sched->ready, 0, sizeof(ready));
    while (pyaio_ring_length(&ready) > 0) {
        PyaioRingItem item = pyaio_ring_pop(&ready);
        pyaio_handle_release(item.a);
        Py_XDECREF((PyObject *)item.b);
    }
    pyaio_ring_free(&ready);
    pyaio_watch_clear(sched);
    char *scratch = sched->scratch;
    sched->scratch = NULL;
    free(scratch);
}

/* glibc's allocator hands free memory at the end of the heap back to the
 * kernel and takes it again for the next large packet, page fault by page
 * fault, until it has seen a block of some size come and go; from then on it
 * keeps twice that. */
static void
show_allocator_large_blocks(void)
{
    PyMem_RawFree(PyMem_RawMalloc(4 * PYAIO_SCRATCH_SIZE));
}

/* What the kernel copies mostly begins with a page, or not far into one. Some
 * processors copy at a quarter of their speed to a place in a page that is
 * 1 to 15 bytes after that of what is copied; a large block of malloc()
 * begins 16 bytes into a page. */
#define PAGE_SIZE 4096

char *
pyaio_sched_scratch(PyaioScheduler *sched)
{
    if (sched->scratch == NULL) {
        show_allocator_large_blocks();
        sched->scratch = aligned_alloc(PAGE_SIZE, PYAIO_SCRATCH_SIZE);
        if (sched->scratch == NULL) {
            PyErr_NoMemory();
        }
    }
    return sched->scratch;
}

/* Visits what a queue owns. An object that only the queue refers to and that
 * the collector does not track is traversed in its owner's place. */
static int
visit_queued(PyObject *op, visitproc visit, void *arg)
{
    if (Py_REFCNT(op) == 1 && PyObject_IS_GC(op) &&
        !PyObject_GC_IsTracked(op)) {
        return Py_TYPE(op)->tp_traverse(op, visit, arg);
    }
    return visit(op, arg);
}

int
pyaio_sched_traverse(PyaioScheduler *sched, visitproc visit, void *arg)
{
    size_t length = pyaio_ring_length(&sched->ready);
    for (size_t i = 0; i < length; i++) {
        PyaioRingItem *item = pyaio_ring_at(&sched->ready, i);
        int err = visit_queued(item->a, visit, arg);
        if (err != 0) {
            return err;
        }
        Py_VISIT((PyObject *)item->b);
    }
    for (size_t i = 0; i < sched->timers.length; i++) {
        int err =
            visit_queued(sched->timers.entries[i].node->owner, visit, arg);
        if (err != 0) {
            return err;
        }
    }
    for (int fd = 0; fd < sched->watch_capacity; fd++) {
        Py_VISIT(sched->watches[fd].reader.target);
        Py_VISIT(sched->watches[fd].writer.target);
        Py_VISIT(sched->watches[fd].file);
    }
    return 0;
}

void
pyaio_sched_wake(PyaioScheduler *sched)
{
    if (sched->polling) {
        pyaio_wakeup_send(sched->wakeup_fd);
    }
}

int
pyaio_sched_time(PyaioScheduler *sched, double *now)
{
    if (pyaio_sched_is_native(sched, PYAIO_LOOP_TIME)) {
        *now = pyaio_sched_clock(sched);
        return 0;
    }
    PyObject *result =
        PyObject_CallMethodNoArgs(sched->loop, sched->state->str_time);
    if (result == NULL) {
        return -1;
    }
    *now = PyFloat_AsDouble(result);
    Py_DECREF(result);
    return *now == -1.0 && PyErr_Occurred() ? -1 : 0;
}

int
pyaio_loop_get_debug(PyaioState *state, PyObject *loop)
{
    PyaioScheduler *sched = pyaio_scheduler_of(state, loop);
    if (sched != NULL && sched->state != NULL &&
        pyaio_sched_is_native(sched, PYAIO_LOOP_GET_DEBUG)) {
        return sched->debug;
    }
    PyObject *debug = PyObject_CallMethodNoArgs(loop, state->str_get_debug);
    if (debug == NULL) {
        return -1;
    }
    int result = PyObject_IsTrue(debug);
    Py_DECREF(debug);
    return result;
}

int
pyaio_sched_add_timer(PyaioScheduler *sched, double when, PyaioTimerNode *node)
{
    if (pyaio_heap_push(&sched->timers, when, node) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    Py_INCREF((PyObject *)node->owner);
    return 0;
}

void
pyaio_sched_remove_timer(PyaioScheduler *sched, PyaioTimerNode *node)
{
    if (node->index != PYAIO_HEAP_NONE) {
        pyaio_heap_remove(&sched->timers, node);
        pyaio_handle_release(node->owner);
    }
}

/* Moves every timer that is due to the ready queue. */
static int
sched_fire_timers(PyaioScheduler *sched)
{
    double now;
    if (pyaio_sched_time(sched, &now) < 0) {
        return -1;
    }
    /* As stock, one clock resolution ahead, and always forward. */
    double end = fmax(now + sched->clock_resolution, nextafter(now, INFINITY));
    /* NaN is due, as in stock. */
    while (sched->timers.length > 0 &&
           !(sched->timers.entries[0].when >= end)) {
        PyaioTimerNode *node = sched->timers.entries[0].node;
        if (pyaio_ring_push(&sched->ready, node->kind, node->owner, NULL) <
            0) {
            PyErr_NoMemory();
            return -1;
        }
        pyaio_heap_remove(&sched->timers, node);
    }
    return 0;
}

/* How long the poll may wait, in milliseconds rounded up; -1 for ever. */
static int
sched_timeout(PyaioScheduler *sched, int *timeout_ms)
{
    if (pyaio_ring_length(&sched->ready) > 0 || sched->stopping) {
        *timeout_ms = 0;
        return 0;
    }
    if (sched->timers.length == 0) {
        *timeout_ms = -1;
        return 0;
    }
    double now;
    if (pyaio_sched_time(sched, &now) < 0) {
        return -1;
    }
    /* A time() of the program's may have let others queue something. */
    double wait = pyaio_ring_length(&sched->ready) > 0 || sched->stopping ||
                          sched->timers.length == 0
                      ? 0
                      : sched->timers.entries[0].when - now;
    if (!(wait > 0)) {
        *timeout_ms = 0;
    }
    else if (wait > LONGEST_WAIT) {
        *timeout_ms = (int)(LONGEST_WAIT * 1000);
    }
    else {
        *timeout_ms = (int)ceil(wait * 1000);
    }
    return 0;
}

/* Of several exceptions the first is kept. */
static void
keep_exception(PyObject **raised)
{
    if (*raised == NULL) {
        *raised = PyErr_GetRaisedException();
    }
    PyErr_Clear();
}

/* Queues what the events are for. None may be lost, whatever is raised: the
 * poller may not report it again. */
static void
sched_dispatch(PyaioScheduler *sched, const PyaioPollEvent *events, int count,
               int blocking, PyObject **raised)
{
    for (int i = 0; i < count; i++) {
        if (events[i].fd == sched->wakeup_fd) {
            pyaio_wakeup_drain(sched->wakeup_fd);
        }
        else if (pyaio_watch_dispatch(sched, events[i].fd, events[i].mask,
                                      blocking) < 0) {
            keep_exception(raised);
        }
    }
}

static int
sched_poll(PyaioScheduler *sched, int timeout_ms)
{
    const PyaioPollEvent *events;
    int count;
    PyObject *raised = NULL; /* by a signal handler, which runs first */
    PyaioPoller *poller = sched->poller;
    const PyaioPollerOps *backend = sched->backend;
    if (timeout_ms == 0 && ++sched->quiet_turns < QUIET_TURNS) {
        count = backend->wait(poller, 0, &events);
    }
    else {
        sched->quiet_turns = 0;
        sched->polling = timeout_ms != 0;
        Py_BEGIN_ALLOW_THREADS count =
            backend->wait(poller, timeout_ms, &events);
        Py_END_ALLOW_THREADS sched->polling = 0;
        if (PyErr_CheckSignals() < 0) {
            keep_exception(&raised);
        }
    }
    if (count >= 0) {
        sched_dispatch(sched, events, count, timeout_ms != 0, &raised);
    }
    else if (count != -EINTR) {
        pyaio_set_errno(-count);
        keep_exception(&raised);
    }
    else if (PyErr_CheckSignals() < 0) {
        keep_exception(&raised);
    }
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
        return -1;
    }
    return 0;
}

/* Polls, or decides that there is nothing to see: while no descriptor but the
 * wake-up is watched and work is ready, only other threads and signals want a
 * turn now and then. */
static int
sched_gather(PyaioScheduler *sched)
{
    if (sched->fork_generation != sched->state->fork_generation &&
        sched_after_fork(sched) < 0) {
        return -1;
    }
    int timeout_ms;
    if (sched_timeout(sched, &timeout_ms) < 0) {
        return -1;
    }
    if (sched->poller == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
        return -1;
    }
    if (timeout_ms == 0 && sched->watch_count == 0 &&
        ++sched->quiet_turns < QUIET_TURNS) {
        return 0;
    }
    return sched_poll(sched, timeout_ms);
}

/* context.run(entry) of anything that has such a method. */
static int
run_in_any_context(PyaioState *state, const PyaioReadyKind *kind,
                   PyObject *context, PyObject *a, PyObject *b)
{
    PyObject *call = pyaio_ready_call_new(state, kind, a, b);
    PyObject *done =
        call ? PyObject_CallMethod(context, "run", "O", call) : NULL;
    Py_XDECREF(call);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int
run_in_context(PyaioState *state, const PyaioReadyKind *kind, PyObject *a,
               PyObject *b)
{
    PyObject *context = kind->context(state, a);
    if (context == NULL) {
        return -1;
    }
    if (!PyContext_CheckExact(context)) {
        return run_in_any_context(state, kind, context, a, b);
    }
    Py_INCREF(context);
    int err = PyContext_Enter(context);
    if (err == 0) {
        err = kind->run(state, a, b);
        if (PyContext_Exit(context) < 0) {
            err = -1;
        }
    }
    Py_DECREF(context);
    return err;
}

static int
sched_run_item(PyaioScheduler *sched, PyaioRingItem *item)
{
    const PyaioReadyKind *kind = item->kind;
    PyObject *a = item->a, *b = item->b;
    PyaioState *state = sched->state;
    int err;
    if (kind == &pyaio_ready_handle) {
        err = pyaio_handle_run(state, a);
        pyaio_handle_release(a);
        return err;
    }
    if (kind->context != NULL) {
        err = run_in_context(state, kind, a, b);
    }
    else {
        err = kind->run(state, a, b);
    }
    if (err < 0) {
        err = pyaio_report_entry(state, sched->loop, kind, a, b);
    }
    Py_DECREF(a);
    Py_XDECREF(b);
    return err;
}

static int
sched_run_ready(PyaioScheduler *sched)
{
    pyaio_handle_check_run(sched->state);
    for (size_t todo = pyaio_ring_length(&sched->ready); todo > 0; todo--) {
        PyaioRingItem item = pyaio_ring_pop(&sched->ready);
        int err = sched->debug ? pyaio_debug_run(sched, &item)
                               : sched_run_item(sched, &item);
        if (err < 0) {
            return -1;
        }
        if (pyaio_ring_length(&sched->ready) == 0) {
            break;
        }
    }
    return 0;
}

int
pyaio_sched_run(PyaioScheduler *sched)
{
    /* The first turn of a run always polls. */
    sched->quiet_turns = QUIET_TURNS;
    do {
        if (sched_gather(sched) < 0) {
            return -1;
        }
        if (sched->timers.length > 0 && sched_fire_timers(sched) < 0) {
            return -1;
        }
        if (sched_run_ready(sched) < 0) {
            return -1;
        }
    } while (!sched->stopping);
    return 0;
}

int
pyaio_schedule_slowly(PyaioState *state, PyObject *loop,
                      const PyaioReadyKind *kind, PyObject *a, PyObject *b,
                      int done)
{
    PyObject *call = pyaio_ready_call_new(state, kind, a, done ? NULL : b);
    PyObject *call_soon = PyObject_GetAttr(loop, state->str_call_soon);
    PyObject *result = NULL;
    if (call != NULL && call_soon != NULL) {
        PyObject *args[] = {call, b, NULL};
        Py_ssize_t count = done ? 2 : 1;
        PyObject *names = NULL;
        if (kind->context != NULL) {
            args[count] = kind->context(state, a);
            names = args[count] ? PyTuple_Pack(1, state->str_context) : NULL;
        }
        if (kind->context == NULL || names != NULL) {
            result =
                PyObject_Vectorcall(call_soon, args, (size_t)count, names);
        }
        Py_XDECREF(names);
    }
    Py_XDECREF(call);
    Py_XDECREF(call_soon);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

int
pyaio_schedule_threadsafe(PyaioState *state, PyObject *loop,
                          const PyaioReadyKind *kind, PyObject *a)
{
    PyaioScheduler *sched =
        pyaio_sched_direct(state, loop, PYAIO_LOOP_CALL_SOON_THREADSAFE);
    if (sched != NULL) {
        int err = pyaio_sched_push(sched, kind, a, NULL);
        pyaio_sched_wake(sched);
        return err;
    }
    PyObject *call = pyaio_ready_call_new(state, kind, a, NULL);
    PyObject *result = call ? PyObject_CallMethodOneArg(
                                  loop, state->str_call_soon_threadsafe, call)
                            : NULL;
    Py_XDECREF(call);
    Py_XDECREF(result);
    return result ? 0 : -1;
}
