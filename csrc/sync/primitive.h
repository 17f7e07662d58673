/* What every synchronisation primitive begins with: the attributes of the
 * instance, the loop that it is bound to, and which methods somebody
 * replaced. */
#ifndef PYAIO_SYNC_PRIMITIVE_H
#define PYAIO_SYNC_PRIMITIVE_H

#include "base/state.h"

typedef struct {
    PyObject_HEAD
    PyObject *dict;     /* owned: attributes of the instance, or NULL */
    PyObject *weakrefs; /* list of weak references */
    PyObject *loop;     /* owned: NULL or None until it is bound to one */
    unsigned replaced;  /* mask of PYAIO_METHOD_*, valid for type_tag */
    unsigned type_tag;  /* version of the object's type */
} PyaioPrimitive;

/* Bits for a primitive's own methods, which its other methods call. The first
 * stands for _get_loop(), the others for the names in its table. */
#define PYAIO_METHOD_GET_LOOP 1u
#define PYAIO_METHOD(i) (2u << (i))

typedef struct {
    size_t type; /* place in the state of the type that defines them */
    size_t count;
    size_t names[6]; /* places in the state of the interned names */
} PyaioMethodTable;

unsigned pyaio_primitive_check_methods(PyaioState *state, PyObject *op,
                                       const PyaioMethodTable *table);

/* Which of the methods in the table a subclass, the instance or somebody who
 * patched the class has replaced. */
static inline unsigned
pyaio_primitive_replaced(PyaioState *state, PyObject *op,
                         const PyaioMethodTable *table)
{
    PyaioPrimitive *self = (PyaioPrimitive *)op;
    unsigned tag = Py_TYPE(op)->tp_version_tag;
    if (tag == self->type_tag && tag != 0 &&
        (self->dict == NULL || PyDict_GET_SIZE(self->dict) == 0)) {
        return self->replaced;
    }
    return pyaio_primitive_check_methods(state, op, table);
}

/* isinstance(op, type), without a call for the type itself and the classes
 * right below it. */
static inline int
pyaio_primitive_is(PyObject *op, PyTypeObject *type)
{
    return Py_IS_TYPE(op, type) || Py_TYPE(op)->tp_base == type ||
           PyType_IsSubtype(Py_TYPE(op), type);
}

/* self._get_loop(): the running loop, to which the primitive is bound from
 * now on; RuntimeError where it was bound to another. None where no loop
 * runs. A new reference. `replaced` is a mask as above. */
PyObject *pyaio_primitive_loop(PyaioState *state, PyObject *op,
                               unsigned replaced);

/* __init__() of the stock class, with arguments that are not the usual. */
int pyaio_primitive_stock_init(PyObject *stock, PyObject *op, PyObject *args,
                               PyObject *kwargs);

int pyaio_primitive_traverse(PyObject *op, visitproc visit, void *arg);
int pyaio_primitive_clear(PyObject *op);
/* tp_dealloc, with the type's own tp_clear. */
void pyaio_primitive_dealloc(PyObject *op, inquiry clear);

/* For the tables of the types. */
PyObject *pyaio_primitive_py_get_loop(PyObject *op, PyObject *unused);

#define PYAIO_PRIMITIVE_METHODS \
    {"_get_loop", pyaio_primitive_py_get_loop, METH_NOARGS, NULL}

#define PYAIO_PRIMITIVE_MEMBERS                                               \
    {"_loop", T_OBJECT, offsetof(PyaioPrimitive, loop), 0, NULL},             \
        {"__dictoffset__", T_PYSSIZET, offsetof(PyaioPrimitive, dict),        \
         READONLY, NULL},                                                     \
    {                                                                         \
        "__weaklistoffset__", T_PYSSIZET, offsetof(PyaioPrimitive, weakrefs), \
            READONLY, NULL                                                    \
    }

#define PYAIO_PRIMITIVE_GETSET \
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL}

/* The repr of an object, with [`extra`, waiters:...]; steals `extra`, which
 * may be NULL after an error. */
PyObject *pyaio_primitive_repr(PyObject *op, PyObject *extra,
                               Py_ssize_t waiters);

/* Sets `raised` (stolen, may be NULL) again. An exception that came meanwhile
 * stays, with `raised` as its context. */
void pyaio_raise_again(PyObject *raised);

/* Raises the AttributeError of an object whose __init__() has not run. */
void pyaio_primitive_no_attribute(PyObject *op, const char *name);

#endif
