/* A pipe transport's life, from its construction to connection_lost(). */
#include "net/pipe.h"
#include "base/context.h"
#include "base/errors.h"
#include "net/foreign_socket.h"
#include "sched/watch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- the descriptor ------------------------------------------------------ */

static int
is_own_file(const PyaioState *state, PyObject *pipe)
{
    PyObject *type = (PyObject *)Py_TYPE(pipe);
    return type == state->FileIO || type == state->BufferedReader ||
           type == state->BufferedWriter;
}

/* A file for the descriptor; a closed one where that is closed already. */
static PyObject *
make_file(const PyaioState *state, const PyaioPipe *self)
{
    if (self->bare == PYAIO_PIPE_BARE) {
        return PyObject_CallFunction(
            state->FileIO, "is", self->fd,
            self->readable == &pyaio_pipe_peer_ready ? "wb" : "rb");
    }
    PyTypeObject *type = (PyTypeObject *)state->FileIO;
    PyObject *nothing = PyTuple_New(0);
    PyObject *file = nothing ? type->tp_new(type, nothing, NULL) : NULL;
    Py_XDECREF(nothing);
    return file;
}

/* From now on a file owns the descriptor. */
static int
pipe_dress(const PyaioState *state, PyaioPipe *self)
{
    PyObject *file = make_file(state, self);
    if (file == NULL) {
        return -1;
    }
    int open = self->bare == PYAIO_PIPE_BARE;
    self->bare = PYAIO_PIPE_OBJECT;
    self->is_file = 1;
    self->pipe = open ? Py_NewRef(file) : NULL;
    int err = self->extra == NULL && (self->extra = PyDict_New()) == NULL
                  ? -1
                  : PyDict_SetItem(self->extra, state->str_pipe, file);
    Py_DECREF(file);
    return err;
}

PyObject *
pyaio_pipe_object(PyaioState *state, PyaioPipe *self)
{
    if (self->bare != PYAIO_PIPE_OBJECT && pipe_dress(state, self) < 0) {
        return NULL;
    }
    PyObject *object =
        self->extra ? PyDict_GetItemWithError(self->extra, state->str_pipe)
                    : NULL;
    return object || PyErr_Occurred() ? object : Py_None;
}

int
pyaio_pipe_descriptor(PyaioState *state, PyaioPipe *self)
{
    int fd = self->fd;
    if (self->bare == PYAIO_PIPE_BARE) {
        return fd;
    }
    if (self->pipe == NULL) {
        fd = -1;
    }
    else if (self->is_socket) {
        fd = pyaio_socket_fd(self->pipe);
    }
    else if (self->is_file) {
        PyObject *number =
            PyObject_CallMethodNoArgs(self->pipe, state->str_fileno);
        if (number == NULL && !PyErr_ExceptionMatches(PyExc_ValueError)) {
            return -1;
        }
        PyErr_Clear(); /* it is closed */
        fd = number ? (int)PyLong_AsLong(number) : -1;
        Py_XDECREF(number);
    }
    if (fd < 0) {
        pyaio_set_errno(EBADF);
    }
    return fd;
}

static int
set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (!(flags & O_NONBLOCK) &&
                      fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return 0;
}

/* Finds the descriptor and prepares it; *mode is what it stands for. */
static int
take_descriptor(PyaioState *state, PyaioPipe *self, PyObject *pipe,
                const char *refusal, mode_t *mode)
{
    int fd = pyaio_foreign_fileno(pipe);
    if (fd < 0 && PyErr_Occurred()) {
        return -1;
    }
    struct stat status;
    errno = EBADF;
    if (fd < 0 || fstat(fd, &status) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    *mode = status.st_mode;
    if (!S_ISFIFO(*mode) && !S_ISSOCK(*mode) && !S_ISCHR(*mode)) {
        PyErr_SetString(PyExc_ValueError, refusal);
        return -1;
    }
    int plain = pyaio_socket_is_plain(state, pipe);
    if (plain < 0 || set_nonblocking(fd) < 0) {
        return -1;
    }
    self->is_socket = (uint8_t)plain;
    self->is_file = (uint8_t)is_own_file(state, pipe);
    self->fd = fd;
    return 0;
}

int
pyaio_pipe_watch_readable(PyaioPipe *self)
{
    if (self->closing || self->paused || self->loop == NULL) {
        return 0;
    }
    if (self->sched->poller == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
        return -1;
    }
    return pyaio_watch_add(self->sched, self->fd, PYAIO_POLL_READ,
                           self->readable, (PyObject *)self, NULL);
}

void
pyaio_pipe_unwatch(PyaioPipe *self, unsigned direction)
{
    if (self->sched != NULL) {
        pyaio_watch_remove_of(self->sched, self->fd, direction,
                              (PyObject *)self);
    }
}

/* --- construction -------------------------------------------------------- */

static int
begin_run(PyaioState *Py_UNUSED(state), PyObject *a, PyObject *Py_UNUSED(b))
{
    return pyaio_pipe_watch_readable((PyaioPipe *)a);
}

/* Only what the poller says later runs in a context. */
static const PyaioReadyKind begin = {
    .name = "_UnixReadPipeTransport._add_reader",
    .run = begin_run,
};

/* In this order: the protocol hears of the pipe, then it may get data, then
 * whoever waits for the transport goes on. */
static int
queue_beginning(PyaioState *state, PyaioPipe *self, PyObject *waiter,
                int watched)
{
    PyaioParty party = pyaio_pipe_party(state, self);
    if (pyaio_party_queue_made(&party, NULL) < 0) {
        return -1;
    }
    if (watched) {
        self->read_context = pyaio_context_capture(state);
        if (self->read_context == NULL ||
            pyaio_schedule(state, self->loop, &begin, (PyObject *)self, NULL,
                           0) < 0) {
            return -1;
        }
    }
    return pyaio_party_queue_wake(&party, waiter);
}

int
pyaio_pipe_setup(PyaioState *state, PyaioPipe *self, PyObject *loop,
                 PyObject *pipe, PyObject *protocol, PyObject *waiter,
                 PyObject *extra, int devices, const char *refusal)
{
    mode_t mode;
    self->fd = -1;
    pyaio_flow_init(&self->flow);
    self->extra = extra ? Py_NewRef(extra) : PyDict_New();
    if (self->extra == NULL ||
        PyDict_SetItem(self->extra, state->str_pipe, pipe) < 0 ||
        take_descriptor(state, self, pipe, refusal, &mode) < 0) {
        return -1;
    }
    self->loop = Py_NewRef(loop);
    self->sched = pyaio_scheduler_of(state, loop);
    self->protocol = Py_NewRef(protocol);
    self->pipe = Py_NewRef(pipe);
    return queue_beginning(state, self, waiter, devices || !S_ISCHR(mode));
}

PyObject *
pyaio_pipe_to_child(PyaioState *state, PyTypeObject *type, PyObject *loop,
                    PyObject *file, int fd, PyObject *protocol)
{
    PyaioPipe *self = (PyaioPipe *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    pyaio_flow_init(&self->flow);
    self->readable = type == state->ReadPipe_type ? &pyaio_pipe_read_ready
                                                  : &pyaio_pipe_peer_ready;
    self->fd = fd;
    self->read_context = pyaio_context_capture(state);
    if (self->read_context == NULL) {
        goto error;
    }
    /* The other flags that can be set are 0 in a pipe that is new. */
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        goto error;
    }
    self->loop = Py_NewRef(loop);
    self->sched = pyaio_scheduler_of(state, loop);
    self->protocol = Py_NewRef(protocol);
    if (pyaio_pipe_watch_readable(self) < 0) {
        goto error;
    }
    if (file == NULL) {
        self->bare = PYAIO_PIPE_BARE;
        return (PyObject *)self;
    }
    self->is_file = 1;
    self->extra = PyDict_New();
    if (self->extra == NULL ||
        PyDict_SetItem(self->extra, state->str_pipe, file) < 0) {
        pyaio_pipe_unwatch(self, PYAIO_POLL_READ);
        goto error;
    }
    self->pipe = Py_NewRef(file);
    return (PyObject *)self;
error:
    Py_DECREF(self);
    return NULL;
}

/* --- the end ------------------------------------------------------------- */

static PyObject *
lost_context(PyaioState *state, PyObject *a)
{
    return pyaio_context_resolve(state, &((PyaioPipe *)a)->lost_context);
}

static int
connection_lost_run(PyaioState *state, PyObject *a, PyObject *exc)
{
    return pyaio_pipe_lose(state, (PyaioPipe *)a, exc ? exc : Py_None);
}

static const PyaioReadyKind connection_lost = {
    .name = "_UnixPipeTransport._call_connection_lost",
    .run = connection_lost_run,
    .context = lost_context,
};

int
pyaio_pipe_force_close(PyaioState *state, PyaioPipe *self, PyObject *exc)
{
    self->closing = 1;
    if (self->ending || self->loop == NULL) {
        return 0;
    }
    pyaio_pipe_unwatch(self, PYAIO_POLL_WRITE);
    pyaio_pipe_unwatch(self, PYAIO_POLL_READ);
    pyaio_write_queue_clear(&self->queue);
    PyObject *context = pyaio_context_capture(state);
    if (context == NULL) {
        return -1;
    }
    Py_XSETREF(self->lost_context, context);
    self->ending = 1;
    return pyaio_schedule(state, self->loop, &connection_lost,
                          (PyObject *)self, exc == Py_None ? NULL : exc, 0);
}

/* Errors that are usual for who writes, or reads from a terminal. */
static int
is_usual(const PyaioPipe *self, PyObject *exc)
{
    if (!PyObject_TypeCheck(exc, (PyTypeObject *)PyExc_OSError)) {
        return 0;
    }
    if (self->readable == &pyaio_pipe_peer_ready) {
        return 1;
    }
    PyObject *number = ((PyOSErrorObject *)exc)->myerrno;
    return number != NULL && PyLong_Check(number) &&
           PyLong_AsLong(number) == EIO;
}

int
pyaio_pipe_fatal_error(PyaioState *state, PyaioPipe *self, PyObject *exc,
                       PyObject *message)
{
    if (self->loop == NULL) {
        return 0;
    }
    PyaioParty party = pyaio_pipe_party(state, self);
    int err = pyaio_party_report(&party, exc, message, is_usual(self, exc));
    return err < 0 ? -1 : pyaio_pipe_force_close(state, self, exc);
}

int
pyaio_pipe_fail(PyaioState *state, PyaioPipe *self, const char *message)
{
    if (pyaio_error_is_exit()) {
        return -1;
    }
    PyObject *exc = PyErr_GetRaisedException();
    PyObject *text = PyUnicode_FromString(message);
    int err = text ? pyaio_pipe_fatal_error(state, self, exc, text) : -1;
    Py_XDECREF(text);
    Py_DECREF(exc);
    return err;
}

/* Closes the descriptor that is the transport's own. */
static int
close_bare(PyaioPipe *self)
{
    self->bare = PYAIO_PIPE_BARE_ENDED;
    if (close(self->fd) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return 0;
}

int
pyaio_pipe_release(PyaioState *state, PyaioPipe *self)
{
    pyaio_pipe_unwatch(self, PYAIO_POLL_READ);
    pyaio_pipe_unwatch(self, PYAIO_POLL_WRITE);
    PyObject *pipe = self->pipe, *loop = self->loop;
    PyObject *protocol = self->protocol;
    self->pipe = self->protocol = self->loop = NULL;
    self->sched = NULL;
    PyObject *done =
        pipe ? PyObject_CallMethodNoArgs(pipe, state->str_close) : NULL;
    int err = done || !pipe ? 0 : -1;
    if (self->bare == PYAIO_PIPE_BARE) {
        err = close_bare(self);
    }
    Py_XDECREF(done);
    Py_XDECREF(protocol);
    Py_XDECREF(pipe);
    Py_XDECREF(loop);
    return err;
}

int
pyaio_pipe_lose(PyaioState *state, PyaioPipe *self, PyObject *exc)
{
    if (self->loop == NULL) {
        return 0;
    }
    self->closing = self->ending = 1;
    PyObject *protocol = Py_NewRef(self->protocol ? self->protocol : Py_None);
    PyObject *done =
        PyObject_CallMethodOneArg(protocol, state->str_connection_lost, exc);
    Py_DECREF(protocol);
    Py_XDECREF(done);
    PyObject *raised = PyErr_GetRaisedException();
    int err = pyaio_pipe_release(state, self);
    if (raised != NULL) {
        if (err < 0) {
            pyaio_chain_exception(raised);
        }
        else {
            PyErr_SetRaisedException(raised);
        }
        err = -1;
    }
    return err;
}
