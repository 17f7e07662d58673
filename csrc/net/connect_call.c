/* Which calls of create_connection() and create_unix_connection() are
 * plain. */
#include "net/connect.h"

#include <netinet/in.h>

/* What a keyword may be in a plain call. */
typedef enum {
    ANY_VALUE,
    ONLY_NONE,
    NO_TLS, /* None or False */
    ADDRESS_FAMILY,
    TCP_PROTOCOL,
    TRUTH,
} Rule;

typedef struct {
    const char *name;
    Rule rule;
    int place; /* among the positional arguments, 0 for a keyword only */
} Parameter;

static const Parameter tcp_parameters[] = {
    {"host", ANY_VALUE, 2},
    {"port", ANY_VALUE, 3},
    {"ssl", NO_TLS, 0},
    {"family", ADDRESS_FAMILY, 0},
    {"proto", TCP_PROTOCOL, 0},
    {"flags", ANY_VALUE, 0},
    {"sock", ONLY_NONE, 0},
    {"local_addr", ONLY_NONE, 0},
    {"server_hostname", ONLY_NONE, 0},
    {"ssl_handshake_timeout", ONLY_NONE, 0},
    {"ssl_shutdown_timeout", ONLY_NONE, 0},
    {"happy_eyeballs_delay", ONLY_NONE, 0},
    {"interleave", ONLY_NONE, 0},
#if PYAIO_HAS_ALL_ERRORS
    {"all_errors", TRUTH, 0},
#endif
    {NULL, ANY_VALUE, 0},
};

static const Parameter unix_parameters[] = {
    {"path", ANY_VALUE, 2},
    {"ssl", NO_TLS, 0},
    {"sock", ONLY_NONE, 0},
    {"server_hostname", ONLY_NONE, 0},
    {"ssl_handshake_timeout", ONLY_NONE, 0},
    {"ssl_shutdown_timeout", ONLY_NONE, 0},
    {NULL, ANY_VALUE, 0},
};

/* What is read off the arguments, all borrowed. */
typedef struct {
    PyObject *positional[4]; /* NULL where not given */
    long family;
    int all_errors;
} Given;

static const Parameter *
find_parameter(const Parameter *parameters, PyObject *name)
{
    for (; parameters->name != NULL; parameters++) {
        if (PyUnicode_CompareWithASCIIString(name, parameters->name) == 0) {
            return parameters;
        }
    }
    return NULL;
}

/* The number, or -1 for anything else. */
static long
small_number(PyObject *op)
{
    int overflow;
    return PyLong_Check(op) ? PyLong_AsLongAndOverflow(op, &overflow) : -1;
}

/* Whether a value is plain: 1, 0, or -1 with an exception. */
static int
apply_rule(Given *given, const Parameter *parameter, PyObject *value)
{
    switch (parameter->rule) {
    case ONLY_NONE:
        return value == Py_None;
    case NO_TLS:
        return value == Py_None || value == Py_False;
    case ADDRESS_FAMILY:
        given->family = small_number(value);
        return given->family == AF_UNSPEC || given->family == AF_INET ||
               given->family == AF_INET6;
    case TCP_PROTOCOL: {
        long number = small_number(value);
        return number == 0 || number == IPPROTO_TCP;
    }
    case TRUTH:
        given->all_errors = PyObject_IsTrue(value);
        return given->all_errors < 0 ? -1 : 1;
    default:
        return 1;
    }
}

static int
read_arguments(Given *given, const Parameter *parameters, Py_ssize_t most,
               PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    memset(given, 0, sizeof(*given));
    if (nargs < 2 || nargs > most) {
        return 0;
    }
    for (Py_ssize_t i = 0; i < nargs; i++) {
        given->positional[i] = args[i];
    }
    Py_ssize_t count = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        const Parameter *parameter =
            find_parameter(parameters, PyTuple_GET_ITEM(kwnames, i));
        PyObject *value = args[nargs + i];
        int plain = parameter ? apply_rule(given, parameter, value) : 0;
        if (plain <= 0) {
            return plain;
        }
        if (parameter->place != 0) {
            if (given->positional[parameter->place] != NULL) {
                return 0;
            }
            given->positional[parameter->place] = value;
        }
    }
    return 1;
}

int
pyaio_connect_read_tcp(PyaioConnectCall *call, PyObject *const *args,
                       Py_ssize_t nargs, PyObject *kwnames)
{
    Given given;
    int plain =
        read_arguments(&given, tcp_parameters, 4, args, nargs, kwnames);
    PyObject *host = given.positional[2], *port = given.positional[3];
    if (plain <= 0 || host == NULL || port == NULL) {
        return plain < 0 ? -1 : 0;
    }
    PyObject *pair = PyTuple_Pack(2, host, port);
    if (pair == NULL) {
        return -1;
    }
    if ((given.family == AF_INET6 ||
         !pyaio_address_read(AF_INET, pair, &call->address)) &&
        (given.family == AF_INET ||
         !pyaio_address_read(AF_INET6, pair, &call->address))) {
        Py_DECREF(pair);
        return 0;
    }
    call->loop = given.positional[0];
    call->factory = given.positional[1];
    call->proto = IPPROTO_TCP;
    call->all_errors = given.all_errors;
    call->shown = pair;
    if (call->address.any.ss_family == AF_INET6) {
        call->shown = Py_BuildValue("(OOii)", host, port, 0, 0);
        Py_DECREF(pair);
    }
    return call->shown ? 1 : -1;
}

int
pyaio_connect_read_unix(PyaioConnectCall *call, PyObject *const *args,
                        Py_ssize_t nargs, PyObject *kwnames)
{
    Given given;
    int plain =
        read_arguments(&given, unix_parameters, 3, args, nargs, kwnames);
    if (plain <= 0 || given.positional[2] == NULL) {
        return plain < 0 ? -1 : 0;
    }
    plain = pyaio_address_read_path(given.positional[2], &call->address);
    if (plain <= 0) {
        return plain;
    }
    call->loop = given.positional[0];
    call->factory = given.positional[1];
    call->shown = Py_NewRef(given.positional[2]);
    call->proto = 0;
    call->all_errors = 0;
    return 1;
}
