/* A mapping of descriptors to transports that goes without Python code. */
#include "net/transport_table.h"
#include "sched/sched.h"

typedef struct {
    PyObject_HEAD
    PyObject **places; /* by descriptor: owned weak references, or NULL */
    Py_ssize_t capacity;
} TransportTable;

/* --- entries ------------------------------------------------------------- */

/* The transport of a descriptor: a new reference, or NULL without an
 * exception. */
static PyObject *
table_get(TransportTable *self, Py_ssize_t fd)
{
    PyObject *place = fd >= 0 && fd < self->capacity ? self->places[fd] : NULL;
    PyObject *transport = NULL;
    if (place != NULL) {
        (void)PyWeakref_GetRef(place, &transport);
    }
    return transport;
}

static int
table_reserve(TransportTable *self, Py_ssize_t fd)
{
    if (fd < self->capacity) {
        return 0;
    }
    Py_ssize_t capacity = self->capacity ? self->capacity : 32;
    while (capacity <= fd) {
        capacity *= 2;
    }
    PyObject **places =
        PyMem_Realloc(self->places, (size_t)capacity * sizeof(PyObject *));
    if (places == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memset(places + self->capacity, 0,
           (size_t)(capacity - self->capacity) * sizeof(PyObject *));
    self->places = places;
    self->capacity = capacity;
    return 0;
}

/* `transport` NULL takes the entry out. */
static int
table_set(TransportTable *self, Py_ssize_t fd, PyObject *transport)
{
    PyObject *place = NULL;
    if (transport != NULL) {
        place = PyWeakref_NewRef(transport, NULL);
        if (place == NULL || table_reserve(self, fd) < 0) {
            Py_XDECREF(place);
            return -1;
        }
    }
    Py_XSETREF(self->places[fd], place);
    return 0;
}

/* The descriptor that a key stands for, -1 with KeyError. */
static Py_ssize_t
key_descriptor(PyObject *key)
{
    int overflow = 1;
    long fd = PyLong_Check(key) ? PyLong_AsLongAndOverflow(key, &overflow) : 0;
    if (overflow || fd < 0 || fd > INT_MAX / 2) {
        PyErr_SetObject(PyExc_KeyError, key);
        return -1;
    }
    return fd;
}

/* --- its Python face ----------------------------------------------------- */

static PyObject *
Table_subscript(PyObject *op, PyObject *key)
{
    Py_ssize_t fd = key_descriptor(key);
    PyObject *found = fd < 0 ? NULL : table_get((TransportTable *)op, fd);
    if (found == NULL && !PyErr_Occurred()) {
        PyErr_SetObject(PyExc_KeyError, key);
    }
    return found;
}

static int
Table_ass_subscript(PyObject *op, PyObject *key, PyObject *value)
{
    TransportTable *self = (TransportTable *)op;
    Py_ssize_t fd = key_descriptor(key);
    if (fd < 0) {
        return -1;
    }
    if (value == NULL) {
        PyObject *found = table_get(self, fd);
        if (found == NULL) {
            PyErr_SetObject(PyExc_KeyError, key);
            return -1;
        }
        Py_DECREF(found);
    }
    return table_set(self, fd, value);
}

/* The descriptors that have a transport, as a list. */
static PyObject *
table_keys(TransportTable *self)
{
    PyObject *keys = PyList_New(0);
    for (Py_ssize_t fd = 0; keys != NULL && fd < self->capacity; fd++) {
        PyObject *found = table_get(self, fd);
        PyObject *key = found ? PyLong_FromSsize_t(fd) : NULL;
        if (found != NULL && (key == NULL || PyList_Append(keys, key) < 0)) {
            Py_CLEAR(keys);
        }
        Py_XDECREF(found);
        Py_XDECREF(key);
    }
    return keys;
}

static Py_ssize_t
Table_length(PyObject *op)
{
    PyObject *keys = table_keys((TransportTable *)op);
    Py_ssize_t length = keys ? PyList_GET_SIZE(keys) : -1;
    Py_XDECREF(keys);
    return length;
}

static PyObject *
Table_iter(PyObject *op)
{
    PyObject *keys = table_keys((TransportTable *)op);
    PyObject *iterator = keys ? PyObject_GetIter(keys) : NULL;
    Py_XDECREF(keys);
    return iterator;
}

static int
Table_clear(PyObject *op)
{
    TransportTable *self = (TransportTable *)op;
    PyObject **places = self->places;
    Py_ssize_t capacity = self->capacity;
    self->places = NULL;
    self->capacity = 0;
    for (Py_ssize_t fd = 0; fd < capacity; fd++) {
        Py_XDECREF(places[fd]);
    }
    PyMem_Free(places);
    return 0;
}

static int
Table_traverse(PyObject *op, visitproc visit, void *arg)
{
    TransportTable *self = (TransportTable *)op;
    Py_VISIT(Py_TYPE(op));
    for (Py_ssize_t fd = 0; fd < self->capacity; fd++) {
        Py_VISIT(self->places[fd]);
    }
    return 0;
}

static void
Table_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    (void)Table_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

PyDoc_STRVAR(table_doc,
             "TransportTable()\n--\n\n"
             "Descriptors and their transports, which are held weakly.");

static PyType_Slot table_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)table_doc},
    {Py_tp_iter, Table_iter},
    {Py_tp_traverse, Table_traverse},
    {Py_tp_clear, Table_clear},
    {Py_tp_dealloc, Table_dealloc},
    {Py_mp_length, Table_length},
    {Py_mp_subscript, Table_subscript},
    {Py_mp_ass_subscript, Table_ass_subscript},
    {0, NULL},
};

static PyType_Spec table_spec = {
    .name = "pyaio._core.TransportTable",
    .basicsize = sizeof(TransportTable),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = table_slots,
};

/* --- for C code ---------------------------------------------------------- */

int
pyaio_transports_set(PyaioState *state, PyObject *loop, int fd,
                     PyObject *transport)
{
    PyObject *table = PyObject_GetAttr(loop, state->str__transports);
    if (table == NULL) {
        return -1;
    }
    int err;
    if (PyObject_TypeCheck(table, state->TransportTable_type)) {
        /* A socket with methods of its own may be closed already. */
        err = fd < 0 ? 0 : table_set((TransportTable *)table, fd, transport);
    }
    else {
        PyObject *key = PyLong_FromLong(fd);
        err = key ? PyObject_SetItem(table, key, transport) : -1;
        Py_XDECREF(key);
    }
    Py_DECREF(table);
    return err;
}

int
pyaio_transports_check(PyaioState *state, PyObject *loop, int fd,
                       PyObject *shown)
{
    PyaioScheduler *sched = pyaio_scheduler_of(state, loop);
    if (sched != NULL &&
        pyaio_sched_is_native(sched, PYAIO_LOOP_MAKE_TRANSPORT)) {
        PyObject *table = PyObject_GetAttr(loop, state->str__transports);
        if (table == NULL) {
            return -1;
        }
        int ours = PyObject_TypeCheck(table, state->TransportTable_type);
        PyObject *found = ours ? table_get((TransportTable *)table, fd) : NULL;
        Py_DECREF(table);
        if (ours && found == NULL) {
            return 0;
        }
        Py_XDECREF(found);
    }
    PyObject *done = PyObject_CallMethodOneArg(
        loop, state->str__ensure_fd_no_transport, shown);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

int
pyaio_transport_table_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_add_type(module, &state->TransportTable_type, &table_spec,
                       NULL) < 0) {
        return -1;
    }
    return PyModule_AddObjectRef(module, "TransportTable",
                                 (PyObject *)state->TransportTable_type);
}
