/* Connecting: a socket, a connection, a protocol and a transport. */
#include "net/connect.h"
#include "base/errors.h"
#include "combine/coroutine.h"
#include "combine/in_stock.h"
#include "net/socket_object.h"
#include "net/transport.h"
#include "sched/watch.h"
#include "task/future.h"

#include <unistd.h>

/* What has to be stock's for its coroutine to be passed by. */
#define REPLACED_METHODS                              \
    (PYAIO_LOOP_CONNECT | PYAIO_LOOP_MAKE_TRANSPORT | \
     PYAIO_LOOP_CREATE_FUTURE | PYAIO_LOOP_CALL_SOON)

typedef enum { CONNECTING, MAKING } Stage;

typedef struct {
    PyaioCoroutine head;
    PyObject *arguments;   /* owned: tuple, of the call, the loop first */
    PyObject *names;       /* owned: of those at its end, or NULL */
    PyaioConnectCall call; /* `shown` is owned */
    PyObject *sock;        /* owned, with the connection; NULL once a transport
                            has it */
    PyObject *protocol;    /* owned; NULL before there is one */
    PyObject *transport;   /* owned: the same */
    PyaioScheduler *sched; /* of the loop */
    Stage stage;
    int watched; /* descriptor that is watched on behalf of this, or -1 */
} Connect;

/* --- whether nobody would notice ----------------------------------------- */

/* Whether a module of asyncio's still finds the real socket module. */
static int
finds_sockets(PyaioState *state, PyObject *module)
{
    return PyDict_GetItemWithError(PyModule_GetDict(module),
                                   state->str_socket) == state->socket_module;
}

static PyaioScheduler *
usual_scheduler(PyaioState *state, PyObject *loop)
{
    PyaioScheduler *sched = pyaio_sched_direct(state, loop, REPLACED_METHODS);
    return sched != NULL && pyaio_socket_class_is_intact(state) &&
                   finds_sockets(state, state->base_events) &&
                   finds_sockets(state, state->unix_events)
               ? sched
               : NULL;
}

/* --- the connection ------------------------------------------------------ */

/* Raises what stock says of a connection that failed in the background. */
static void
raise_refused(Connect *self, int number)
{
    PyObject *text =
        PyUnicode_FromFormat("Connect call failed %S", self->call.shown);
    PyObject *error =
        text ? PyObject_CallFunction(PyExc_OSError, "iO", number, text) : NULL;
    Py_XDECREF(text);
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
}

static void
stop_watching(Connect *self)
{
    if (self->watched >= 0) {
        int fd = self->watched;
        self->watched = -1;
        (void)pyaio_watch_remove(self->sched, fd, PYAIO_POLL_WRITE);
    }
}

/* The descriptor is writable: the attempt has ended. */
static int
connect_ready_run(PyaioState *state, PyObject *a, PyObject *Py_UNUSED(b))
{
    Connect *self = (Connect *)a;
    if (self->watched < 0 ||
        !pyaio_watch_take(self->sched, self->watched, PYAIO_POLL_WRITE, a)) {
        return 0;
    }
    PyObject *op = Py_NewRef(self->head.await.awaited);
    PyaioFuture *future = pyaio_own_future(state, op);
    stop_watching(self);
    int err = 0;
    if (!pyaio_future_done(future)) {
        int number = 0;
        socklen_t size = sizeof(number);
        if (getsockopt(pyaio_socket_fd(self->sock), SOL_SOCKET, SO_ERROR,
                       &number, &size) < 0) {
            number = errno;
        }
        if (number == 0) {
            err = pyaio_future_set_result(state, future, Py_None);
        }
        else {
            raise_refused(self, number);
            PyObject *exc = PyErr_GetRaisedException();
            err = pyaio_future_set_exception(state, future, exc);
            Py_DECREF(exc);
        }
    }
    Py_DECREF(op);
    return err;
}

static const PyaioReadyKind connect_ready = {
    .name = "BaseSelectorEventLoop._sock_connect_cb",
    .run = connect_ready_run,
};

static PySendResult
wait_until_connected(PyaioState *state, Connect *self, PyObject **result)
{
    PyObject *future = pyaio_future_new(state, self->call.loop);
    if (future == NULL) {
        return PYGEN_ERROR;
    }
    int fd = pyaio_socket_fd(self->sock);
    PySendResult went = PYGEN_ERROR;
    if (pyaio_watch_add(self->sched, fd, PYAIO_POLL_WRITE, &connect_ready,
                        (PyObject *)self, NULL) == 0) {
        self->watched = fd;
        went = pyaio_await_start(state, &self->head.await, future, result);
    }
    Py_DECREF(future);
    return went;
}

static PyObject *
make_socket(PyaioState *state, const PyaioConnectCall *call)
{
    int family = call->address.any.ss_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                    call->proto);
    if (fd < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return NULL;
    }
    return pyaio_socket_adopt(state, fd, family, SOCK_STREAM, call->proto);
}

/* Connects: PYGEN_RETURN where that is done, PYGEN_NEXT where it goes on. The
 * second call tells the end of an attempt that went on only for as long as the
 * first one held the socket, as within one machine. */
static PySendResult
try_to_connect(Connect *self)
{
    const struct sockaddr *address =
        (const struct sockaddr *)&self->call.address.any;
    socklen_t length = self->call.address.length;
    int fd = pyaio_socket_fd(self->sock);
    if (PySys_Audit("socket.connect", "OO", self->sock, self->call.shown) <
        0) {
        return PYGEN_ERROR;
    }
    if (connect(fd, address, length) == 0) {
        return PYGEN_RETURN;
    }
    if (errno == EINPROGRESS) {
        if (connect(fd, address, length) == 0) {
            return PYGEN_RETURN;
        }
        if (errno != EALREADY && errno != EINPROGRESS && errno != EINTR) {
            raise_refused(self, errno);
            return PYGEN_ERROR;
        }
        return PYGEN_NEXT;
    }
    if (errno == EINTR) {
        return PyErr_CheckSignals() < 0 ? PYGEN_ERROR : PYGEN_NEXT;
    }
    if (errno == EAGAIN) {
        return PYGEN_NEXT;
    }
    PyErr_SetFromErrno(PyExc_OSError);
    return PYGEN_ERROR;
}

/* --- the course of the coroutine ----------------------------------------- */

/* Ends what was begun, with the exception that is set: the socket closes, and
 * the transport if there is one already. */
static PySendResult
connect_failed(PyaioState *state, Connect *self)
{
    PyObject *raised = PyErr_GetRaisedException();
    stop_watching(self);
    PyObject *sock = self->sock, *transport = self->transport;
    self->sock = self->transport = NULL;
    if (sock != NULL && pyaio_socket_close(state, sock) < 0) {
        PyErr_Clear(); /* as stock: the first error counts */
    }
    if (transport != NULL) {
        PyObject *done =
            PyObject_CallMethodNoArgs(transport, state->str_close);
        if (done == NULL) {
            pyaio_chain_exception(raised);
            raised = PyErr_GetRaisedException();
        }
        Py_XDECREF(done);
    }
    else if (self->call.all_errors && self->stage == CONNECTING &&
             PyObject_TypeCheck(raised, (PyTypeObject *)PyExc_OSError)) {
        PyObject *group =
            PyObject_CallFunction(PyExc_BaseExceptionGroup, "s[O]",
                                  "create_connection failed", raised);
        if (group != NULL) {
            Py_SETREF(raised, group);
        }
    }
    Py_XDECREF(sock);
    Py_XDECREF(transport);
    PyErr_SetRaisedException(raised);
    return PYGEN_ERROR;
}

/* There is a connection: makes a protocol and a transport for it. */
static PySendResult
make_ends(PyaioState *state, Connect *self, PyObject **result)
{
    self->stage = MAKING;
    PyObject *context = NULL;
#if PYAIO_HAS_TRANSPORT_CONTEXT
    context = PyContext_CopyCurrent();
    if (context == NULL) {
        return PYGEN_ERROR;
    }
#endif
    self->protocol = PyObject_CallNoArgs(self->call.factory);
    PyObject *waiter = self->protocol
                           ? pyaio_loop_create_future(state, self->call.loop)
                           : NULL;
    if (waiter != NULL) {
        self->transport =
            pyaio_transport_new(state, self->call.loop, self->sock,
                                self->protocol, waiter, NULL, NULL, context);
    }
    Py_XDECREF(context);
    PySendResult went = PYGEN_ERROR;
    if (self->transport != NULL) {
        Py_CLEAR(self->sock);
        went = pyaio_await_start(state, &self->head.await, waiter, result);
    }
    Py_XDECREF(waiter);
    return went;
}

/* What follows a step. */
static PySendResult
connect_go_on(PyaioState *state, Connect *self, PySendResult went,
              PyObject **result)
{
    if (went == PYGEN_RETURN && self->stage == CONNECTING) {
        Py_CLEAR(*result);
        pyaio_await_stop(&self->head.await);
        went = make_ends(state, self, result);
    }
    if (went == PYGEN_RETURN) {
        Py_CLEAR(*result);
        *result = PyTuple_Pack(2, self->transport, self->protocol);
        Py_CLEAR(self->transport);
        return *result ? PYGEN_RETURN : PYGEN_ERROR;
    }
    return went == PYGEN_ERROR ? connect_failed(state, self) : went;
}

/* The coroutine of stock's for the same arguments. */
static PyObject *
connect_make_stock(PyaioState *state, Connect *self)
{
    return pyaio_in_stock_call(state, &self->head, self->arguments,
                               self->names);
}

static PySendResult
connect_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    Connect *self = (Connect *)op;
    self->sched = usual_scheduler(state, self->call.loop);
    if (self->sched == NULL) {
        return pyaio_in_stock_await(state, op, connect_make_stock(state, self),
                                    result);
    }
    self->sock = make_socket(state, &self->call);
    PySendResult went = self->sock ? try_to_connect(self) : PYGEN_ERROR;
    if (went == PYGEN_NEXT) {
        went = wait_until_connected(state, self, result);
    }
    return connect_go_on(state, self, went, result);
}

static PySendResult
connect_send(PyaioState *state, PyaioCoroutine *op, PyObject *value,
             PyObject **result)
{
    PySendResult went = pyaio_await_send(state, &op->await, value, result);
    return op->in_stock ? went
                        : connect_go_on(state, (Connect *)op, went, result);
}

static PySendResult
connect_throw(PyaioState *state, PyaioCoroutine *op, PyObject *exception,
              PyObject **result)
{
    PySendResult went =
        pyaio_await_throw(state, &op->await, exception, result);
    return op->in_stock ? went
                        : connect_go_on(state, (Connect *)op, went, result);
}

static PyObject *
connect_mirror(PyaioState *state, PyaioCoroutine *op)
{
    if (op->in_stock) {
        return Py_NewRef(op->await.awaited);
    }
    if (op->mirror == NULL) {
        op->mirror = connect_make_stock(state, (Connect *)op);
    }
    return Py_XNewRef(op->mirror);
}

static int
connect_traverse(PyaioCoroutine *op, visitproc visit, void *arg)
{
    Connect *self = (Connect *)op;
    Py_VISIT(self->arguments);
    Py_VISIT(self->call.shown);
    Py_VISIT(self->sock);
    Py_VISIT(self->protocol);
    Py_VISIT(self->transport);
    return 0;
}

static void
connect_clear(PyaioState *state, PyaioCoroutine *op)
{
    Connect *self = (Connect *)op;
    PyObject *raised = PyErr_GetRaisedException();
    stop_watching(self);
    PyObject *sock = self->sock;
    self->sock = NULL;
    if (sock != NULL && pyaio_socket_close(state, sock) < 0) {
        PyErr_WriteUnraisable(sock);
    }
    Py_XDECREF(sock);
    Py_CLEAR(self->transport);
    Py_CLEAR(self->protocol);
    Py_CLEAR(self->call.shown);
    Py_CLEAR(self->arguments);
    Py_CLEAR(self->names);
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
}

/* --- the functions ------------------------------------------------------- */

#define CONNECT_KIND(stock)                      \
    {                                            \
        .function = offsetof(PyaioState, stock), \
        .start = connect_start,                  \
        .send = connect_send,                    \
        .throw = connect_throw,                  \
        .mirror = connect_mirror,                \
        .traverse = connect_traverse,            \
        .clear = connect_clear,                  \
    }

static const PyaioCoroutineKind tcp_kind = CONNECT_KIND(stock_connect_tcp);
static const PyaioCoroutineKind unix_kind = CONNECT_KIND(stock_connect_unix);

/* Takes the reference in `call`. */
static PyObject *
connect_new(PyaioState *state, const PyaioCoroutineKind *kind,
            const PyaioConnectCall *call, PyObject *const *args,
            Py_ssize_t nargs, PyObject *kwnames)
{
    PyTypeObject *type = state->ConnectCoroutine_type;
    Connect *self = (Connect *)type->tp_alloc(type, 0);
    if (self == NULL) {
        Py_DECREF(call->shown);
        return NULL;
    }
    self->call = *call;
    self->watched = -1;
    self->arguments = pyaio_in_stock_pack(args, nargs, kwnames);
    self->names = Py_XNewRef(kwnames);
    if (self->arguments == NULL ||
        pyaio_coroutine_setup(&self->head, kind) < 0) {
        self->head.status = PYAIO_CORO_CLOSED; /* nobody will know of it */
        connect_clear(state, &self->head);
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static PyObject *
tcp_call(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
         PyObject *kwnames)
{
    PyaioConnectCall call;
    return pyaio_connect_read_tcp(&call, args, nargs, kwnames) > 0
               ? connect_new(state, &tcp_kind, &call, args, nargs, kwnames)
               : NULL;
}

static PyObject *
unix_call(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames)
{
    PyaioConnectCall call;
    return pyaio_connect_read_unix(&call, args, nargs, kwnames) > 0
               ? connect_new(state, &unix_kind, &call, args, nargs, kwnames)
               : NULL;
}

static int
add_method(PyaioState *state, const char *name, PyObject *stock,
           PyaioNativeCall call)
{
    return pyaio_coroutine_function_add(
        state, (PyObject *)state->EventLoopBase_type, name, stock, call);
}

int
pyaio_connect_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_coroutine_add_type(module, &state->ConnectCoroutine_type,
                                 "pyaio._core.ConnectCoroutine",
                                 sizeof(Connect)) < 0 ||
        add_method(state, "create_connection", state->stock_connect_tcp,
                   tcp_call) < 0) {
        return -1;
    }
    return add_method(state, "create_unix_connection",
                      state->stock_connect_unix, unix_call);
}
