/* What the layer gives to the module. */
#ifndef PYAIO_NET_NET_H
#define PYAIO_NET_NET_H

#include "base/compat.h"

/* Puts getaddrinfo() and getnameinfo() into the type of our event loops, which
 * must exist. Returns 0 or -1. */
int pyaio_resolve_init(PyObject *module);
/* The same for sock_*(); the first makes the type of their coroutines. */
int pyaio_operation_init(PyObject *module);
int pyaio_sock_receive_init(PyObject *module);
int pyaio_sock_send_init(PyObject *module);
int pyaio_sock_connect_init(PyObject *module);
int pyaio_sock_sendfile_init(PyObject *module);

#endif
