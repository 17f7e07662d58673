/* The Python face of datagram transports. */
#include "net/datagram.h"

static PyObject *
Datagram_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"loop",   "sock",  "protocol", "address",
                            "waiter", "extra", NULL};
    PyObject *loop, *sock, *protocol;
    PyObject *address = Py_None, *waiter = Py_None, *extra = Py_None;
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "OOO|OOO:_SelectorDatagramTransport", names, &loop,
            &sock, &protocol, &address, &waiter, &extra)) {
        return NULL;
    }
    PyaioState *state = pyaio_state_of_type(type);
    if (pyaio_transport_check_arguments(state, loop, extra) < 0) {
        return NULL;
    }
    int some = PyObject_IsTrue(address);
    PyObject *op = some < 0 ? NULL : type->tp_alloc(type, 0);
    if (op == NULL) {
        return NULL;
    }
    PyaioDatagram *self = (PyaioDatagram *)op;
    self->address = some ? Py_NewRef(address) : NULL;
    self->base.readable = &pyaio_datagram_readable;
    if (pyaio_transport_setup(state, &self->base, loop, sock, protocol,
                              waiter == Py_None ? NULL : waiter,
                              extra == Py_None ? NULL : extra, NULL,
                              NULL) < 0) {
        Py_CLEAR(op);
    }
    return op;
}

static int
Datagram_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(((PyaioDatagram *)op)->address);
    Py_VISIT(((PyaioDatagram *)op)->shown);
    return pyaio_transport_tp_traverse(op, visit, arg);
}

static int
Datagram_clear(PyObject *op)
{
    Py_CLEAR(((PyaioDatagram *)op)->address);
    Py_CLEAR(((PyaioDatagram *)op)->shown);
    return pyaio_transport_tp_clear(op);
}

/* Reads (data, addr=None). Returns 0, or -1 with TypeError. */
static int
parse_sendto(PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames,
             PyObject **values)
{
    Py_ssize_t count = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    int good = nargs <= 2;
    for (Py_ssize_t i = 0; good && i < nargs; i++) {
        values[i] = args[i];
    }
    for (Py_ssize_t i = 0; good && i < count; i++) {
        PyObject *name = PyTuple_GET_ITEM(kwnames, i);
        int is_addr = PyUnicode_CompareWithASCIIString(name, "addr") == 0;
        good =
            (is_addr || PyUnicode_CompareWithASCIIString(name, "data") == 0) &&
            values[is_addr] == NULL;
        values[is_addr] = args[nargs + i];
    }
    if (good && values[0] != NULL) {
        return 0;
    }
    PyErr_SetString(PyExc_TypeError,
                    "sendto() takes the arguments data and addr=None");
    return -1;
}

static PyObject *
Datagram_sendto(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                PyObject *kwnames)
{
    PyObject *values[] = {NULL, NULL};
    if (parse_sendto(args, nargs, kwnames, values) < 0 ||
        pyaio_datagram_send(pyaio_state_of(op), (PyaioDatagram *)op, values[0],
                            values[1] ? values[1] : Py_None) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef datagram_methods[] = {
    {"sendto", (PyCFunction)(void (*)(void))Datagram_sendto,
     METH_FASTCALL | METH_KEYWORDS,
     "sendto($self, data, addr=None)\n--\n\n"
     "Send a datagram, now or when it is possible, to addr or, where that is\n"
     "None, to the address that the endpoint was made for.\n\n"
     "ValueError for another address than that one. What the system says "
     "against\nit goes to protocol.error_received()."},
    {NULL, NULL, 0, NULL},
};

static PyObject *
get_address(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *address = ((PyaioDatagram *)op)->address;
    return Py_NewRef(address ? address : Py_None);
}

static PyObject *
get_buffer_size(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromSize_t(((PyaioTransport *)op)->queue.bytes);
}

/* What waits to be sent, as (data, address); changing it changes nothing. */
static PyObject *
get_buffer(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *list =
        pyaio_write_queue_datagrams(&((PyaioTransport *)op)->queue);
    PyObject *shown =
        list ? PyObject_CallOneArg(pyaio_state_of(op)->deque, list) : NULL;
    Py_XDECREF(list);
    return shown;
}

static PyGetSetDef datagram_getset[] = {
    {"_address", get_address, NULL, NULL, NULL},
    {"_buffer_size", get_buffer_size, NULL, NULL, NULL},
    {"_buffer", get_buffer, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(datagram_doc,
             "_SelectorDatagramTransport(loop, sock, protocol, address=None, "
             "waiter=None, extra=None)\n--\n\n"
             "The transport of a datagram socket on a native loop.\n\n"
             "Mirrors the class of its name in asyncio.selector_events.");

static PyType_Slot datagram_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)datagram_doc},
    {Py_tp_new, Datagram_new},
    {Py_tp_traverse, Datagram_traverse},
    {Py_tp_clear, Datagram_clear},
    {Py_tp_dealloc, pyaio_transport_tp_dealloc},
    {Py_tp_methods, datagram_methods},
    {Py_tp_getset, datagram_getset},
    {0, NULL},
};

static PyType_Spec datagram_spec = {
    .name = "pyaio._core._SelectorDatagramTransport",
    .basicsize = sizeof(PyaioDatagram),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = datagram_slots,
};

int
pyaio_datagram_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
#if PYAIO_DATAGRAMS_ARE_TYPED
    PyObject *bases = PyTuple_Pack(2, state->TransportBase_type,
                                   state->stock_DatagramTransport);
#else
    PyObject *bases = PyTuple_Pack(1, state->TransportBase_type);
#endif
    if (bases == NULL) {
        return -1;
    }
    PyObject *type = PyType_FromModuleAndSpec(module, &datagram_spec, bases);
    Py_DECREF(bases);
    state->DatagramTransport_type = (PyTypeObject *)type;
    return type ? 0 : -1;
}
