/* What readers, writers and their protocols begin with, and which of their
 * methods a program has replaced: in a subclass, on the instance, on the
 * class. */
#ifndef PYAIO_STREAM_METHODS_H
#define PYAIO_STREAM_METHODS_H

#include "base/state.h"

typedef struct {
    PyObject_HEAD
    PyObject *dict;     /* owned: attributes of the instance, or NULL */
    PyObject *weakrefs; /* list of weak references */
    PyObject *loop;     /* owned: NULL before initialisation */
    unsigned own;       /* mask: methods that are set on the instance */
} PyaioStream;

/* The methods that others of ours call, each by its bit 1 << i. */
typedef struct {
    size_t type;     /* place in the state of the type that defines them */
    size_t kept;     /* place in the state of what is known of classes */
    size_t count;    /* of the names */
    size_t names[8]; /* places in the state of the interned names */
} PyaioStreamMethods;

/* For the class alone, looked up anew. Keeps an exception that is set. */
unsigned pyaio_stream_look_up(PyaioState *state, PyTypeObject *type,
                              const PyaioStreamMethods *methods);

static inline unsigned
pyaio_stream_replaced(PyaioState *state, PyaioStream *self,
                      const PyaioStreamMethods *methods)
{
    PyTypeObject *type = Py_TYPE(self);
    unsigned tag = type->tp_version_tag;
    const PyaioStreamClass *kept =
        (const PyaioStreamClass *)(const void *)((const char *)state +
                                                 methods->kept);
    kept += tag % PYAIO_STREAM_CLASSES;
    unsigned by_class = tag != 0 && kept->tag == tag
                            ? kept->replaced
                            : pyaio_stream_look_up(state, type, methods);
    return by_class | self->own;
}

/* Whether calling a class that stands on `ours` does what `ours` does. */
static inline int
pyaio_stream_class_is_plain(PyObject *type, const PyTypeObject *ours)
{
    return type != NULL && ((PyTypeObject *)type)->tp_init == ours->tp_init &&
           ((PyTypeObject *)type)->tp_new == ours->tp_new;
}

/* tp_setattro: takes note of methods that are set on the instance. */
int pyaio_stream_setattr(PyObject *op, PyObject *name, PyObject *value,
                         const PyaioStreamMethods *methods);

/* The value of an attribute: None while the field is NULL; AttributeError
 * before initialisation. */
PyObject *pyaio_stream_get(PyaioStream *self, PyObject *value,
                           const char *name);
/* An attribute that __init__() sets and nobody deletes, and its place in the
 * object: an owned reference, NULL for None, or a uint8_t. */
typedef struct {
    const char *name;
    size_t place;
} PyaioStreamAttribute;

PyObject *pyaio_stream_get_object(PyObject *op, void *attribute);
int pyaio_stream_set_object(PyObject *op, PyObject *value, void *attribute);
PyObject *pyaio_stream_get_flag(PyObject *op, void *attribute);
int pyaio_stream_set_flag(PyObject *op, PyObject *value, void *attribute);
/* Raises AttributeError where an attribute is to be deleted. */
int pyaio_stream_keep(PyObject *value);

#define PYAIO_STREAM_OBJECT(attribute)                                       \
    {"_" #attribute, pyaio_stream_get_object, pyaio_stream_set_object, NULL, \
     (void *)(uintptr_t)&(attribute)}
#define PYAIO_STREAM_FLAG(attribute)                                     \
    {"_" #attribute, pyaio_stream_get_flag, pyaio_stream_set_flag, NULL, \
     (void *)(uintptr_t)&(attribute)}

/* `raise exc`, whatever that is. */
void pyaio_stream_raise(PyObject *exc);

/* The one argument of a method, positional or by its name: borrowed, or NULL
 * with TypeError. */
PyObject *pyaio_stream_argument(PyObject *const *args, Py_ssize_t nargs,
                                PyObject *kwnames, PyObject *name);

int pyaio_stream_traverse(PyObject *op, visitproc visit, void *arg);
int pyaio_stream_clear(PyObject *op);
/* tp_dealloc, with the type's own tp_clear. */
void pyaio_stream_dealloc(PyObject *op, inquiry clear);

#define PYAIO_STREAM_MEMBERS                                                  \
    {"_loop", T_OBJECT_EX, offsetof(PyaioStream, loop), 0, NULL},             \
        {"__dictoffset__", T_PYSSIZET, offsetof(PyaioStream, dict), READONLY, \
         NULL},                                                               \
    {                                                                         \
        "__weaklistoffset__", T_PYSSIZET, offsetof(PyaioStream, weakrefs),    \
            READONLY, NULL                                                    \
    }

#define PYAIO_STREAM_GETSET \
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, NULL, NULL}

#endif
