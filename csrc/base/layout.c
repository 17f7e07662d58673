/* Proof of the layouts that base/layout.h declares. */
#include "base/layout.h"

#include <stddef.h>

typedef struct {
    PyObject *sentinel; /* what stands in the field under test */
    int visits;
} Probe;

static int
probe_visit(PyObject *op, void *arg)
{
    Probe *probe = arg;
    probe->visits += op == probe->sentinel;
    return 0;
}

/* Whether the stock object `op` treats the word at `offset` as a reference of
 * its own, which the collector visits once. The word must be NULL. */
static int
probe_field(PyObject *op, size_t offset, PyObject *sentinel)
{
    PyObject **field = (PyObject **)((char *)op + offset);
    if (*field != NULL) {
        return 0;
    }
    Probe probe = {sentinel, 0};
    *field = sentinel;
    Py_TYPE(op)->tp_traverse(op, probe_visit, &probe);
    *field = NULL;
    return probe.visits == 1;
}

#define FUTURE_FIELD(name) offsetof(PyaioFutureBase, name)
#define TASK_FIELD(name) offsetof(PyaioTaskBase, name)

static const size_t future_fields[] = {
    FUTURE_FIELD(loop),           FUTURE_FIELD(callback0),
    FUTURE_FIELD(context0),       FUTURE_FIELD(callbacks),
    FUTURE_FIELD(exception),      FUTURE_FIELD(exception_tb),
    FUTURE_FIELD(result),         FUTURE_FIELD(source_traceback),
    FUTURE_FIELD(cancel_message), FUTURE_FIELD(cancelled_exc),
#if PYAIO_HAS_CALL_GRAPH
    FUTURE_FIELD(awaited_by),
#endif
};

static const size_t task_fields[] = {
    TASK_FIELD(fut_waiter),
    TASK_FIELD(coro),
    TASK_FIELD(name),
    TASK_FIELD(context),
};

static int
layout_fail(const char *what)
{
    PyErr_Format(PyExc_ImportError,
                 "pyaio was built for another layout of %s than this "
                 "interpreter has; install a build for Python %s",
                 what, Py_GetVersion());
    return -1;
}

/* A new object of `type`, never initialised. */
static PyObject *
layout_specimen(PyTypeObject *type)
{
    PyObject *args = PyTuple_New(0);
    PyObject *op = args ? type->tp_new(type, args, NULL) : NULL;
    Py_XDECREF(args);
    return op;
}

static int
layout_verify_fields(PyTypeObject *type, const size_t *fields, size_t count,
                     const char *what)
{
    PyObject *specimen = layout_specimen(type);
    if (specimen == NULL) {
        return -1;
    }
    PyObject *sentinel = PyList_New(0);
    int good = sentinel != NULL;
    for (size_t i = 0; good && i < count; i++) {
        good = probe_field(specimen, fields[i], sentinel);
    }
    Py_XDECREF(sentinel);
    Py_DECREF(specimen);
    if (!good) {
        return PyErr_Occurred() ? -1 : layout_fail(what);
    }
    return 0;
}

/* Whether the slot descriptor `name` of `type` lies inside [from, to). */
static int
layout_slot_inside(PyTypeObject *type, const char *name, size_t from,
                   size_t to)
{
    PyObject *descriptor = PyObject_GetAttrString((PyObject *)type, name);
    if (descriptor == NULL) {
        PyErr_Clear();
        return 0;
    }
    int inside = 0;
    if (Py_IS_TYPE(descriptor, &PyMemberDescr_Type)) {
        PyMemberDef *member = ((PyMemberDescrObject *)descriptor)->d_member;
        inside = member->type == T_OBJECT_EX &&
                 (size_t)member->offset >= from && (size_t)member->offset < to;
    }
    Py_DECREF(descriptor);
    return inside;
}

static int
layout_verify_handles(PyTypeObject *handle, PyTypeObject *timer_handle)
{
    static const char *const names[] = {
        "_args", "_callback", "_cancelled",       "_context",
        "_loop", "_repr",     "_source_traceback"};
    size_t from = offsetof(PyaioHandleBase, arg0);
    size_t to = offsetof(PyaioHandleBase, source_traceback) + sizeof(void *);
    if (handle->tp_basicsize != (Py_ssize_t)sizeof(PyaioHandleBase)) {
        return layout_fail("asyncio.Handle");
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!layout_slot_inside(handle, names[i], from, to)) {
            return layout_fail("asyncio.Handle");
        }
    }
    from = sizeof(PyaioHandleBase);
    to = sizeof(PyaioTimerHandleBase);
    if (timer_handle->tp_basicsize != (Py_ssize_t)to ||
        !layout_slot_inside(timer_handle, "_scheduled", from, to) ||
        !layout_slot_inside(timer_handle, "_when", from, to)) {
        return layout_fail("asyncio.TimerHandle");
    }
    return 0;
}

int
pyaio_layout_verify(PyTypeObject *future, PyTypeObject *task,
                    PyTypeObject *handle, PyTypeObject *timer_handle)
{
    if (future->tp_basicsize != (Py_ssize_t)sizeof(PyaioFutureBase)) {
        return layout_fail("asyncio.Future");
    }
    if (task->tp_basicsize != (Py_ssize_t)sizeof(PyaioTaskBase)) {
        return layout_fail("asyncio.Task");
    }
    if (layout_verify_fields(future, future_fields,
                             sizeof(future_fields) / sizeof(size_t),
                             "asyncio.Future") < 0 ||
        layout_verify_fields(task, future_fields,
                             sizeof(future_fields) / sizeof(size_t),
                             "asyncio.Task") < 0 ||
        layout_verify_fields(task, task_fields,
                             sizeof(task_fields) / sizeof(size_t),
                             "asyncio.Task") < 0) {
        return -1;
    }
    return layout_verify_handles(handle, timer_handle);
}
