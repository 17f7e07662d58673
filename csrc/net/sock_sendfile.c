/* sock_sendfile(): the kernel's sendfile(); what that cannot send is left to
 * stock's fallback. */
#include "base/errors.h"
#include "combine/in_stock.h"
#include "net/net.h"
#include "net/operation.h"

#include <sys/stat.h>

/* More bytes than that are not asked for at once, as in stock. */
#define MOST_BYTES (PY_SSIZE_T_MAX / 2 + 1)

/* --- what is done here --------------------------------------------------- */

/* Whether `mode`, if the file has one, says that it is binary: 1, 0 where it
 * does not, or -1. */
static int
is_binary(PyaioState *state, PyObject *file)
{
    PyObject *mode = PyObject_GetAttr(file, state->str_mode);
    if (mode == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) {
            return -1;
        }
        PyErr_Clear();
        return 1;
    }
    int binary =
        PyUnicode_CheckExact(mode) &&
        PyUnicode_FindChar(mode, 'b', 0, PyUnicode_GET_LENGTH(mode), 1) >= 0;
    Py_DECREF(mode);
    return binary;
}

/* file.fileno(), or -1: with an exception, or without where stock has to say
 * why that is none. */
static int
file_descriptor(PyaioState *state, PyObject *file)
{
    PyObject *number = PyObject_CallMethodNoArgs(file, state->str_fileno);
    if (number == NULL) {
        if (PyErr_ExceptionMatches(PyExc_AttributeError) ||
            PyErr_ExceptionMatches(PyExc_OSError)) {
            PyErr_Clear();
        }
        return -1;
    }
    int overflow = 0;
    long fd = PyLong_CheckExact(number)
                  ? PyLong_AsLongAndOverflow(number, &overflow)
                  : -1;
    Py_DECREF(number);
    return overflow == 0 && fd >= 0 && fd <= INT_MAX ? (int)fd : -1;
}

/* Whether os.sendfile() is the system's: tests put others in its place. */
static int
sendfile_is_original(PyaioState *state)
{
    PyObject *os = PyObject_GetAttr(state->unix_events, state->str_os);
    PyObject *found = os ? PyObject_GetAttr(os, state->str_sendfile) : NULL;
    Py_XDECREF(os);
    Py_XDECREF(found);
    PyErr_Clear();
    return found != NULL && found == state->os_sendfile;
}

static int
file_size(int fd, off_t *size)
{
    struct stat about;
    int err;
    Py_BEGIN_ALLOW_THREADS err = fstat(fd, &about);
    Py_END_ALLOW_THREADS *size = about.st_size;
    return err;
}

static int
sendfile_accepts(PyaioOperation *self)
{
    PyaioState *state = pyaio_state_of((PyObject *)self);
    const PyaioSocketBase *sock =
        (const PyaioSocketBase *)pyaio_operation_socket(self);
    if (sock->type != SOCK_STREAM || !sendfile_is_original(state)) {
        return 0;
    }
    int binary = is_binary(state, self->args[2]);
    if (binary <= 0) {
        return binary;
    }
    self->file.fd = file_descriptor(state, self->args[2]);
    if (self->file.fd < 0) {
        return PyErr_Occurred() ? -1 : 0;
    }
    return file_size(self->file.fd, &self->file.size) == 0;
}

/* --- sending ------------------------------------------------------------- */

/* Puts the file's position behind what was sent, when it ends. Versions differ
 * in whether that is done where nothing was. */
static int
update_position(PyaioState *state, PyaioOperation *self)
{
    if (self->size == 0 && !state->sendfile_always_seeks) {
        return 0;
    }
    if (lseek(self->file.fd, self->file.offset, SEEK_SET) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return 0;
}

/* What a connection that was lost in between raises on every system. */
static void
normalize_not_connected(void)
{
    PyObject *error = PyErr_GetRaisedException();
    PyObject *number = error ? ((PyOSErrorObject *)error)->myerrno : NULL;
    PyObject *other = NULL;
    if (number != NULL && PyLong_CheckExact(number) &&
        PyLong_AsLong(number) == ENOTCONN) {
        other = PyObject_CallFunction(PyExc_ConnectionError, "sO",
                                      "socket is not connected", number);
    }
    PyErr_Clear();
    if (other != NULL) {
        PyException_SetCause(other, error);
        error = other;
    }
    PyErr_SetRaisedException(error);
}

/* Makes of what sendfile() raised what the operation raises. */
static void
send_failed(PyaioState *state, PyaioOperation *self)
{
    if (pyaio_error_is_exit()) {
        return;
    }
    PyObject *error = PyErr_GetRaisedException();
    if (update_position(state, self) < 0) {
        pyaio_chain_exception(error);
        return;
    }
    PyErr_SetRaisedException(error);
    if (!PyErr_ExceptionMatches(PyExc_OSError)) {
        return;
    }
    if (self->size == 0) {
        PyErr_SetString(state->SendfileNotAvailable,
                        "os.sendfile call failed");
    }
    else {
        normalize_not_connected();
    }
}

/* Whether everything that is known to be in the file was sent. */
static int
sent_all(const PyaioOperation *self)
{
    const PyaioFilePart *file = &self->file;
    return file->count > 0 ? self->size == file->count
                           : file->offset >= file->size;
}

/* Sends as much as the socket takes. PYGEN_NEXT: there may be more. */
static PySendResult
send_piece(PyaioState *state, PyaioOperation *self)
{
    PyaioFilePart *file = &self->file;
    Py_ssize_t sent = 0;
    if (file->count == 0 || self->size < file->count) {
        Py_ssize_t size = file->count ? file->count - self->size : file->size;
        PyObject *sock = Py_NewRef(pyaio_operation_socket(self));
        sent =
            pyaio_socket_sendfile(sock, file->fd, file->offset, (size_t)size);
        Py_DECREF(sock);
    }
    if (sent > 0) {
        file->offset += sent;
        self->size += sent;
        return PYGEN_NEXT;
    }
    if (sent == PYAIO_SOCKET_BLOCKED) {
        return PYGEN_NEXT;
    }
    if (sent < 0) {
        send_failed(state, self);
        return PYGEN_ERROR;
    }
    return update_position(state, self) < 0 ? PYGEN_ERROR : PYGEN_RETURN;
}

/* --- the operation ------------------------------------------------------- */

/* Goes on in stock's coroutine that reads the file, if it may. */
static PySendResult
fall_back(PyaioState *state, PyaioOperation *self, PyObject **result)
{
    const PyaioFilePart *file = &self->file;
    if (!file->fallback ||
        !PyErr_ExceptionMatches(state->SendfileNotAvailable)) {
        return PYGEN_ERROR;
    }
    PyErr_Clear();
    PyObject *offset = PyLong_FromLongLong(file->offset);
    PyObject *count =
        file->count ? PyLong_FromSsize_t(file->count) : Py_NewRef(Py_None);
    PyObject *coro = NULL;
    if (offset != NULL && count != NULL) {
        coro = PyObject_CallMethodObjArgs(
            self->args[0], state->str__sock_sendfile_fallback,
            pyaio_operation_socket(self), self->args[2], offset, count, NULL);
    }
    Py_XDECREF(offset);
    Py_XDECREF(count);
    return pyaio_in_stock_await(state, &self->head, coro, result);
}

static PySendResult
sendfile_begin(PyaioState *state, PyaioOperation *self)
{
    self->file.begun = 1;
    if (self->file.count == 0 && self->file.size == 0) {
        return PYGEN_RETURN;
    }
    PySendResult went = send_piece(state, self);
    /* As in stock it always waits; here not for the descriptor, if it may be
     * at its end. */
    self->at_once = went == PYGEN_NEXT && sent_all(self);
    return went;
}

static PySendResult
sendfile_attempt(PyaioState *state, PyaioOperation *self, PyObject **result)
{
    PySendResult went = PYGEN_RETURN;
    if (self->error != NULL) {
        PyErr_SetRaisedException(self->error);
        self->error = NULL;
        went = PYGEN_ERROR;
    }
    else if (!self->file.begun) {
        went = sendfile_begin(state, self);
    }
    if (went == PYGEN_ERROR) {
        return fall_back(state, self, result);
    }
    if (went == PYGEN_RETURN) {
        *result = PyLong_FromSsize_t(self->size);
        return *result ? PYGEN_RETURN : PYGEN_ERROR;
    }
    return went;
}

/* Goes on without the coroutine, as stock does: the file's position depends on
 * what was sent when the task is cancelled. */
static int
sendfile_advance(PyaioState *state, PyaioOperation *self)
{
    self->at_once = 0;
    PySendResult went = send_piece(state, self);
    if (went == PYGEN_NEXT && sent_all(self)) {
        went = send_piece(state, self);
    }
    if (went == PYGEN_ERROR) {
        if (pyaio_error_is_exit()) {
            return -1;
        }
        self->error = PyErr_GetRaisedException();
    }
    return went != PYGEN_NEXT;
}

static const PyaioReadyKind sendfile_ready = {
    .name = "_UnixSelectorEventLoop._sock_sendfile_native_impl",
    .run = pyaio_operation_ready,
    .once = 1,
};

static const PyaioOperationKind sendfile_kind = {
    .base = PYAIO_OPERATION_KIND(stock_sock_sendfile),
    .ready = &sendfile_ready,
    .direction = PYAIO_POLL_WRITE,
    .methods = PYAIO_LOOP_SENDFILE,
    .accepts = sendfile_accepts,
    .attempt = sendfile_attempt,
    .advance = sendfile_advance,
    .called_off = update_position,
};

/* --- the call ------------------------------------------------------------ */

/* A number from `least` to `most`. Returns 0 for anything else. */
static int
read_number(PyObject *op, long long least, long long most, long long *number)
{
    int overflow;
    if (!PyLong_CheckExact(op)) {
        return 0;
    }
    *number = PyLong_AsLongLongAndOverflow(op, &overflow);
    return overflow == 0 && *number >= least && *number <= most;
}

/* Takes in the arguments after the file. Returns 0 for what is wrong or
 * unusual, of which stock's function takes care. */
static int
read_arguments(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
               PyObject *kwnames, PyaioFilePart *file)
{
    PyObject *offset = nargs > 3 ? args[3] : NULL;
    PyObject *count = nargs > 4 ? args[4] : NULL;
    PyObject *fallback = NULL;
    Py_ssize_t named = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t i = 0; i < named; i++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, i);
        PyObject **place = name == state->str_offset     ? &offset
                           : name == state->str_count    ? &count
                           : name == state->str_fallback ? &fallback
                                                         : NULL;
        if (place == NULL || *place != NULL) {
            return 0;
        }
        *place = args[nargs + i];
    }
    long long number = 0;
    if (offset != NULL && !read_number(offset, 0, LLONG_MAX, &number)) {
        return 0;
    }
    file->offset = (off_t)number;
    number = 0;
    if (count != NULL && count != Py_None &&
        !read_number(count, 1, MOST_BYTES, &number)) {
        return 0;
    }
    file->count = (Py_ssize_t)number;
    file->fallback = fallback != Py_False;
    return fallback == NULL || fallback == Py_True || fallback == Py_False;
}

static PyObject *
sendfile_call(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
              PyObject *kwnames)
{
    PyaioFilePart file = {.fd = -1};
    if (nargs < 3 || nargs > 5 ||
        !read_arguments(state, args, nargs, kwnames, &file)) {
        return NULL;
    }
    PyaioOperation *self = (PyaioOperation *)pyaio_operation_new(
        state, &sendfile_kind, args, nargs, NULL, 3, 5);
    if (self == NULL) {
        return NULL;
    }
    self->file = file;
    self->kwnames = Py_XNewRef(kwnames);
    Py_ssize_t named = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t i = 0; i < named; i++) {
        self->args[self->count] = Py_NewRef(args[nargs + i]);
        self->count++;
    }
    return (PyObject *)self;
}

/* Stock's method to update the position is told how much was sent where that
 * makes a difference. */
static int
stock_always_seeks(const PyaioState *state)
{
    PyObject *loop =
        PyObject_GetAttrString(state->unix_events, "_UnixSelectorEventLoop");
    PyObject *method =
        loop ? PyObject_GetAttr(loop, state->str__sock_sendfile_update_filepos)
             : NULL;
    PyObject *code =
        method ? PyObject_GetAttrString(method, "__code__") : NULL;
    int always = code != NULL && PyCode_Check(code) &&
                 ((PyCodeObject *)code)->co_argcount == 3;
    Py_XDECREF(code);
    Py_XDECREF(method);
    Py_XDECREF(loop);
    PyErr_Clear();
    return always;
}

int
pyaio_sock_sendfile_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    state->sendfile_always_seeks = stock_always_seeks(state);
    return pyaio_operation_add(state, "sock_sendfile",
                               state->stock_sock_sendfile, sendfile_call);
}
