/* Every difference between the C APIs of the supported Pythons: the only file
 * that may ask for a version or use a private name of CPython. */
#ifndef PYAIO_BASE_COMPAT_H
#define PYAIO_BASE_COMPAT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#if PY_VERSION_HEX < 0x030B0000
#error "pyaio needs Python 3.11 or newer"
#endif

/* Tasks can start eagerly. */
#define PYAIO_HAS_EAGER (PY_VERSION_HEX >= 0x030C0000)
/* wait_for() awaits in a timeout's block; before, it awaits a task's end. */
#define PYAIO_WAIT_FOR_IN_TIMEOUT (PY_VERSION_HEX >= 0x030C0000)
/* readuntil() takes a tuple of separators. */
#define PYAIO_HAS_SEPARATORS (PY_VERSION_HEX >= 0x030D0000)
/* uncancel() down to zero takes a pending cancellation back. */
#define PYAIO_UNCANCEL_CLEARS (PY_VERSION_HEX >= 0x030D0000)
/* as_completed() is no generator, and can be iterated asynchronously. */
#define PYAIO_AS_COMPLETED_IS_ASYNC (PY_VERSION_HEX >= 0x030D0000)
/* Who awaits a future is recorded; the current task is a field of the thread
 * state; tasks are linked into a per-thread list. */
#define PYAIO_HAS_CALL_GRAPH (PY_VERSION_HEX >= 0x030E0000)
/* call_soon_threadsafe() returns a handle with a lock of its own. */
#define PYAIO_HAS_THREADSAFE_HANDLE (PY_VERSION_HEX >= 0x030E0000)
/* create_connection() can tell of every failed attempt. */
#define PYAIO_HAS_ALL_ERRORS (PY_VERSION_HEX >= 0x030C0000)
/* Queues can be shut down. */
#define PYAIO_HAS_QUEUE_SHUTDOWN (PY_VERSION_HEX >= 0x030D0000)
/* Initialising a future for the second time is an error. */
#define PYAIO_INIT_ONCE (PY_VERSION_HEX >= 0x030F0000)
/* Coroutines tell their state by name. */
#define PYAIO_HAS_CORO_STATE (PY_VERSION_HEX >= 0x030F0000)
/* A TaskGroup can be cancelled, and its exit suppresses what is left. */
#define PYAIO_HAS_GROUP_CANCEL (PY_VERSION_HEX >= 0x030F0000)
/* A task's context must be a contextvars.Context. */
#define PYAIO_CHECKS_CONTEXT (PY_VERSION_HEX >= 0x030F0000)
/* writelines() of a socket transport gathers instead of joining. */
#define PYAIO_WRITELINES_GATHERS (PY_VERSION_HEX >= 0x030C0000)
/* The transport of a datagram socket is an asyncio.DatagramTransport. */
#define PYAIO_DATAGRAMS_ARE_TYPED (PY_VERSION_HEX >= 0x030C0000)
/* It sends empty datagrams, and counts so many bytes besides the data of each
 * that waits to be sent. */
#if PY_VERSION_HEX >= 0x030D0000
#define PYAIO_SENDS_EMPTY_DATAGRAMS 1
#define PYAIO_DATAGRAM_HEADER 8
#else
#define PYAIO_SENDS_EMPTY_DATAGRAMS 0
#define PYAIO_DATAGRAM_HEADER 0
#endif
/* A Server keeps its transports rather than their number. */
#define PYAIO_SERVER_KNOWS_CLIENTS (PY_VERSION_HEX >= 0x030D0000)
/* A descriptor that has a transport cannot get another. */
#define PYAIO_CHECKS_NEW_TRANSPORTS (PY_VERSION_HEX >= 0x030C0000)
/* Transports can be given a context for all of their callbacks. */
#define PYAIO_HAS_TRANSPORT_CONTEXT (PY_VERSION_HEX >= 0x030F0000)
/* A TLS transport is closing also where the one below is. */
#define PYAIO_TLS_ASKS_BELOW (PY_VERSION_HEX >= 0x030E0000)
/* What write() says about an argument that is of none of its types. */
#if PY_VERSION_HEX >= 0x030E0000
#define PYAIO_WRITE_TYPE_ERROR                                             \
    "data argument must be a bytes, bytearray, or memoryview object, not " \
    "%R"
#else
#define PYAIO_WRITE_TYPE_ERROR \
    "data argument must be a bytes-like object, not %R"
#endif
/* Attribute dictionary and weak references stand before the object rather
 * than in fields of _asyncio's types. */
#define PYAIO_MANAGED_DICT (PY_VERSION_HEX >= 0x030D0000)
/* The weak reference list of a class with __slots__ stands before it. */
#define PYAIO_MANAGED_WEAKREF (PY_VERSION_HEX >= 0x030C0000)

/* What `await` says of a type that has no __await__(). */
#if PY_VERSION_HEX >= 0x030E0000
#define PYAIO_NOT_AWAITABLE "'%.200s' object can't be awaited"
#else
#define PYAIO_NOT_AWAITABLE "object %.100s can't be used in 'await' expression"
#endif

/* Makes a reference to memory whose last reference went away before. */
#define pyaio_new_reference(op) _Py_NewReference(op)

/* Changes the size of a bytes object that nobody else refers to. Returns 0, or
 * -1 with an exception and *op NULL. */
#define pyaio_bytes_resize(op, size) _PyBytes_Resize(op, size)

#if PY_VERSION_HEX < 0x030C0000
static inline PyObject *
PyErr_GetRaisedException(void)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (type == NULL) {
        return NULL;
    }
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL) {
        PyException_SetTraceback(value, traceback);
        Py_DECREF(traceback);
    }
    Py_DECREF(type);
    return value;
}

static inline void
PyErr_SetRaisedException(PyObject *exc)
{
    PyObject *traceback = PyException_GetTraceback(exc);
    PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(exc)), exc, traceback);
}
#endif

#if PY_VERSION_HEX < 0x030D0000
static inline int
PyWeakref_GetRef(PyObject *ref, PyObject **op)
{
    PyObject *found = PyWeakref_GET_OBJECT(ref);
    *op = found == Py_None ? NULL : Py_NewRef(found);
    return *op != NULL;
}
#endif

/* What a subtype of a type with a managed dictionary has to repeat. */
#if PYAIO_MANAGED_DICT
#define PYAIO_TPFLAGS_INHERITED_DICT \
    (Py_TPFLAGS_MANAGED_DICT | Py_TPFLAGS_MANAGED_WEAKREF)
#else
#define PYAIO_TPFLAGS_INHERITED_DICT 0
#endif

#if !PYAIO_HAS_CALL_GRAPH
/* What a coroutine's cr_iframe is, and where a thread's innermost one is. Only
 * for tools that look at the memory, which prove it on themselves. */
typedef struct PyaioFrame {
#if PY_VERSION_HEX >= 0x030C0000
    PyObject *code;
    struct PyaioFrame *previous;
    PyObject *others[5];
#else
    PyObject *others[4];
    PyObject *code;
    PyObject *frame_object;
    struct PyaioFrame *previous;
#endif
    void *instruction; /* inside the code object */
    int stack_top;     /* counts `locals` and what is on the stack */
    char others_of_no_interest[4];
    PyObject *locals[1];
} PyaioFrame;

/* The thread's innermost frame: in its state, or where its `cframe` points. */
#define PYAIO_THREAD_HAS_CFRAME (PY_VERSION_HEX < 0x030D0000)
#if PYAIO_THREAD_HAS_CFRAME
#define PYAIO_CFRAME_FRAME offsetof(_PyCFrame, current_frame)
#endif
#endif

/* What a weak reference leads to: a new reference, or NULL without an
 * exception where it is gone. */
static inline PyObject *
pyaio_weakref_get(PyObject *ref)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *op;
    return PyWeakref_GetRef(ref, &op) > 0 ? op : NULL;
#else
    PyObject *op = PyWeakref_GET_OBJECT(ref);
    return op == Py_None ? NULL : Py_NewRef(op);
#endif
}

/* The context that is entered in this thread, borrowed; NULL for none yet. */
static inline PyObject *
pyaio_thread_context(void)
{
    return PyThreadState_Get()->context;
}

/* Puts an exception, or NULL, into the place of the one that is being handled
 * at the top of the stack, and returns that. Both references are owned. */
static inline PyObject *
pyaio_exchange_handled(PyObject *exc)
{
    _PyErr_StackItem *item = PyThreadState_Get()->exc_info;
    PyObject *before = item->exc_value;
    item->exc_value = exc;
    return before;
}

/* Warns about throw(type, value, traceback), which 3.12 deprecated. */
static inline int
pyaio_throw_deprecated(Py_ssize_t nargs)
{
#if PY_VERSION_HEX >= 0x030C0000
    if (nargs > 1) {
        return PyErr_WarnEx(PyExc_DeprecationWarning,
                            "the (type, exc, tb) signature of throw() is "
                            "deprecated, use the single-arg signature "
                            "instead.",
                            1);
    }
#else
    (void)nargs;
#endif
    return 0;
}

#endif
