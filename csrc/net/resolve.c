/* loop.getaddrinfo() and getnameinfo(): what is numeric is answered at once,
 * the rest by stock's coroutine, in a thread. */
#include "combine/coroutine.h"
#include "net/literal.h"
#include "net/net.h"
#include "net/operation.h"
#include "sched/sched.h"

#include <netdb.h>

#define MAX_ARGUMENTS 7 /* of getaddrinfo(), the loop included */

typedef struct {
    PyaioCoroutine head;
    PyObject *arguments; /* owned: tuple, the loop first */
    PyObject *names;     /* owned: of those at its end, or NULL */
} Resolve;

/* --- whether nobody would notice ----------------------------------------- */

/* Whether attribute `name` of a module is still what it was at import. */
static int
is_original(PyObject *module, PyObject *name, PyObject *original)
{
    PyObject *found = PyDict_GetItemWithError(PyModule_GetDict(module), name);
    PyErr_Clear();
    return found == original;
}

/* Whether the loop's default executor, which stock would use, takes work. */
static int
executor_takes_work(PyaioState *state, PyObject *loop)
{
    PyObject *shut =
        PyObject_GetAttr(loop, state->str__executor_shutdown_called);
    PyObject *executor =
        shut ? PyObject_GetAttr(loop, state->str__default_executor) : NULL;
    int takes = shut == Py_False && executor == Py_None;
    if (shut == Py_False && executor != NULL &&
        (PyObject *)Py_TYPE(executor) == state->ThreadPoolExecutor) {
        Py_SETREF(shut, PyObject_GetAttr(executor, state->str__shutdown));
        takes = shut == Py_False;
    }
    Py_XDECREF(shut);
    Py_XDECREF(executor);
    PyErr_Clear();
    return takes;
}

/* Whether stock would call `function` of the socket module, the original, in
 * a thread of its own making, and say nothing about it. */
static int
may_answer(PyaioState *state, PyObject *loop, PyObject *name,
           PyObject *function)
{
    return pyaio_sched_direct(state, loop, PYAIO_LOOP_RUN_IN_EXECUTOR) &&
           is_original(state->base_events, state->str_socket,
                       state->socket_module) &&
           is_original(state->socket_module, name, function) &&
           executor_takes_work(state, loop);
}

/* --- the coroutine ------------------------------------------------------- */

/* The coroutine of `function` for the same arguments. */
static PyObject *
resolve_make_stock(Resolve *self, PyObject *function)
{
    PyObject *tuple = self->arguments;
    Py_ssize_t total = PyTuple_GET_SIZE(tuple);
    PyObject *args[MAX_ARGUMENTS];
    for (Py_ssize_t i = 0; i < total; i++) {
        args[i] = PyTuple_GET_ITEM(tuple, i);
    }
    Py_ssize_t keywords = self->names ? PyTuple_GET_SIZE(self->names) : 0;
    return PyObject_Vectorcall(function, args, (size_t)(total - keywords),
                               self->names);
}

/* Goes on in stock's coroutine, unless the answer is there. */
static PySendResult
resolve_begin(PyaioState *state, Resolve *self, PyObject *function,
              PyObject *answer, PyObject **result)
{
    if (answer != NULL || PyErr_Occurred()) {
        *result = answer;
        return answer ? PYGEN_RETURN : PYGEN_ERROR;
    }
    return pyaio_await_call(state, &self->head.await,
                            resolve_make_stock(self, function), result);
}

static PySendResult
resolve_send(PyaioState *state, PyaioCoroutine *op, PyObject *value,
             PyObject **result)
{
    return pyaio_await_send(state, &op->await, value, result);
}

static PySendResult
resolve_throw(PyaioState *state, PyaioCoroutine *op, PyObject *exception,
              PyObject **result)
{
    return pyaio_await_throw(state, &op->await, exception, result);
}

static PyObject *
resolve_mirror(PyaioState *state, PyaioCoroutine *op)
{
    if (op->await.awaited != NULL) {
        return Py_NewRef(op->await.awaited);
    }
    if (op->mirror == NULL) {
        PyObject *function = pyaio_state_object(state, op->kind->function);
        op->mirror = resolve_make_stock((Resolve *)op, function);
    }
    return Py_XNewRef(op->mirror);
}

static int
resolve_traverse(PyaioCoroutine *op, visitproc visit, void *arg)
{
    Py_VISIT(((Resolve *)op)->arguments);
    return 0;
}

static void
resolve_clear(PyaioState *Py_UNUSED(state), PyaioCoroutine *op)
{
    Py_CLEAR(((Resolve *)op)->arguments);
    Py_CLEAR(((Resolve *)op)->names);
}

static PyObject *
resolve_new(PyaioState *state, const PyaioCoroutineKind *kind,
            PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    PyTypeObject *type = state->ResolveCoroutine_type;
    Resolve *self = (Resolve *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    Py_ssize_t total = nargs + (kwnames ? PyTuple_GET_SIZE(kwnames) : 0);
    self->arguments = PyTuple_New(total);
    for (Py_ssize_t i = 0; self->arguments != NULL && i < total; i++) {
        PyTuple_SET_ITEM(self->arguments, i, Py_NewRef(args[i]));
    }
    self->names = Py_XNewRef(kwnames);
    if (self->arguments == NULL ||
        pyaio_coroutine_setup(&self->head, kind) < 0) {
        self->head.status = PYAIO_CORO_CLOSED; /* nobody will know of it */
        resolve_clear(state, &self->head);
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

/* --- getaddrinfo() ------------------------------------------------------- */

static int *
hint_named(PyaioLookupHints *hints, PyObject *name)
{
    const struct {
        const char *name;
        int *place;
    } places[] = {
        {"family", &hints->family},
        {"type", &hints->type},
        {"proto", &hints->protocol},
        {"flags", &hints->flags},
    };
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (PyUnicode_CompareWithASCIIString(name, places[i].name) == 0) {
            return places[i].place;
        }
    }
    return NULL;
}

/* Reads the keywords. Returns 0 where stock is to judge one of them. */
static int
read_hints(Resolve *self, PyaioLookupHints *hints)
{
    Py_ssize_t count = self->names ? PyTuple_GET_SIZE(self->names) : 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        int *place = hint_named(hints, PyTuple_GET_ITEM(self->names, i));
        PyObject *value = PyTuple_GET_ITEM(self->arguments, 3 + i);
        if (place == NULL || !PyLong_Check(value)) {
            return 0;
        }
        int overflow;
        long number = PyLong_AsLongAndOverflow(value, &overflow);
        if (overflow || number < INT_MIN || number > INT_MAX) {
            return 0;
        }
        *place = (int)number;
    }
    return 1;
}

static PySendResult
getaddrinfo_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    Resolve *self = (Resolve *)op;
    PyaioLookupHints hints = {0, 0, 0, 0};
    PyObject *answer = NULL;
    if (read_hints(self, &hints) &&
        may_answer(state, PyTuple_GET_ITEM(self->arguments, 0),
                   state->str_getaddrinfo, state->socket_getaddrinfo) &&
        is_original(state->c_socket_module, state->str_getaddrinfo,
                    state->c_socket_getaddrinfo)) {
        answer =
            pyaio_literal_lookup(state, PyTuple_GET_ITEM(self->arguments, 1),
                                 PyTuple_GET_ITEM(self->arguments, 2), &hints);
    }
    return resolve_begin(state, self, state->stock_getaddrinfo, answer,
                         result);
}

static const PyaioCoroutineKind getaddrinfo_kind = {
    .function = offsetof(PyaioState, stock_getaddrinfo),
    .start = getaddrinfo_start,
    .send = resolve_send,
    .throw = resolve_throw,
    .mirror = resolve_mirror,
    .traverse = resolve_traverse,
    .clear = resolve_clear,
};

/* Whether the call is one that stock's signature takes. */
static int
is_getaddrinfo_call(Py_ssize_t nargs, PyObject *kwnames)
{
    Py_ssize_t count = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    PyaioLookupHints unused;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (hint_named(&unused, PyTuple_GET_ITEM(kwnames, i)) == NULL) {
            return 0;
        }
    }
    return nargs == 3;
}

static PyObject *
getaddrinfo_call(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
                 PyObject *kwnames)
{
    if (!is_getaddrinfo_call(nargs, kwnames)) {
        return NULL;
    }
    return resolve_new(state, &getaddrinfo_kind, args, nargs, kwnames);
}

/* --- getnameinfo() ------------------------------------------------------- */

/* Whether the flags ask for numbers only. */
static int
wants_numbers(PyObject *flags)
{
    const long numbers = NI_NUMERICHOST | NI_NUMERICSERV;
    int overflow;
    return PyLong_Check(flags) &&
           (PyLong_AsLongAndOverflow(flags, &overflow) & numbers) == numbers &&
           !overflow;
}

static PySendResult
getnameinfo_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    Resolve *self = (Resolve *)op;
    PyObject *arguments = self->arguments, *answer = NULL;
    if (PyTuple_GET_SIZE(arguments) == 3 &&
        wants_numbers(PyTuple_GET_ITEM(arguments, 2)) &&
        may_answer(state, PyTuple_GET_ITEM(arguments, 0),
                   state->str_getnameinfo, state->socket_getnameinfo)) {
        answer = PyObject_CallFunctionObjArgs(
            state->socket_getnameinfo, PyTuple_GET_ITEM(arguments, 1),
            PyTuple_GET_ITEM(arguments, 2), NULL);
    }
    return resolve_begin(state, self, state->stock_getnameinfo, answer,
                         result);
}

static const PyaioCoroutineKind getnameinfo_kind = {
    .function = offsetof(PyaioState, stock_getnameinfo),
    .start = getnameinfo_start,
    .send = resolve_send,
    .throw = resolve_throw,
    .mirror = resolve_mirror,
    .traverse = resolve_traverse,
    .clear = resolve_clear,
};

static PyObject *
getnameinfo_call(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
                 PyObject *kwnames)
{
    Py_ssize_t keywords = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    if (nargs + keywords > 3 || nargs < 2 ||
        (keywords == 1 && PyUnicode_CompareWithASCIIString(
                              PyTuple_GET_ITEM(kwnames, 0), "flags") != 0)) {
        return NULL;
    }
    return resolve_new(state, &getnameinfo_kind, args, nargs, kwnames);
}

/* --- at import ----------------------------------------------------------- */

/* Whether a function is a module's own: somebody may have been here before. */
static int
belongs_to(PyObject *function, PyObject *module)
{
    if (PyCFunction_Check(function)) {
        return PyCFunction_GET_SELF(function) == module;
    }
    return PyFunction_Check(function) &&
           PyFunction_GET_GLOBALS(function) == PyModule_GetDict(module);
}

/* Forgets what is not the original: nothing is equal to that. */
static void
check_originals(PyaioState *state)
{
    if (!belongs_to(state->socket_getaddrinfo, state->socket_module) ||
        !belongs_to(state->c_socket_getaddrinfo, state->c_socket_module)) {
        Py_SETREF(state->socket_getaddrinfo, Py_NewRef(Py_None));
    }
    if (!belongs_to(state->socket_getnameinfo, state->c_socket_module)) {
        Py_SETREF(state->socket_getnameinfo, Py_NewRef(Py_None));
    }
}

int
pyaio_resolve_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    check_originals(state);
    if (pyaio_coroutine_add_type(module, &state->ResolveCoroutine_type,
                                 "pyaio._core.ResolveCoroutine",
                                 sizeof(Resolve)) < 0 ||
        pyaio_operation_add(state, "getaddrinfo", state->stock_getaddrinfo,
                            getaddrinfo_call) < 0) {
        return -1;
    }
    return pyaio_operation_add(state, "getnameinfo", state->stock_getnameinfo,
                               getnameinfo_call);
}
