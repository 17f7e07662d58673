/* The transport of a datagram socket, in the shape of stock's
 * _SelectorDatagramTransport: what it adds to net/transport.h. */
#ifndef PYAIO_NET_DATAGRAM_H
#define PYAIO_NET_DATAGRAM_H

#include "net/transport.h"

typedef struct {
    PyaioTransport base;
    PyObject *address; /* owned: the only one to send to, NULL for None */
    /* Who sent the last datagram, as the protocol was told and as the system
     * says it: most answer, or are followed by the same. */
    PyObject *shown; /* owned, or NULL */
    PyaioAddress from;
    uint8_t bursts;    /* the last wake-up that looked for more found some */
    uint8_t singles;   /* counts wake-ups for one datagram each */
    PyaioAddress next; /* where the system writes that of the next one */
} PyaioDatagram;

/* What runs when there is something to read. */
extern const PyaioReadyKind pyaio_datagram_readable;

/* transport.sendto(data, address); `address` may be None. Returns 0, or -1
 * with an exception. */
int pyaio_datagram_send(PyaioState *state, PyaioDatagram *self, PyObject *data,
                        PyObject *address);

int pyaio_datagram_init(PyObject *module);

#endif
