/* A reader's buffer: one chunk as it came, or a bytearray. */
#include "stream/buffer.h"

/* Whether a chunk can stay what it is: nobody could see the array. */
static int
takes_chunk(const PyaioBuffer *self)
{
    return self->chunk == NULL &&
           (self->array == NULL || (PyByteArray_GET_SIZE(self->array) == 0 &&
                                    Py_REFCNT(self->array) == 1));
}

static int
extend_array(PyaioBuffer *self, const char *bytes, Py_ssize_t size)
{
    if (self->array == NULL) {
        self->array = PyByteArray_FromStringAndSize(bytes, size);
        return self->array ? 0 : -1;
    }
    Py_ssize_t before = PyByteArray_GET_SIZE(self->array);
    if (size > PY_SSIZE_T_MAX - before) {
        PyErr_NoMemory();
        return -1;
    }
    if (PyByteArray_Resize(self->array, before + size) < 0) {
        return -1;
    }
    memcpy(PyByteArray_AS_STRING(self->array) + before, bytes, (size_t)size);
    return 0;
}

static void
drop_chunk(PyaioBuffer *self)
{
    self->start = 0;
    Py_CLEAR(self->chunk);
}

/* Has the array hold everything. */
static int
fill_array(PyaioBuffer *self)
{
    if (self->chunk == NULL) {
        return self->array != NULL ? 0 : extend_array(self, NULL, 0);
    }
    if (extend_array(self, pyaio_buffer_bytes(self), pyaio_buffer_size(self)) <
        0) {
        return -1;
    }
    drop_chunk(self);
    return 0;
}

int
pyaio_buffer_append(PyaioBuffer *self, PyObject *data)
{
    if (takes_chunk(self)) {
        self->chunk = Py_NewRef(data);
        self->start = 0;
        return 0;
    }
    if (fill_array(self) < 0) {
        return -1;
    }
    return extend_array(self, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data));
}

int
pyaio_buffer_drop(PyaioBuffer *self, Py_ssize_t size)
{
    if (self->chunk != NULL) {
        self->start += size;
        if (self->start == PyBytes_GET_SIZE(self->chunk)) {
            drop_chunk(self);
        }
        return 0;
    }
    /* Even of nothing, so that a view that somebody holds is noticed. */
    return self->array ? PySequence_DelSlice(self->array, 0, size) : 0;
}

PyObject *
pyaio_buffer_take(PyaioBuffer *self, Py_ssize_t size)
{
    if (self->chunk != NULL && self->start == 0 &&
        size == PyBytes_GET_SIZE(self->chunk)) {
        PyObject *chunk = self->chunk;
        self->chunk = NULL;
        return chunk;
    }
    PyObject *bytes =
        PyBytes_FromStringAndSize(pyaio_buffer_bytes(self), size);
    if (bytes != NULL && pyaio_buffer_drop(self, size) < 0) {
        Py_CLEAR(bytes);
    }
    return bytes;
}

PyObject *
pyaio_buffer_share(PyaioBuffer *self)
{
    return fill_array(self) < 0 ? NULL : Py_NewRef(self->array);
}

void
pyaio_buffer_replace(PyaioBuffer *self, PyObject *array)
{
    PyObject *before = self->array;
    self->array = Py_XNewRef(array);
    drop_chunk(self);
    Py_XDECREF(before);
}
