/* socket.socket objects, made, named and closed without their Python methods
 * as long as these are the original ones. */
#ifndef PYAIO_NET_SOCKET_OBJECT_H
#define PYAIO_NET_SOCKET_OBJECT_H

#include "net/address.h"
#include "net/socket.h"

int pyaio_socket_object_init(PyObject *module);

/* Whether socket.socket is the class that it was at import, so that nobody
 * notices if its methods are passed by. */
int pyaio_socket_class_is_intact(PyaioState *state);

/* A non-blocking socket.socket for a descriptor that does not block. It owns
 * the descriptor; where it cannot be made the descriptor is closed. */
PyObject *pyaio_socket_adopt(PyaioState *state, int fd, int family, int type,
                             int proto);
/* sock.close(): 0, or -1 with an exception. */
int pyaio_socket_close(PyaioState *state, PyObject *sock);
/* TransportSocket(sock): a new reference. */
PyObject *pyaio_socket_shown(PyaioState *state, PyObject *sock);
/* sock.getsockname() and sock.getpeername(): new references. */
PyObject *pyaio_socket_name(PyaioState *state, PyObject *sock);
PyObject *pyaio_socket_peer(PyaioState *state, PyObject *sock);

#endif
