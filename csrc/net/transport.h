/* The transport of a stream socket, in the shape of stock's
 * _SelectorSocketTransport.
 *
 * Life: constructed over a socket, it is watched by the loop, which keeps it
 * alive, until it is closed; closing queues connection_lost(), after which it
 * has neither socket nor protocol nor loop.
 *
 * The socket object owns the descriptor. Both directions leave the poller
 * before it is closed. */
#ifndef PYAIO_NET_TRANSPORT_H
#define PYAIO_NET_TRANSPORT_H

#include "net/flow.h"
#include "net/foreign_socket.h"
#include "net/protocol.h"
#include "net/write_queue.h"
#include "sched/sched.h"

typedef struct {
    PyObject_HEAD
    PyObject *extra;     /* owned: dict; the field of stock's BaseTransport */
    PyObject *unused[4]; /* NULL: those of its _FlowControlMixin */
    PyObject *dict;      /* owned: attributes that somebody set */
    PyObject *weakrefs;
    PyObject *loop;        /* owned; NULL once the connection is lost */
    PyaioScheduler *sched; /* of the loop */
    PyObject *protocol;    /* owned; NULL once the connection is lost */
    const PyaioNativeProtocol *native; /* how the protocol is one of ours, or
                                          NULL */
    PyObject *sock;    /* owned; NULL once the connection is lost */
    PyObject *server;  /* owned, or NULL */
    PyObject *context; /* owned: in which everything runs, NULL for the
                              one that is current when it is scheduled */
    /* Of the entries for the three kinds of events: base/context.h. */
    PyObject *read_context;
    PyObject *write_context;
    PyObject *lost_context;
    PyObject *empty_waiter; /* owned: future of who awaits that everything is
                               sent, or NULL */
    const PyaioReadyKind *readable; /* what runs when there is something to
                                       read */
    PyaioFlow flow;
    PyaioWriteQueue queue;
    Py_ssize_t last_read; /* bytes that the last read of data brought */
    Py_ssize_t conn_lost; /* not 0: connection_lost() is queued or was called;
                             counts the writes since */
    int fd;               /* the socket's descriptor when it was given to us,
                             the key of its watch */
    uint8_t plain;        /* system calls stand for the socket's methods */
    uint8_t buffered;     /* the protocol is a BufferedProtocol */
    uint8_t protocol_connected;
    uint8_t closing;
    uint8_t paused;
    uint8_t eof; /* write_eof() was called */
} PyaioTransport;

/* All of these return 0, or -1 with an exception, unless they say more. */

/* --- transport.c: coming and going */

int pyaio_transport_setup(PyaioState *state, PyaioTransport *self,
                          PyObject *loop, PyObject *sock, PyObject *protocol,
                          PyObject *waiter, PyObject *extra, PyObject *server,
                          PyObject *context);
/* A transport over a socket, which stays the caller's where this fails. The
 * four last may be NULL. */
PyObject *pyaio_transport_new(PyaioState *state, PyObject *loop,
                              PyObject *sock, PyObject *protocol,
                              PyObject *waiter, PyObject *extra,
                              PyObject *server, PyObject *context);
int pyaio_transport_set_socket(PyaioState *state, PyaioTransport *self,
                               PyObject *sock);
int pyaio_transport_set_protocol(PyaioState *state, PyaioTransport *self,
                                 PyObject *protocol);
int pyaio_transport_close(PyaioState *state, PyaioTransport *self);
/* Drops what is queued; `exc` goes to connection_lost(). */
int pyaio_transport_force_close(PyaioState *state, PyaioTransport *self,
                                PyObject *exc);
/* Reports the exception that is set, if it is one to report, and closes by
 * force; passes on what breaks out of the loop. */
int pyaio_transport_fail(PyaioState *state, PyaioTransport *self,
                         const char *message);
/* The same of an exception at hand, whatever it is. */
int pyaio_transport_fatal_error(PyaioState *state, PyaioTransport *self,
                                PyObject *exc, PyObject *message);
/* Calls connection_lost() and lets go of everything. */
int pyaio_transport_lose(PyaioState *state, PyaioTransport *self,
                         PyObject *exc);
/* Closes the socket, which nothing watches any more, and lets go of what the
 * transport held. */
int pyaio_transport_release(PyaioState *state, PyaioTransport *self);
/* logger.debug(format, transport, *argument) where the loop is in debug
 * mode. */
int pyaio_transport_debug(PyaioState *state, PyaioTransport *self,
                          const char *format);
/* The context for an entry, into a field of the transport. */
int pyaio_transport_capture(PyaioState *state, PyaioTransport *self,
                            PyObject **field);

static inline PyaioParty
pyaio_transport_party(PyaioState *state, PyaioTransport *self)
{
    PyaioParty party = {state, self->loop, (PyObject *)self, self->protocol};
    return party;
}

static inline int
pyaio_transport_is_reading(const PyaioTransport *self)
{
    return !self->closing && !self->paused;
}

/* --- reading.c */

/* What runs then over a stream socket. */
extern const PyaioReadyKind pyaio_stream_readable;
/* The contexts of the entries for both directions. */
PyObject *pyaio_transport_read_context(PyaioState *state, PyObject *a);
PyObject *pyaio_transport_write_context(PyaioState *state, PyObject *a);

/* Begins to read, unless closed or paused meanwhile; `read_context` is set. */
int pyaio_transport_start_reading(PyaioState *state, PyaioTransport *self);
int pyaio_transport_pause_reading(PyaioState *state, PyaioTransport *self);
int pyaio_transport_resume_reading(PyaioState *state, PyaioTransport *self);

/* A callable for what is queued when there is something to read. */
PyObject *pyaio_transport_read_ready(PyaioState *state, PyaioTransport *self);

/* --- writing.c */

int pyaio_transport_write(PyaioState *state, PyaioTransport *self,
                          PyObject *data);
int pyaio_transport_writelines(PyaioState *state, PyaioTransport *self,
                               PyObject *list);
/* Whether `op` is a transport of ours whose write() is the original, so that
 * the next may take its place: it writes `length` bytes, not 0, which need not
 * stay. */
int pyaio_transport_writes_memory(PyaioState *state, PyObject *op);
int pyaio_transport_write_memory(PyaioState *state, PyaioTransport *self,
                                 const char *data, size_t length);
int pyaio_transport_write_eof(PyaioTransport *self);
/* Watches for being writable. */
int pyaio_transport_watch_writing(PyaioState *state, PyaioTransport *self,
                                  const PyaioReadyKind *kind);
/* A write on a connection that is lost: nothing but a warning, after some. */
int pyaio_transport_write_lost(PyaioState *state, PyaioTransport *self);
/* Tells the protocol to go on where the backlog is down to the lower mark. */
int pyaio_transport_check_drained(PyaioState *state, PyaioTransport *self);
/* Tells it to pause where it is above the upper one. */
int pyaio_transport_check_flow(PyaioState *state, PyaioTransport *self);

/* The future of who wants to know when everything is sent: a new reference. */
PyObject *pyaio_transport_make_empty_waiter(PyaioState *state,
                                            PyaioTransport *self);
int pyaio_transport_fail_empty_waiter(PyaioTransport *self, PyObject *exc);

/* --- transport_type.c, stream_type.c */

/* Looks whether all methods of the type are still the original ones. */
int pyaio_transport_check_methods(PyaioState *state);

/* `op` as a transport of ours whose functions here stand for its methods,
 * because nobody replaced any; otherwise NULL. */
static inline PyaioTransport *
pyaio_transport_plain(PyaioState *state, PyObject *op)
{
    PyTypeObject *type = state->Transport_type;
    if (!Py_IS_TYPE(op, type)) {
        return NULL;
    }
    PyaioTransport *self = (PyaioTransport *)op;
    if (self->dict != NULL && PyDict_GET_SIZE(self->dict) > 0) {
        return NULL;
    }
    unsigned tag = type->tp_version_tag;
    return (tag != 0 && tag == state->transport_tag) ||
                   pyaio_transport_check_methods(state)
               ? self
               : NULL;
}

/* What stands below, for the types of all sockets. */

int pyaio_transport_check_arguments(PyaioState *state, PyObject *loop,
                                    PyObject *extra);
int pyaio_transport_tp_traverse(PyObject *op, visitproc visit, void *arg);
int pyaio_transport_tp_clear(PyObject *op);
void pyaio_transport_tp_dealloc(PyObject *op);
extern PyMethodDef pyaio_transport_methods[];

/* Makes the type on which the others stand. */
int pyaio_transport_base_init(PyObject *module);
int pyaio_transport_init(PyObject *module);

#endif
