/* loop.sock_*(): coroutines that try a call on a socket, and where it would
 * block wait for the descriptor and try again.
 *
 * The call is made again by the coroutine itself, not when the descriptor is
 * seen to be ready: nothing is received on behalf of a task that is cancelled
 * in between. */
#ifndef PYAIO_NET_OPERATION_H
#define PYAIO_NET_OPERATION_H

#include "combine/coroutine.h"
#include "net/socket.h"
#include "sched/sched.h"

#define PYAIO_OPERATION_ARGUMENTS 6

/* What sock_sendfile() sends. */
typedef struct {
    int fd;           /* the file's, which the caller keeps open */
    int begun;        /* something was tried already */
    int fallback;     /* what the kernel cannot send is read and sent */
    off_t offset;     /* of the next byte */
    Py_ssize_t count; /* bytes to send, 0 for all */
    off_t size;       /* of the file, when it began */
} PyaioFilePart;

typedef struct {
    PyaioCoroutine head;
    /* Owned: of the call, the loop and the socket first. */
    PyObject *args[PYAIO_OPERATION_ARGUMENTS];
    PyObject *kwnames; /* owned: names of the last of them, or NULL */
    int count;         /* how many there are */
    int at_once; /* it goes on in the next turn, whatever the descriptor is */
    int watched; /* the descriptor, while it waits for it; or -1 */
    PyObject *error; /* owned: the failure of what went on while it waited */
    Py_buffer view;  /* what is sent; its `obj` is NULL without one */
    Py_ssize_t size; /* bytes to receive, or sent already */
    PyaioAddress *from; /* where to note who sent it; NULL but during a call */
    PyaioFilePart file;
} PyaioOperation;

typedef struct {
    PyaioCoroutineKind base; /* made by PYAIO_OPERATION_KIND */
    const PyaioReadyKind *ready;
    unsigned direction; /* that it waits for: PYAIO_POLL_* */
    unsigned methods;   /* of the loop, besides those with which all wait, that
                           it stands for: PYAIO_LOOP_* */
    /* Whether the arguments are such that it can be done here; otherwise
     * stock's coroutine is run. NULL where they always are. */
    int (*accepts)(PyaioOperation *self);
    /* Tries. PYGEN_NEXT: it would block. */
    PySendResult (*attempt)(PyaioState *state, PyaioOperation *self,
                            PyObject **result);
    /* Goes on when the descriptor is ready, while the coroutine waits: 1 when
     * there is an end, 0 for more waiting, or -1 with what breaks out of the
     * loop. NULL: the coroutine itself tries again. */
    int (*advance)(PyaioState *state, PyaioOperation *self);
    /* The descriptor is ready, but its coroutine was cancelled in the same
     * turn. Returns 0, or -1 with an exception to be reported. May be NULL. */
    int (*called_off)(PyaioState *state, PyaioOperation *self);
} PyaioOperationKind;

PySendResult pyaio_operation_start(PyaioState *state, PyaioCoroutine *op,
                                   PyObject **result);
PySendResult pyaio_operation_send(PyaioState *state, PyaioCoroutine *op,
                                  PyObject *value, PyObject **result);
PySendResult pyaio_operation_throw(PyaioState *state, PyaioCoroutine *op,
                                   PyObject *exception, PyObject **result);
PyObject *pyaio_operation_mirror(PyaioState *state, PyaioCoroutine *op);
int pyaio_operation_traverse(PyaioCoroutine *op, visitproc visit, void *arg);
void pyaio_operation_clear(PyaioState *state, PyaioCoroutine *op);

#define PYAIO_OPERATION_KIND(stock)                \
    {.function = offsetof(PyaioState, stock),      \
     .pool = offsetof(PyaioState, operation_pool), \
     .start = pyaio_operation_start,               \
     .send = pyaio_operation_send,                 \
     .throw = pyaio_operation_throw,               \
     .mirror = pyaio_operation_mirror,             \
     .traverse = pyaio_operation_traverse,         \
     .clear = pyaio_operation_clear}

/* What is queued for an operation whose descriptor is ready. */
#define PYAIO_OPERATION_READY(shown)         \
    {.name = "BaseSelectorEventLoop." shown, \
     .run = pyaio_operation_ready,           \
     .once = 1}

int pyaio_operation_ready(PyaioState *state, PyObject *a, PyObject *b);

/* A coroutine for the arguments; NULL without an exception where there are not
 * between `least` and `most`, by position. */
PyObject *pyaio_operation_new(PyaioState *state,
                              const PyaioOperationKind *kind,
                              PyObject *const *args, Py_ssize_t nargs,
                              PyObject *kwnames, Py_ssize_t least,
                              Py_ssize_t most);

/* Puts a stand-in for `stock` into the type of our event loops. */
int pyaio_operation_add(PyaioState *state, const char *name, PyObject *stock,
                        PyaioNativeCall call);

static inline PyObject *
pyaio_operation_socket(const PyaioOperation *self)
{
    return self->args[1];
}

#endif
