/* Contexts that are copied when they are first entered, not when a callback or
 * a task is made.
 *
 * call_soon() and create_task() take a copy of the current context. Most
 * copies
 * would hold the same variables; so what is stored first is a snapshot, one
 * object for all who ask while no variable changes. Nobody ever enters it:
 * pyaio_context_resolve() puts a copy of one's own in its place.
 *
 * Whether the variables are the same is seen from a private field of
 * CPython's Context, found and verified at import. Where it was not found,
 * every capture is a copy. */
#ifndef PYAIO_BASE_CONTEXT_H
#define PYAIO_BASE_CONTEXT_H

#include "base/state.h"

/* The current context's variables, to be kept in a field that is read through
 * pyaio_context_resolve() only: a new reference. */
PyObject *pyaio_context_capture(PyaioState *state);

PyObject *pyaio_context_copy_snapshot(PyObject **field);

/* The context behind a field that pyaio_context_capture() filled (or that
 * holds
 * any other context): borrowed from the field, NULL with an exception. */
static inline PyObject *
pyaio_context_resolve(PyaioState *state, PyObject **field)
{
    PyObject *context = *field;
    if (context != NULL && !Py_IS_TYPE(context, state->ContextSnapshot_type)) {
        return context;
    }
    return pyaio_context_copy_snapshot(field);
}

int pyaio_context_init(PyObject *module);

#endif
