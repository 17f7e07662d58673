/* Descriptor watches. */
#include "sched/watch.h"
#include "base/errors.h"
#include "sched/handle.h"

static int
watch_reserve(PyaioScheduler *sched, int fd)
{
    if (fd < sched->watch_capacity) {
        return 0;
    }
    int capacity = sched->watch_capacity ? sched->watch_capacity : 64;
    while (capacity <= fd) {
        if (capacity > INT_MAX / 2) {
            PyErr_Format(PyExc_ValueError,
                         "file descriptor %d is out of range", fd);
            return -1;
        }
        capacity *= 2;
    }
    size_t size = (size_t)capacity * sizeof(PyaioWatch);
    PyaioWatch *watches = PyMem_Realloc(sched->watches, size);
    if (watches == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memset(watches + sched->watch_capacity, 0,
           (size_t)(capacity - sched->watch_capacity) * sizeof(PyaioWatch));
    sched->watches = watches;
    sched->watch_capacity = capacity;
    return 0;
}

/* Whether whoever watches in this direction, if anybody, does so once. */
static int
is_once(const PyaioWatcher *watcher)
{
    return watcher->target == NULL || watcher->kind->once;
}

/* What the poller is to know of a descriptor. */
static unsigned
watch_wanted(const PyaioWatch *watch)
{
    unsigned mask = pyaio_watch_mask(watch);
    int once = is_once(&watch->reader) && is_once(&watch->writer);
    return mask != 0 && once ? mask | PYAIO_POLL_ONCE : mask;
}

/* Whether nothing watches a descriptor, or not all that the poller knows: it
 * may have been closed since, and be another file's by now. */
static int
is_unsure(const PyaioWatch *watch)
{
    return (watch->registered & ~pyaio_watch_mask(watch)) != 0;
}

/* Registers anew a descriptor that is known already. */
static int
watch_register_again(PyaioScheduler *sched, int fd, unsigned mask)
{
    int err = sched->backend->modify(sched->poller, fd, mask);
    if (err == -ENOENT && is_unsure(&sched->watches[fd])) {
        (void)sched->backend->remove(sched->poller, fd);
        err = sched->backend->add(sched->poller, fd, mask);
    }
    return err;
}

/* Makes the poller know one more direction. It is asked before the table
 * grows: only then is the number known to be a descriptor. */
static int
watch_register(PyaioScheduler *sched, int fd, unsigned direction, int once,
               const PyObject *target)
{
    unsigned before =
        fd < sched->watch_capacity ? sched->watches[fd].registered : 0;
    unsigned mask = (before & ~PYAIO_POLL_ONCE) | direction;
    if (once && (before == 0 || (before & PYAIO_POLL_ONCE))) {
        mask |= PYAIO_POLL_ONCE;
    }
    else if (before == mask && (!is_unsure(&sched->watches[fd]) ||
                                sched->watches[fd].paused == target)) {
        return 0; /* also for a reader that goes on */
    }
    int err = before ? watch_register_again(sched, fd, mask)
                     : sched->backend->add(sched->poller, fd, mask);
    if (err < 0) {
        pyaio_set_errno(-err);
        return -1;
    }
    if (watch_reserve(sched, fd) < 0) {
        (void)sched->backend->remove(sched->poller, fd);
        return -1;
    }
    sched->watches[fd].registered = mask;
    return 0;
}

/* Makes the poller know no more than what is watched. A descriptor that was
 * closed meanwhile is not registered any more; there is nothing to undo
 * then. */
static void
watch_reduce(PyaioScheduler *sched, int fd)
{
    PyaioWatch *watch = &sched->watches[fd];
    unsigned mask = watch_wanted(watch);
    int disarmed = watch->registered == PYAIO_POLL_ONCE;
    if (watch->registered == mask || (disarmed && mask == 0)) {
        return;
    }
    watch->registered = mask;
    watch->paused = NULL;
    if (sched->poller != NULL) {
        (void)(mask ? sched->backend->modify(sched->poller, fd, mask)
                    : sched->backend->remove(sched->poller, fd));
    }
}

/* Gives up what watched, which is out of the table already. */
static void
watcher_release(PyaioState *state, PyaioWatcher *watcher)
{
    if (watcher->target != NULL) {
        if (watcher->kind == &pyaio_ready_handle) {
            pyaio_handle_cancel(state, watcher->target);
        }
        Py_DECREF(watcher->target);
    }
}

int
pyaio_watch_add(PyaioScheduler *sched, int fd, unsigned direction,
                const PyaioReadyKind *kind, PyObject *target, PyObject *file)
{
    if (sched->poller == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
        return -1;
    }
    if (watch_register(sched, fd, direction, kind->once, target) < 0) {
        return -1;
    }
    PyaioWatch *watch = &sched->watches[fd];
    PyaioWatcher *place = pyaio_watch_side(watch, direction);
    PyaioWatcher old = *place;
    PyObject *old_file = NULL;
    if (pyaio_watch_mask(watch) == 0) {
        sched->watch_count++;
        old_file = watch->file;
        watch->file = Py_XNewRef(file);
    }
    place->kind = kind;
    place->target = Py_NewRef(target);
    watch->queued &= ~direction;
    watch->paused = NULL;
    watcher_release(sched->state, &old);
    Py_XDECREF(old_file);
    return 0;
}

int
pyaio_watch_find(const PyaioScheduler *sched, const PyObject *file)
{
    for (int fd = 0; fd < sched->watch_capacity; fd++) {
        if (sched->watches[fd].file == file) {
            return fd;
        }
    }
    return -1;
}

/* Ends one direction; `reduce` tells the poller. */
static int
watch_end(PyaioScheduler *sched, int fd, unsigned direction, int reduce)
{
    if (fd < 0 || fd >= sched->watch_capacity) {
        return 0;
    }
    PyaioWatch *watch = &sched->watches[fd];
    PyaioWatcher *place = pyaio_watch_side(watch, direction);
    PyaioWatcher old = *place;
    PyObject *file = NULL;
    place->target = NULL;
    watch->queued &= ~direction;
    if (old.target != NULL && pyaio_watch_mask(watch) == 0) {
        sched->watch_count--;
        file = watch->file;
        watch->file = NULL;
    }
    if (reduce) {
        watch_reduce(sched, fd);
    }
    int found = old.target != NULL;
    watcher_release(sched->state, &old);
    Py_XDECREF(file);
    return found;
}

int
pyaio_watch_remove(PyaioScheduler *sched, int fd, unsigned direction)
{
    return watch_end(sched, fd, direction, 1);
}

void
pyaio_watch_remove_of(PyaioScheduler *sched, int fd, unsigned direction,
                      const PyObject *target)
{
    if (fd < 0 || fd >= sched->watch_capacity) {
        return;
    }
    const PyObject *watching =
        pyaio_watch_side(&sched->watches[fd], direction)->target;
    if (watching == NULL || watching == target) {
        (void)watch_end(sched, fd, direction, 1);
    }
}

void
pyaio_watch_pause(PyaioScheduler *sched, int fd)
{
    if (fd >= 0 && fd < sched->watch_capacity) {
        sched->watches[fd].paused = sched->watches[fd].reader.target;
        (void)watch_end(sched, fd, PYAIO_POLL_READ, 0);
    }
}

static int
watch_queue(PyaioScheduler *sched, int fd, unsigned direction)
{
    PyaioWatch *watch = &sched->watches[fd];
    PyaioWatcher *watcher = pyaio_watch_side(watch, direction);
    if (watcher->target == NULL) {
        return 0;
    }
    if (watcher->kind == &pyaio_ready_handle) {
        if (pyaio_handle_is_cancelled(watcher->target)) {
            pyaio_watch_remove(sched, fd, direction);
            return 0;
        }
    }
    else if (watch->queued & direction) {
        return 0;
    }
    else if (watcher->kind->once) {
        int err =
            pyaio_sched_push(sched, watcher->kind, watcher->target, NULL);
        (void)watch_end(sched, fd, direction, 0);
        return err;
    }
    else {
        watch->queued |= direction;
    }
    return pyaio_sched_push(sched, watcher->kind, watcher->target, NULL);
}

int
pyaio_watch_dispatch(PyaioScheduler *sched, int fd, unsigned mask,
                     int blocking)
{
    if (fd >= sched->watch_capacity) {
        return 0;
    }
    unsigned before = pyaio_watch_mask(&sched->watches[fd]);
    int once = (sched->watches[fd].registered & PYAIO_POLL_ONCE) != 0;
    if (once) {
        sched->watches[fd].registered = PYAIO_POLL_ONCE;
    }
    if ((mask & PYAIO_POLL_READ) &&
        watch_queue(sched, fd, PYAIO_POLL_READ) < 0) {
        return -1;
    }
    if ((mask & PYAIO_POLL_WRITE) &&
        watch_queue(sched, fd, PYAIO_POLL_WRITE) < 0) {
        return -1;
    }
    if (blocking || once || pyaio_watch_mask(&sched->watches[fd]) != before) {
        watch_reduce(sched, fd);
    }
    return 0;
}

int
pyaio_watch_register_all(PyaioScheduler *sched)
{
    for (int fd = 0; fd < sched->watch_capacity; fd++) {
        PyaioWatch *watch = &sched->watches[fd];
        watch->registered = watch_wanted(watch);
        if (watch->registered == 0) {
            continue;
        }
        int err = sched->backend->add(sched->poller, fd, watch->registered);
        if (err < 0 && err != -EBADF) {
            pyaio_set_errno(-err);
            return -1;
        }
    }
    return 0;
}

void
pyaio_watch_clear(PyaioScheduler *sched)
{
    PyaioWatch *watches = sched->watches;
    int capacity = sched->watch_capacity;
    sched->watches = NULL;
    sched->watch_capacity = 0;
    sched->watch_count = 0;
    for (int fd = 0; fd < capacity; fd++) {
        Py_XDECREF(watches[fd].reader.target);
        Py_XDECREF(watches[fd].writer.target);
        Py_XDECREF(watches[fd].file);
    }
    PyMem_Free(watches);
}
