/* StreamReader.read(), readexactly(), readuntil(), readline() and
 * __anext__(). */
#include "combine/in_stock.h"
#include "combine/inner.h"
#include "stream/read_coroutine.h"
#include "stream/separator.h"
#include "sync/waiting.h"

/* --- waiting ------------------------------------------------------------- */

/* reader._wait_for_data(name), which somebody replaced. */
static PyObject *
call_wait(PyaioState *state, PyaioRead *self)
{
    PyObject *name = PyUnicode_FromString(pyaio_read_form(self)->name);
    PyObject *coro =
        name ? PyObject_CallMethodOneArg((PyObject *)self->reader,
                                         state->str__wait_for_data, name)
             : NULL;
    Py_XDECREF(name);
    return coro;
}

/* The future that who feeds the reader will find: a new reference. */
static PyObject *
make_waiter(PyaioState *state, PyaioRead *self)
{
    PyaioReader *reader = self->reader;
    if (reader->waiter != NULL) {
        PyErr_Format(PyExc_RuntimeError,
                     "%s() called while another coroutine is already waiting "
                     "for incoming data",
                     pyaio_read_form(self)->name);
        return NULL;
    }
    if (pyaio_reader_unpause(state, reader) < 0) {
        return NULL;
    }
    PyObject *future = pyaio_loop_create_future(state, reader->head.loop);
    if (future != NULL) {
        Py_XSETREF(reader->waiter, Py_NewRef(future));
    }
    return future;
}

/* Begins to wait; as pyaio_await_start(). */
static PySendResult
wait_for_data(PyaioState *state, PyaioRead *self, PyObject **result)
{
    int own =
        !(pyaio_reader_replaced(state, self->reader) & PYAIO_READER_WAIT);
    PyObject *awaited =
        own ? make_waiter(state, self) : call_wait(state, self);
    if (awaited == NULL) {
        return PYGEN_ERROR;
    }
    self->waited = 1;
    self->owns_waiter = (uint8_t)own;
    PySendResult went =
        pyaio_await_start(state, &self->head.await, awaited, result);
    Py_DECREF(awaited);
    return went;
}

/* The wait is over: nobody waits at the reader any more, whoever that was. */
static void
stop_waiting(PyaioRead *self)
{
    if (self->owns_waiter) {
        self->owns_waiter = 0;
        Py_CLEAR(self->reader->waiter);
    }
    Py_CLEAR(self->head.inner);
    pyaio_await_stop(&self->head.await);
}

/* Goes on in stock's coroutine, where something unusual came up. */
static PySendResult
go_on_in_stock(PyaioState *state, PyaioRead *self, PyObject **result)
{
    if (self->blocks != NULL) {
        PyErr_SetString(PyExc_TypeError, "the reader's buffer was replaced");
        return PYGEN_ERROR;
    }
    PyObject *function = pyaio_state_object(state, self->head.kind->function);
    PyObject *arguments = self->argument
                              ? PyTuple_Pack(2, self->reader, self->argument)
                              : PyTuple_Pack(1, self->reader);
    if (arguments == NULL) {
        return PYGEN_ERROR;
    }
    PySendResult went =
        pyaio_in_stock_start(state, &self->head, function, arguments, result);
    Py_DECREF(arguments);
    return went;
}

/* From where it looks at the buffer. */
static PySendResult
go_on(PyaioState *state, PyaioRead *self, PyObject **result)
{
    for (;;) {
        if (!pyaio_reader_is_usual(self->reader)) {
            return go_on_in_stock(state, self, result);
        }
        PySendResult went =
            pyaio_read_form(self)->attempt(state, self, result);
        if (went != PYGEN_NEXT) {
            return went;
        }
        went = wait_for_data(state, self, result);
        if (went == PYGEN_NEXT) {
            return went;
        }
        stop_waiting(self);
        if (went == PYGEN_ERROR) {
            return went;
        }
        Py_CLEAR(*result); /* it did not have to wait */
    }
}

static PySendResult
read_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    PyaioRead *self = (PyaioRead *)op;
    if (pyaio_reader_replaced(state, self->reader) &
        pyaio_read_form(self)->calls) {
        return go_on_in_stock(state, self, result);
    }
    return go_on(state, self, result);
}

/* The wait went on as `went` says. */
static PySendResult
waited(PyaioState *state, PyaioRead *self, PySendResult went,
       PyObject **result)
{
    if (went == PYGEN_NEXT || self->head.in_stock) {
        return went;
    }
    stop_waiting(self);
    if (went == PYGEN_ERROR) {
        return went;
    }
    Py_CLEAR(*result);
    return go_on(state, self, result);
}

static PySendResult
read_send(PyaioState *state, PyaioCoroutine *op, PyObject *value,
          PyObject **result)
{
    PySendResult went = pyaio_await_send(state, &op->await, value, result);
    return waited(state, (PyaioRead *)op, went, result);
}

static PySendResult
read_throw(PyaioState *state, PyaioCoroutine *op, PyObject *exception,
           PyObject **result)
{
    PySendResult went =
        pyaio_await_throw(state, &op->await, exception, result);
    return waited(state, (PyaioRead *)op, went, result);
}

/* --- the coroutine ------------------------------------------------------- */

static PyObject *
read_mirror(PyaioState *state, PyaioCoroutine *op)
{
    PyaioRead *self = (PyaioRead *)op;
    PyObject *function = pyaio_state_object(state, op->kind->function);
    PyObject *arguments = self->argument
                              ? PyTuple_Pack(2, self->reader, self->argument)
                              : PyTuple_Pack(1, self->reader);
    PyObject *mirror = pyaio_in_stock_mirror(op, function, arguments);
    Py_XDECREF(arguments);
    return mirror;
}

static int
read_traverse(PyaioCoroutine *op, visitproc visit, void *arg)
{
    PyaioRead *self = (PyaioRead *)op;
    Py_VISIT(self->reader);
    Py_VISIT(self->argument);
    Py_VISIT(self->separator);
    Py_VISIT(self->blocks);
    return 0;
}

static void
read_clear(PyaioState *Py_UNUSED(state), PyaioCoroutine *op)
{
    PyaioRead *self = (PyaioRead *)op;
    Py_CLEAR(self->argument);
    Py_CLEAR(self->separator);
    Py_CLEAR(self->blocks);
    Py_CLEAR(self->reader);
}

#define READ_KIND(stock, inner_function)              \
    .base = {.function = offsetof(PyaioState, stock), \
             .pool = offsetof(PyaioState, read_pool), \
             .start = read_start,                     \
             .send = read_send,                       \
             .throw = read_throw,                     \
             .mirror = read_mirror,                   \
             .inner = inner_function,                 \
             .traverse = read_traverse,               \
             .clear = read_clear}

static const PyaioReadForm read_kind = {
    READ_KIND(stock_reader_read, pyaio_inner_wait_for_data),
    .name = "read",
    .attempt = pyaio_attempt_read,
};

static const PyaioReadForm read_all_kind = {
    READ_KIND(stock_reader_read, pyaio_inner_wait_for_data),
    .name = "read",
    .attempt = pyaio_attempt_read,
    .calls = PYAIO_READER_READ,
};

static const PyaioReadForm exactly_kind = {
    READ_KIND(stock_reader_exactly, pyaio_inner_wait_for_data),
    .name = "readexactly",
    .attempt = pyaio_attempt_exactly,
};

static const PyaioReadForm until_kind = {
    READ_KIND(stock_reader_until, pyaio_inner_wait_for_data),
    .name = "readuntil",
    .attempt = pyaio_attempt_until,
    .needs_separator = 1,
};

static const PyaioReadForm line_kind = {
    READ_KIND(stock_reader_line, pyaio_inner_readuntil),
    .name = "readuntil",
    .attempt = pyaio_attempt_line,
    .calls = PYAIO_READER_READUNTIL,
};

static const PyaioReadForm next_kind = {
    READ_KIND(stock_reader_anext, pyaio_inner_readline),
    .name = "readuntil",
    .attempt = pyaio_attempt_next,
    .calls = PYAIO_READER_READUNTIL | PYAIO_READER_READLINE,
};

/* A coroutine of `reader`, which must be usual: otherwise NULL, for stock's
 * function to take over. */
static PyaioRead *
read_new(PyaioState *state, const PyaioReadForm *kind, PyObject *reader,
         PyObject *argument)
{
    PyaioReader *usual = pyaio_as_reader(state, reader);
    if (usual == NULL || !pyaio_reader_is_usual(usual)) {
        return NULL;
    }
    PyObject *op = pyaio_pool_take(
        &state->read_pool, state->ReadCoroutine_type, sizeof(PyaioRead));
    if (op == NULL) {
        return NULL;
    }
    PyaioRead *self = (PyaioRead *)op;
    self->reader = (PyaioReader *)Py_NewRef(reader);
    self->argument = Py_XNewRef(argument);
    if (pyaio_coroutine_setup(&self->head, &kind->base) < 0) {
        read_clear(state, &self->head);
        self->head.status = PYAIO_CORO_CLOSED; /* nobody will know of it */
        Py_CLEAR(self);
    }
    return self;
}

/* The argument after the reader, by position or by name. Returns 0 where the
 * call is one for stock's function. */
static int
one_argument(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
             PyObject *name, PyObject **argument)
{
    Py_ssize_t named = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    *argument = NULL;
    if (nargs < 1 || nargs + named > 2 ||
        (named && PyUnicode_Compare(PyTuple_GET_ITEM(kwnames, 0), name))) {
        return 0;
    }
    if (nargs + named == 2) {
        *argument = args[1];
    }
    return 1;
}

static PyObject *
read_sized(PyaioState *state, const PyaioReadForm *kind, PyObject *reader,
           PyObject *size)
{
    Py_ssize_t n = -1;
    if (size != NULL) {
        n = PyLong_CheckExact(size) ? PyLong_AsSsize_t(size) : -1;
        if (n == -1 && (PyErr_Occurred() || !PyLong_CheckExact(size))) {
            PyErr_Clear();
            return NULL;
        }
    }
    if (n < 0 && kind == &read_kind) {
        kind = &read_all_kind;
    }
    PyaioRead *self = read_new(state, kind, reader, size);
    if (self != NULL) {
        self->n = n;
    }
    return (PyObject *)self;
}

static PyObject *
reader_read(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames)
{
    PyObject *size;
    return one_argument(args, nargs, kwnames, state->str_n, &size)
               ? read_sized(state, &read_kind, args[0], size)
               : NULL;
}

static PyObject *
reader_readexactly(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
                   PyObject *kwnames)
{
    PyObject *size;
    return one_argument(args, nargs, kwnames, state->str_n, &size) && size
               ? read_sized(state, &exactly_kind, args[0], size)
               : NULL;
}

static PyObject *
read_separated(PyaioState *state, const PyaioReadForm *kind, PyObject *reader,
               PyObject *argument)
{
    PyObject *given = argument ? argument : state->newline;
    if (!pyaio_separator_is_usual(given)) {
        return NULL;
    }
    PyObject *separator = pyaio_separator_prepare(given);
    PyaioRead *self =
        separator ? read_new(state, kind, reader, argument) : NULL;
    if (self == NULL) {
        Py_XDECREF(separator);
        return NULL;
    }
    self->separator = separator;
    return (PyObject *)self;
}

static PyObject *
reader_readuntil(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
                 PyObject *kwnames)
{
    PyObject *separator;
    return one_argument(args, nargs, kwnames, state->str_separator, &separator)
               ? read_separated(state, &until_kind, args[0], separator)
               : NULL;
}

static PyObject *
reader_readline(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
                PyObject *kwnames)
{
    return nargs == 1 && kwnames == NULL
               ? read_separated(state, &line_kind, args[0], NULL)
               : NULL;
}

static PyObject *
reader_anext(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
             PyObject *kwnames)
{
    return nargs == 1 && kwnames == NULL
               ? read_separated(state, &next_kind, args[0], NULL)
               : NULL;
}

int
pyaio_read_coroutines_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    const struct {
        const char *name;
        PyObject *stock;
        PyaioNativeCall call;
    } methods[] = {
        {"read", state->stock_reader_read, reader_read},
        {"readexactly", state->stock_reader_exactly, reader_readexactly},
        {"readuntil", state->stock_reader_until, reader_readuntil},
        {"readline", state->stock_reader_line, reader_readline},
        {"__anext__", state->stock_reader_anext, reader_anext},
    };
    if (pyaio_coroutine_add_type(module, &state->ReadCoroutine_type,
                                 "pyaio._core.ReadCoroutine",
                                 sizeof(PyaioRead)) < 0) {
        return -1;
    }
    state->newline = PyBytes_FromString("\n");
    if (state->newline == NULL) {
        return -1;
    }
    PyTypeObject *type = state->StreamReader_type;
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (pyaio_primitive_add(state, type, methods[i].name, methods[i].stock,
                                methods[i].call) < 0) {
            return -1;
        }
    }
    return PyObject_SetAttr((PyObject *)type, state->str__wait_for_data,
                            state->stock_reader_wait);
}
