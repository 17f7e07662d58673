/* The Python face of readers: attributes, methods, the type. */
#include "base/meta.h"
#include "sched/sched.h"
#include "stream/reader.h"
#include "stream/stream.h"
#include "sync/primitive.h"

static inline PyaioState *
state_of(PyObject *op)
{
    return pyaio_state_of(op);
}

static PyObject *
none_or_error(int err)
{
    return err < 0 ? NULL : Py_NewRef(Py_None);
}

/* --- making -------------------------------------------------------------- */

/* Whether the limit is a good one, which then is the reader's. */
static int
take_limit(PyaioReader *self, PyObject *limit, PyObject *loop)
{
    if (!PyLong_CheckExact(limit) || pyaio_reader_set_limit(self, limit) < 0 ||
        self->limit == 0) {
        return 0;
    }
    self->head.loop = Py_NewRef(loop);
    return 1;
}

/* Anything but a good limit and a loop of ours is for stock's __init__(),
 * which sets all attributes. */
static int
Reader_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"limit", "loop", NULL};
    PyaioState *state = state_of(op);
    PyaioReader *self = (PyaioReader *)op;
    PyObject *limit = NULL, *loop = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:StreamReader", names,
                                     &limit, &loop)) {
        return -1;
    }
    if (limit == NULL || self->head.loop != NULL ||
        pyaio_sched_direct(state, loop, PYAIO_LOOP_GET_DEBUG) == NULL ||
        !take_limit(self, limit, loop)) {
        return pyaio_primitive_stock_init(state->stock_StreamReader, op, args,
                                          kwargs);
    }
    return 0;
}

PyObject *
pyaio_reader_new(PyaioState *state, PyObject *limit, PyObject *loop)
{
    PyTypeObject *type = (PyTypeObject *)state->StreamReader;
    PyObject *op = NULL;
    if (pyaio_stream_class_is_plain(state->StreamReader,
                                    state->StreamReader_type) &&
        pyaio_sched_direct(state, loop, PYAIO_LOOP_GET_DEBUG) != NULL) {
        op = type->tp_alloc(type, 0);
        if (op == NULL || take_limit((PyaioReader *)op, limit, loop)) {
            return op;
        }
    }
    Py_XDECREF(op);
    return PyObject_CallFunctionObjArgs(state->StreamReader, limit, loop,
                                        NULL);
}

/* --- methods ------------------------------------------------------------- */

#define ONE_ARGUMENT(args, nargs, kwnames, name)                      \
    PyObject *name = pyaio_stream_argument(args, nargs, kwnames,      \
                                           state_of(op)->str_##name); \
    if (name == NULL) {                                               \
        return NULL;                                                  \
    }

static PyObject *
Reader_feed_data(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                 PyObject *kwnames)
{
    ONE_ARGUMENT(args, nargs, kwnames, data)
    return none_or_error(
        pyaio_reader_feed(state_of(op), (PyaioReader *)op, data));
}

static PyObject *
Reader_feed_eof(PyObject *op, PyObject *Py_UNUSED(unused))
{
    ((PyaioReader *)op)->eof = 1;
    return none_or_error(pyaio_reader_wake(state_of(op), (PyaioReader *)op));
}

static PyObject *
Reader_at_eof(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioReader *self = (PyaioReader *)op;
    if (!self->eof) {
        Py_RETURN_FALSE;
    }
    if (pyaio_buffer_is_usual(&self->buffer)) {
        return PyBool_FromLong(pyaio_buffer_size(&self->buffer) == 0);
    }
    int some = PyObject_IsTrue(self->buffer.array);
    return some < 0 ? NULL : PyBool_FromLong(!some);
}

static PyObject *
Reader_exception(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioReader *self = (PyaioReader *)op;
    return pyaio_stream_get(&self->head, self->exception, "_exception");
}

static PyObject *
Reader_set_exception(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                     PyObject *kwnames)
{
    ONE_ARGUMENT(args, nargs, kwnames, exc)
    return none_or_error(
        pyaio_reader_set_exception(state_of(op), (PyaioReader *)op, exc));
}

static PyObject *
Reader_set_transport(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                     PyObject *kwnames)
{
    PyaioReader *self = (PyaioReader *)op;
    ONE_ARGUMENT(args, nargs, kwnames, transport)
    if (self->transport != NULL || self->head.loop == NULL) {
        return PyObject_CallFunctionObjArgs(state_of(op)->stock_reader_set, op,
                                            transport, NULL);
    }
    self->transport = transport == Py_None ? NULL : Py_NewRef(transport);
    Py_RETURN_NONE;
}

static PyObject *
Reader_wakeup_waiter(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return none_or_error(
        pyaio_reader_wake_waiter(state_of(op), (PyaioReader *)op));
}

static PyObject *
Reader_maybe_resume_transport(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioReader *self = (PyaioReader *)op;
    if (!pyaio_reader_is_usual(self)) {
        return PyObject_CallOneArg(state_of(op)->stock_reader_resume, op);
    }
    return none_or_error(pyaio_reader_maybe_resume(state_of(op), self));
}

#define KEYWORDS(function) \
    (PyCFunction)(void (*)(void)) function, METH_FASTCALL | METH_KEYWORDS

static PyMethodDef reader_methods[] = {
    {"feed_data", KEYWORDS(Reader_feed_data),
     "feed_data($self, /, data)\n--\n\n"
     "Append bytes to the buffer; pause the transport above twice the limit."},
    {"feed_eof", Reader_feed_eof, METH_NOARGS,
     "feed_eof($self, /)\n--\n\nSay that no more data will come."},
    {"at_eof", Reader_at_eof, METH_NOARGS,
     "at_eof($self, /)\n--\n\n"
     "Return True if the buffer is empty and no more data will come."},
    {"exception", Reader_exception, METH_NOARGS,
     "exception($self, /)\n--\n\n"
     "Return the exception of set_exception(), or None."},
    {"set_exception", KEYWORDS(Reader_set_exception),
     "set_exception($self, /, exc)\n--\n\n"
     "Have reads raise the exception, the one that waits as well."},
    {"set_transport", KEYWORDS(Reader_set_transport),
     "set_transport($self, /, transport)\n--\n\n"
     "Say what is paused and resumed, once."},
    {"_wakeup_waiter", Reader_wakeup_waiter, METH_NOARGS, NULL},
    {"_maybe_resume_transport", Reader_maybe_resume_transport, METH_NOARGS,
     NULL},
    {NULL, NULL, 0, NULL},
};

/* --- attributes ---------------------------------------------------------- */

static PyObject *
Reader_get_buffer(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioReader *self = (PyaioReader *)op;
    if (self->head.loop == NULL && self->buffer.array == NULL) {
        return pyaio_stream_get(&self->head, NULL, "_buffer");
    }
    return pyaio_buffer_share(&self->buffer);
}

static int
Reader_set_buffer(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    if (pyaio_stream_keep(value) < 0) {
        return -1;
    }
    pyaio_buffer_replace(&((PyaioReader *)op)->buffer, value);
    return 0;
}

static PyObject *
Reader_get_limit(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioReader *self = (PyaioReader *)op;
    if (self->limit_given == NULL) {
        PyErr_SetString(PyExc_AttributeError,
                        "'StreamReader' object has no attribute '_limit'");
        return NULL;
    }
    return Py_NewRef(self->limit_given);
}

static int
Reader_set_limit(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    return pyaio_stream_keep(value) < 0
               ? -1
               : pyaio_reader_set_limit((PyaioReader *)op, value);
}

static const PyaioStreamAttribute waiter = {"_waiter",
                                            offsetof(PyaioReader, waiter)};
static const PyaioStreamAttribute exception = {
    "_exception", offsetof(PyaioReader, exception)};
static const PyaioStreamAttribute transport = {
    "_transport", offsetof(PyaioReader, transport)};
static const PyaioStreamAttribute eof = {"_eof", offsetof(PyaioReader, eof)};
static const PyaioStreamAttribute paused = {"_paused",
                                            offsetof(PyaioReader, paused)};

static PyGetSetDef reader_getset[] = {
    PYAIO_STREAM_GETSET,
    {"_buffer", Reader_get_buffer, Reader_set_buffer, NULL, NULL},
    {"_limit", Reader_get_limit, Reader_set_limit, NULL, NULL},
    PYAIO_STREAM_OBJECT(waiter),
    PYAIO_STREAM_OBJECT(exception),
    PYAIO_STREAM_OBJECT(transport),
    PYAIO_STREAM_FLAG(eof),
    PYAIO_STREAM_FLAG(paused),
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef reader_members[] = {
    PYAIO_STREAM_MEMBERS,
    {NULL, 0, 0, 0, NULL},
};

/* --- the type ------------------------------------------------------------ */

static int
Reader_setattro(PyObject *op, PyObject *name, PyObject *value)
{
    return pyaio_stream_setattr(op, name, value, &pyaio_reader_methods);
}

static int
Reader_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioReader *self = (PyaioReader *)op;
    Py_VISIT(self->waiter);
    Py_VISIT(self->exception);
    Py_VISIT(self->transport);
    Py_VISIT(self->limit_given);
    int err = pyaio_buffer_traverse(&self->buffer, visit, arg);
    return err ? err : pyaio_stream_traverse(op, visit, arg);
}

static int
Reader_clear(PyObject *op)
{
    PyaioReader *self = (PyaioReader *)op;
    pyaio_buffer_replace(&self->buffer, NULL);
    Py_CLEAR(self->waiter);
    Py_CLEAR(self->exception);
    Py_CLEAR(self->transport);
    Py_CLEAR(self->limit_given);
    self->limit = 0;
    return pyaio_stream_clear(op);
}

static void
Reader_dealloc(PyObject *op)
{
    pyaio_stream_dealloc(op, Reader_clear);
}

PyDoc_STRVAR(reader_doc, "StreamReader(limit=65536, loop=None)\n--\n\n"
                         "What is native of the StreamReader that stands on "
                         "it.");

static PyType_Slot reader_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)reader_doc},
    {Py_tp_init, Reader_init},
    {Py_tp_setattro, Reader_setattro},
    {Py_tp_traverse, Reader_traverse},
    {Py_tp_clear, Reader_clear},
    {Py_tp_dealloc, Reader_dealloc},
    {Py_am_aiter, PyObject_SelfIter},
    {Py_tp_methods, reader_methods},
    {Py_tp_getset, reader_getset},
    {Py_tp_members, reader_members},
    {0, NULL},
};

static PyType_Spec reader_spec = {
    .name = "pyaio._core.StreamReader",
    .basicsize = sizeof(PyaioReader),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = reader_slots,
};

int
pyaio_reader_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_add_type(module, &state->StreamReader_type, &reader_spec, NULL) <
            0 ||
        pyaio_meta_adopt(state, state->StreamReader_type) < 0) {
        return -1;
    }
    return pyaio_read_coroutines_init(module);
}
