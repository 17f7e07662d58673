/* The search for separators, any number of them, over contiguous bytes. */
#include "stream/separator.h"

static int
is_usual_bytes(PyObject *op)
{
    return PyBytes_CheckExact(op) && PyBytes_GET_SIZE(op) > 0;
}

int
pyaio_separator_is_usual(PyObject *separator)
{
    if (!PYAIO_HAS_SEPARATORS || !PyTuple_CheckExact(separator)) {
        return is_usual_bytes(separator);
    }
    Py_ssize_t count = PyTuple_GET_SIZE(separator);
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!is_usual_bytes(PyTuple_GET_ITEM(separator, i))) {
            return 0;
        }
    }
    return count > 0;
}

/* Sorts by insertion, those of one length in their order. */
PyObject *
pyaio_separator_prepare(PyObject *separator)
{
    if (PyBytes_Check(separator)) {
        return Py_NewRef(separator);
    }
    Py_ssize_t count = PyTuple_GET_SIZE(separator);
    PyObject *sorted = PyTuple_New(count);
    for (Py_ssize_t i = 0; sorted != NULL && i < count; i++) {
        PyObject *item = PyTuple_GET_ITEM(separator, i);
        Py_ssize_t place = i;
        while (place > 0 && PyBytes_GET_SIZE(PyTuple_GET_ITEM(
                                sorted, place - 1)) > PyBytes_GET_SIZE(item)) {
            PyTuple_SET_ITEM(sorted, place,
                             PyTuple_GET_ITEM(sorted, place - 1));
            place--;
        }
        PyTuple_SET_ITEM(sorted, place, Py_NewRef(item));
    }
    return sorted;
}

static Py_ssize_t
find_one(PyObject *separator, const char *bytes, Py_ssize_t size,
         Py_ssize_t offset)
{
    if (offset > size) {
        return -1;
    }
    size_t length = (size_t)PyBytes_GET_SIZE(separator);
    const char *from = bytes + offset;
    size_t rest = (size_t)(size - offset);
    const char *wanted = PyBytes_AS_STRING(separator);
    const char *found = length == 1 ? memchr(from, *wanted, rest)
                                    : memmem(from, rest, wanted, length);
    return found ? found - bytes : -1;
}

static void
match_one(PyaioMatch *match, PyObject *separator, const char *bytes,
          Py_ssize_t size, Py_ssize_t offset)
{
    Py_ssize_t start = find_one(separator, bytes, size, offset);
    Py_ssize_t end = start + PyBytes_GET_SIZE(separator);
    if (start >= 0 && (match->start < 0 || end < match->end)) {
        match->start = start;
        match->end = end;
    }
}

PyaioMatch
pyaio_separator_find(PyObject *separator, const char *bytes, Py_ssize_t size,
                     Py_ssize_t *offset)
{
    PyaioMatch match = {-1, -1};
    PyObject *const *all = &separator;
    Py_ssize_t count = 1;
    if (PyTuple_Check(separator)) {
        all = ((PyTupleObject *)separator)->ob_item;
        count = PyTuple_GET_SIZE(separator);
    }
    if (size - *offset < PyBytes_GET_SIZE(all[0])) {
        return match;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        match_one(&match, all[i], bytes, size, *offset);
    }
    if (match.start < 0) {
        Py_ssize_t next = size + 1 - PyBytes_GET_SIZE(all[count - 1]);
        *offset = next > 0 ? next : 0;
    }
    return match;
}
