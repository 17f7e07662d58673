/* The transport of a subprocess, in the shape of stock's
 * _UnixSubprocessTransport.
 *
 * Life: constructed it has started its child, or stock's constructor has; in
 * the next turn, or once its pipes are connected, the protocol hears of it. It
 * is kept by what watches the child until that ends; when the pipes are lost,
 * too, connection_lost() is queued, after which it has neither loop nor
 * protocol.
 *
 * What is usual happens here; everything else is stock's methods, which find
 * their state in our fields. */
#ifndef PYAIO_PROCESS_TRANSPORT_H
#define PYAIO_PROCESS_TRANSPORT_H

#include "base/state.h"

#include <sys/types.h>

typedef struct {
    PyObject_HEAD
    PyObject *extra;        /* owned: dict, or NULL for an empty one; the field
                               of stock's BaseTransport */
    PyObject *loop;         /* owned; NULL once the connection is lost */
    PyObject *protocol;     /* owned; NULL once the connection is lost */
    PyObject *proc;         /* owned: the Popen, NULL until somebody asks */
    PyObject *pid;          /* owned: int, or NULL */
    PyObject *returncode;   /* owned: int, or NULL */
    PyObject *pipes;        /* owned: dict, or NULL for an empty one */
    PyObject *exit_waiters; /* owned: futures, or NULL for none yet */
    PyObject *pending;      /* owned: deque of calls, or NULL for none yet */
    PyObject *args;         /* owned: of the child that we started, or NULL */
    PyObject *context;      /* base/context.h: of what connects the pipes */
    PyObject *ends[3];      /* owned: file objects of our ends of its pipes */
    int files[3];           /* descriptors of those that have none yet; -1 */
    int devnull;            /* which it shows, too */
    uint8_t closed;
    uint8_t finished;
    uint8_t connecting;  /* calls of the protocol have to wait */
    uint8_t waited;      /* nobody waits for the end any more */
    uint8_t replaced;    /* a method, by an attribute of this object */
    uint8_t from_stock;  /* constructed by stock's constructor */
    uint8_t wakes_early; /* the running version wakes who waits when the child
                            ends, not when the connection is lost */
} PyaioSubprocess;

/* Whether a field has no value, for Python None. */
static inline int
pyaio_is_none(const PyObject *value)
{
    return value == NULL || value == Py_None;
}

/* What a child is to be. */
typedef struct {
    PyObject *args; /* str, bytes or a sequence */
    PyObject *files[3];
    PyObject *env;
    PyObject *cwd;
    PyObject *restore_signals;
    PyObject *new_session;
    PyObject *process_group;
    int shell;
} PyaioChildPlan;

/* Starts the child. Returns 1; 0 where that is left to Popen; -1 with an
 * exception. */
int pyaio_subprocess_start(PyaioState *state, PyaioSubprocess *self,
                           const PyaioChildPlan *plan);

/* --- transport.c: all return 0, or -1 with an exception */

/* Queues what tells the protocol of the transport. */
int pyaio_subprocess_connect(PyaioState *state, PyaioSubprocess *self,
                             PyObject *waiter);
enum { PYAIO_CALL_MOST = 4 };

/* loop.call_soon(*args), now or once the protocol knows of the transport: a
 * callback and its arguments, PYAIO_CALL_MOST at most. */
int pyaio_subprocess_call(PyaioState *state, PyaioSubprocess *self,
                          PyObject *const *args, Py_ssize_t count);
int pyaio_subprocess_pipe_data(PyaioState *state, PyaioSubprocess *self,
                               PyObject *fd, PyObject *data);
int pyaio_subprocess_pipe_lost(PyaioState *state, PyaioSubprocess *self,
                               PyObject *fd, PyObject *exc);
int pyaio_subprocess_close_pipes(PyaioState *state,
                                 const PyaioSubprocess *self);
/* The child has ended: _process_exited(). */
int pyaio_subprocess_exited(PyaioState *state, PyaioSubprocess *self,
                            PyObject *returncode);
int pyaio_subprocess_try_finish(PyaioState *state, PyaioSubprocess *self);
int pyaio_subprocess_lose(PyaioState *state, PyaioSubprocess *self,
                          PyObject *exc);
/* The file object of our end of a pipe, borrowed: None where there is no
 * pipe. */
PyObject *pyaio_subprocess_file(PyaioState *state, PyaioSubprocess *self,
                                int number);
/* The Popen, borrowed: None where there is none. */
PyObject *pyaio_subprocess_popen(PyaioState *state, PyaioSubprocess *self);
PyObject *pyaio_subprocess_exit_waiters(PyaioSubprocess *self);
PyObject *pyaio_subprocess_pending(PyaioState *state, PyaioSubprocess *self);

#endif
