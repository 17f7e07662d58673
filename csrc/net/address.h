/* Socket addresses, and what Python's socket module shows in their place. */
#ifndef PYAIO_NET_ADDRESS_H
#define PYAIO_NET_ADDRESS_H

#include "base/state.h"

#include <sys/socket.h>

typedef struct {
    socklen_t length;
    struct sockaddr_storage any;
} PyaioAddress;

/* Whether pyaio_address_object() knows a family. */
int pyaio_address_is_known(int family);

/* What the socket module makes of an address of such a family: a new
 * reference. */
PyObject *pyaio_address_object(const struct sockaddr *address,
                               socklen_t length);

/* Reads (host, port) for a family, where the host is numeric. Returns 0 for
 * anything else, which is the socket module's to judge. */
int pyaio_address_read(int family, PyObject *op, PyaioAddress *address);

/* Reads the path of a Unix socket, a str or bytes object. Returns 1, 0 where
 * it is anything else or too long, or -1 with an exception. */
int pyaio_address_read_path(PyObject *op, PyaioAddress *address);

#endif
