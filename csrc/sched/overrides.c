/* Which loop methods somebody replaced. */
#include "sched/sched.h"

typedef struct {
    unsigned bit;
    size_t name; /* offset of the interned name in the state */
} WatchedMethod;

#define WATCHED(bit, name) {bit, offsetof(PyaioState, str_##name)}

static const WatchedMethod watched_methods[] = {
    WATCHED(PYAIO_LOOP_CALL_SOON, call_soon),
    WATCHED(PYAIO_LOOP_CALL_AT, call_at),
    WATCHED(PYAIO_LOOP_CALL_LATER, call_later),
    WATCHED(PYAIO_LOOP_TIME, time),
    WATCHED(PYAIO_LOOP_CREATE_FUTURE, create_future),
    WATCHED(PYAIO_LOOP_CREATE_TASK, create_task),
    WATCHED(PYAIO_LOOP_GET_DEBUG, get_debug),
    WATCHED(PYAIO_LOOP_TIMER_CANCELLED, _timer_handle_cancelled),
    WATCHED(PYAIO_LOOP_IS_RUNNING, is_running),
    WATCHED(PYAIO_LOOP_CALL_SOON_THREADSAFE, call_soon_threadsafe),
    WATCHED(PYAIO_LOOP_RUN_IN_EXECUTOR, run_in_executor),
};

#define WATCHED_COUNT (sizeof(watched_methods) / sizeof(watched_methods[0]))

static PyObject *
watched_name(const PyaioState *state, size_t i)
{
    const char *field = (const char *)state + watched_methods[i].name;
    return *(PyObject *const *)(const void *)field;
}

/* Whether `type` resolves `name` to the method that our C type defines. */
static int
type_is_original(const PyaioState *state, PyTypeObject *type, PyObject *name)
{
    PyTypeObject *ours = state->EventLoopBase_type;
    PyObject *found = PyObject_GetAttr((PyObject *)type, name);
    int same = found != NULL && Py_IS_TYPE(found, &PyMethodDescr_Type) &&
               ((PyMethodDescrObject *)found)->d_common.d_type == ours;
    Py_XDECREF(found);
    return same;
}

void
pyaio_sched_check_overrides(PyaioScheduler *sched)
{
    PyaioState *state = sched->state;
    PyTypeObject *type = Py_TYPE(sched->loop);
    if (state->str_call_soon == NULL || state->EventLoopBase_type == NULL) {
        sched->overridden = ~0u; /* the module is being torn down */
        return;
    }
    PyObject *raised = PyErr_GetRaisedException();
    unsigned overridden = sched->instance_overridden;
    for (size_t i = 0; i < WATCHED_COUNT; i++) {
        if (!type_is_original(state, type, watched_name(state, i))) {
            overridden |= watched_methods[i].bit;
        }
    }
    PyErr_Clear();
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
    sched->overridden = overridden;
    sched->type_tag = type->tp_version_tag;
}

void
pyaio_sched_attribute_set(PyaioScheduler *sched, PyObject *name, int present)
{
    if (sched->state == NULL || !PyUnicode_Check(name)) {
        return;
    }
    for (size_t i = 0; i < WATCHED_COUNT; i++) {
        PyObject *watched = watched_name(sched->state, i);
        if (watched != NULL && PyUnicode_Compare(name, watched) == 0) {
            unsigned bit = watched_methods[i].bit;
            if (present) {
                sched->instance_overridden |= bit;
            }
            else {
                sched->instance_overridden &= ~bit;
            }
            sched->type_tag = 0;
        }
    }
}
