/* Sockets with methods of their own, which are called in place of system
 * calls: subclasses of socket.socket, wrappers, mocks.
 *
 * As in net/socket.h: -1 with an exception, PYAIO_SOCKET_BLOCKED where the
 * method raised BlockingIOError or InterruptedError. */
#ifndef PYAIO_NET_FOREIGN_SOCKET_H
#define PYAIO_NET_FOREIGN_SOCKET_H

#include "net/socket.h"

/* What the exception of such a method means. */
Py_ssize_t pyaio_foreign_failed(void);

int pyaio_foreign_fileno(PyObject *sock);
/* *data is what recv() returned, where that is not empty. */
Py_ssize_t pyaio_foreign_recv(PyObject *sock, Py_ssize_t size,
                              PyObject **data);
Py_ssize_t pyaio_foreign_recv_into(PyObject *sock, PyObject *buffer);
Py_ssize_t pyaio_foreign_send(PyObject *sock, const void *data, size_t length);
/* What stood in a queue: sendmsg() of one piece where the running version
 * gathers, send() before. */
Py_ssize_t pyaio_foreign_send_queued(PyObject *sock, const void *data,
                                     size_t length);
int pyaio_foreign_shutdown_write(PyObject *sock);
int pyaio_foreign_set_nodelay(PyaioState *state, PyObject *sock);

#endif
