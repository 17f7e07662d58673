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
    /* Of those that are a BufferedProtocol, in its place: what was received
     * into memory that lasts until it returns. Returns the same. */
    int (*received)(PyaioState *state, PyObject *protocol, const char *data,
                    size_t size);
} PyaioNativeProtocol;

/* How that protocol is one of them, or NULL. */
static inline const PyaioNativeProtocol *
pyaio_native_protocol(const PyaioState *state, PyObject *protocol)
{
    const PyaioNativeProtocol *natives[] = {state->stream_protocol,
                                            state->tls_protocol};
    for (size_t i = 0; i < sizeof(natives) / sizeof(natives[0]); i++) {
        if (natives[i] == NULL) {
            continue;
        }
        PyTypeObject *type =
            (PyTypeObject *)pyaio_state_object(state, natives[i]->type);
        if (type != NULL && PyObject_TypeCheck(protocol, type)) {
            return natives[i];
        }
    }
    return NULL;
}

/* protocol.data_received(data), where `native` is what the function above
 * said. Returns 0, or -1 with an exception. */
static inline int
pyaio_protocol_data_received(PyaioState *state,
                             const PyaioNativeProtocol *native,
                             PyObject *protocol, PyObject *data)
{
    if (native != NULL && native->data_received != NULL) {
        return native->data_received(state, protocol, data);
    }
    PyObject *done =
        PyObject_CallMethodOneArg(protocol, state->str_data_received, data);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

#endif
