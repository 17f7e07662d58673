/* Flow control of what is written: the two marks, and telling the protocol. */
#ifndef PYAIO_NET_FLOW_H
#define PYAIO_NET_FLOW_H

#include "net/party.h"

typedef struct {
    PyObject *high_given; /* owned: the marks as somebody set them, NULL for */
    PyObject *low_given;  /* the defaults */
    Py_ssize_t high;      /* bytes: pause strictly above */
    Py_ssize_t low;       /* bytes: resume at or below */
    int paused;           /* the protocol was told to pause */
} PyaioFlow;

void pyaio_flow_init(PyaioFlow *flow);
int pyaio_flow_traverse(PyaioFlow *flow, visitproc visit, void *arg);
void pyaio_flow_clear(PyaioFlow *flow);

/* Sets the marks from numbers or None, as set_write_buffer_limits() does.
 * Returns 0, or -1 with an exception. */
int pyaio_flow_set_limits(PyaioFlow *flow, PyObject *high, PyObject *low);
/* The same from the arguments of that method. */
int pyaio_flow_parse_limits(PyaioFlow *flow, PyObject *args, PyObject *kwargs);
/* The pair (low, high). */
PyObject *pyaio_flow_get_limits(PyaioFlow *flow);
PyObject *pyaio_flow_get_high(PyaioFlow *flow);
PyObject *pyaio_flow_get_low(PyaioFlow *flow);

/* Calls the protocol; what it raises is reported. Return 0, or -1 with an
 * exception that breaks out of the loop. */
int pyaio_flow_pause(PyaioFlow *flow, const PyaioParty *party);
int pyaio_flow_resume(PyaioFlow *flow, const PyaioParty *party);

/* To be asked whenever the backlog has grown, or shrunk, to `size`. */
static inline int
pyaio_flow_must_pause(const PyaioFlow *flow, size_t size)
{
    return (Py_ssize_t)size > flow->high && !flow->paused;
}

static inline int
pyaio_flow_must_resume(const PyaioFlow *flow, size_t size)
{
    return flow->paused && (Py_ssize_t)size <= flow->low;
}

#endif
