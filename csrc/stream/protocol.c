/* StreamReaderProtocol: data goes from its transport to its reader. */
#include "net/protocol.h"
#include "base/meta.h"
#include "stream/flow_control.h"
#include "stream/reader.h"
#include "stream/stream.h"

typedef struct {
    PyaioFlowControl flow;
    PyObject *reader_ref; /* owned: weak reference to the reader, or NULL */
} PyaioStreamProtocol;

#define NAME(name) offsetof(PyaioState, str_##name)

const PyaioStreamMethods pyaio_flow_control_methods = {
    .type = offsetof(PyaioState, StreamProtocol_type),
    .kept = offsetof(PyaioState, protocols),
    .count = 3,
    .names = {NAME(_drain_helper), NAME(data_received), NAME(_stream_reader)},
};

/* The reader, or None: a new reference. */
static PyObject *
reader_of(PyaioStreamProtocol *self)
{
    PyObject *ref = self->reader_ref;
    if (ref == NULL) {
        return pyaio_stream_get(&self->flow.head, NULL, "_stream_reader_wr");
    }
    if (!PyWeakref_Check(ref)) {
        return PyObject_CallNoArgs(ref);
    }
    PyObject *reader = pyaio_weakref_get(ref);
    return reader ? reader : Py_NewRef(Py_None);
}

/* Our own data_received(). */
static int
receive(PyaioState *state, PyObject *op, unsigned replaced, PyObject *data)
{
    PyObject *reader = replaced & PYAIO_FLOW_STREAM_READER
                           ? PyObject_GetAttr(op, state->str__stream_reader)
                           : reader_of((PyaioStreamProtocol *)op);
    if (reader == NULL) {
        return -1;
    }
    int err =
        reader == Py_None ? 0 : pyaio_reader_feed_data(state, reader, data);
    Py_DECREF(reader);
    return err;
}

static unsigned
replaced_methods(PyaioState *state, PyObject *op)
{
    return pyaio_stream_replaced(state, (PyaioStream *)op,
                                 &pyaio_flow_control_methods);
}

static PyObject *
StreamProtocol_data_received(PyObject *op, PyObject *const *args,
                             Py_ssize_t nargs, PyObject *kwnames)
{
    PyaioState *state = pyaio_state_of(op);
    PyObject *data =
        pyaio_stream_argument(args, nargs, kwnames, state->str_data);
    if (data == NULL ||
        receive(state, op, replaced_methods(state, op), data) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* From a transport. */
static int
data_received(PyaioState *state, PyObject *op, PyObject *data)
{
    unsigned replaced = replaced_methods(state, op);
    if (replaced & PYAIO_FLOW_DATA_RECEIVED) {
        return pyaio_protocol_data_received(state, NULL, op, data);
    }
    return receive(state, op, replaced, data);
}

static const PyaioNativeProtocol native_protocol = {
    .type = offsetof(PyaioState, StreamProtocol_type),
    .data_received = data_received,
};

/* --- attributes ---------------------------------------------------------- */

static PyObject *
StreamProtocol_get_reader(PyObject *op, void *Py_UNUSED(closure))
{
    return reader_of((PyaioStreamProtocol *)op);
}

static const PyaioStreamAttribute stream_reader_wr = {
    "_stream_reader_wr", offsetof(PyaioStreamProtocol, reader_ref)};

static PyGetSetDef stream_protocol_getset[] = {
    {"_stream_reader", StreamProtocol_get_reader, NULL, NULL, NULL},
    PYAIO_STREAM_OBJECT(stream_reader_wr),
    {NULL, NULL, NULL, NULL, NULL},
};

/* --- the type ------------------------------------------------------------ */

static int
StreamProtocol_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(((PyaioStreamProtocol *)op)->reader_ref);
    return pyaio_flow_control_traverse(op, visit, arg);
}

static int
StreamProtocol_clear(PyObject *op)
{
    Py_CLEAR(((PyaioStreamProtocol *)op)->reader_ref);
    return pyaio_flow_control_clear(op);
}

static void
StreamProtocol_dealloc(PyObject *op)
{
    pyaio_stream_dealloc(op, StreamProtocol_clear);
}

static PyMethodDef stream_protocol_methods[] = {
    {"data_received",
     (PyCFunction)(void (*)(void))StreamProtocol_data_received,
     METH_FASTCALL | METH_KEYWORDS,
     "data_received($self, /, data)\n--\n\nFeed the reader, if it lives."},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(stream_protocol_doc,
             "What is native of the StreamReaderProtocol that stands on it.");

static PyType_Slot stream_protocol_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)stream_protocol_doc},
    {Py_tp_traverse, StreamProtocol_traverse},
    {Py_tp_clear, StreamProtocol_clear},
    {Py_tp_dealloc, StreamProtocol_dealloc},
    {Py_tp_methods, stream_protocol_methods},
    {Py_tp_getset, stream_protocol_getset},
    {0, NULL},
};

static PyType_Spec stream_protocol_spec = {
    .name = "pyaio._core.StreamReaderProtocol",
    .basicsize = sizeof(PyaioStreamProtocol),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = stream_protocol_slots,
};

int
pyaio_stream_protocol_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_flow_control_init(module) < 0 ||
        pyaio_add_type(module, &state->StreamProtocol_type,
                       &stream_protocol_spec, state->FlowControl_type) < 0) {
        return -1;
    }
    state->stream_protocol = &native_protocol;
    return pyaio_drain_init(module);
}

int
pyaio_stream_protocol_adopt(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    return pyaio_meta_adopt(state, state->FlowControl_type) < 0
               ? -1
               : pyaio_meta_adopt(state, state->StreamProtocol_type);
}
