/* socket.socket objects without a call of Python code. */
#include "net/socket_object.h"
#include "base/errors.h"

#include <unistd.h>

/* What the class is known by. */
static const char *const known_methods[] = {
    "__init__",    "__new__", "accept",      "_accept",     "connect",
    "setblocking", "close",   "_real_close", "getsockname", "getpeername",
};

#define KNOWN_COUNT (sizeof(known_methods) / sizeof(known_methods[0]))

/* --- whether nobody would notice ----------------------------------------- */

static int
class_has_originals(PyaioState *state)
{
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        PyObject *found =
            PyObject_GetAttrString(state->stock_socket, known_methods[i]);
        int same =
            found == PyTuple_GET_ITEM(state->socket_originals, (Py_ssize_t)i);
        Py_XDECREF(found);
        if (!same) {
            PyErr_Clear();
            return 0;
        }
    }
    return 1;
}

int
pyaio_socket_class_is_intact(PyaioState *state)
{
    if (state->socket_originals == NULL ||
        PyDict_GetItemWithError(PyModule_GetDict(state->socket_module),
                                state->str_socket) != state->stock_socket) {
        return 0;
    }
    unsigned tag = ((PyTypeObject *)state->stock_socket)->tp_version_tag;
    if (tag != 0 && tag == state->intact_socket_tag) {
        return 1;
    }
    if (!class_has_originals(state)) {
        return 0;
    }
    state->intact_socket_tag =
        ((PyTypeObject *)state->stock_socket)->tp_version_tag;
    return 1;
}

/* Whether an object is one that may be treated without its methods. */
static int
is_intact_socket(PyaioState *state, PyObject *sock)
{
    return (PyObject *)Py_TYPE(sock) == state->stock_socket &&
           pyaio_socket_class_is_intact(state);
}

/* --- making -------------------------------------------------------------- */

static PyObject **
slot_of(PyObject *op, Py_ssize_t offset)
{
    return (PyObject **)(void *)((char *)op + offset);
}

static PyObject *
adopt_natively(PyaioState *state, int fd, int family, int type, int proto)
{
    PyTypeObject *class = (PyTypeObject *)state->stock_socket;
    PyObject *none = PyTuple_New(0);
    PyObject *op = none ? class->tp_new(class, none, NULL) : NULL;
    Py_XDECREF(none);
    if (op == NULL ||
        PySys_Audit("socket.__new__", "Oiii", op, family, type, proto) < 0) {
        Py_XDECREF(op);
        return NULL;
    }
    PyaioSocketBase *self = (PyaioSocketBase *)op;
    self->fd = fd;
    self->family = family;
    self->type = type;
    self->proto = proto;
    memset((char *)op + state->socket_timeout_offset, 0, sizeof(int64_t));
    *slot_of(op, state->socket_io_refs_offset) = PyLong_FromLong(0);
    *slot_of(op, state->socket_closed_offset) = Py_NewRef(Py_False);
    return op;
}

PyObject *
pyaio_socket_adopt(PyaioState *state, int fd, int family, int type, int proto)
{
    PyObject *op =
        state->socket_timeout_offset != 0 &&
                pyaio_socket_class_is_intact(state)
            ? adopt_natively(state, fd, family, type, proto)
            : PyObject_CallFunction(state->stock_socket, "iiii", family,
                                    type | SOCK_NONBLOCK, proto, fd);
    if (op == NULL) {
        (void)close(fd);
    }
    return op;
}

/* --- closing and naming -------------------------------------------------- */

int
pyaio_socket_close(PyaioState *state, PyObject *sock)
{
    PyObject *done;
    PyObject **io_refs = slot_of(sock, state->socket_io_refs_offset);
    if (state->socket_timeout_offset == 0 || !is_intact_socket(state, sock) ||
        *io_refs == NULL || PyObject_IsTrue(*io_refs) != 0) {
        done = PyObject_CallMethodNoArgs(sock, state->str_close);
    }
    else {
        PyObject **closed = slot_of(sock, state->socket_closed_offset);
        Py_XSETREF(*closed, Py_NewRef(Py_True));
        done = PyObject_CallOneArg(state->socket_base_close, sock);
    }
    Py_XDECREF(done);
    return done ? 0 : -1;
}

PyObject *
pyaio_socket_shown(PyaioState *state, PyObject *sock)
{
    PyTypeObject *type = (PyTypeObject *)state->stock_TransportSocket;
    if (type->tp_version_tag == 0 ||
        type->tp_version_tag != state->transport_socket_tag) {
        return PyObject_CallOneArg((PyObject *)type, sock);
    }
    PyObject *op = type->tp_alloc(type, 0);
    if (op != NULL) {
        *slot_of(op, state->transport_socket_offset) = Py_NewRef(sock);
    }
    return op;
}

/* The two questions for an address are of the same type. */
typedef int (*NameCall)(int fd, struct sockaddr *address, socklen_t *length);

static PyObject *
ask_name(PyaioState *state, PyObject *sock, PyObject *method, NameCall call)
{
    if (!is_intact_socket(state, sock) ||
        !pyaio_address_is_known(((PyaioSocketBase *)sock)->family)) {
        return PyObject_CallMethodNoArgs(sock, method);
    }
    PyaioAddress address = {.length = sizeof(address.any)};
    memset(&address.any, 0, sizeof(address.any));
    if (call(pyaio_socket_fd(sock), (struct sockaddr *)&address.any,
             &address.length) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return NULL;
    }
    return pyaio_address_object((struct sockaddr *)&address.any,
                                address.length);
}

PyObject *
pyaio_socket_name(PyaioState *state, PyObject *sock)
{
    return ask_name(state, sock, state->str_getsockname, getsockname);
}

PyObject *
pyaio_socket_peer(PyaioState *state, PyObject *sock)
{
    return ask_name(state, sock, state->str_getpeername, getpeername);
}

/* --- at import ----------------------------------------------------------- */

/* Where a class with __slots__ keeps an attribute, 0 where that cannot be
 * told. */
static Py_ssize_t
slot_offset(PyObject *class, const char *name)
{
    PyObject *descriptor = PyObject_GetAttrString(class, name);
    Py_ssize_t offset = 0;
    if (descriptor != NULL && Py_IS_TYPE(descriptor, &PyMemberDescr_Type)) {
        PyMemberDef *member = ((PyMemberDescrObject *)descriptor)->d_member;
        offset = member->type == T_OBJECT_EX ? member->offset : 0;
    }
    Py_XDECREF(descriptor);
    PyErr_Clear();
    return offset;
}

/* A timeout that no other field holds, in seconds. */
#define ODD_TIMEOUT 123456789

/* Where a socket keeps its timeout, in nanoseconds: found by value. */
static Py_ssize_t
timeout_offset(PyaioState *state, PyObject *sock)
{
    PyObject *done = PyObject_CallMethod(sock, "settimeout", "i", ODD_TIMEOUT);
    Py_XDECREF(done);
    const int64_t wanted = (int64_t)ODD_TIMEOUT * 1000000000;
    Py_ssize_t end = ((PyTypeObject *)state->stock_socket_base)->tp_basicsize;
    Py_ssize_t offset = sizeof(PyaioSocketBase), found = 0;
    for (; offset + (Py_ssize_t)sizeof(wanted) <= end;
         offset += (Py_ssize_t)sizeof(wanted)) {
        if (memcmp((char *)sock + offset, &wanted, sizeof(wanted)) == 0) {
            found = found == 0 ? offset : -1;
        }
    }
    return done != NULL && found > 0 ? found : 0;
}

/* Whether a method of socket.socket is the standard library's. */
static int
is_of_socket_module(PyaioState *state, PyObject *method)
{
    if (PyFunction_Check(method)) {
        return PyFunction_GET_GLOBALS(method) ==
               PyModule_GetDict(state->socket_module);
    }
    return !Py_IS_TYPE(method, &PyMethodDescr_Type) ||
           (PyObject *)((PyMethodDescrObject *)method)->d_common.d_type ==
               state->stock_socket_base;
}

static int
note_originals(PyaioState *state)
{
    PyObject *originals = PyTuple_New(KNOWN_COUNT);
    for (size_t i = 0; originals != NULL && i < KNOWN_COUNT; i++) {
        PyObject *found =
            PyObject_GetAttrString(state->stock_socket, known_methods[i]);
        if (found == NULL || !is_of_socket_module(state, found)) {
            Py_XDECREF(found);
            Py_CLEAR(originals);
            return PyErr_Occurred() ? -1 : 0;
        }
        PyTuple_SET_ITEM(originals, (Py_ssize_t)i, found);
    }
    state->socket_originals = originals;
    return originals ? 0 : -1;
}

static void
find_offsets(PyaioState *state)
{
    PyObject *class = state->stock_socket;
    state->socket_io_refs_offset = slot_offset(class, "_io_refs");
    state->socket_closed_offset = slot_offset(class, "_closed");
    PyObject *sock = PyObject_CallNoArgs(class);
    if (sock != NULL && state->socket_io_refs_offset != 0 &&
        state->socket_closed_offset != 0 && state->sockets_verified) {
        state->socket_timeout_offset = timeout_offset(state, sock);
    }
    PyObject *closed =
        sock ? PyObject_CallMethodNoArgs(sock, state->str_close) : NULL;
    Py_XDECREF(closed);
    Py_XDECREF(sock);
    PyErr_Clear(); /* no sockets here: none will be made natively */
}

/* Whether TransportSocket only keeps what it is given. */
static int
find_shown(PyaioState *state)
{
    PyObject *class = state->stock_TransportSocket;
    PyObject *shown = PyObject_CallOneArg(class, Py_None);
    if (shown == NULL) {
        return -1;
    }
    Py_ssize_t offset = slot_offset(class, "_sock");
    if (offset != 0 && *slot_of(shown, offset) == Py_None &&
        ((PyTypeObject *)class)->tp_basicsize ==
            offset + (Py_ssize_t)sizeof(PyObject *)) {
        state->transport_socket_offset = offset;
        state->transport_socket_tag = ((PyTypeObject *)class)->tp_version_tag;
    }
    Py_DECREF(shown);
    return 0;
}

int
pyaio_socket_object_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    state->socket_base_close =
        PyObject_GetAttrString(state->stock_socket_base, "close");
    if (state->socket_base_close == NULL || note_originals(state) < 0) {
        return -1;
    }
    find_offsets(state);
    return find_shown(state);
}
