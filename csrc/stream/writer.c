/* StreamWriter: straight to a transport of ours, by its methods to others. */
#include "stream/writer.h"
#include "base/errors.h"
#include "base/meta.h"
#include "net/transport.h"
#include "stream/flow_control.h"
#include "stream/reader.h"
#include "stream/stream.h"
#include "sync/primitive.h"
#include "task/future.h"

static inline PyaioState *
state_of(PyObject *op)
{
    return pyaio_state_of(op);
}

#define NAME(name) offsetof(PyaioState, str_##name)

const PyaioStreamMethods pyaio_writer_methods = {
    .type = offsetof(PyaioState, StreamWriter_type),
    .kept = offsetof(PyaioState, writers),
    .count = 3,
    .names = {NAME(write), NAME(drain), NAME(close)},
};

/* --- what it holds ------------------------------------------------------- */

static PyObject *
require(PyaioWriter *self, PyObject *value, const char *name)
{
    if (value == NULL) {
        PyErr_Format(PyExc_AttributeError, "'%s' object has no attribute '%s'",
                     Py_TYPE(self)->tp_name, name);
        return NULL;
    }
    return Py_NewRef(value);
}

static PyObject *
transport_of(PyObject *op)
{
    PyaioWriter *self = (PyaioWriter *)op;
    return require(self, self->transport, "_transport");
}

PyObject *
pyaio_writer_protocol(PyaioWriter *self)
{
    return require(self, self->protocol, "_protocol");
}

int
pyaio_writer_is_closing(PyaioState *state, PyaioWriter *self)
{
    PyObject *transport = transport_of((PyObject *)self);
    if (transport == NULL) {
        return -1;
    }
    PyaioTransport *ours = pyaio_transport_plain(state, transport);
    int closing = ours ? ours->closing : -1;
    if (ours == NULL) {
        PyObject *answer =
            PyObject_CallMethodNoArgs(transport, state->str_is_closing);
        closing = answer ? PyObject_IsTrue(answer) : -1;
        Py_XDECREF(answer);
    }
    Py_DECREF(transport);
    return closing;
}

/* reader.exception(): a new reference. */
static PyObject *
exception_of(PyaioState *state, PyObject *reader)
{
    PyaioReader *ours = pyaio_as_reader(state, reader);
    if (ours != NULL &&
        !(pyaio_reader_replaced(state, ours) & PYAIO_READER_EXCEPTION)) {
        return pyaio_stream_get(&ours->head, ours->exception, "_exception");
    }
    return PyObject_CallMethodNoArgs(reader, state->str_exception);
}

int
pyaio_writer_check_reader(PyaioState *state, PyaioWriter *self)
{
    PyObject *reader = require(self, self->reader, "_reader");
    if (reader == NULL) {
        return -1;
    }
    PyObject *exc =
        reader == Py_None ? Py_NewRef(Py_None) : exception_of(state, reader);
    Py_DECREF(reader);
    int err = exc == Py_None ? 0 : -1;
    if (err < 0 && exc != NULL) {
        pyaio_stream_raise(exc);
    }
    Py_XDECREF(exc);
    return err;
}

/* --- making -------------------------------------------------------------- */

static void
fill(PyaioWriter *self, PyObject *transport, PyObject *protocol,
     PyObject *reader, PyObject *loop)
{
    Py_XSETREF(self->transport, Py_NewRef(transport));
    Py_XSETREF(self->protocol, Py_NewRef(protocol));
    Py_XSETREF(self->reader, Py_NewRef(reader));
    Py_XSETREF(self->head.loop, Py_NewRef(loop));
    Py_CLEAR(self->complete);
}

static int
Writer_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"transport", "protocol", "reader", "loop", NULL};
    PyaioState *state = state_of(op);
    PyaioWriter *self = (PyaioWriter *)op;
    PyObject *transport, *protocol, *reader, *loop;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOO:StreamWriter", names,
                                     &transport, &protocol, &reader, &loop)) {
        return -1;
    }
    if (pyaio_sched_direct(state, loop, PYAIO_LOOP_CREATE_FUTURE) == NULL ||
        (reader != Py_None && pyaio_as_reader(state, reader) == NULL)) {
        return pyaio_primitive_stock_init(state->stock_StreamWriter, op, args,
                                          kwargs);
    }
    fill(self, transport, protocol, reader, loop);
    return 0;
}

PyObject *
pyaio_writer_new(PyaioState *state, PyObject *transport, PyObject *protocol,
                 PyObject *loop)
{
    PyTypeObject *type = (PyTypeObject *)state->StreamWriter;
    if (!pyaio_stream_class_is_plain(state->StreamWriter,
                                     state->StreamWriter_type) ||
        pyaio_sched_direct(state, loop, PYAIO_LOOP_CREATE_FUTURE) == NULL) {
        return PyObject_CallFunctionObjArgs(state->StreamWriter, transport,
                                            protocol, Py_None, loop, NULL);
    }
    PyObject *op = type->tp_alloc(type, 0);
    if (op != NULL) {
        fill((PyaioWriter *)op, transport, protocol, Py_None, loop);
    }
    return op;
}

/* --- methods ------------------------------------------------------------- */

/* transport.name(*argument) */
static PyObject *
call_transport(PyObject *op, PyObject *name, PyObject *argument)
{
    PyObject *transport = transport_of(op);
    if (transport == NULL) {
        return NULL;
    }
    PyObject *result =
        argument ? PyObject_CallMethodOneArg(transport, name, argument)
                 : PyObject_CallMethodNoArgs(transport, name);
    Py_DECREF(transport);
    return result;
}

/* Our own transport, a new reference, or NULL where its method is to be
 * called. */
static PyaioTransport *
own_transport(PyaioState *state, PyObject *op)
{
    PyObject *transport = ((PyaioWriter *)op)->transport;
    PyaioTransport *ours =
        transport ? pyaio_transport_plain(state, transport) : NULL;
    return (PyaioTransport *)Py_XNewRef(ours);
}

static PyObject *
Writer_write(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
             PyObject *kwnames)
{
    PyaioState *state = state_of(op);
    PyObject *data =
        pyaio_stream_argument(args, nargs, kwnames, state->str_data);
    if (data == NULL) {
        return NULL;
    }
    PyaioTransport *ours = own_transport(state, op);
    if (ours == NULL) {
        PyObject *done = call_transport(op, state->str_write, data);
        Py_XDECREF(done);
        return pyaio_none_or_error(done ? 0 : -1);
    }
    int err = pyaio_transport_write(state, ours, data);
    Py_DECREF(ours);
    return pyaio_none_or_error(err);
}

static PyObject *
Writer_writelines(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                  PyObject *kwnames)
{
    PyaioState *state = state_of(op);
    PyObject *data =
        pyaio_stream_argument(args, nargs, kwnames, state->str_data);
    PyObject *done =
        data ? call_transport(op, state->str_writelines, data) : NULL;
    Py_XDECREF(done);
    return pyaio_none_or_error(done ? 0 : -1);
}

static PyObject *
Writer_write_eof(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return call_transport(op, state_of(op)->str_write_eof, NULL);
}

static PyObject *
Writer_can_write_eof(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return call_transport(op, state_of(op)->str_can_write_eof, NULL);
}

static PyObject *
Writer_close(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return call_transport(op, state_of(op)->str_close, NULL);
}

static PyObject *
Writer_is_closing(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return call_transport(op, state_of(op)->str_is_closing, NULL);
}

static PyObject *
Writer_get_extra_info(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"name", "default", NULL};
    PyObject *name, *missing = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:get_extra_info", names,
                                     &name, &missing)) {
        return NULL;
    }
    PyObject *transport = transport_of(op);
    PyObject *info = transport
                         ? PyObject_CallMethodObjArgs(
                               transport, state_of(op)->str_get_extra_info,
                               name, missing, NULL)
                         : NULL;
    Py_XDECREF(transport);
    return info;
}

#define KEYWORDS(function) \
    (PyCFunction)(void (*)(void)) function, METH_FASTCALL | METH_KEYWORDS

static PyMethodDef writer_methods[] = {
    {"write", KEYWORDS(Writer_write),
     "write($self, /, data)\n--\n\n"
     "Have the transport send bytes-like data, now or when it is possible."},
    {"writelines", KEYWORDS(Writer_writelines),
     "writelines($self, /, data)\n--\n\n"
     "Have the transport send an iterable of bytes-like objects."},
    {"write_eof", Writer_write_eof, METH_NOARGS,
     "write_eof($self, /)\n--\n\n"
     "Close the writing end once what was written is sent."},
    {"can_write_eof", Writer_can_write_eof, METH_NOARGS,
     "can_write_eof($self, /)\n--\n\n"
     "Return whether the transport has write_eof()."},
    {"close", Writer_close, METH_NOARGS,
     "close($self, /)\n--\n\n"
     "Close the transport once what was written is sent."},
    {"is_closing", Writer_is_closing, METH_NOARGS,
     "is_closing($self, /)\n--\n\n"
     "Return whether the transport is closing or closed."},
    {"get_extra_info", (PyCFunction)(void (*)(void))Writer_get_extra_info,
     METH_VARARGS | METH_KEYWORDS,
     "get_extra_info($self, /, name, default=None)\n--\n\n"
     "Return what the transport knows under the name, or the default."},
    {NULL, NULL, 0, NULL},
};

/* --- attributes ---------------------------------------------------------- */

static PyObject *
Writer_get_transport(PyObject *op, void *Py_UNUSED(closure))
{
    return transport_of(op);
}

static PyObject *
Writer_get_complete(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioState *state = state_of(op);
    PyaioWriter *self = (PyaioWriter *)op;
    if (self->complete == NULL && self->head.loop != NULL) {
        PyObject *future = pyaio_loop_create_future(state, self->head.loop);
        if (future == NULL || pyaio_waiter_wake(state, future, Py_None) < 0) {
            Py_XDECREF(future);
            return NULL;
        }
        Py_XSETREF(self->complete, future);
    }
    return require(self, self->complete, "_complete_fut");
}

static int
Writer_set_complete(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    Py_XSETREF(((PyaioWriter *)op)->complete, Py_XNewRef(value));
    return 0;
}

static PyGetSetDef writer_getset[] = {
    PYAIO_STREAM_GETSET,
    {"transport", Writer_get_transport, NULL, "The transport.", NULL},
    {"_complete_fut", Writer_get_complete, Writer_set_complete, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef writer_members[] = {
    {"_transport", T_OBJECT_EX, offsetof(PyaioWriter, transport), 0, NULL},
    {"_protocol", T_OBJECT_EX, offsetof(PyaioWriter, protocol), 0, NULL},
    {"_reader", T_OBJECT_EX, offsetof(PyaioWriter, reader), 0, NULL},
    PYAIO_STREAM_MEMBERS,
    {NULL, 0, 0, 0, NULL},
};

/* --- the type ------------------------------------------------------------ */

static int
Writer_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioWriter *self = (PyaioWriter *)op;
    Py_VISIT(self->transport);
    Py_VISIT(self->protocol);
    Py_VISIT(self->reader);
    Py_VISIT(self->complete);
    return pyaio_stream_traverse(op, visit, arg);
}

static int
Writer_clear(PyObject *op)
{
    PyaioWriter *self = (PyaioWriter *)op;
    Py_CLEAR(self->transport);
    Py_CLEAR(self->protocol);
    Py_CLEAR(self->reader);
    Py_CLEAR(self->complete);
    return pyaio_stream_clear(op);
}

/* Stock's __del__() has something to say only of what is not closed. */
static void
Writer_finalize(PyObject *op)
{
    PyaioState *state = state_of(op);
    PyaioWriter *self = (PyaioWriter *)op;
    if (state == NULL || state->stock_writer_del == NULL) {
        return; /* there is none, or the module is being torn down */
    }
    PyObject *raised = PyErr_GetRaisedException();
    int closing = self->transport ? pyaio_writer_is_closing(state, self) : 0;
    if (closing == 0) {
        PyObject *done = PyObject_CallOneArg(state->stock_writer_del, op);
        closing = done ? 1 : -1;
        Py_XDECREF(done);
    }
    if (closing < 0) {
        PyErr_WriteUnraisable(op);
    }
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
}

static void
Writer_dealloc(PyObject *op)
{
    pyaio_stream_dealloc(op, Writer_clear);
}

PyDoc_STRVAR(writer_doc,
             "StreamWriter(transport, protocol, reader, loop)\n--\n\n"
             "What is native of the StreamWriter that stands on it.");

static PyType_Slot writer_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)writer_doc},
    {Py_tp_init, Writer_init},
    {Py_tp_traverse, Writer_traverse},
    {Py_tp_clear, Writer_clear},
    {Py_tp_finalize, Writer_finalize},
    {Py_tp_dealloc, Writer_dealloc},
    {Py_tp_methods, writer_methods},
    {Py_tp_getset, writer_getset},
    {Py_tp_members, writer_members},
    {0, NULL},
};

static PyType_Spec writer_spec = {
    .name = "pyaio._core.StreamWriter",
    .basicsize = sizeof(PyaioWriter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = writer_slots,
};

int
pyaio_writer_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    return pyaio_add_type(module, &state->StreamWriter_type, &writer_spec,
                          NULL) < 0
               ? -1
               : pyaio_meta_adopt(state, state->StreamWriter_type);
}

int
pyaio_stream_init(PyObject *module)
{
    return pyaio_reader_init(module) < 0 || pyaio_writer_init(module) < 0
               ? -1
               : pyaio_stream_protocol_init(module);
}
