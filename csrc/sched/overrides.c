/* Which loop methods somebody replaced. */
#include "sched/sched.h"

typedef struct {
    unsigned bit;
    size_t name; /* offset of the interned name in the state */
} WatchedMethod;

#define WATCHED(bit, name) {bit, offsetof(PyaioState, str_##name)}

/* At most 64, which is how many a scheduler can note (instance_names). */
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
    WATCHED(PYAIO_LOOP_MAKE_TRANSPORT, _make_socket_transport),
    WATCHED(PYAIO_LOOP_MAKE_TRANSPORT, _ensure_fd_no_transport),
    WATCHED(PYAIO_LOOP_ACCEPT, _accept_connection),
    WATCHED(PYAIO_LOOP_ACCEPT, _accept_connection2),
    WATCHED(PYAIO_LOOP_ACCEPT, _add_reader),
    WATCHED(PYAIO_LOOP_CONNECT, _ensure_resolved),
    WATCHED(PYAIO_LOOP_CONNECT, _connect_sock),
    WATCHED(PYAIO_LOOP_CONNECT, sock_connect),
    WATCHED(PYAIO_LOOP_CONNECT, _sock_connect),
    WATCHED(PYAIO_LOOP_CONNECT, _sock_connect_cb),
    WATCHED(PYAIO_LOOP_CONNECT, _create_connection_transport),
    WATCHED(PYAIO_LOOP_CONNECT, _add_writer),
    WATCHED(PYAIO_LOOP_CONNECT, remove_writer),
    WATCHED(PYAIO_LOOP_WATCH, _ensure_fd_no_transport),
    WATCHED(PYAIO_LOOP_WATCH, _add_reader),
    WATCHED(PYAIO_LOOP_WATCH, _add_writer),
    WATCHED(PYAIO_LOOP_WATCH, remove_reader),
    WATCHED(PYAIO_LOOP_WATCH, remove_writer),
    WATCHED(PYAIO_LOOP_SENDFILE, _check_sendfile_params),
    WATCHED(PYAIO_LOOP_SENDFILE, _sock_sendfile_native),
    WATCHED(PYAIO_LOOP_SENDFILE, _sock_sendfile_native_impl),
    WATCHED(PYAIO_LOOP_SENDFILE, _sock_sendfile_update_filepos),
    WATCHED(PYAIO_LOOP_SENDFILE, add_writer),
    WATCHED(PYAIO_LOOP_PIPES, connect_read_pipe),
    WATCHED(PYAIO_LOOP_PIPES, connect_write_pipe),
    WATCHED(PYAIO_LOOP_PIPES, _make_read_pipe_transport),
    WATCHED(PYAIO_LOOP_PIPES, _make_write_pipe_transport),
    WATCHED(PYAIO_LOOP_CHILDREN, subprocess_exec),
    WATCHED(PYAIO_LOOP_CHILDREN, subprocess_shell),
    WATCHED(PYAIO_LOOP_CHILDREN, _make_subprocess_transport),
    WATCHED(PYAIO_LOOP_CHILDREN, _watch_child),
};

#define WATCHED_COUNT (sizeof(watched_methods) / sizeof(watched_methods[0]))

static PyObject *
watched_name(const PyaioState *state, size_t i)
{
    return pyaio_state_object(state, watched_methods[i].name);
}

/* Whether a function stands in a module of asyncio's or of ours, whatever name
 * it goes by. */
static int
is_function_of_ours(PyObject *op)
{
    PyObject *module =
        PyDict_GetItemString(PyFunction_GET_GLOBALS(op), "__name__");
    const char *name =
        module && PyUnicode_Check(module) ? PyUnicode_AsUTF8(module) : NULL;
    return name != NULL && (strncmp(name, "asyncio.", 8) == 0 ||
                            strncmp(name, "pyaio.", 6) == 0);
}

/* Whether nobody had replaced a method when our class was made. */
static int
is_original(const PyaioState *state, PyObject *method)
{
    if (Py_IS_TYPE(method, &PyMethodDescr_Type)) {
        return ((PyMethodDescrObject *)method)->d_common.d_type ==
               state->EventLoopBase_type;
    }
    return Py_IS_TYPE(method, state->CoroutineFunction_type) ||
           (PyFunction_Check(method) && is_function_of_ours(method));
}

int
pyaio_sched_note_originals(PyaioState *state, PyObject *type)
{
    PyObject *originals = PyTuple_New(WATCHED_COUNT);
    for (size_t i = 0; originals != NULL && i < WATCHED_COUNT; i++) {
        PyObject *method = PyObject_GetAttr(type, watched_name(state, i));
        if (method == NULL) {
            Py_CLEAR(originals);
            break;
        }
        if (!is_original(state, method)) {
            Py_SETREF(method, Py_NewRef(Py_None));
        }
        PyTuple_SET_ITEM(originals, (Py_ssize_t)i, method);
    }
    PyErr_Clear();
    Py_XSETREF(state->loop_originals, originals);
    return originals ? 0 : -1;
}

/* Whether `type` resolves the name to what it was at first. */
static int
type_has_original(const PyaioState *state, PyTypeObject *type, size_t i)
{
    PyObject *found =
        PyObject_GetAttr((PyObject *)type, watched_name(state, i));
    int same = found == PyTuple_GET_ITEM(state->loop_originals, (Py_ssize_t)i);
    Py_XDECREF(found);
    return same;
}

void
pyaio_sched_check_overrides(PyaioScheduler *sched)
{
    PyaioState *state = sched->state;
    PyTypeObject *type = Py_TYPE(sched->loop);
    if (state->loop_originals == NULL) {
        sched->overridden = ~0u; /* the module is being torn down */
        return;
    }
    PyObject *raised = PyErr_GetRaisedException();
    unsigned overridden = 0;
    for (size_t i = 0; i < WATCHED_COUNT; i++) {
        if (((sched->instance_names >> i) & 1) ||
            !type_has_original(state, type, i)) {
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
    int interned = PyUnicode_CHECK_INTERNED(name) != 0;
    for (size_t i = 0; i < WATCHED_COUNT; i++) {
        PyObject *watched = watched_name(sched->state, i);
        if (watched == name || (!interned && watched != NULL &&
                                PyUnicode_Compare(name, watched) == 0)) {
            uint64_t bit = (uint64_t)1 << i;
            sched->instance_names = present ? sched->instance_names | bit
                                            : sched->instance_names & ~bit;
            sched->type_tag = 0;
        }
    }
}
