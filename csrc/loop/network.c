/* EventLoop methods of networking that are native. */
#include "base/errors.h"
#include "loop/loop.h"
#include "net/listener.h"

#if PYAIO_HAS_TRANSPORT_CONTEXT
#define ARGUMENT_COUNT 8
#else
#define ARGUMENT_COUNT 7
#endif

/* The arguments with the defaults of the running version: a new tuple. */
static PyObject *
serving_arguments(PyaioState *state, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"protocol_factory",
                            "sock",
                            "sslcontext",
                            "server",
                            "backlog",
                            "ssl_handshake_timeout",
                            "ssl_shutdown_timeout",
#if PYAIO_HAS_TRANSPORT_CONTEXT
                            "context",
#endif
                            NULL};
    PyObject *found[8] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs,
#if PYAIO_HAS_TRANSPORT_CONTEXT
                                     "OO|OOOOOO:_start_serving",
#else
                                     "OO|OOOOO:_start_serving",
#endif
                                     names, &found[0], &found[1], &found[2],
                                     &found[3], &found[4], &found[5],
                                     &found[6], &found[7])) {
        return NULL;
    }
    PyObject *defaults[] = {
        NULL, /* these two are required */
        NULL,
        Py_NewRef(Py_None),
        Py_NewRef(Py_None),
        PyLong_FromLong(100),
        PyObject_GetAttrString(state->constants, "SSL_HANDSHAKE_TIMEOUT"),
        PyObject_GetAttrString(state->constants, "SSL_SHUTDOWN_TIMEOUT"),
        Py_NewRef(Py_None),
    };
    PyObject *tuple = PyErr_Occurred() ? NULL : PyTuple_New(ARGUMENT_COUNT);
    for (Py_ssize_t i = 0; tuple != NULL && i < ARGUMENT_COUNT; i++) {
        PyObject *value = found[i] ? found[i] : defaults[i];
        if (value == NULL) {
            Py_CLEAR(tuple);
            break;
        }
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(value));
    }
    for (Py_ssize_t i = 0; i < 8; i++) {
        Py_XDECREF(defaults[i]);
    }
    return tuple;
}

/* stock's loop._start_serving(*arguments) */
static PyObject *
start_in_stock(PyaioState *state, PyObject *loop, PyObject *arguments)
{
    PyObject *self = PyTuple_Pack(1, loop);
    PyObject *all = self ? PySequence_Concat(self, arguments) : NULL;
    PyObject *done =
        all ? PyObject_CallObject(state->stock_start_serving, all) : NULL;
    Py_XDECREF(self);
    Py_XDECREF(all);
    return done;
}

static PyObject *
Loop_start_serving(PyObject *op, PyObject *args, PyObject *kwargs)
{
    PyaioScheduler *sched = pyaio_loop_require_open(op);
    if (sched == NULL) {
        return NULL;
    }
    PyaioState *state = sched->state;
    PyObject *arguments = serving_arguments(state, args, kwargs);
    if (arguments == NULL) {
        return NULL;
    }
    int started = pyaio_listener_start(state, sched, arguments);
    PyObject *done = NULL;
    if (started == 0) {
        done = start_in_stock(state, op, arguments);
    }
    else if (started > 0) {
        done = Py_NewRef(Py_None);
    }
    Py_DECREF(arguments);
    return done;
}

PyMethodDef pyaio_loop_network_methods[] = {
    {"_start_serving", (PyCFunction)(void (*)(void))Loop_start_serving,
     METH_VARARGS | METH_KEYWORDS,
     "_start_serving($self, protocol_factory, sock, sslcontext=None, "
     "server=None, backlog=100, ...)\n--\n\n"
     "Accept the connections of a listening socket.\n\n"
     "Mirrors the method of asyncio's selector event loop."},
    {NULL, NULL, 0, NULL},
};
