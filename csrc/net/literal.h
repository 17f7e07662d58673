/* Numeric addresses: what getaddrinfo() answers without a lookup. */
#ifndef PYAIO_NET_LITERAL_H
#define PYAIO_NET_LITERAL_H

#include "base/state.h"

typedef struct {
    int family;
    int type;
    int protocol;
    int flags;
} PyaioLookupHints;

/* What socket.getaddrinfo() returns for a host and a port that are both
 * numeric: a new list. NULL without an exception where anything else is asked
 * for, or the answer is an error. */
PyObject *pyaio_literal_lookup(PyaioState *state, PyObject *host,
                               PyObject *port, const PyaioLookupHints *hints);

#endif
