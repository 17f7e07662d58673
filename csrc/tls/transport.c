/* The type _SSLProtocolTransportBase: what a program writes to. */
#include "tls/tls.h"

#define STATE(op) pyaio_state_of(op)
#define TRANSPORT(op) ((PyaioTlsTransport *)(op))

static int
Transport_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioTlsTransport *self = TRANSPORT(op);
    Py_VISIT(Py_TYPE(op));
    for (size_t i = 0; i < sizeof(self->base) / sizeof(self->base[0]); i++) {
        Py_VISIT(self->base[i]);
    }
    Py_VISIT(self->tls);
    return 0;
}

static int
Transport_clear(PyObject *op)
{
    PyaioTlsTransport *self = TRANSPORT(op);
    for (size_t i = 0; i < sizeof(self->base) / sizeof(self->base[0]); i++) {
        Py_CLEAR(self->base[i]);
    }
    Py_CLEAR(self->tls);
    return 0;
}

static void
Transport_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    (void)Transport_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

/* The protocol behind it if it is a native one; borrowed, or NULL. */
static PyaioTls *
native_tls(PyaioState *state, PyObject *op)
{
    PyObject *tls = TRANSPORT(op)->tls;
    return tls != NULL && PyObject_TypeCheck(tls, state->Tls_type)
               ? (PyaioTls *)tls
               : NULL;
}

/* A method of the protocol behind it. */
static PyObject *
call(PyObject *op, PyObject *name, PyObject *argument)
{
    PyObject *tls = TRANSPORT(op)->tls;
    tls = Py_NewRef(tls ? tls : Py_None);
    PyObject *result = argument
                           ? PyObject_CallMethodOneArg(tls, name, argument)
                           : PyObject_CallMethodNoArgs(tls, name);
    Py_DECREF(tls);
    return result;
}

static PyObject *
write_lines(PyObject *op, PyObject *list)
{
    return call(op, STATE(op)->str__write_appdata, list);
}

static PyObject *
Transport_write(PyObject *op, PyObject *data)
{
    if (!PyBytes_Check(data) && !PyByteArray_Check(data) &&
        !PyMemoryView_Check(data)) {
        PyObject *name = PyType_GetName(Py_TYPE(data));
        PyErr_Format(PyExc_TypeError,
                     "data: expecting a bytes-like instance, got %U", name);
        Py_XDECREF(name);
        return NULL;
    }
    Py_ssize_t size = PyObject_Length(data);
    if (size < 0) {
        return NULL;
    }
    if (size == 0) {
        Py_RETURN_NONE;
    }
    PyaioState *state = STATE(op);
    PyaioTls *tls = native_tls(state, op);
    if (tls == NULL || (PyObject *)Py_TYPE(tls) != state->SSLProtocol) {
        PyObject *list = PyTuple_Pack(1, data);
        PyObject *done = list ? write_lines(op, list) : NULL;
        Py_XDECREF(list);
        return done;
    }
    Py_INCREF(tls);
    int err = pyaio_tls_write(state, tls, data);
    Py_DECREF(tls);
    if (err < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
Transport_is_closing(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioTlsTransport *self = TRANSPORT(op);
#if PYAIO_TLS_ASKS_BELOW
    if (!self->closed) {
        return call(op, STATE(op)->str__is_transport_closing, NULL);
    }
#endif
    return PyBool_FromLong(self->closed);
}

static PyMethodDef transport_methods[] = {
    {"write", Transport_write, METH_O,
     "write($self, data, /)\n--\n\n"
     "Encrypt and send bytes, a bytearray or a memoryview, now or when it is "
     "possible."},
    {"writelines", write_lines, METH_O,
     "writelines($self, list_of_data, /)\n--\n\n"
     "Write the bytes-like objects of an iterable, one after another."},
    {"is_closing", Transport_is_closing, METH_NOARGS,
     "Return True if the transport is closing or closed."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef transport_members[] = {
    {"_ssl_protocol", T_OBJECT, offsetof(PyaioTlsTransport, tls), 0, NULL},
    {"_closed", T_BOOL, offsetof(PyaioTlsTransport, closed), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(transport_doc, "_SSLProtocolTransport()\n--\n\n"
                            "What is native of TLS transports.");

static PyType_Slot transport_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)transport_doc},
    {Py_tp_traverse, Transport_traverse},
    {Py_tp_clear, Transport_clear},
    {Py_tp_dealloc, Transport_dealloc},
    {Py_tp_methods, transport_methods},
    {Py_tp_members, transport_members},
    {0, NULL},
};

static PyType_Spec transport_spec = {
    .name = "pyaio._core._SSLProtocolTransport",
    .basicsize = sizeof(PyaioTlsTransport),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = transport_slots,
};

int
pyaio_tls_transport_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    /* Its size was verified for the transports of sockets. */
    return pyaio_add_type(module, &state->TlsTransport_type, &transport_spec,
                          (PyTypeObject *)state->stock_FlowControlMixin);
}
