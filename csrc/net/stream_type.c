/* The Python face of stream transports: what they add to that of all
 * transports of sockets. */
#include "base/errors.h"
#include "net/transport.h"

#define STATE(op) pyaio_state_of(op)

static PyObject *
Transport_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"loop",  "sock",   "protocol", "waiter",
                            "extra", "server", "context",  NULL};
    PyObject *loop, *sock, *protocol;
    PyObject *waiter = Py_None, *extra = Py_None, *server = Py_None;
    PyObject *context = Py_None;
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "OOO|OOOO:_SelectorSocketTransport", names, &loop,
            &sock, &protocol, &waiter, &extra, &server, &context)) {
        return NULL;
    }
    PyaioState *state = pyaio_state_of_type(type);
    if (pyaio_transport_check_arguments(state, loop, extra) < 0) {
        return NULL;
    }
    PyObject *op = type->tp_alloc(type, 0);
    if (op != NULL &&
        pyaio_transport_setup(state, (PyaioTransport *)op, loop, sock,
                              protocol, waiter == Py_None ? NULL : waiter,
                              extra == Py_None ? NULL : extra,
                              server == Py_None ? NULL : server,
                              context == Py_None ? NULL : context) < 0) {
        Py_CLEAR(op);
    }
    return op;
}

static PyObject *
Transport_write(PyObject *op, PyObject *data)
{
    return pyaio_none_or_error(
        pyaio_transport_write(STATE(op), (PyaioTransport *)op, data));
}

static PyObject *
Transport_writelines(PyObject *op, PyObject *list)
{
    return pyaio_none_or_error(
        pyaio_transport_writelines(STATE(op), (PyaioTransport *)op, list));
}

static PyObject *
Transport_write_eof(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return pyaio_none_or_error(
        pyaio_transport_write_eof((PyaioTransport *)op));
}

static PyObject *
Transport_can_write_eof(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(unused))
{
    Py_RETURN_TRUE;
}

static PyObject *
Transport_make_empty_waiter(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return pyaio_transport_make_empty_waiter(STATE(op), (PyaioTransport *)op);
}

static PyObject *
Transport_reset_empty_waiter(PyObject *op, PyObject *Py_UNUSED(unused))
{
    Py_CLEAR(((PyaioTransport *)op)->empty_waiter);
    Py_RETURN_NONE;
}

static PyMethodDef stream_methods[] = {
    {"write", Transport_write, METH_O,
     "write($self, data, /)\n--\n\n"
     "Send bytes, a bytearray or a memoryview, now or when it is possible."},
    {"writelines", Transport_writelines, METH_O,
     "writelines($self, list_of_data, /)\n--\n\n"
     "Send the bytes-like objects of an iterable, one after another."},
    {"write_eof", Transport_write_eof, METH_NOARGS,
     "Close the writing end once what was written is sent."},
    {"can_write_eof", Transport_can_write_eof, METH_NOARGS, "Return True."},
    {"_make_empty_waiter", Transport_make_empty_waiter, METH_NOARGS, NULL},
    {"_reset_empty_waiter", Transport_reset_empty_waiter, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

/* --- attributes ---------------------------------------------------------- */

/* Reading ends when the transport begins to close. */
static PyObject *
get_read_ready(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioTransport *self = (PyaioTransport *)op;
    if (self->closing) {
        Py_RETURN_NONE;
    }
    return pyaio_transport_read_ready(STATE(op), self);
}

/* What waits to be sent, in the shape that the running version keeps it in;
 * changing it changes nothing. */
static PyObject *
get_buffer(PyObject *op, void *Py_UNUSED(closure))
{
    const PyaioWriteQueue *queue = &((PyaioTransport *)op)->queue;
#if PYAIO_WRITELINES_GATHERS
    PyObject *list = pyaio_write_queue_list(queue);
    PyObject *collections = list ? PyImport_ImportModule("collections") : NULL;
    PyObject *shown =
        collections ? PyObject_CallMethod(collections, "deque", "O", list)
                    : NULL;
    Py_XDECREF(collections);
    Py_XDECREF(list);
    return shown;
#else
    return pyaio_write_queue_joined(queue);
#endif
}

static PyObject *
get_empty_waiter(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *waiter = ((PyaioTransport *)op)->empty_waiter;
    return Py_NewRef(waiter ? waiter : Py_None);
}

static int
set_empty_waiter(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    PyaioTransport *self = (PyaioTransport *)op;
    Py_XSETREF(self->empty_waiter,
               value == Py_None ? NULL : Py_XNewRef(value));
    return 0;
}

static PyObject *
get_eof(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((PyaioTransport *)op)->eof);
}

#if PYAIO_HAS_TRANSPORT_CONTEXT
static PyObject *
get_buffer_size(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromSize_t(((PyaioTransport *)op)->queue.bytes);
}
#endif

static PyGetSetDef stream_getset[] = {
    {"_read_ready_cb", get_read_ready, NULL, NULL, NULL},
    {"_empty_waiter", get_empty_waiter, set_empty_waiter, NULL, NULL},
#if PYAIO_HAS_TRANSPORT_CONTEXT
    {"_buffer_size", get_buffer_size, NULL, NULL, NULL},
#endif
    {"_eof", get_eof, NULL, NULL, NULL},
    {"_buffer", get_buffer, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(stream_doc,
             "_SelectorSocketTransport(loop, sock, protocol, waiter=None, "
             "extra=None, server=None, context=None)\n--\n\n"
             "The transport of a stream socket on a native loop.\n\n"
             "Mirrors the class of its name in asyncio.selector_events.");

static PyType_Slot stream_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)stream_doc},
    {Py_tp_new, Transport_new},
    {Py_tp_traverse, pyaio_transport_tp_traverse},
    {Py_tp_clear, pyaio_transport_tp_clear},
    {Py_tp_dealloc, pyaio_transport_tp_dealloc},
    {Py_tp_methods, stream_methods},
    {Py_tp_getset, stream_getset},
    {0, NULL},
};

static PyType_Spec stream_spec = {
    .name = "pyaio._core._SelectorSocketTransport",
    .basicsize = sizeof(PyaioTransport),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = stream_slots,
};

/* Whether the methods of a table are what the type has under their names. */
static int
are_original(PyTypeObject *type, const PyMethodDef *def)
{
    int original = 1;
    for (; def->ml_name != NULL; def++) {
        PyObject *found =
            PyObject_GetAttrString((PyObject *)type, def->ml_name);
        if (found == NULL) {
            PyErr_Clear();
            return 0;
        }
        original &= Py_IS_TYPE(found, &PyMethodDescr_Type) &&
                    ((PyMethodDescrObject *)found)->d_method == def;
        Py_DECREF(found);
    }
    return original;
}

int
pyaio_transport_check_methods(PyaioState *state)
{
    PyTypeObject *type = state->Transport_type;
    PyObject *raised = PyErr_GetRaisedException();
    int original = are_original(type, stream_methods) &&
                   are_original(type, pyaio_transport_methods);
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
    state->transport_tag = original ? type->tp_version_tag : 0;
    return original;
}

int
pyaio_transport_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    state->minus_one = PyLong_FromLong(-1);
    if (state->minus_one == NULL || pyaio_transport_base_init(module) < 0 ||
        pyaio_add_type(module, &state->Transport_type, &stream_spec,
                       state->TransportBase_type) < 0) {
        return -1;
    }
    PyObject *type = (PyObject *)state->Transport_type;
    if (PyObject_SetAttrString(type, "_start_tls_compatible", Py_True) < 0) {
        return -1;
    }
    return PyObject_SetAttrString(type, "_sendfile_compatible",
                                  state->sendfile_try_native);
}
