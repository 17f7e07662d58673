/* The type SSLProtocolBase, on which the Python class SSLProtocol stands: what
 * stock's methods find on it, and what is native in their place. */
#include "base/errors.h"
#include "net/protocol.h"
#include "tls/tls.h"

#include <math.h>

#define STATE(op) pyaio_state_of(op)
#define TLS(op) ((PyaioTls *)(op))

/* --- object -------------------------------------------------------------- */

static PyObject *
Tls_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
        PyObject *Py_UNUSED(kwargs))
{
    PyObject *op = type->tp_alloc(type, 0);
    if (op != NULL) {
        TLS(op)->engine = &pyaio_tls_module_engine;
    }
    return op;
}

static int
Tls_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioTls *self = TLS(op);
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->loop);
    Py_VISIT(self->app_protocol);
    Py_VISIT(self->app_transport);
    Py_VISIT(self->transport);
    Py_VISIT(self->sslobj);
    Py_VISIT(self->incoming);
    Py_VISIT(self->outgoing);
    Py_VISIT(self->backlog);
    Py_VISIT(self->status);
    Py_VISIT(self->incoming_high.given);
    Py_VISIT(self->incoming_low.given);
    Py_VISIT(self->outgoing_high.given);
    Py_VISIT(self->outgoing_low.given);
    Py_VISIT(self->sslsock);
    return 0;
}

static void
use_module_engine(PyaioTls *self)
{
    self->engine = &pyaio_tls_module_engine;
    pyaio_tls_openssl_detach(self);
}

static int
Tls_clear(PyObject *op)
{
    PyaioTls *self = TLS(op);
    use_module_engine(self);
    Py_CLEAR(self->loop);
    Py_CLEAR(self->app_protocol);
    Py_CLEAR(self->app_transport);
    Py_CLEAR(self->transport);
    Py_CLEAR(self->sslobj);
    Py_CLEAR(self->incoming);
    Py_CLEAR(self->outgoing);
    Py_CLEAR(self->backlog);
    Py_CLEAR(self->status);
    Py_CLEAR(self->incoming_high.given);
    Py_CLEAR(self->incoming_low.given);
    Py_CLEAR(self->outgoing_high.given);
    Py_CLEAR(self->outgoing_low.given);
    return 0;
}

static void
Tls_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    (void)Tls_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

/* --- methods ------------------------------------------------------------- */

static PyObject *
size_or_error(Py_ssize_t size)
{
    return size < 0 ? NULL : PyLong_FromSsize_t(size);
}

static PyObject *
Tls_do_read(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return pyaio_none_or_error(pyaio_tls_read(STATE(op), TLS(op)));
}

static PyObject *
Tls_process_outgoing(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return pyaio_none_or_error(pyaio_tls_send(STATE(op), TLS(op)));
}

static PyObject *
Tls_write_appdata(PyObject *op, PyObject *list)
{
    return pyaio_none_or_error(pyaio_tls_writelines(STATE(op), TLS(op), list));
}

static PyObject *
Tls_get_read_buffer_size(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return size_or_error(TLS(op)->engine->incoming(TLS(op)));
}

static PyObject *
Tls_get_write_buffer_size(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return size_or_error(pyaio_tls_write_size(TLS(op)));
}

/* Whether get_buffer() and buffer_updated() are those that are known here;
 * `state->tls_tag` remembers it of the class. */
static int
has_own_buffering(PyaioState *state, PyTypeObject *type)
{
    if (type->tp_version_tag != 0 && type->tp_version_tag == state->tls_tag) {
        return 1;
    }
    PyObject *updated =
        PyObject_GetAttr((PyObject *)type, state->str_buffer_updated);
    PyObject *get = PyObject_GetAttr((PyObject *)type, state->str_get_buffer);
    int own = updated != NULL && Py_IS_TYPE(updated, &PyMethodDescr_Type) &&
              get == state->stock_tls_get_buffer;
    Py_XDECREF(updated);
    Py_XDECREF(get);
    PyErr_Clear();
    if (own) {
        state->tls_tag = type->tp_version_tag;
    }
    return own;
}

/* What a transport does that knows nothing of us. */
static int
receive_by_methods(PyaioState *state, PyObject *op, const char *data,
                   size_t size)
{
    while (size > 0) {
        PyObject *buffer = PyObject_CallMethodOneArg(op, state->str_get_buffer,
                                                     state->minus_one);
        Py_buffer view;
        if (buffer == NULL ||
            PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE) < 0) {
            Py_XDECREF(buffer);
            return -1;
        }
        size_t part = size < (size_t)view.len ? size : (size_t)view.len;
        memcpy(view.buf, data, part);
        PyBuffer_Release(&view);
        Py_DECREF(buffer);
        PyObject *done =
            PyObject_CallMethod(op, "buffer_updated", "n", (Py_ssize_t)part);
        Py_XDECREF(done);
        if (done == NULL || part == 0) {
            return -1;
        }
        data += part;
        size -= part;
    }
    return 0;
}

static int
received(PyaioState *state, PyObject *op, const char *data, size_t size)
{
    return has_own_buffering(state, Py_TYPE(op))
               ? pyaio_tls_received(state, TLS(op), data, size)
               : receive_by_methods(state, op, data, size);
}

/* After a transport that is not ours filled what get_buffer() returned. */
static PyObject *
Tls_buffer_updated(PyObject *op, PyObject *number)
{
    Py_ssize_t count = PyNumber_AsSsize_t(number, PyExc_OverflowError);
    if (count == -1 && PyErr_Occurred()) {
        return NULL;
    }
    PyObject *buffer = PyObject_GetAttrString(op, "_ssl_buffer_view");
    Py_buffer view;
    if (buffer == NULL ||
        PyObject_GetBuffer(buffer, &view, PyBUF_SIMPLE) < 0) {
        Py_XDECREF(buffer);
        return NULL;
    }
    Py_DECREF(buffer);
    if (count > view.len) {
        count = view.len;
    }
    int err = pyaio_tls_received(STATE(op), TLS(op), view.buf,
                                 count < 0 ? 0 : (size_t)count);
    PyBuffer_Release(&view);
    return pyaio_none_or_error(err);
}

static PyObject *
Tls_set_app_protocol(PyObject *op, PyObject *protocol)
{
    PyaioState *state = STATE(op);
    int buffered =
        PyObject_IsInstance(protocol, state->stock_BufferedProtocol);
    if (buffered < 0) {
        return NULL;
    }
    TLS(op)->app_is_buffered = (char)buffered;
    Py_XSETREF(TLS(op)->app_protocol, Py_NewRef(protocol));
    Py_RETURN_NONE;
}

static PyObject *
Tls_attach_openssl(PyObject *op, PyObject *Py_UNUSED(unused))
{
    int attached = pyaio_tls_openssl_attach(STATE(op), TLS(op));
    if (attached < 0) {
        return NULL;
    }
    if (attached) {
        TLS(op)->engine = &pyaio_tls_openssl_engine;
    }
    return PyBool_FromLong(attached);
}

static PyMethodDef tls_methods[] = {
    {"buffer_updated", Tls_buffer_updated, METH_O,
     "buffer_updated($self, nbytes, /)\n--\n\n"
     "Take in what was received into the buffer that get_buffer() returned."},
    {"_do_read", Tls_do_read, METH_NOARGS, NULL},
    {"_process_outgoing", Tls_process_outgoing, METH_NOARGS, NULL},
    {"_write_appdata", Tls_write_appdata, METH_O, NULL},
    {"_get_read_buffer_size", Tls_get_read_buffer_size, METH_NOARGS, NULL},
    {"_get_write_buffer_size", Tls_get_write_buffer_size, METH_NOARGS, NULL},
    {"_set_app_protocol", Tls_set_app_protocol, METH_O, NULL},
    {"_attach_openssl", Tls_attach_openssl, METH_NOARGS,
     "Let OpenSSL be called directly from now on, before the handshake begins."
     "\n\nReturns whether that is possible."},
    {NULL, NULL, 0, NULL},
};

/* --- attributes ---------------------------------------------------------- */

#define FIELD(op, closure) ((char *)(op) + (size_t)(closure))

/* What an engine was made for: with something else in its place the ssl
 * module's way is the one that uses it. */
static PyObject *
get_part(PyObject *op, void *closure)
{
    PyObject *value = *(PyObject **)FIELD(op, closure);
    return Py_NewRef(value ? value : Py_None);
}

static int
set_part(PyObject *op, PyObject *value, void *closure)
{
    PyObject **field = (PyObject **)FIELD(op, closure);
    use_module_engine(TLS(op));
    PyObject *old = *field;
    *field = Py_XNewRef(value);
    Py_XDECREF(old);
    return 0;
}

static PyObject *
get_mark(PyObject *op, void *closure)
{
    PyObject *given = ((PyaioTlsMark *)FIELD(op, closure))->given;
    return given ? Py_NewRef(given) : PyLong_FromLong(0);
}

static Py_ssize_t
whole_bytes(double mark)
{
    return mark < (double)PY_SSIZE_T_MAX ? (Py_ssize_t)mark : PY_SSIZE_T_MAX;
}

static int
set_mark(PyObject *op, PyObject *value, double (*rounded)(double),
         void *closure)
{
    double mark = value ? PyFloat_AsDouble(value) : 0;
    if (mark == -1 && PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) {
            return -1;
        }
        PyErr_Clear();
        mark = INFINITY;
    }
    PyaioTlsMark *field = (PyaioTlsMark *)FIELD(op, closure);
    field->bytes = whole_bytes(rounded(mark));
    Py_XSETREF(field->given, Py_XNewRef(value));
    return 0;
}

static int
set_high(PyObject *op, PyObject *value, void *closure)
{
    return set_mark(op, value, ceil, closure);
}

static int
set_low(PyObject *op, PyObject *value, void *closure)
{
    return set_mark(op, value, floor, closure);
}

#define PART(name, field) \
    {name, get_part, set_part, NULL, (void *)offsetof(PyaioTls, field)}
#define MARK(name, setter, field) \
    {name, get_mark, setter, NULL, (void *)offsetof(PyaioTls, field)}

static PyGetSetDef tls_getset[] = {
    PART("_sslobj", sslobj),
    PART("_incoming", incoming),
    PART("_outgoing", outgoing),
    MARK("_incoming_high_water", set_high, incoming_high),
    MARK("_incoming_low_water", set_low, incoming_low),
    MARK("_outgoing_high_water", set_high, outgoing_high),
    MARK("_outgoing_low_water", set_low, outgoing_low),
    {NULL, NULL, NULL, NULL, NULL},
};

#define OBJECT(name, field) \
    {name, T_OBJECT, offsetof(PyaioTls, field), 0, NULL}
#define FLAG(name, field) {name, T_BOOL, offsetof(PyaioTls, field), 0, NULL}

static PyMemberDef tls_members[] = {
    OBJECT("_loop", loop),
    OBJECT("_app_protocol", app_protocol),
    OBJECT("_app_transport", app_transport),
    OBJECT("_transport", transport),
    OBJECT("_write_backlog", backlog),
    OBJECT("_state", status),
    {"_write_buffer_size", T_PYSSIZET, offsetof(PyaioTls, backlog_bytes), 0,
     NULL},
    FLAG("_app_protocol_is_buffer", app_is_buffered),
    FLAG("_app_reading_paused", app_reading_paused),
    FLAG("_app_writing_paused", app_writing_paused),
    FLAG("_ssl_reading_paused", reading_paused),
    FLAG("_ssl_writing_paused", writing_paused),
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(tls_doc, "SSLProtocol()\n--\n\n"
                      "What is native of the SSLProtocol that stands on it.");

static PyType_Slot tls_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)tls_doc},
    {Py_tp_new, Tls_new},
    {Py_tp_traverse, Tls_traverse},
    {Py_tp_clear, Tls_clear},
    {Py_tp_dealloc, Tls_dealloc},
    {Py_tp_methods, tls_methods},
    {Py_tp_getset, tls_getset},
    {Py_tp_members, tls_members},
    {0, NULL},
};

static PyType_Spec tls_spec = {
    .name = "pyaio._core.SSLProtocol",
    .basicsize = sizeof(PyaioTls),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = tls_slots,
};

static const PyaioNativeProtocol native_protocol = {
    .type = offsetof(PyaioState, Tls_type),
    .received = received,
};

int
pyaio_tls_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_add_type(module, &state->Tls_type, &tls_spec, NULL) < 0) {
        return -1;
    }
    state->tls_protocol = &native_protocol;
    return 0;
}
