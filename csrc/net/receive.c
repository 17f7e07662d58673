/* Receiving: small data is copied out of the loop's scratch memory, large data
 * goes straight into a bytes object. */
#include "net/receive.h"

/* From this size on, what comes is expected to be as much as the last time. */
#define DIRECT_FROM 4096

static Py_ssize_t
receive_copied(char *scratch, PyaioReceiver receiver, PyObject *source,
               PyObject **data)
{
    struct iovec part = {scratch, PYAIO_SCRATCH_SIZE};
    Py_ssize_t size = receiver(source, &part, 1);
    if (size > 0) {
        *data = PyBytes_FromStringAndSize(scratch, size);
        return *data ? size : -1;
    }
    return size;
}

/* What is more than expected goes into the scratch memory first. */
static Py_ssize_t
receive_direct(char *scratch, PyaioReceiver receiver, PyObject *source,
               Py_ssize_t expected, PyObject **data)
{
    PyObject *op = PyBytes_FromStringAndSize(NULL, expected);
    if (op == NULL) {
        return -1;
    }
    struct iovec parts[] = {
        {PyBytes_AS_STRING(op), (size_t)expected},
        {scratch, (size_t)(PYAIO_SCRATCH_SIZE - expected)},
    };
    Py_ssize_t size =
        receiver(source, parts, expected < PYAIO_SCRATCH_SIZE ? 2 : 1);
    if (size <= 0) {
        Py_DECREF(op);
        return size;
    }
    if (size != expected && pyaio_bytes_resize(&op, size) < 0) {
        return -1;
    }
    if (size > expected) {
        memcpy(PyBytes_AS_STRING(op) + expected, scratch,
               (size_t)(size - expected));
    }
    *data = op;
    return size;
}

Py_ssize_t
pyaio_receive(PyaioScheduler *sched, PyaioReceiver receiver, PyObject *source,
              Py_ssize_t last, PyObject **data)
{
    char *scratch = pyaio_sched_scratch(sched);
    if (scratch == NULL) {
        return -1;
    }
    return last < DIRECT_FROM
               ? receive_copied(scratch, receiver, source, data)
               : receive_direct(scratch, receiver, source, last, data);
}
