/* Sockets with methods of their own. */
#include "net/foreign_socket.h"

#include <sys/socket.h>

Py_ssize_t
pyaio_foreign_failed(void)
{
    if (PyErr_ExceptionMatches(PyExc_BlockingIOError) ||
        PyErr_ExceptionMatches(PyExc_InterruptedError)) {
        PyErr_Clear();
        return PYAIO_SOCKET_BLOCKED;
    }
    return -1;
}

/* The number of bytes that a method returned; takes over the reference. */
static Py_ssize_t
foreign_count(PyObject *result)
{
    if (result == NULL) {
        return pyaio_foreign_failed();
    }
    Py_ssize_t count = PyNumber_AsSsize_t(result, PyExc_OverflowError);
    Py_DECREF(result);
    if (count < 0 && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "negative number of bytes");
    }
    return count < 0 ? -1 : count;
}

int
pyaio_foreign_fileno(PyObject *sock)
{
    PyObject *number = PyObject_CallMethod(sock, "fileno", NULL);
    if (number == NULL) {
        return -1;
    }
    long fd = PyLong_AsLong(number);
    Py_DECREF(number);
    return (int)fd;
}

Py_ssize_t
pyaio_foreign_recv(PyObject *sock, Py_ssize_t size, PyObject **data)
{
    PyObject *result = PyObject_CallMethod(sock, "recv", "n", size);
    if (result == NULL) {
        return pyaio_foreign_failed();
    }
    Py_ssize_t length = PyObject_Length(result);
    if (length > 0) {
        *data = result;
    }
    else {
        Py_DECREF(result);
    }
    return length;
}

Py_ssize_t
pyaio_foreign_recv_into(PyObject *sock, PyObject *buffer)
{
    return foreign_count(PyObject_CallMethod(sock, "recv_into", "O", buffer));
}

Py_ssize_t
pyaio_foreign_send(PyObject *sock, const void *data, size_t length)
{
    return foreign_count(
        PyObject_CallMethod(sock, "send", "y#", data, (Py_ssize_t)length));
}

Py_ssize_t
pyaio_foreign_send_queued(PyObject *sock, const void *data, size_t length)
{
#if PYAIO_WRITELINES_GATHERS
    return foreign_count(PyObject_CallMethod(sock, "sendmsg", "([y#])", data,
                                             (Py_ssize_t)length));
#else
    return pyaio_foreign_send(sock, data, length);
#endif
}

int
pyaio_foreign_shutdown_write(PyObject *sock)
{
    PyObject *done = PyObject_CallMethod(sock, "shutdown", "i", SHUT_WR);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

int
pyaio_foreign_set_nodelay(PyaioState *state, PyObject *sock)
{
    PyObject *done =
        PyObject_CallMethod(state->base_events, "_set_nodelay", "O", sock);
    Py_XDECREF(done);
    return done ? 0 : -1;
}
