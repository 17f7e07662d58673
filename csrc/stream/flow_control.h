/* FlowControlMixin: whether what is written may go on, and who waits for that
 * in drain(). */
#ifndef PYAIO_STREAM_FLOW_CONTROL_H
#define PYAIO_STREAM_FLOW_CONTROL_H

#include "stream/methods.h"
#include "sync/waiters.h"

/* Methods that ours call, in the order of the table in flow_control.c. */
enum {
    PYAIO_FLOW_DRAIN_HELPER = 1u << 0,
    PYAIO_FLOW_DATA_RECEIVED = 1u << 1,
    PYAIO_FLOW_STREAM_READER = 1u << 2,
};

typedef struct {
    PyaioStream head;
    PyaioWaiters drainers; /* who waits until writing is resumed */
    uint8_t paused;
    uint8_t connection_lost;
} PyaioFlowControl;

extern const PyaioStreamMethods pyaio_flow_control_methods;

/* The protocol `op`, whose _drain_helper() is our own; otherwise NULL. */
PyaioFlowControl *pyaio_flow_control_plain(PyaioState *state, PyObject *op);

/* For the types derived from it. */
int pyaio_flow_control_traverse(PyObject *op, visitproc visit, void *arg);
int pyaio_flow_control_clear(PyObject *op);

/* Types can only be derived from it before the metaclass has adopted it. */
int pyaio_flow_control_init(PyObject *module);
int pyaio_drain_init(PyObject *module);

#endif
