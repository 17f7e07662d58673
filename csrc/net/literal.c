/* Numeric addresses, through the C library, which knows every combination. */
#include "net/literal.h"
#include "net/address.h"

#include <netdb.h>
#include <sys/socket.h>

/* Which say nothing about looking up names. */
#define HARMLESS_FLAGS                                                     \
    (AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV | AI_V4MAPPED | AI_ALL | \
     AI_ADDRCONFIG)
#define LONGEST_HOST 63 /* what the codec for host names takes in one label */

/* The characters of a str or bytes object that any codec leaves as they are;
 * NULL for others. */
static const char *
plain_text(PyObject *op, Py_ssize_t *length)
{
    if (PyUnicode_CheckExact(op) && PyUnicode_IS_ASCII(op)) {
        *length = PyUnicode_GET_LENGTH(op);
        return (const char *)PyUnicode_1BYTE_DATA(op);
    }
    if (PyBytes_CheckExact(op)) {
        *length = PyBytes_GET_SIZE(op);
        return PyBytes_AS_STRING(op);
    }
    return NULL;
}

/* The host, where it may be a number by its first character. */
static const char *
literal_host(PyObject *op)
{
    Py_ssize_t length;
    const char *text = plain_text(op, &length);
    if (text == NULL || length == 0 || length > LONGEST_HOST ||
        strlen(text) != (size_t)length ||
        (!Py_ISXDIGIT(text[0]) && text[0] != ':')) {
        return NULL;
    }
    return text;
}

/* Writes the port as the C library is to read it, and points *text at it, at
 * NULL for none. Returns 0 where it may be a name. */
static int
literal_port(PyObject *op, char *buffer, size_t size, const char **text)
{
    *text = NULL;
    if (op == Py_None) {
        return 1;
    }
    if (PyLong_CheckExact(op)) {
        int overflow;
        long number = PyLong_AsLongAndOverflow(op, &overflow);
        PyOS_snprintf(buffer, size, "%ld", number);
        *text = buffer;
        return !overflow;
    }
    Py_ssize_t length;
    *text = plain_text(op, &length);
    return *text != NULL && strlen(*text) == (size_t)length;
}

/* The member of an enumeration, given as its table of members, or the number
 * itself: a new reference. */
static PyObject *
as_member(PyObject *members, int value)
{
    PyObject *number = PyLong_FromLong(value);
    PyObject *member =
        number ? PyDict_GetItemWithError(members, number) : NULL;
    if (member == NULL) {
        if (PyErr_Occurred()) {
            Py_CLEAR(number);
        }
        return number;
    }
    Py_DECREF(number);
    return Py_NewRef(member);
}

static PyObject *
lookup_entry(PyaioState *state, const struct addrinfo *info)
{
    PyObject *family = as_member(state->address_families, info->ai_family);
    PyObject *type =
        family ? as_member(state->socket_kinds, info->ai_socktype) : NULL;
    PyObject *address =
        type ? pyaio_address_object(info->ai_addr, info->ai_addrlen) : NULL;
    PyObject *entry = NULL;
    if (address != NULL) {
        entry = Py_BuildValue("(OOisO)", family, type, info->ai_protocol,
                              info->ai_canonname ? info->ai_canonname : "",
                              address);
    }
    Py_XDECREF(family);
    Py_XDECREF(type);
    Py_XDECREF(address);
    return entry;
}

static PyObject *
lookup_list(PyaioState *state, const struct addrinfo *info)
{
    PyObject *list = PyList_New(0);
    for (; list != NULL && info != NULL; info = info->ai_next) {
        PyObject *entry = lookup_entry(state, info);
        if (entry == NULL || PyList_Append(list, entry) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(entry);
    }
    return list;
}

PyObject *
pyaio_literal_lookup(PyaioState *state, PyObject *host, PyObject *port,
                     const PyaioLookupHints *hints)
{
    char buffer[24];
    const char *port_text, *host_text = literal_host(host);
    if (host_text == NULL || (hints->flags & ~HARMLESS_FLAGS) != 0 ||
        !literal_port(port, buffer, sizeof(buffer), &port_text)) {
        return NULL;
    }
    struct addrinfo *found,
        request = {
            .ai_family = hints->family,
            .ai_socktype = hints->type,
            .ai_protocol = hints->protocol,
            .ai_flags = hints->flags | AI_NUMERICHOST | AI_NUMERICSERV,
        };
    if (getaddrinfo(host_text, port_text, &request, &found) != 0) {
        return NULL;
    }
    PyObject *list = NULL;
    if (PySys_Audit("socket.getaddrinfo", "OOiii", host, port, hints->family,
                    hints->type, hints->protocol) == 0) {
        list = lookup_list(state, found);
    }
    freeaddrinfo(found);
    return list;
}
