/* What the layer gives to the module. */
#ifndef PYAIO_NET_NET_H
#define PYAIO_NET_NET_H

#include "base/compat.h"

/* Puts getaddrinfo() and getnameinfo() into the type of our event loops, which
 * must exist. Returns 0 or -1. */
int pyaio_resolve_init(PyObject *module);

#endif
