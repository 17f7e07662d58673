/* loop._transports: which transport each descriptor has, held weakly. */
#ifndef PYAIO_NET_TRANSPORT_TABLE_H
#define PYAIO_NET_TRANSPORT_TABLE_H

#include "base/state.h"

/* loop._transports[fd] = transport. Returns 0, or -1 with an exception. */
int pyaio_transports_set(PyaioState *state, PyObject *loop, int fd,
                         PyObject *transport);
/* loop._ensure_fd_no_transport(shown), where that could find anything: `shown`
 * stands for the descriptor. Returns 0, or -1 with an exception. */
int pyaio_transports_check(PyaioState *state, PyObject *loop, int fd,
                           PyObject *shown);

int pyaio_transport_table_init(PyObject *module);

#endif
