/* Future: a result that will be there, and who waits for it.
 *
 * Both Future and Task carry one PyaioFuture, behind the fields of the stock
 * type that each extends; C code passes that struct around, whichever object
 * it is in. A future whose `loop` is NULL was never initialised. */
#ifndef PYAIO_TASK_FUTURE_H
#define PYAIO_TASK_FUTURE_H

#include "base/layout.h"
#include "sched/sched.h"

enum { /* the values that stock asyncio keeps in the same field */
       PYAIO_FUTURE_PENDING = 0,
       PYAIO_FUTURE_CANCELLED = 1,
       PYAIO_FUTURE_FINISHED = 2,
};

typedef struct {
    PyObject *loop; /* owned */
    /* What runs when it is done, where base.callback0 is a native waiter
     * rather than a Python callable; NULL for the latter. */
    const PyaioReadyKind *callback0_kind;
    uint32_t is_task : 1;     /* which object this is embedded in */
    uint32_t blocking : 1;    /* _asyncio_future_blocking */
    uint32_t log_tb : 1;      /* an exception nobody has retrieved */
    uint32_t must_cancel : 1; /* of a task: throw CancelledError next */
    uint32_t log_destroy : 1; /* of a task: tell when destroyed pending */
    uint32_t own_cancel : 1;  /* somebody set `cancel` on the instance */
    uint32_t cancel_requests; /* of a task: cancel() less uncancel() */
} PyaioFuture;

typedef struct {
    PyaioFutureBase base;
    PyaioFuture future;
} PyaioFutureObject;

typedef struct {
    PyaioTaskBase base;
    PyaioFuture future;
#if !PYAIO_HAS_CALL_GRAPH
    PyaioLink link; /* in state->tasks while unfinished */
#endif
} PyaioTask;

static inline PyObject *
pyaio_future_object(PyaioFuture *future)
{
    size_t offset = future->is_task ? offsetof(PyaioTask, future)
                                    : offsetof(PyaioFutureObject, future);
    /* By way of a number: the object begins before the struct. */
    return (PyObject *)((uintptr_t)future - offset);
}

static inline PyaioFutureBase *
pyaio_future_base(PyaioFuture *future)
{
    return (PyaioFutureBase *)pyaio_future_object(future);
}

static inline PyaioTask *
pyaio_future_task(PyaioFuture *future)
{
    return (PyaioTask *)pyaio_future_object(future);
}

/* The PyaioFuture inside `op`, which is known to be of a type derived from our
 * Future or Task. */
static inline PyaioFuture *
pyaio_own_future(const PyaioState *state, PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    if (type == state->Task_type ||
        (type != state->Future_type &&
         PyType_IsSubtype(type, state->Task_type))) {
        return &((PyaioTask *)op)->future;
    }
    return &((PyaioFutureObject *)op)->future;
}

/* The same for any object: NULL where there is none inside. */
static inline PyaioFuture *
pyaio_as_future(const PyaioState *state, PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    if (type == state->Future_type || type == state->Task_type ||
        PyType_IsSubtype(type, state->Future_type) ||
        PyType_IsSubtype(type, state->Task_type)) {
        return pyaio_own_future(state, op);
    }
    return NULL;
}

/* Like pyaio_as_future(), but NULL also for Python subclasses, which may
 * override anything. Subtypes of our own count as ours. */
static inline PyaioFuture *
pyaio_as_native_future(const PyaioState *state, PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    if (type == state->Task_type) {
        return &((PyaioTask *)op)->future;
    }
    if (type == state->Future_type || type == state->GatheringFuture_type) {
        return &((PyaioFutureObject *)op)->future;
    }
    return NULL;
}

static inline int
pyaio_future_state(PyaioFuture *future)
{
    return pyaio_future_base(future)->state;
}

static inline int
pyaio_future_done(PyaioFuture *future)
{
    return pyaio_future_base(future)->state != PYAIO_FUTURE_PENDING;
}

/* A new pending Future of `loop`. */
PyObject *pyaio_future_new(PyaioState *state, PyObject *loop);
/* loop.create_future(), with the shortcut where nobody overrode it. */
PyObject *pyaio_loop_create_future(PyaioState *state, PyObject *loop);
/* Prepares a future whose memory is zero. `loop` NULL: the current loop. */
int pyaio_future_setup(PyaioState *state, PyaioFuture *future, PyObject *loop);

/* These expect a pending future. They return 0, or -1 where its callbacks
 * could not be scheduled; it has changed its state all the same. */
int pyaio_future_set_result(PyaioState *state, PyaioFuture *future,
                            PyObject *result);
int pyaio_future_set_exception(PyaioState *state, PyaioFuture *future,
                               PyObject *exception);
/* Marks it cancelled; `message` may be NULL or None. */
int pyaio_future_set_cancelled(PyaioState *state, PyaioFuture *future,
                               PyObject *message);

/* Future.cancel() of a future that is not a task: 1, 0 where it is done
 * already, or -1. */
int pyaio_future_cancel(PyaioState *state, PyaioFuture *future,
                        PyObject *message);

/* The CancelledError that a cancelled future raises: a new reference. */
PyObject *pyaio_future_cancelled_error(PyaioState *state, PyaioFuture *future);
/* Result of a done future, marking its exception retrieved. Returns a new
 * reference, or NULL with *exception set to the exception, a new reference (or
 * with *exception NULL and an error raised, on failure). */
PyObject *pyaio_future_get_result(PyaioState *state, PyaioFuture *future,
                                  PyObject **exception);

/* Registers a native waiter: when the future is done, the entry (kind, target,
 * future) is scheduled; at once where it is done already. */
int pyaio_future_add_waiter(PyaioState *state, PyaioFuture *future,
                            const PyaioReadyKind *kind, PyObject *target);
/* Takes one registration back, where there is one; the caller holds the
 * target. Returns 0, or -1 with an exception. */
int pyaio_future_remove_waiter(PyaioState *state, PyaioFuture *future,
                               const PyaioReadyKind *kind, PyObject *target);
/* Registers a Python callable; `context` NULL or None: a copy of the
 * current. */
int pyaio_future_add_callback(PyaioState *state, PyaioFuture *future,
                              PyObject *callback, PyObject *context);

/* Generic access for any future-like object: ours directly, others through
 * their methods. */
int pyaio_any_future_done(PyaioState *state, PyObject *op); /* -1: error */
int pyaio_any_future_cancelled(PyaioState *state, PyObject *op);
/* op.cancel(msg=message). Returns its truth, or -1. `message` NULL: none. */
int pyaio_any_future_cancel(PyaioState *state, PyObject *op,
                            PyObject *message);
/* op.result(): a new reference, or NULL with what it raises. */
PyObject *pyaio_any_future_result(PyaioState *state, PyObject *op);
/* op.exception(): a new reference, None where there is none. */
PyObject *pyaio_any_future_exception(PyaioState *state, PyObject *op);
/* op.set_result(result), unless it is done already. Returns 0 or -1. */
int pyaio_any_future_release(PyaioState *state, PyObject *op,
                             PyObject *result);
/* Adds a native waiter to any future: directly, or as a Python callback. */
int pyaio_any_future_add_waiter(PyaioState *state, PyObject *op,
                                const PyaioReadyKind *kind, PyObject *target);
/* Records that `waiter`, a task of any make, awaits `op`, and takes it back,
 * where the running version does. Each returns 0, or -1 with an exception. */
int pyaio_any_awaited_by_add(PyaioState *state, PyObject *op,
                             PyObject *waiter);
int pyaio_any_awaited_by_discard(PyaioState *state, PyObject *op,
                                 PyObject *waiter);
/* asyncio.isfuture(op). */
int pyaio_is_future(PyaioState *state, PyObject *op);
/* The loop of any future: a new reference. */
PyObject *pyaio_any_future_loop(PyaioState *state, PyObject *op);

int pyaio_future_init(PyObject *module);
int pyaio_future_iter_init(PyObject *module);
/* Prepares the types that extend Future in C: traverse, clear, dealloc. */
int pyaio_future_tp_traverse(PyObject *op, visitproc visit, void *arg);
int pyaio_future_tp_clear(PyObject *op);
void pyaio_future_tp_finalize(PyObject *op);

/* A new iterator over `op`, any Future or Task of ours. */
PyObject *pyaio_future_iter_new(PyObject *op);
/* One step of awaiting: yields the future, or has its outcome. */
PySendResult pyaio_future_await(PyaioState *state, PyaioFuture *future,
                                PyObject **result);
/* Lets the futures of one type be what an interpreter that awaits them drives:
 * a slot without a method, because nobody else takes them for iterators. */
void pyaio_future_drive_itself(PyTypeObject *type);

#endif
