/* The descriptor behind a socket.socket object.
 *
 * The object owns the descriptor: it is read from there before every use,
 * so that nothing is sent to whoever got the number after somebody closed the
 * socket behind our back. */
#ifndef PYAIO_NET_SOCKET_H
#define PYAIO_NET_SOCKET_H

#include "net/address.h"

#include <sys/types.h>
#include <sys/uio.h>

/* How a socket object of the interpreter begins; verified at import. */
typedef struct {
    PyObject_HEAD
    int fd; /* -1 once closed or detached */
    int family;
    int type;
    int proto;
} PyaioSocketBase;

int pyaio_socket_init(PyObject *module);

/* Whether `op` is a socket whose methods are the interpreter's own, so that
 * system calls may take their place; never where the layout is not as
 * above. -1 with an exception. */
int pyaio_socket_is_plain(PyaioState *state, PyObject *op);

/* The descriptor of a plain socket, or -1. */
static inline int
pyaio_socket_fd(PyObject *sock)
{
    return ((PyaioSocketBase *)sock)->fd;
}

/* One system call on a plain socket. They return what it did; -1 with OSError;
 * PYAIO_SOCKET_BLOCKED where it would block. */
#define PYAIO_SOCKET_BLOCKED (-2)

/* What a system call that returned -1 means, from errno: 0 where a signal
 * interrupted it, and it may be made again; otherwise what to return. */
Py_ssize_t pyaio_socket_failed(void);

Py_ssize_t pyaio_socket_recv(PyObject *sock, void *buffer, size_t size);
Py_ssize_t pyaio_socket_recv_parts(PyObject *sock, struct iovec *parts,
                                   int count);
Py_ssize_t pyaio_socket_send(PyObject *sock, const void *data, size_t length);
Py_ssize_t pyaio_socket_send_parts(PyObject *sock, struct iovec *parts,
                                   int count);
Py_ssize_t pyaio_socket_recv_from(PyObject *sock, struct iovec *parts,
                                  int count, PyaioAddress *from);
Py_ssize_t pyaio_socket_send_to(PyObject *sock, const void *data,
                                size_t length, const PyaioAddress *to);
/* Without the GIL: it may have to read the file from a disk. It returns 0 at
 * the file's end. */
Py_ssize_t pyaio_socket_sendfile(PyObject *sock, int file, off_t offset,
                                 size_t count);
/* Returns 0, or -1 with OSError. */
int pyaio_socket_shutdown_write(PyObject *sock);
/* Lets small writes go out at once, on a TCP connection. Returns 0, or -1 with
 * OSError. */
int pyaio_socket_set_nodelay(PyObject *sock);

#endif
