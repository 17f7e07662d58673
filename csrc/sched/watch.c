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

static unsigned
watch_mask(const PyaioWatch *watch)
{
    return (watch->reader ? PYAIO_POLL_READ : 0u) |
           (watch->writer ? PYAIO_POLL_WRITE : 0u);
}

/* Registers a descriptor that nothing watches yet. The kernel is asked first:
 * only then is the number known to be a real one, and the table grows. */
static int
watch_register(PyaioScheduler *sched, int fd, unsigned direction)
{
    int err = sched->backend->add(sched->poller, fd, direction);
    if (err < 0) {
        pyaio_set_errno(-err);
        return -1;
    }
    if (watch_reserve(sched, fd) < 0) {
        (void)sched->backend->remove(sched->poller, fd);
        return -1;
    }
    sched->watch_count++;
    return 0;
}

int
pyaio_watch_add(PyaioScheduler *sched, int fd, unsigned direction,
                PyObject *handle, PyObject *file)
{
    unsigned before =
        fd < sched->watch_capacity ? watch_mask(&sched->watches[fd]) : 0;
    if (before == 0) {
        if (watch_register(sched, fd, direction) < 0) {
            return -1;
        }
        Py_XSETREF(sched->watches[fd].file, Py_XNewRef(file));
    }
    else if (!(before & direction)) {
        int err =
            sched->backend->modify(sched->poller, fd, before | direction);
        if (err < 0) {
            pyaio_set_errno(-err);
            return -1;
        }
    }
    PyaioWatch *watch = &sched->watches[fd];
    PyObject **place =
        direction == PYAIO_POLL_READ ? &watch->reader : &watch->writer;
    PyObject *old = *place;
    *place = Py_NewRef(handle);
    if (old != NULL) {
        pyaio_handle_cancel(sched->state, old);
        Py_DECREF(old);
    }
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

int
pyaio_watch_remove(PyaioScheduler *sched, int fd, unsigned direction)
{
    if (fd < 0 || fd >= sched->watch_capacity) {
        return 0;
    }
    PyaioWatch *watch = &sched->watches[fd];
    PyObject **place =
        direction == PYAIO_POLL_READ ? &watch->reader : &watch->writer;
    PyObject *handle = *place;
    if (handle == NULL) {
        return 0;
    }
    *place = NULL;
    unsigned left = watch_mask(watch);
    PyObject *file = NULL;
    if (left == 0) {
        sched->watch_count--;
        file = watch->file;
        watch->file = NULL;
    }
    if (sched->poller != NULL) {
        /* A descriptor that was closed meanwhile is not registered any more;
         * there is nothing to undo then. */
        (void)(left ? sched->backend->modify(sched->poller, fd, left)
                    : sched->backend->remove(sched->poller, fd));
    }
    pyaio_handle_cancel(sched->state, handle);
    Py_DECREF(handle);
    Py_XDECREF(file);
    return 1;
}

static int
watch_queue(PyaioScheduler *sched, int fd, unsigned direction)
{
    PyaioWatch *watch = &sched->watches[fd];
    PyObject *handle =
        direction == PYAIO_POLL_READ ? watch->reader : watch->writer;
    if (handle == NULL) {
        return 0;
    }
    if (pyaio_handle_is_cancelled(handle)) {
        pyaio_watch_remove(sched, fd, direction);
        return 0;
    }
    return pyaio_sched_push(sched, &pyaio_ready_handle, handle, NULL);
}

int
pyaio_watch_dispatch(PyaioScheduler *sched, int fd, unsigned mask)
{
    if (fd >= sched->watch_capacity) {
        return 0;
    }
    if ((mask & PYAIO_POLL_READ) &&
        watch_queue(sched, fd, PYAIO_POLL_READ) < 0) {
        return -1;
    }
    if ((mask & PYAIO_POLL_WRITE) &&
        watch_queue(sched, fd, PYAIO_POLL_WRITE) < 0) {
        return -1;
    }
    return 0;
}

int
pyaio_watch_register_all(PyaioScheduler *sched)
{
    for (int fd = 0; fd < sched->watch_capacity; fd++) {
        unsigned mask = watch_mask(&sched->watches[fd]);
        if (mask == 0) {
            continue;
        }
        int err = sched->backend->add(sched->poller, fd, mask);
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
        Py_XDECREF(watches[fd].reader);
        Py_XDECREF(watches[fd].writer);
        Py_XDECREF(watches[fd].file);
    }
    PyMem_Free(watches);
}
