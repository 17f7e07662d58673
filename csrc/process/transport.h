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
    PyObject *ends[3];      /* owned: file objects of our ends of its pipes, or
                               the pipes' transports, which have them */
    int files[3];           /* descriptors of those that have neither; -1 */
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

/* A transport of the usual class that started its child itself, and of which
 * no method was replaced. */
static inline int
pyaio_subprocess_is_plain(const PyaioState *state, PyObject *op)
{
    return (PyObject *)Py_TYPE(op) == state->ChildTransport &&
           !((PyaioSubprocess *)op)->from_stock &&
           !((PyaioSubprocess *)op)->replaced;
}

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

/* A child and who is told of it. */
typedef struct {
    PyaioChildPlan plan;
    PyObject *loop;
    PyObject *protocol;
    PyObject *waiter;
} PyaioConstruction;

/* A plan for a child like this process. */
static inline PyaioChildPlan
pyaio_child_plan(PyObject *args, int shell)
{
    return (PyaioChildPlan){
        .args = args,
        .files = {Py_None, Py_None, Py_None},
        .env = Py_None,
        .cwd = Py_None,
        .restore_signals = Py_True,
        .new_session = Py_False,
        .process_group = Py_None,
        .shell = shell,
    };
}

/* --- construct.c */

/* tp_init */
int pyaio_subprocess_init_object(PyObject *op, PyObject *args,
                                 PyObject *kwargs);
/* A transport of the usual class, which is not constructed; None where one
 * does not come from its constructor alone. */
PyObject *pyaio_subprocess_alloc(PyaioState *state);
/* Starts the child in our way. Returns 1, 0 where it has to be stock's, or -1
 * with an exception. */
int pyaio_subprocess_construct(PyaioState *state, PyaioSubprocess *self,
                               const PyaioConstruction *made);
/* Stock's constructor. Returns 0, or -1 with an exception. */
int pyaio_subprocess_construct_in_stock(PyaioState *state, PyObject *op,
                                        PyObject *args, PyObject *kwargs);

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
/* get_pipe_transport(): the transport of a pipe by the number that it is in
 * the child: a new reference. None where there is no such pipe. */
PyObject *pyaio_subprocess_pipe(PyaioState *state, const PyaioSubprocess *self,
                                PyObject *fd);
/* The Popen, borrowed: None where there is none. */
PyObject *pyaio_subprocess_popen(PyaioState *state, PyaioSubprocess *self);
PyObject *pyaio_subprocess_exit_waiters(PyaioSubprocess *self);
PyObject *pyaio_subprocess_pending(PyaioState *state, PyaioSubprocess *self);

#endif
