/* ThreadSafeHandle: what call_soon_threadsafe() returns.
 *
 * From Python 3.14 on, a thread that cancels one (or asks whether it is
 * cancelled) while its callback runs elsewhere waits for the callback's
 * end. */
#include "base/meta.h"
#include "sched/handle.h"

#include <pythread.h>

typedef struct {
    PyaioHandleBase base;
#if PYAIO_HAS_THREADSAFE_HANDLE
    PyObject *lock; /* the stock class's field; always NULL */
#endif
    unsigned long runner;    /* thread that runs the callback, or 0 */
    PyThread_type_lock gate; /* held while it runs, made by the first that
                                 has to wait */
    Py_ssize_t waiters;      /* threads blocked at the gate */
} ThreadSafeHandle;

PyObject *
pyaio_threadsafe_handle_new(PyaioState *state, PyObject *callback,
                            PyObject *const *args, Py_ssize_t nargs,
                            PyObject *loop, PyObject *context)
{
    PyTypeObject *type = state->ThreadSafeHandle_type;
    PyObject *op = type->tp_alloc(type, 0);
    if (op != NULL && pyaio_handle_fill(state, (PyaioHandleBase *)op, callback,
                                        args, nargs, loop, context) < 0) {
        Py_CLEAR(op);
    }
    return op;
}

int
pyaio_threadsafe_handle_invoke(PyaioState *state, PyObject *op)
{
    ThreadSafeHandle *self = (ThreadSafeHandle *)op;
    unsigned long outer = self->runner;
    self->runner = PyThread_get_thread_ident();
    int err = pyaio_handle_invoke(state, &self->base);
    self->runner = outer;
    if (outer == 0 && self->gate != NULL) {
        PyThread_release_lock(self->gate);
    }
    return err;
}

/* Waits until no other thread runs the callback. */
static int
threadsafe_handle_wait(ThreadSafeHandle *self)
{
    while (self->runner != 0 && self->runner != PyThread_get_thread_ident()) {
        if (self->gate == NULL) {
            self->gate = PyThread_allocate_lock();
            if (self->gate == NULL) {
                PyErr_NoMemory();
                return -1;
            }
            PyThread_acquire_lock(self->gate, WAIT_LOCK);
        }
        PyThread_type_lock gate = self->gate;
        self->waiters++;
        Py_BEGIN_ALLOW_THREADS PyThread_acquire_lock(gate, WAIT_LOCK);
        PyThread_release_lock(gate);
        Py_END_ALLOW_THREADS if (--self->waiters == 0 && self->runner == 0)
        {
            PyThread_free_lock(gate);
            self->gate = NULL;
        }
    }
    return 0;
}

static PyObject *
ThreadSafeHandle_cancel(PyObject *op, PyObject *Py_UNUSED(unused))
{
    if (threadsafe_handle_wait((ThreadSafeHandle *)op) < 0) {
        return NULL;
    }
    pyaio_handle_cancel(pyaio_state_of(op), op);
    Py_RETURN_NONE;
}

static PyObject *
ThreadSafeHandle_cancelled(PyObject *op, PyObject *unused)
{
    if (threadsafe_handle_wait((ThreadSafeHandle *)op) < 0) {
        return NULL;
    }
    return pyaio_handle_py_cancelled(op, unused);
}

static PyObject *
ThreadSafeHandle_run(PyObject *op, PyObject *Py_UNUSED(unused))
{
    if (pyaio_threadsafe_handle_invoke(pyaio_state_of(op), op) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static void
ThreadSafeHandle_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    PyObject_ClearWeakRefs(op);
    (void)pyaio_handle_clear(op);
    ThreadSafeHandle *self = (ThreadSafeHandle *)op;
    if (self->gate != NULL) {
        PyThread_free_lock(self->gate);
    }
    type->tp_free(op);
    Py_DECREF(type);
}

static PyMethodDef threadsafe_handle_methods[] = {
    {"cancel", ThreadSafeHandle_cancel, METH_NOARGS,
     "Cancel the callback; if another thread runs it, wait for its end."},
    {"cancelled", ThreadSafeHandle_cancelled, METH_NOARGS,
     "Return True if the callback was cancelled."},
    {"get_context", pyaio_handle_py_get_context, METH_NOARGS,
     "Return the contextvars.Context in which the callback runs."},
    {"_run", ThreadSafeHandle_run, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef threadsafe_handle_getset[] = {
    PYAIO_HANDLE_GETSET,
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(threadsafe_handle_doc,
             "A callback scheduled with loop.call_soon_threadsafe().");

static PyType_Slot threadsafe_handle_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)threadsafe_handle_doc},
    {Py_tp_traverse, pyaio_handle_traverse},
    {Py_tp_clear, pyaio_handle_clear},
    {Py_tp_dealloc, ThreadSafeHandle_dealloc},
    {Py_tp_methods, threadsafe_handle_methods},
    {Py_tp_getset, threadsafe_handle_getset},
    {0, NULL},
};

static PyType_Spec threadsafe_handle_spec = {
    .name = "pyaio._core._ThreadSafeHandle",
    .basicsize = sizeof(ThreadSafeHandle),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = threadsafe_handle_slots,
};

int
pyaio_threadsafe_handle_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    PyObject *base = state->stock_ThreadSafeHandle != Py_None
                         ? state->stock_ThreadSafeHandle
                         : state->stock_Handle;
    if (pyaio_add_type(module, &state->ThreadSafeHandle_type,
                       &threadsafe_handle_spec, (PyTypeObject *)base) < 0) {
        return -1;
    }
    return pyaio_meta_adopt(state, state->ThreadSafeHandle_type);
}
