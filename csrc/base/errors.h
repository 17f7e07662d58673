/* Error numbers of the lower layers as Python exceptions. */
#ifndef PYAIO_BASE_ERRORS_H
#define PYAIO_BASE_ERRORS_H

#include "base/compat.h"

#include <errno.h>

/* Sets the OSError for a positive error number; MemoryError for ENOMEM. */
static inline void
pyaio_set_errno(int number)
{
    if (number == ENOMEM) {
        PyErr_NoMemory();
        return;
    }
    errno = number;
    PyErr_SetFromErrno(PyExc_OSError);
}

/* Whether the exception that is set breaks out of the event loop. */
static inline int
pyaio_error_is_exit(void)
{
    return PyErr_ExceptionMatches(PyExc_SystemExit) ||
           PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
}

/* What a method returns that has nothing to return: None, or NULL where `err`
 * is negative and an exception is set. */
static inline PyObject *
pyaio_none_or_error(int err)
{
    return err < 0 ? NULL : Py_NewRef(Py_None);
}

/* Makes `raised`, which it steals and which may be NULL, the context of the
 * exception that is set: what happened while it was being handled. */
static inline void
pyaio_chain_exception(PyObject *raised)
{
    if (raised == NULL) {
        return;
    }
    PyObject *error = PyErr_GetRaisedException();
    if (error == raised) {
        Py_DECREF(raised);
    }
    else {
        PyException_SetContext(error, raised);
    }
    PyErr_SetRaisedException(error);
}

#endif
