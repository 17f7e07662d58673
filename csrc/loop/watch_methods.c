/* EventLoop methods that watch descriptors. */
#include "loop/loop.h"
#include "sched/handle.h"
#include "sched/watch.h"

/* int(op.fileno()), or op itself where it is a number: a new reference. */
static PyObject *
descriptor_number(PyObject *op)
{
    if (PyLong_Check(op)) {
        return Py_NewRef(op);
    }
    PyObject *number = PyObject_CallMethod(op, "fileno", NULL);
    if (number != NULL) {
        Py_SETREF(number, PyNumber_Long(number));
    }
    if (number == NULL && (PyErr_ExceptionMatches(PyExc_AttributeError) ||
                           PyErr_ExceptionMatches(PyExc_TypeError) ||
                           PyErr_ExceptionMatches(PyExc_ValueError))) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "Invalid file object: %R", op);
    }
    return number;
}

/* The descriptor of a number or of an object with fileno(); -1 on error. */
static int
descriptor_of(PyObject *op)
{
    PyObject *number = descriptor_number(op);
    if (number == NULL) {
        return -1;
    }
    int overflow;
    long fd = PyLong_AsLongAndOverflow(number, &overflow);
    if (overflow < 0 || (!overflow && fd < 0)) {
        PyErr_Format(PyExc_ValueError, "Invalid file descriptor: %S", number);
        fd = -1;
    }
    else if (overflow || fd > INT_MAX) {
        PyErr_SetString(PyExc_OverflowError,
                        "the file descriptor is too large for a C int");
        fd = -1;
    }
    Py_DECREF(number);
    return (int)fd;
}

static PyObject *
loop_add_watch(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
               PyObject *kwnames, unsigned direction)
{
    PyaioScheduler *sched = pyaio_loop_require_open(op);
    if (sched == NULL) {
        return NULL;
    }
    PyObject *context;
    if (pyaio_loop_parse_context(sched->state, "_add_reader", args, nargs, 2,
                                 kwnames, &context) < 0) {
        return NULL;
    }
    int fd = descriptor_of(args[0]);
    if (fd < 0) {
        return NULL;
    }
    PyObject *handle = pyaio_handle_new(sched->state, args[1], args + 2,
                                        nargs - 2, op, context);
    if (handle == NULL) {
        return NULL;
    }
    PyObject_GC_Track(handle);
    PyObject *file = PyLong_Check(args[0]) ? NULL : args[0];
    if (pyaio_watch_add(sched, fd, direction, &pyaio_ready_handle, handle,
                        file) < 0) {
        Py_CLEAR(handle);
    }
    return handle;
}

static PyObject *
Loop_add_reader(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                PyObject *kwnames)
{
    return loop_add_watch(op, args, nargs, kwnames, PYAIO_POLL_READ);
}

static PyObject *
Loop_add_writer(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                PyObject *kwnames)
{
    return loop_add_watch(op, args, nargs, kwnames, PYAIO_POLL_WRITE);
}

/* The descriptor of `file`, also where it was closed while watched. */
static int
descriptor_remembered(PyaioScheduler *sched, PyObject *file)
{
    int fd = descriptor_of(file);
    if (fd < 0 && PyErr_ExceptionMatches(PyExc_ValueError)) {
        PyObject *raised = PyErr_GetRaisedException();
        fd = pyaio_watch_find(sched, file);
        if (fd < 0) {
            PyErr_SetRaisedException(raised);
        }
        else {
            Py_DECREF(raised);
        }
    }
    return fd;
}

static PyObject *
loop_remove_watch(PyObject *op, PyObject *file, unsigned direction)
{
    PyaioScheduler *sched = &((PyaioLoop *)op)->head.sched;
    if (sched->poller == NULL) {
        Py_RETURN_FALSE;
    }
    int fd = descriptor_remembered(sched, file);
    if (fd < 0) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) {
            return NULL;
        }
        PyErr_Clear(); /* nobody can have watched it */
        Py_RETURN_FALSE;
    }
    return PyBool_FromLong(pyaio_watch_remove(sched, fd, direction));
}

static PyObject *
Loop_remove_reader(PyObject *op, PyObject *file)
{
    return loop_remove_watch(op, file, PYAIO_POLL_READ);
}

static PyObject *
Loop_remove_writer(PyObject *op, PyObject *file)
{
    return loop_remove_watch(op, file, PYAIO_POLL_WRITE);
}

/* A watcher as a Handle or another callable, or None. */
static PyObject *
watcher_shown(PyaioState *state, const PyaioWatcher *watcher)
{
    if (watcher->target == NULL) {
        Py_RETURN_NONE;
    }
    if (watcher->kind == &pyaio_ready_handle) {
        return Py_NewRef(watcher->target);
    }
    return pyaio_ready_call_new(state, watcher->kind, watcher->target, NULL);
}

static PyObject *
watch_shown(PyaioState *state, const PyaioWatch *watch)
{
    PyObject *reader = watcher_shown(state, &watch->reader);
    PyObject *writer = watcher_shown(state, &watch->writer);
    PyObject *pair = reader && writer ? PyTuple_Pack(2, reader, writer) : NULL;
    Py_XDECREF(reader);
    Py_XDECREF(writer);
    return pair;
}

/* Every watched descriptor with its handles: {fd: (reader, writer)}. */
static PyObject *
Loop_watchers(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioScheduler *sched = &((PyaioLoop *)op)->head.sched;
    PyObject *result = PyDict_New();
    for (int fd = 0; result != NULL && fd < sched->watch_capacity; fd++) {
        PyaioWatch *watch = &sched->watches[fd];
        if (pyaio_watch_mask(watch) == 0) {
            continue;
        }
        PyObject *number = PyLong_FromLong(fd);
        PyObject *pair = watch_shown(sched->state, watch);
        if (number == NULL || pair == NULL ||
            PyDict_SetItem(result, number, pair) < 0) {
            Py_CLEAR(result);
        }
        Py_XDECREF(number);
        Py_XDECREF(pair);
    }
    return result;
}

#define FASTCALL(function) (PyCFunction)(void (*)(void)) function
#define KEYWORDS (METH_FASTCALL | METH_KEYWORDS)

PyMethodDef pyaio_loop_watch_methods[] = {
    {"_add_reader", FASTCALL(Loop_add_reader), KEYWORDS,
     "_add_reader($self, fd, callback, /, *args, context=None)\n--\n\n"
     "Watch a descriptor; return the Handle."},
    {"_add_writer", FASTCALL(Loop_add_writer), KEYWORDS,
     "_add_writer($self, fd, callback, /, *args, context=None)\n--\n\n"
     "Watch a descriptor; return the Handle."},
    {"_remove_reader", Loop_remove_reader, METH_O, NULL},
    {"_remove_writer", Loop_remove_writer, METH_O, NULL},
    {"_watchers", Loop_watchers, METH_NOARGS,
     "_watchers($self, /)\n--\n\n"
     "Return {descriptor: (reader, writer)}, handles or None."},
    {NULL, NULL, 0, NULL},
};
