/* Counters that a program may have set to anything. */
#include "sync/number.h"

int
pyaio_number_set(PyaioNumber *self, PyObject *value)
{
    Py_ssize_t plain = 0;
    int is_plain = value == NULL;
    if (value != NULL && PyLong_CheckExact(value)) {
        plain = PyLong_AsSsize_t(value);
        is_plain = plain != -1 || !PyErr_Occurred();
        PyErr_Clear();
    }
    self->plain = is_plain ? plain : 0;
    self->is_set = value != NULL;
    Py_XSETREF(self->odd, is_plain ? NULL : Py_NewRef(value));
    return 0;
}

PyObject *
pyaio_number_get(const PyaioNumber *self)
{
    return self->odd ? Py_NewRef(self->odd) : PyLong_FromSsize_t(self->plain);
}

int
pyaio_number_add_slowly(PyaioNumber *self, int step)
{
    PyObject *before = pyaio_number_get(self);
    PyObject *one = PyLong_FromLong(step);
    PyObject *sum = before && one ? PyNumber_Add(before, one) : NULL;
    Py_XDECREF(before);
    Py_XDECREF(one);
    int err = sum ? pyaio_number_set(self, sum) : -1;
    Py_XDECREF(sum);
    return err;
}

int
pyaio_number_compare(const PyaioNumber *self, const PyaioNumber *other, int op)
{
    if (self->odd == NULL && other->odd == NULL) {
        switch (op) {
        case Py_EQ:
            return self->plain == other->plain;
        case Py_GT:
            return self->plain > other->plain;
        default:
            return self->plain >= other->plain;
        }
    }
    PyObject *left = pyaio_number_get(self), *right = pyaio_number_get(other);
    PyObject *answer =
        left && right ? PyObject_RichCompare(left, right, op) : NULL;
    Py_XDECREF(left);
    Py_XDECREF(right);
    int truth = answer ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    return truth;
}
