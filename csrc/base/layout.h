/* The object layouts of the stock classes that ours extend.
 *
 * Our Future and Task keep what has the same meaning in the fields of
 * _asyncio's own types, so that they grow by little and tools that read the
 * memory of a stock task find theirs. pyaio_layout_verify() proves these
 * declarations against the running interpreter at import.
 *
 * `loop` stays NULL: stock methods called unbound on our objects then see an
 * object that was never initialised, and refuse it. */
#ifndef PYAIO_BASE_LAYOUT_H
#define PYAIO_BASE_LAYOUT_H

#include "base/compat.h"

#include <stdint.h>

#if PYAIO_MANAGED_DICT

typedef struct {
    PyObject_HEAD
    PyObject *loop;             /* always NULL */
    PyObject *callback0;        /* owned: first callback, or its target */
    PyObject *context0;         /* owned: context of a Python callback0 */
    PyObject *callbacks;        /* owned: list of the further ones */
    PyObject *exception;        /* owned */
    PyObject *exception_tb;     /* owned: its traceback when it was set */
    PyObject *result;           /* owned */
    PyObject *source_traceback; /* owned */
    PyObject *cancel_message;   /* owned */
    PyObject *cancelled_exc;    /* owned: CancelledError to raise again */
#if PYAIO_HAS_CALL_GRAPH
    PyObject *awaited_by; /* owned: a waiter, or a set of them */
    int32_t state;
    uint8_t is_task;
    uint8_t awaited_by_is_set;
    uint16_t unused_bits;
#else
    int32_t state;
    uint32_t unused_bits;
#endif
} PyaioFutureBase;

typedef struct {
    PyaioFutureBase future;
    int64_t unused_cancel_count;
    PyObject *fut_waiter; /* owned */
    PyObject *coro;       /* owned */
    PyObject *name;       /* owned: str, or int until it is asked for */
    PyObject *context;    /* owned */
#if PYAIO_HAS_CALL_GRAPH
    void *node_next; /* links of the thread's task list */
    void *node_prev;
#endif
} PyaioTaskBase;

#else

typedef struct {
    PyObject_HEAD
    PyObject *loop;             /* always NULL */
    PyObject *callback0;        /* owned: first callback, or its target */
    PyObject *context0;         /* owned: context of a Python callback0 */
    PyObject *callbacks;        /* owned: list of the further ones */
    PyObject *exception;        /* owned */
    PyObject *exception_tb;     /* owned: its traceback when it was set */
    PyObject *result;           /* owned */
    PyObject *source_traceback; /* owned */
    PyObject *cancel_message;   /* owned */
    int32_t state;
    int32_t unused_flags[2];
    PyObject *dict;          /* owned */
    PyObject *weakrefs;      /* list of weak references */
    PyObject *cancelled_exc; /* owned: CancelledError to raise again */
} PyaioFutureBase;

typedef struct {
    PyaioFutureBase future;
    PyObject *fut_waiter; /* owned */
    PyObject *coro;       /* owned */
    PyObject *name;       /* owned: str, or int until it is asked for */
    PyObject *context;    /* owned */
    int64_t unused_flags[2];
} PyaioTaskBase;

#endif

/* asyncio.events.Handle is a Python class with __slots__: seven fields that
 * hold any object, in alphabetical order. */
typedef struct {
    PyObject_HEAD
    PyObject *arg0;             /* owned: see sched/handle.h */
    PyObject *callback;         /* owned, NULL once cancelled */
    PyObject *arg1;             /* owned (stock: _cancelled) */
    PyObject *context;          /* owned */
    PyObject *loop;             /* owned */
    PyObject *arg2;             /* owned (stock: _repr) */
    PyObject *source_traceback; /* owned */
#if !PYAIO_MANAGED_WEAKREF
    PyObject *weakrefs;
#endif
} PyaioHandleBase;

typedef struct {
    PyaioHandleBase handle;
    PyObject *scheduled; /* owned */
    PyObject *when;      /* owned, NULL until asked for */
} PyaioTimerHandleBase;

/* Proves the declarations above. Returns -1 with ImportError set where the
 * running interpreter lays its types out otherwise. */
int pyaio_layout_verify(PyTypeObject *future, PyTypeObject *task,
                        PyTypeObject *handle, PyTypeObject *timer_handle);

#endif
