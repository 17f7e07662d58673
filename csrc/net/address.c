/* Internet addresses as (host, port), those of Unix sockets as their paths. */
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

int
pyaio_address_is_known(int family)
{
    return family == AF_INET || family == AF_INET6 || family == AF_UNIX;
}

/* Writes a number below 256. Returns where it ends. */
static char *
write_byte(char *text, unsigned value)
{
    if (value >= 100) {
        *text++ = (char)('0' + value / 100);
    }
    if (value >= 10) {
        *text++ = (char)('0' + value / 10 % 10);
    }
    *text++ = (char)('0' + value % 10);
    return text;
}

static PyObject *
host4(const struct in_addr *host)
{
    char text[INET_ADDRSTRLEN], *end = text;
    const unsigned char *bytes = (const unsigned char *)host;
    for (int i = 0; i < 4; i++) {
        end = write_byte(end, bytes[i]);
        *end++ = '.';
    }
    return PyUnicode_FromStringAndSize(text, end - text - 1);
}

static PyObject *
internet_address(const struct sockaddr_in *in)
{
    PyObject *host = host4(&in->sin_addr);
    PyObject *port = host ? PyLong_FromLong(ntohs(in->sin_port)) : NULL;
    PyObject *pair = port ? PyTuple_New(2) : NULL;
    if (pair == NULL) {
        Py_XDECREF(host);
        Py_XDECREF(port);
        return NULL;
    }
    PyTuple_SET_ITEM(pair, 0, host);
    PyTuple_SET_ITEM(pair, 1, port);
    return pair;
}

static PyObject *
internet6_address(const struct sockaddr_in6 *in6)
{
    char text[INET6_ADDRSTRLEN];
    inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
    return Py_BuildValue("(siII)", text, ntohs(in6->sin6_port),
                         ntohl(in6->sin6_flowinfo), in6->sin6_scope_id);
}

/* A path, or an abstract name as bytes. */
static PyObject *
unix_address(const struct sockaddr_un *un, socklen_t length)
{
    size_t begin = offsetof(struct sockaddr_un, sun_path);
    size_t size = length > begin ? length - begin : 0;
    if (size > 0 && un->sun_path[0] == '\0') {
        return PyBytes_FromStringAndSize(un->sun_path, (Py_ssize_t)size);
    }
    size = strnlen(un->sun_path, size);
    return PyUnicode_DecodeFSDefaultAndSize(un->sun_path, (Py_ssize_t)size);
}

PyObject *
pyaio_address_object(const struct sockaddr *address, socklen_t length)
{
    if (length == 0) {
        Py_RETURN_NONE;
    }
    switch (address->sa_family) {
    case AF_INET:
        return internet_address((const void *)address);
    case AF_INET6:
        return internet6_address((const void *)address);
    default:
        return unix_address((const void *)address, length);
    }
}

/* A port number, or -1. */
static long
read_port(PyObject *op)
{
    int overflow;
    long port =
        PyLong_CheckExact(op) ? PyLong_AsLongAndOverflow(op, &overflow) : -1;
    return port >= 0 && port <= 0xffff ? port : -1;
}

int
pyaio_address_read(int family, PyObject *op, PyaioAddress *address)
{
    if (!PyTuple_CheckExact(op) || PyTuple_GET_SIZE(op) != 2) {
        return 0;
    }
    PyObject *host = PyTuple_GET_ITEM(op, 0);
    long port = read_port(PyTuple_GET_ITEM(op, 1));
    if (port < 0 || !PyUnicode_CheckExact(host) || !PyUnicode_IS_ASCII(host)) {
        return 0;
    }
    const char *text = (const char *)PyUnicode_1BYTE_DATA(host);
    if (strlen(text) != (size_t)PyUnicode_GET_LENGTH(host)) {
        return 0;
    }
    memset(&address->any, 0, sizeof(address->any));
    if (family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)&address->any;
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        address->length = sizeof(*in);
        return inet_pton(AF_INET, text, &in->sin_addr) == 1;
    }
    if (family == AF_INET6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address->any;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)port);
        address->length = sizeof(*in6);
        return inet_pton(AF_INET6, text, &in6->sin6_addr) == 1;
    }
    return 0;
}

int
pyaio_address_read_path(PyObject *op, PyaioAddress *address)
{
    if (!PyUnicode_CheckExact(op) && !PyBytes_CheckExact(op)) {
        return 0;
    }
    PyObject *bytes = PyUnicode_CheckExact(op) ? PyUnicode_EncodeFSDefault(op)
                                               : Py_NewRef(op);
    if (bytes == NULL) {
        return -1;
    }
    struct sockaddr_un *un = (struct sockaddr_un *)&address->any;
    memset(&address->any, 0, sizeof(address->any));
    size_t length = (size_t)PyBytes_GET_SIZE(bytes);
    const char *text = PyBytes_AS_STRING(bytes);
    /* A name in the file system ends with a null byte, others do not. */
    size_t counted = length + (length > 0 && text[0] != '\0');
    int fits = counted <= sizeof(un->sun_path);
    if (fits) {
        un->sun_family = AF_UNIX;
        memcpy(un->sun_path, text, length);
        address->length =
            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + counted);
    }
    Py_DECREF(bytes);
    return fits;
}
