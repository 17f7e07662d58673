/* A set of arguments: by identity, as most objects compare, else a dict. */
#include "combine/argument_set.h"

/* Up to here looking through all of them is faster than a table. */
#define FEW 8

static int
defines_equality(PyTypeObject *type)
{
    return type->tp_hash != PyBaseObject_Type.tp_hash ||
           type->tp_richcompare != PyBaseObject_Type.tp_richcompare;
}

int
pyaio_argument_set_init(PyaioArgumentSet *set, PyObject *const *args,
                        Py_ssize_t nargs)
{
    *set = (PyaioArgumentSet){.args = args};
    for (Py_ssize_t i = 0; i < nargs; i++) {
        if (defines_equality(Py_TYPE(args[i]))) {
            set->dict = PyDict_New();
            return set->dict ? 0 : -1;
        }
    }
    if (nargs > FEW) {
        size_t length = 32;
        while (length < 2 * (size_t)nargs) {
            length *= 2;
        }
        set->slots = PyMem_Calloc(length, sizeof(Py_ssize_t));
        if (set->slots == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        set->mask = length - 1;
    }
    return 0;
}

void
pyaio_argument_set_free(PyaioArgumentSet *set)
{
    Py_CLEAR(set->dict);
    PyMem_Free(set->slots);
}

static Py_ssize_t
add_by_equality(PyaioArgumentSet *set, Py_ssize_t index)
{
    PyObject *arg = set->args[index];
    PyObject *found = PyDict_GetItemWithError(set->dict, arg);
    if (found != NULL) {
        return PyLong_AsSsize_t(found);
    }
    if (PyErr_Occurred()) {
        return -1;
    }
    PyObject *number = PyLong_FromSsize_t(index);
    int err = number ? PyDict_SetItem(set->dict, arg, number) : -1;
    Py_XDECREF(number);
    return err < 0 ? -1 : index;
}

static Py_ssize_t
add_by_table(PyaioArgumentSet *set, Py_ssize_t index)
{
    /* Objects are 16 bytes apart at least; the multiplication spreads them. */
    uint64_t hash = (uint64_t)(uintptr_t)set->args[index] >> 4;
    size_t slot = (size_t)((hash * 0x9E3779B97F4A7C15u) >> 32) & set->mask;
    while (set->slots[slot] != 0) {
        Py_ssize_t other = set->slots[slot] - 1;
        if (set->args[other] == set->args[index]) {
            return other;
        }
        slot = (slot + 1) & set->mask;
    }
    set->slots[slot] = index + 1;
    return index;
}

Py_ssize_t
pyaio_argument_set_add(PyaioArgumentSet *set, Py_ssize_t index)
{
    if (set->dict != NULL) {
        return add_by_equality(set, index);
    }
    if (set->slots != NULL) {
        return add_by_table(set, index);
    }
    Py_ssize_t i = 0;
    while (set->args[i] != set->args[index]) {
        i++;
    }
    return i;
}
