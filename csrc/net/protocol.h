/* Protocols of ours that take what is received without a call from Python's
 * side: how a higher layer tells transports. */
#ifndef PYAIO_NET_PROTOCOL_H
#define PYAIO_NET_PROTOCOL_H

#include "base/state.h"

typedef struct PyaioNativeProtocol {
    size_t type; /* place in the state of the type of such protocols */
    /* protocol.data_received(data), be it replaced or not. Returns 0, or -1
     * with an exception. */
    int (*data_received)(PyaioState *state, PyObject *protocol,
                         PyObject *data);
} PyaioNativeProtocol;

/* How that protocol is one of them, or NULL. */
static inline const PyaioNativeProtocol *
pyaio_native_protocol(const PyaioState *state, PyObject *protocol)
{
    const PyaioNativeProtocol *native = state->stream_protocol;
    if (native == NULL) {
        return NULL;
    }
    const void *place = (const char *)state + native->type;
    PyTypeObject *type = *(PyTypeObject *const *)place;
    return PyObject_TypeCheck(protocol, type) ? native : NULL;
}

/* protocol.data_received(data), where `native` is what the function above
 * said. Returns 0, or -1 with an exception. */
static inline int
pyaio_protocol_data_received(PyaioState *state,
                             const PyaioNativeProtocol *native,
                             PyObject *protocol, PyObject *data)
{
    if (native != NULL) {
        return native->data_received(state, protocol, data);
    }
    PyObject *done =
        PyObject_CallMethodOneArg(protocol, state->str_data_received, data);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

#endif
