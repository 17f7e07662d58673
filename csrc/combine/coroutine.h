/* Native stand-ins for `async def` functions and for their coroutines.
 *
 * A CoroutineFunction looks like the stock function whose place it takes, and
 * lets that one do whatever it is not made for. A Coroutine looks like a
 * coroutine of that function to everything but the interpreter's own exact
 * type checks; what it does is its kind's. */
#ifndef PYAIO_COMBINE_COROUTINE_H
#define PYAIO_COMBINE_COROUTINE_H

#include "combine/await.h"

/* Called as a vectorcall. NULL without an exception hands the call over to
 * the stock function. */
typedef PyObject *(*PyaioNativeCall)(PyaioState *state, PyObject *const *args,
                                     Py_ssize_t nargs, PyObject *kwnames);

PyObject *pyaio_coroutine_function_new(PyaioState *state, PyObject *stock,
                                       PyaioNativeCall call);

/* Makes one and gives it to a type or a module under the name. Returns 0 or
 * -1. */
int pyaio_coroutine_function_add(PyaioState *state, PyObject *owner,
                                 const char *name, PyObject *stock,
                                 PyaioNativeCall call);

typedef struct PyaioCoroutine PyaioCoroutine;

typedef struct {
    /* Place in the state of the function that it is a coroutine of. */
    size_t function;
    /* Place in the state of the pool for such objects, 0 without one. */
    size_t pool;
    /* From its beginning, from where it yielded, and with an exception raised
     * there, on to the next yield or to the end. Never entered twice. */
    PySendResult (*start)(PyaioState *state, PyaioCoroutine *self,
                          PyObject **result);
    PySendResult (*send)(PyaioState *state, PyaioCoroutine *self,
                         PyObject *value, PyObject **result);
    PySendResult (*throw)(PyaioState *state, PyaioCoroutine *self,
                          PyObject *exception, PyObject **result);
    /* A coroutine of the stock function that is as far as this one, as nearly
     * as that can be had, for others to look at its frame and what it waits
     * for: a new reference. */
    PyObject *(*mirror)(PyaioState *state, PyaioCoroutine *self);
    /* What stock's awaits where ours goes without (combine/inner.h): a new
     * reference. NULL where both await the same. */
    PyObject *(*inner)(PyaioState *state, PyaioCoroutine *self);
    /* Of what stands behind the common fields. clear() keeps an exception
     * that is set, and is repeatable. */
    int (*traverse)(PyaioCoroutine *self, visitproc visit, void *arg);
    void (*clear)(PyaioState *state, PyaioCoroutine *self);
} PyaioCoroutineKind;

enum {
    PYAIO_CORO_CREATED = 0,
    PYAIO_CORO_SUSPENDED,
    PYAIO_CORO_RUNNING,
    PYAIO_CORO_CLOSED,
};

/* From 3.14 on, tools that read the memory of a task take its coroutine for
 * the interpreter's, and look for a frame where `qualname` is: NULL, none. */
struct PyaioCoroutine {
    PyObject_HEAD
    const PyaioCoroutineKind *kind;
    PyObject *weakrefs; /* list of weak references */
    PyObject *origin;   /* owned: cr_origin, NULL while not tracked */
    PyObject *mirror;   /* owned: a coroutine of stock's that was made to be
                           looked at, or NULL */
    PyObject *inner;    /* owned: the same of the coroutine that stock's
                           awaits, or NULL */
    PyaioAwait await;   /* what it waits for */
    PyObject *qualname; /* owned: str, NULL for the function's */
    PyObject *name;     /* owned: the same */
    uint8_t status;     /* PYAIO_CORO_*; what is closed owns nothing */
    uint8_t in_stock;   /* it awaits a coroutine of stock's that goes on in its
                           place (combine/in_stock.h) */
};

/* Notes who makes it, `depth` frames of them, as sys asks for. Returns 0 or
 * -1. */
int pyaio_coroutine_note_origin(PyaioCoroutine *self, int depth);

/* Prepares a coroutine whose memory is zero. Returns 0 or -1. */
static inline int
pyaio_coroutine_setup(PyaioCoroutine *self, const PyaioCoroutineKind *kind)
{
    self->kind = kind;
    int depth = PyThreadState_Get()->coroutine_origin_tracking_depth;
    return depth > 0 ? pyaio_coroutine_note_origin(self, depth) : 0;
}

/* Makes the type for one kind of coroutines, named `name`. */
int pyaio_coroutine_add_type(PyObject *module, PyTypeObject **slot,
                             const char *name, size_t size);

/* What coroutine.__await__() returns (combine/coroutine_wrapper.c). */
PyObject *pyaio_coroutine_wrapper_new(PyaioState *state, PyObject *coroutine);

int pyaio_coroutine_function_init(PyObject *module);
int pyaio_coroutine_wrapper_init(PyObject *module);

#endif
