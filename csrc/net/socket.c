/* System calls on the interpreter's socket objects. */
#include "net/socket.h"
#include "base/errors.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

/* Methods in whose place we make system calls. */
static const char *const replaced_methods[] = {
    "recv",   "recv_into", "recvfrom", "recvfrom_into", "send",
    "sendto", "sendmsg",   "shutdown", "fileno",
};

int
pyaio_socket_is_plain(PyaioState *state, PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyTypeObject *base = (PyTypeObject *)state->stock_socket_base;
    if (!state->sockets_verified || !PyType_IsSubtype(type, base)) {
        return 0;
    }
    if (type->tp_version_tag != 0 &&
        type->tp_version_tag == state->plain_socket_tag) {
        return 1;
    }
    size_t count = sizeof(replaced_methods) / sizeof(replaced_methods[0]);
    for (size_t i = 0; i < count; i++) {
        PyObject *found =
            PyObject_GetAttrString((PyObject *)type, replaced_methods[i]);
        if (found == NULL) {
            return -1;
        }
        int same = Py_IS_TYPE(found, &PyMethodDescr_Type) &&
                   ((PyMethodDescrObject *)found)->d_common.d_type == base;
        Py_DECREF(found);
        if (!same) {
            return 0;
        }
    }
    state->plain_socket_tag = type->tp_version_tag;
    return 1;
}

Py_ssize_t
pyaio_socket_failed(void)
{
    switch (errno) {
    case EINTR:
        return PyErr_CheckSignals();
    case EAGAIN:
#if EAGAIN != EWOULDBLOCK
    case EWOULDBLOCK:
#endif
    case EALREADY:
    case EINPROGRESS:
        return PYAIO_SOCKET_BLOCKED;
    default:
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
}

/* Makes the call until no signal interrupts it. The socket is asked for its
 * descriptor each time: a signal handler may have closed it. */
#define SOCKET_CALL(sock, fd, call)           \
    Py_ssize_t result;                        \
    do {                                      \
        const int fd = pyaio_socket_fd(sock); \
        result = call;                        \
        if (result >= 0) {                    \
            return result;                    \
        }                                     \
        result = pyaio_socket_failed();       \
    } while (result == 0);                    \
    return result

Py_ssize_t
pyaio_socket_recv(PyObject *sock, void *buffer, size_t size)
{
    SOCKET_CALL(sock, fd, recv(fd, buffer, size, MSG_DONTWAIT));
}

Py_ssize_t
pyaio_socket_recv_parts(PyObject *sock, struct iovec *parts, int count)
{
    if (count == 1) {
        return pyaio_socket_recv(sock, parts->iov_base, parts->iov_len);
    }
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
    SOCKET_CALL(sock, fd, recvmsg(fd, &message, MSG_DONTWAIT));
}

Py_ssize_t
pyaio_socket_send(PyObject *sock, const void *data, size_t length)
{
    SOCKET_CALL(sock, fd, send(fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL));
}

Py_ssize_t
pyaio_socket_send_parts(PyObject *sock, struct iovec *parts, int count)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
    SOCKET_CALL(sock, fd, sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL));
}

static Py_ssize_t
receive_message(int fd, struct msghdr *message, PyaioAddress *from)
{
    Py_ssize_t size = recvmsg(fd, message, MSG_DONTWAIT);
    from->length = message->msg_namelen;
    return size;
}

Py_ssize_t
pyaio_socket_recv_from(PyObject *sock, struct iovec *parts, int count,
                       PyaioAddress *from)
{
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = (size_t)count,
                             .msg_name = &from->any,
                             .msg_namelen = sizeof(from->any)};
    SOCKET_CALL(sock, fd, receive_message(fd, &message, from));
}

Py_ssize_t
pyaio_socket_send_to(PyObject *sock, const void *data, size_t length,
                     const PyaioAddress *to)
{
    SOCKET_CALL(sock, fd,
                sendto(fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL,
                       (const struct sockaddr *)&to->any, to->length));
}

static Py_ssize_t
send_from_file(int fd, int file, off_t offset, size_t count)
{
    Py_ssize_t sent;
    Py_BEGIN_ALLOW_THREADS sent = sendfile(fd, file, &offset, count);
    Py_END_ALLOW_THREADS return sent;
}

Py_ssize_t
pyaio_socket_sendfile(PyObject *sock, int file, off_t offset, size_t count)
{
    SOCKET_CALL(sock, fd, send_from_file(fd, file, offset, count));
}

int
pyaio_socket_shutdown_write(PyObject *sock)
{
    if (shutdown(pyaio_socket_fd(sock), SHUT_WR) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return 0;
}

int
pyaio_socket_set_nodelay(PyObject *op)
{
    const PyaioSocketBase *sock = (const PyaioSocketBase *)op;
    if ((sock->family != AF_INET && sock->family != AF_INET6) ||
        sock->type != SOCK_STREAM || sock->proto != IPPROTO_TCP) {
        return 0;
    }
    int on = 1;
    if (setsockopt(sock->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return 0;
}

/* Whether a socket made for the purpose reads as the struct says. */
static int
socket_verify(PyaioState *state)
{
    PyTypeObject *type = (PyTypeObject *)state->stock_socket_base;
    if (type->tp_basicsize < (Py_ssize_t)sizeof(PyaioSocketBase)) {
        return 0;
    }
    PyObject *op = PyObject_CallFunction((PyObject *)type, "iii", AF_INET,
                                         SOCK_STREAM, IPPROTO_TCP);
    PyObject *number = op ? PyObject_CallMethod(op, "fileno", NULL) : NULL;
    int same = 0;
    if (number != NULL) {
        const PyaioSocketBase *sock = (const PyaioSocketBase *)op;
        same = sock->fd == PyLong_AsLong(number) && sock->family == AF_INET &&
               sock->type == SOCK_STREAM && sock->proto == IPPROTO_TCP;
        PyObject *closed = PyObject_CallMethod(op, "close", NULL);
        same = same && closed != NULL && sock->fd == -1;
        Py_XDECREF(closed);
    }
    Py_XDECREF(number);
    Py_XDECREF(op);
    PyErr_Clear(); /* no sockets here: none will be plain */
    return same;
}

int
pyaio_socket_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    state->sockets_verified = socket_verify(state);
    return 0;
}
