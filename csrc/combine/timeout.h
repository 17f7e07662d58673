/* Timeout, natively: its common course, on a native loop in a native task.
 * Classes derived from it, methods that somebody replaced, other loops, debug
 * mode and a deadline that has passed are left to the methods of the running
 * version, which work on the same object through its attributes. */
#ifndef PYAIO_COMBINE_TIMEOUT_H
#define PYAIO_COMBINE_TIMEOUT_H

#include "combine/deadline.h"

enum {                          /* as asyncio.timeouts._State names them */
       PYAIO_TIMEOUT_UNSET = 0, /* before initialisation */
       PYAIO_TIMEOUT_CREATED,
       PYAIO_TIMEOUT_ENTERED,
       PYAIO_TIMEOUT_EXPIRING,
       PYAIO_TIMEOUT_EXPIRED,
       PYAIO_TIMEOUT_EXITED,
};

typedef struct {
    PyObject_HEAD
    PyObject *when;         /* owned: a number, None, NULL once deleted */
    PyObject *task;         /* owned: the task inside; NULL is None */
    PyObject *cancelling;   /* owned: its cancelling() on entering, or NULL */
    PyObject *handler;      /* owned: Handle that call_at() or call_soon()
                               returned, or that was asked for; NULL is None */
    PyaioDeadline deadline; /* in its place, as long as nobody asks */
    uint8_t status;         /* PYAIO_TIMEOUT_* */
    uint8_t patched;        /* a method was set on the instance */
} PyaioTimeout;

/* Whether asyncio.timeouts.Timeout, by which stock makes one, is stock's or
 * ours: a program may have put another class there. */
int pyaio_timeout_class_is_ours(PyaioState *state);

/* Whether nobody replaced a method in our class that stock's methods call;
 * pyaio_timeout_check_methods() finds out after a change of the class. */
int pyaio_timeout_check_methods(PyaioState *state);

static inline int
pyaio_timeout_class_is_plain(PyaioState *state)
{
    unsigned tag = ((PyTypeObject *)state->Timeout)->tp_version_tag;
    return (tag != 0 && tag == state->timeout_tag) ||
           pyaio_timeout_check_methods(state);
}

/* Whether `op` is a Timeout of exactly our class, without replaced methods. */
static inline int
pyaio_timeout_is_plain(PyaioState *state, PyObject *op)
{
    return (PyObject *)Py_TYPE(op) == state->Timeout &&
           !((PyaioTimeout *)op)->patched &&
           pyaio_timeout_class_is_plain(state);
}

/* A number that a deadline can be computed with. Returns 0 where it is
 * anything but an int or a float, or NaN. */
int pyaio_timeout_read_number(PyObject *op, double *value);

/* A new Timeout of our class; `when` is a number or None. */
PyObject *pyaio_timeout_new(PyaioState *state, PyObject *when);

/* Arms it for the number `when`, or not for None. Returns 1, 0 where it is for
 * stock to do, or -1 with an exception. */
int pyaio_timeout_schedule(PyaioState *state, PyaioTimeout *self,
                           PyObject *loop);
/* Takes back what is scheduled. Returns 0, or -1 with an exception. */
int pyaio_timeout_unschedule(PyaioState *state, PyaioTimeout *self);

/* __aenter__() and __aexit__() (combine/timeout_coroutines.c). */
int pyaio_timeout_coroutines_init(PyObject *module);

#endif
