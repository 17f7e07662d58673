/* Listening sockets: what loop._start_serving() sets up.
 *
 * A wake-up accepts what waits, as many connections as the running version
 * does. For each an Incoming is queued, which one turn later, where stock's
 * task would take its first step, calls the protocol factory and makes the
 * transport.
 *
 * Whatever is unusual goes through the loop's own _accept_connection(): debug
 * mode, TLS, task factories, methods that somebody replaced. */
#ifndef PYAIO_NET_LISTENER_H
#define PYAIO_NET_LISTENER_H

#include "sched/sched.h"

typedef struct {
    PyObject_HEAD
    PyObject *loop; /* owned */
    PyaioScheduler *sched;
    PyObject *sock;      /* owned: listens; exactly a socket.socket */
    PyObject *arguments; /* owned: tuple, of _accept_connection() */
    PyObject *context;   /* owned: base/context.h; what it runs in */
    Py_ssize_t limit;    /* connections accepted in one wake-up, at most */
    int fd;              /* of the socket, the key of its watch */
} PyaioListener;

/* Watches a listening socket. `arguments` is the tuple for
 * loop._accept_connection(). Returns 1, 0 where the socket is not one for us,
 * or -1 with an exception. */
int pyaio_listener_start(PyaioState *state, PyaioScheduler *sched,
                         PyObject *arguments);

int pyaio_listener_init(PyObject *module);

/* --- incoming.c */

/* Queues what is to become of an accepted connection; takes both
 * references, of which `address` may be NULL with an exception. Returns 0, or
 * -1 with an exception. */
int pyaio_incoming_queue(PyaioState *state, PyaioListener *listener,
                         PyObject *sock, PyObject *address);

int pyaio_incoming_init(PyObject *module);

/* Places in the arguments of _accept_connection(). */
enum {
    PYAIO_ACCEPT_FACTORY,
    PYAIO_ACCEPT_SOCK,
    PYAIO_ACCEPT_SSL,
    PYAIO_ACCEPT_SERVER,
    PYAIO_ACCEPT_BACKLOG,
    PYAIO_ACCEPT_HANDSHAKE_TIMEOUT,
    PYAIO_ACCEPT_SHUTDOWN_TIMEOUT,
    PYAIO_ACCEPT_CONTEXT, /* from 3.15 on */
};

static inline PyObject *
pyaio_listener_argument(const PyaioListener *self, int place)
{
    return PyTuple_GET_ITEM(self->arguments, place);
}

#endif
