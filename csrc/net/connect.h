/* loop.create_connection() and create_unix_connection() of the plain kind: to
 * a numeric address or a path, without TLS.
 *
 * Such a coroutine owns its socket until a transport has it, and closes it
 * wherever it ends before. All other calls are stock's own coroutines. */
#ifndef PYAIO_NET_CONNECT_H
#define PYAIO_NET_CONNECT_H

#include "net/address.h"

/* What a plain call asks for; the objects are borrowed from its arguments. */
typedef struct {
    PyObject *loop;
    PyObject *factory;
    PyObject *shown; /* the address as stock would hand it to connect(): the
                        path, or a new reference to a tuple */
    PyaioAddress address;
    int proto;
    int all_errors;
} PyaioConnectCall;

/* Read the arguments of a call. They return 1, 0 where it is not plain, which
 * includes calls that stock would refuse, or -1 with an exception. */
int pyaio_connect_read_tcp(PyaioConnectCall *call, PyObject *const *args,
                           Py_ssize_t nargs, PyObject *kwnames);
int pyaio_connect_read_unix(PyaioConnectCall *call, PyObject *const *args,
                            Py_ssize_t nargs, PyObject *kwnames);

/* Puts the two into the type of our event loops, which must exist. */
int pyaio_connect_init(PyObject *module);

#endif
