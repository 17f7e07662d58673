/* The transports of pipes, character devices and sockets taken as such, in the
 * shape of stock's _UnixReadPipeTransport and _UnixWritePipeTransport.
 *
 * Life: constructed over an object with a descriptor, it is watched by the
 * loop, which keeps it alive, until it is closed; closing queues
 * connection_lost(), after which it has neither pipe nor protocol nor loop.
 *
 * The object owns the descriptor. Where it is one of the interpreter's own
 * files or sockets it is asked for the number before every system call. Our
 * end of a child's pipe has no such object until somebody asks for it: the
 * transport owns the descriptor. */
#ifndef PYAIO_NET_PIPE_H
#define PYAIO_NET_PIPE_H

#include "net/flow.h"
#include "net/write_queue.h"
#include "sched/sched.h"

/* Who owns the descriptor. */
enum {
    PYAIO_PIPE_OBJECT = 0, /* `pipe` */
    PYAIO_PIPE_BARE,       /* the transport, */
    PYAIO_PIPE_BARE_ENDED, /* which has closed it */
};

typedef struct {
    PyObject_HEAD
    PyObject *extra;     /* owned: dict, or NULL while bare; the field of
                            stock's BaseTransport */
    PyObject *unused[4]; /* NULL: of a writer's base _FlowControlMixin */
    PyObject *dict;      /* owned: attributes that somebody set */
    PyObject *weakrefs;
    PyObject *loop;        /* owned; NULL once the connection is lost */
    PyaioScheduler *sched; /* of the loop */
    PyObject *protocol;    /* owned; NULL once the connection is lost */
    PyObject *pipe;        /* owned; NULL once the connection is lost */
    /* Of the entries for the three kinds of events: base/context.h. */
    PyObject *read_context;
    PyObject *write_context;
    PyObject *lost_context;
    const PyaioReadyKind *readable; /* what runs when it is readable: data for
                                       a reader, the end for a writer */
    PyaioFlow flow;
    PyaioWriteQueue queue;
    Py_ssize_t last_read; /* bytes that the last read of data brought */
    Py_ssize_t conn_lost; /* counts failed writes, and writes that came after
                             the transport began to close */
    int fd;       /* the descriptor's number when it was given to us, the key
                       of its watches; -1 before */
    uint8_t bare; /* PYAIO_PIPE_* */
    uint8_t is_file;   /* one of the interpreter's own file objects */
    uint8_t is_socket; /* one of its sockets */
    uint8_t closing;
    uint8_t paused;
    uint8_t ending; /* connection_lost() is queued or was called */
} PyaioPipe;

/* All of these return 0, or -1 with an exception, unless they say more. */

/* `devices` says whether character devices are watched for being readable, as
 * pipes and sockets are; `refusal` is what to say of anything else. */
int pyaio_pipe_setup(PyaioState *state, PyaioPipe *self, PyObject *loop,
                     PyObject *pipe, PyObject *protocol, PyObject *waiter,
                     PyObject *extra, int devices, const char *refusal);
/* The transport of our end of a child's pipe, which is open, watched from now
 * on; its protocol is not told of it. `type` is that of a reader or a writer,
 * `file` owns the descriptor, or is NULL: then the transport does. A new
 * reference, or NULL with an exception, and nobody owns the descriptor yet. */
PyObject *pyaio_pipe_to_child(PyaioState *state, PyTypeObject *type,
                              PyObject *loop, PyObject *file, int fd,
                              PyObject *protocol);
/* get_extra_info("pipe"), which is made where it is bare: borrowed, or NULL
 * with an exception. */
PyObject *pyaio_pipe_object(PyaioState *state, PyaioPipe *self);
/* The number for a system call; -1 with OSError where the pipe was closed. */
int pyaio_pipe_descriptor(PyaioState *state, PyaioPipe *self);
/* Watches it for being readable, unless closing or paused. */
int pyaio_pipe_watch_readable(PyaioPipe *self);
/* Ends one direction of watching. */
void pyaio_pipe_unwatch(PyaioPipe *self, unsigned direction);

/* Drops what is queued; `exc` goes to connection_lost(). */
int pyaio_pipe_force_close(PyaioState *state, PyaioPipe *self, PyObject *exc);
/* Tells of `exc` (party.h), and closes. */
int pyaio_pipe_fatal_error(PyaioState *state, PyaioPipe *self, PyObject *exc,
                           PyObject *message);
/* The same of the exception that is set; passes on what breaks out of the
 * loop. */
int pyaio_pipe_fail(PyaioState *state, PyaioPipe *self, const char *message);
/* Calls connection_lost() and lets go of everything. */
int pyaio_pipe_lose(PyaioState *state, PyaioPipe *self, PyObject *exc);
/* Closes the pipe, which nothing watches any more, and lets go of what the
 * transport held. */
int pyaio_pipe_release(PyaioState *state, PyaioPipe *self);

static inline int
pyaio_pipe_is_open(const PyaioPipe *self)
{
    return self->pipe != NULL || self->bare == PYAIO_PIPE_BARE;
}

static inline PyaioParty
pyaio_pipe_party(PyaioState *state, PyaioPipe *self)
{
    PyaioParty party = {state, self->loop, (PyObject *)self, self->protocol};
    return party;
}

/* --- pipe_reading.c */

extern const PyaioReadyKind pyaio_pipe_read_ready;
int pyaio_pipe_pause_reading(PyaioState *state, PyaioPipe *self);
int pyaio_pipe_resume_reading(PyaioState *state, PyaioPipe *self);

static inline int
pyaio_pipe_is_reading(const PyaioPipe *self)
{
    return !self->closing && !self->paused;
}

/* --- pipe_writing.c */

extern const PyaioReadyKind pyaio_pipe_peer_ready;
int pyaio_pipe_write(PyaioState *state, PyaioPipe *self, PyObject *data);
/* Closes once what was written is sent. */
int pyaio_pipe_write_eof(PyaioState *state, PyaioPipe *self);
/* Tells the protocol to pause where the backlog is above the mark. */
int pyaio_pipe_check_flow(PyaioState *state, PyaioPipe *self);

int pyaio_pipe_init(PyObject *module);

#endif
