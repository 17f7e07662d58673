/* Snapshots of the current context. */
#include "base/context.h"

typedef struct {
    PyObject_HEAD
    PyObject *context; /* owned: a copy that is never entered */
} ContextSnapshot;

/* Where a Context keeps its variables: an immutable mapping, replaced whenever
 * a variable is set. */
static inline void *
context_variables(const PyaioState *state, PyObject *context)
{
    return *(void **)(void *)((char *)context + state->context_offset);
}

static PyObject *
snapshot_new(PyaioState *state, PyObject *context)
{
    PyTypeObject *type = state->ContextSnapshot_type;
    PyObject *op = type->tp_alloc(type, 0);
    if (op != NULL) {
        ((ContextSnapshot *)op)->context = Py_NewRef(context);
    }
    return op;
}

PyObject *
pyaio_context_capture(PyaioState *state)
{
    PyObject *current = pyaio_thread_context();
    if (state->context_offset == 0 || current == NULL) {
        return PyContext_CopyCurrent();
    }
    PyObject *cached = state->snapshot;
    if (cached != NULL &&
        context_variables(state, ((ContextSnapshot *)cached)->context) ==
            context_variables(state, current)) {
        return Py_NewRef(cached);
    }
    PyObject *copy = PyContext_CopyCurrent();
    if (copy == NULL) {
        return NULL;
    }
    PyObject *fresh = snapshot_new(state, copy);
    Py_DECREF(copy);
    if (fresh != NULL) {
        Py_XSETREF(state->snapshot, Py_NewRef(fresh));
    }
    return fresh;
}

PyObject *
pyaio_context_copy_snapshot(PyObject **field)
{
    PyObject *snapshot = *field;
    if (snapshot == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "object is not initialized");
        return NULL;
    }
    PyObject *copy = PyContext_Copy(((ContextSnapshot *)snapshot)->context);
    if (copy != NULL) {
        *field = copy;
        Py_DECREF(snapshot);
    }
    return copy;
}

static int
ContextSnapshot_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(((ContextSnapshot *)op)->context);
    return 0;
}

static int
ContextSnapshot_clear(PyObject *op)
{
    /* Left alone: an immutable mapping of variables has no way back here but
     * through the objects that hold the snapshot. */
    (void)op;
    return 0;
}

static void
ContextSnapshot_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    Py_CLEAR(((ContextSnapshot *)op)->context);
    type->tp_free(op);
    Py_DECREF(type);
}

static PyType_Slot context_snapshot_slots[] = {
    {Py_tp_traverse, ContextSnapshot_traverse},
    {Py_tp_clear, ContextSnapshot_clear},
    {Py_tp_dealloc, ContextSnapshot_dealloc},
    {0, NULL},
};

static PyType_Spec context_snapshot_spec = {
    .name = "pyaio._core.ContextSnapshot",
    .basicsize = sizeof(ContextSnapshot),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = context_snapshot_slots,
};

/* Whether the word at `offset` is what a copy shares and a set() replaces. */
static int
is_variables(Py_ssize_t offset, PyObject *empty, PyObject *copy,
             PyObject *changed)
{
    void *const *words[] = {(void *)((char *)empty + offset),
                            (void *)((char *)copy + offset),
                            (void *)((char *)changed + offset)};
    return *words[0] != NULL && *words[0] == *words[1] && *words[2] != NULL &&
           *words[0] != *words[2];
}

/* A context like `copy`, in which a variable was set. */
static PyObject *
changed_context(PyObject *copy)
{
    PyObject *changed = PyContext_Copy(copy);
    PyObject *variable = PyContextVar_New("pyaio_probe", NULL);
    if (changed == NULL || variable == NULL || PyContext_Enter(changed) < 0) {
        Py_XDECREF(variable);
        Py_CLEAR(changed);
        return NULL;
    }
    PyObject *token = PyContextVar_Set(variable, Py_None);
    Py_DECREF(variable);
    if (PyContext_Exit(changed) < 0 || token == NULL) {
        Py_CLEAR(changed);
    }
    Py_XDECREF(token);
    return changed;
}

int
pyaio_context_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_add_type(module, &state->ContextSnapshot_type,
                       &context_snapshot_spec, NULL) < 0) {
        return -1;
    }
    PyObject *first = PyContext_New();
    PyObject *copy = first ? PyContext_Copy(first) : NULL;
    PyObject *changed = copy ? changed_context(copy) : NULL;
    if (changed != NULL) {
        Py_ssize_t end = Py_TYPE(first)->tp_basicsize;
        Py_ssize_t found = 0;
        int matches = 0;
        for (Py_ssize_t offset = (Py_ssize_t)sizeof(PyObject);
             offset + (Py_ssize_t)sizeof(void *) <= end;
             offset += (Py_ssize_t)sizeof(void *)) {
            if (is_variables(offset, first, copy, changed)) {
                found = offset;
                matches++;
            }
        }
        state->context_offset = matches == 1 ? found : 0;
    }
    int err = changed ? 0 : -1;
    Py_XDECREF(first);
    Py_XDECREF(copy);
    Py_XDECREF(changed);
    return err;
}
