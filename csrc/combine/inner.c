/* Coroutines between ours and what those await, for others to look at. */
#include "combine/inner.h"
#include "combine/combine.h"

static PySendResult
inner_start(PyaioState *Py_UNUSED(state), PyaioCoroutine *Py_UNUSED(self),
            PyObject **Py_UNUSED(result))
{
    PyErr_SetString(PyExc_RuntimeError, "coroutine is being awaited already");
    return PYGEN_ERROR;
}

static PySendResult
inner_send(PyaioState *state, PyaioCoroutine *self, PyObject *Py_UNUSED(value),
           PyObject **result)
{
    return inner_start(state, self, result);
}

/* It ends with the exception: close() and the collector need no more. */
static PySendResult
inner_throw(PyaioState *Py_UNUSED(state), PyaioCoroutine *Py_UNUSED(self),
            PyObject *exception, PyObject **Py_UNUSED(result))
{
    PyErr_SetRaisedException(Py_NewRef(exception));
    return PYGEN_ERROR;
}

/* A coroutine of the stock function that has not begun: it has the frame. */
static PyObject *
inner_mirror(PyaioState *state, PyaioCoroutine *self)
{
    if (self->mirror == NULL) {
        PyObject *function = pyaio_state_object(state, self->kind->function);
        PyCodeObject *code = (PyCodeObject *)PyFunction_GetCode(function);
        PyObject *arguments = PyTuple_New(code->co_argcount);
        if (arguments == NULL) {
            return NULL;
        }
        for (int i = 0; i < code->co_argcount; i++) {
            PyTuple_SET_ITEM(arguments, i, Py_NewRef(Py_None));
        }
        self->mirror = PyObject_CallObject(function, arguments);
        Py_DECREF(arguments);
    }
    return Py_XNewRef(self->mirror);
}

static int
inner_traverse(PyaioCoroutine *Py_UNUSED(self), visitproc Py_UNUSED(visit),
               void *Py_UNUSED(arg))
{
    return 0;
}

static void
inner_clear(PyaioState *Py_UNUSED(state), PyaioCoroutine *Py_UNUSED(self))
{
}

#define INNER_KIND(stock)                                             \
    .function = offsetof(PyaioState, stock), .start = inner_start,    \
    .send = inner_send, .throw = inner_throw, .mirror = inner_mirror, \
    .traverse = inner_traverse, .clear = inner_clear

static const PyaioCoroutineKind inner_wait_kind = {
    INNER_KIND(stock_inner_wait),
};

static const PyaioCoroutineKind inner_get_kind = {
    INNER_KIND(stock_Queue_get),
};

static const PyaioCoroutineKind inner_next_kind = {
    INNER_KIND(wait_for_one),
    .inner = pyaio_inner_get,
};

static const PyaioCoroutineKind inner_data_kind = {
    INNER_KIND(stock_reader_wait),
};

static const PyaioCoroutineKind inner_until_kind = {
    INNER_KIND(stock_reader_until),
    .inner = pyaio_inner_wait_for_data,
};

static const PyaioCoroutineKind inner_line_kind = {
    INNER_KIND(stock_reader_line),
    .inner = pyaio_inner_readuntil,
};

static const PyaioCoroutineKind inner_drain_kind = {
    INNER_KIND(stock_drain_helper),
};

static PyObject *
inner_new(PyaioState *state, const PyaioCoroutineKind *kind,
          PyaioCoroutine *outer)
{
    PyTypeObject *type = state->InnerCoroutine_type;
    PyaioCoroutine *self = (PyaioCoroutine *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->kind = kind;
        self->status = PYAIO_CORO_SUSPENDED;
        self->await.awaited = Py_XNewRef(outer->await.awaited);
    }
    return (PyObject *)self;
}

PyObject *
pyaio_inner_wait(PyaioState *state, PyaioCoroutine *self)
{
    return inner_new(state, &inner_wait_kind, self);
}

PyObject *
pyaio_inner_next(PyaioState *state, PyaioCoroutine *self)
{
    return inner_new(state, &inner_next_kind, self);
}

PyObject *
pyaio_inner_get(PyaioState *state, PyaioCoroutine *self)
{
    return inner_new(state, &inner_get_kind, self);
}

PyObject *
pyaio_inner_wait_for_data(PyaioState *state, PyaioCoroutine *self)
{
    return inner_new(state, &inner_data_kind, self);
}

PyObject *
pyaio_inner_readuntil(PyaioState *state, PyaioCoroutine *self)
{
    return inner_new(state, &inner_until_kind, self);
}

PyObject *
pyaio_inner_readline(PyaioState *state, PyaioCoroutine *self)
{
    return inner_new(state, &inner_line_kind, self);
}

PyObject *
pyaio_inner_drain(PyaioState *state, PyaioCoroutine *self)
{
    return inner_new(state, &inner_drain_kind, self);
}

int
pyaio_inner_init(PyObject *module)
{
    return pyaio_coroutine_add_type(
        module, &pyaio_module_state(module)->InnerCoroutine_type,
        "pyaio._core.InnerCoroutine", sizeof(PyaioCoroutine));
}
