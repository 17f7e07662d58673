/* What reads get out of the buffer, or have to wait for. */
#include "stream/read_coroutine.h"
#include "stream/separator.h"

/* --- what they have in common -------------------------------------------- */

static inline Py_ssize_t
available(const PyaioRead *self)
{
    return pyaio_buffer_size(&self->reader->buffer);
}

static PySendResult
raise_exception_of(PyaioReader *reader)
{
    pyaio_stream_raise(reader->exception);
    return PYGEN_ERROR;
}

/* Ends with the first `size` bytes. */
static PySendResult
finish(PyaioState *state, PyaioRead *self, Py_ssize_t size, PyObject **result)
{
    *result = pyaio_buffer_take(&self->reader->buffer, size);
    if (*result != NULL && pyaio_reader_resume(state, self->reader) < 0) {
        Py_CLEAR(*result);
    }
    return *result ? PYGEN_RETURN : PYGEN_ERROR;
}

/* IncompleteReadError with all there is; `expected` is stolen. */
static PySendResult
raise_incomplete(PyaioState *state, PyaioRead *self, PyObject *expected)
{
    PyObject *partial =
        expected ? pyaio_buffer_take(&self->reader->buffer, available(self))
                 : NULL;
    PyObject *error =
        partial ? PyObject_CallFunctionObjArgs(state->IncompleteReadError,
                                               partial, expected, NULL)
                : NULL;
    Py_XDECREF(partial);
    Py_XDECREF(expected);
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    return PYGEN_ERROR;
}

static PySendResult
raise_overrun(PyaioState *state, const char *message, Py_ssize_t consumed)
{
    PyObject *error = PyObject_CallFunction(state->LimitOverrunError, "sn",
                                            message, consumed);
    if (error != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    return PYGEN_ERROR;
}

/* --- read() -------------------------------------------------------------- */

/* One block of at most `most` bytes; what there is after a wait, even if that
 * is nothing. */
static PySendResult
attempt_block(PyaioState *state, PyaioRead *self, Py_ssize_t most,
              PyObject **result)
{
    if (!self->waited) {
        if (self->reader->exception != NULL) {
            return raise_exception_of(self->reader);
        }
        if (available(self) == 0 && !self->reader->eof) {
            return PYGEN_NEXT;
        }
    }
    Py_ssize_t size = available(self);
    self->waited = 0;
    return finish(state, self, size < most ? size : most, result);
}

static PySendResult
join_blocks(PyaioRead *self, PyObject **result)
{
    PyObject *empty = PyBytes_FromStringAndSize(NULL, 0);
    *result =
        empty ? PyObject_CallMethod(empty, "join", "O", self->blocks) : NULL;
    Py_XDECREF(empty);
    return *result ? PYGEN_RETURN : PYGEN_ERROR;
}

/* Everything up to the end. */
static PySendResult
attempt_all(PyaioState *state, PyaioRead *self, PyObject **result)
{
    if (self->blocks == NULL && (self->blocks = PyList_New(0)) == NULL) {
        return PYGEN_ERROR;
    }
    for (;;) {
        PySendResult went =
            attempt_block(state, self, self->reader->limit, result);
        if (went != PYGEN_RETURN) {
            return went;
        }
        PyObject *block = *result;
        *result = NULL;
        if (PyBytes_GET_SIZE(block) == 0) {
            Py_DECREF(block);
            return join_blocks(self, result);
        }
        int err = PyList_Append(self->blocks, block);
        Py_DECREF(block);
        if (err < 0) {
            return PYGEN_ERROR;
        }
    }
}

PySendResult
pyaio_attempt_read(PyaioState *state, PyaioRead *self, PyObject **result)
{
    if (self->n < 0 &&
        (self->blocks != NULL || self->reader->exception == NULL)) {
        return attempt_all(state, self, result);
    }
    if (self->n == 0 && self->reader->exception == NULL) {
        *result = PyBytes_FromStringAndSize(NULL, 0);
        return *result ? PYGEN_RETURN : PYGEN_ERROR;
    }
    return attempt_block(state, self, self->n, result);
}

/* --- readexactly() ------------------------------------------------------- */

PySendResult
pyaio_attempt_exactly(PyaioState *state, PyaioRead *self, PyObject **result)
{
    if (self->n < 0) {
        PyErr_SetString(PyExc_ValueError,
                        "readexactly size can not be less than zero");
        return PYGEN_ERROR;
    }
    if (!self->waited && self->reader->exception != NULL) {
        return raise_exception_of(self->reader);
    }
    if (self->n == 0) {
        *result = PyBytes_FromStringAndSize(NULL, 0);
        return *result ? PYGEN_RETURN : PYGEN_ERROR;
    }
    if (available(self) >= self->n) {
        return finish(state, self, self->n, result);
    }
    return self->reader->eof
               ? raise_incomplete(state, self, PyLong_FromSsize_t(self->n))
               : PYGEN_NEXT;
}

/* --- readuntil(), readline(), __anext__() ------------------------------- */

/* The end came before a separator: only readuntil() cannot do without. */
static PySendResult
end_without(PyaioState *state, PyaioRead *self, PyObject **result)
{
    if (pyaio_read_form(self)->needs_separator) {
        return raise_incomplete(state, self, Py_NewRef(Py_None));
    }
    *result = pyaio_buffer_take(&self->reader->buffer, available(self));
    return *result ? PYGEN_RETURN : PYGEN_ERROR;
}

PySendResult
pyaio_attempt_until(PyaioState *state, PyaioRead *self, PyObject **result)
{
    PyaioReader *reader = self->reader;
    if (!self->waited && reader->exception != NULL) {
        return raise_exception_of(reader);
    }
    PyaioMatch match = pyaio_separator_find(
        self->separator, pyaio_buffer_bytes(&reader->buffer), available(self),
        &self->n);
    if (match.start > reader->limit) {
        return raise_overrun(state,
                             "Separator is found, but chunk is longer than "
                             "limit",
                             match.start);
    }
    if (match.start >= 0) {
        return finish(state, self, match.end, result);
    }
    if (self->n > reader->limit) {
        return raise_overrun(state,
                             "Separator is not found, and chunk exceed the "
                             "limit",
                             self->n);
    }
    return reader->eof ? end_without(state, self, result) : PYGEN_NEXT;
}

/* Drops the line that is too long, or all of it that there is. */
static int
drop_line(PyaioState *state, PyaioReader *reader, PyObject *overrun)
{
    PyObject *place = PyObject_GetAttrString(overrun, "consumed");
    Py_ssize_t consumed = place ? PyLong_AsSsize_t(place) : -1;
    Py_XDECREF(place);
    if (consumed < 0) {
        return -1;
    }
    Py_ssize_t size = pyaio_buffer_size(&reader->buffer);
    const char *bytes = pyaio_buffer_bytes(&reader->buffer);
    if (consumed < size && bytes[consumed] == '\n') {
        size = consumed + 1;
    }
    if (pyaio_buffer_drop(&reader->buffer, size) < 0) {
        return -1;
    }
    return pyaio_reader_resume(state, reader);
}

/* Turns the LimitOverrunError that is set into a ValueError. */
static void
raise_too_long(PyaioState *state, PyaioReader *reader)
{
    PyObject *overrun = PyErr_GetRaisedException();
    if (drop_line(state, reader, overrun) == 0) {
        PyErr_Format(PyExc_ValueError, "%S", overrun);
    }
    PyObject *error = PyErr_GetRaisedException();
    PyException_SetContext(error, overrun);
    PyErr_SetRaisedException(error);
}

PySendResult
pyaio_attempt_line(PyaioState *state, PyaioRead *self, PyObject **result)
{
    PySendResult went = pyaio_attempt_until(state, self, result);
    if (went == PYGEN_ERROR &&
        PyErr_ExceptionMatches(state->LimitOverrunError)) {
        raise_too_long(state, self->reader);
    }
    return went;
}

PySendResult
pyaio_attempt_next(PyaioState *state, PyaioRead *self, PyObject **result)
{
    PySendResult went = pyaio_attempt_line(state, self, result);
    if (went == PYGEN_RETURN && PyBytes_GET_SIZE(*result) == 0) {
        Py_CLEAR(*result);
        PyErr_SetNone(PyExc_StopAsyncIteration);
        return PYGEN_ERROR;
    }
    return went;
}
