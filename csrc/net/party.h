/* A transport between its loop and its protocol: what transports of every
 * kind queue when they begin, log and report. */
#ifndef PYAIO_NET_PARTY_H
#define PYAIO_NET_PARTY_H

#include "base/state.h"

/* All borrowed. */
typedef struct {
    PyaioState *state;
    PyObject *loop;
    PyObject *transport;
    PyObject *protocol;
} PyaioParty;

/* All of these return 0, or -1 with an exception. */

/* loop.call_soon(protocol.connection_made, transport), in `context` unless
 * that is NULL. */
int pyaio_party_queue_made(const PyaioParty *party, PyObject *context);
/* Queues the end of waiting for whoever waits for the transport, unless
 * `waiter` is NULL. */
int pyaio_party_queue_wake(const PyaioParty *party, PyObject *waiter);

/* logger.<level>(format, transport), where the loop is in debug mode. */
int pyaio_party_log(const PyaioParty *party, const char *level,
                    const char *format);
/* Tells of an error that ends the connection: the loop's exception handler,
 * or where it is `usual` the log of a loop in debug mode. */
int pyaio_party_report(const PyaioParty *party, PyObject *exc,
                       PyObject *message, int usual);

#endif
