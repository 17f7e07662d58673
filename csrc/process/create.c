/* create_subprocess_exec() and create_subprocess_shell(): a child, its
 * protocol and its transport in one coroutine, where stock has three. */
#include "base/errors.h"
#include "base/interop.h"
#include "combine/coroutine.h"
#include "combine/in_stock.h"
#include "process/process.h"
#include "process/transport.h"
#include "sched/sched.h"
#include "task/future.h"

typedef struct {
    PyaioCoroutine head;
    PyObject *arguments; /* owned: as pyaio_in_stock_pack() makes them, */
    PyObject *names;     /* owned: and their names, or NULL */
    PyObject *loop;      /* owned, NULL before the start */
    PyObject *protocol;  /* owned, NULL before the start */
    PyObject *transport; /* owned, NULL while there is no child */
    uint8_t ending;      /* it could not be connected, and is awaited */
} Create;

/* --- the child ----------------------------------------------------------- */

/* What the keyword was given as, `fallback` otherwise: borrowed. */
static PyObject *
keyword(const Create *self, const char *name, PyObject *fallback)
{
    Py_ssize_t named = self->names ? PyTuple_GET_SIZE(self->names) : 0;
    Py_ssize_t first = PyTuple_GET_SIZE(self->arguments) - named;
    for (Py_ssize_t i = 0; i < named; i++) {
        if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(self->names, i),
                                             name) == 0) {
            return PyTuple_GET_ITEM(self->arguments, first + i);
        }
    }
    return fallback;
}

static PyObject *
make_protocol(PyaioState *state, const Create *self)
{
    PyObject *limit = keyword(self, "limit", state->default_limit);
    return pyaio_call_with_limit(state, state->ChildProtocol, limit,
                                 self->loop);
}

static int
is_shell(const Create *self)
{
    return self->head.kind->function == offsetof(PyaioState, create_shell);
}

/* What is to be run: the command, or the program and its arguments. */
static PyObject *
command_of(const Create *self)
{
    Py_ssize_t named = self->names ? PyTuple_GET_SIZE(self->names) : 0;
    Py_ssize_t count = PyTuple_GET_SIZE(self->arguments) - named;
    return is_shell(self) ? Py_NewRef(PyTuple_GET_ITEM(self->arguments, 0))
                          : PyTuple_GetSlice(self->arguments, 0, count);
}

/* The keywords of a usual call; the transport's constructor takes those from
 * PASSED_ON as they are. */
static const char *const keywords[] = {
    "stdin",         "stdout", "stderr",          "limit",
    "env",           "cwd",    "restore_signals", "start_new_session",
    "process_group", NULL};
enum { PASSED_ON = 4 };

static int
add_options(const Create *self, PyObject *options)
{
    for (const char *const *name = keywords + PASSED_ON; *name != NULL;
         name++) {
        PyObject *value = keyword(self, *name, NULL);
        if (value != NULL && PyDict_SetItemString(options, *name, value) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Starts the child. */
static PyObject *
make_transport(PyaioState *state, const Create *self, PyObject *waiter)
{
    PyObject *command = command_of(self);
    PyObject *args =
        command ? Py_BuildValue("(OOOOOOOi)", self->loop, self->protocol,
                                command, is_shell(self) ? Py_True : Py_False,
                                keyword(self, "stdin", Py_None),
                                keyword(self, "stdout", Py_None),
                                keyword(self, "stderr", Py_None), 0)
                : NULL;
    PyObject *options = args ? PyDict_New() : NULL;
    PyObject *transport = NULL;
    if (options != NULL &&
        PyDict_SetItem(options, state->str_waiter, waiter) == 0 &&
        add_options(self, options) == 0) {
        transport = PyObject_Call(state->ChildTransport, args, options);
    }
    Py_XDECREF(command);
    Py_XDECREF(args);
    Py_XDECREF(options);
    return transport;
}

/* Has the transport told of the child's end: 0, or -1 with an exception. */
static int
watch(PyaioState *state, const Create *self)
{
    PyObject *pid = ((PyaioSubprocess *)self->transport)->pid;
    PyObject *watcher = PyObject_GetAttr(self->loop, state->str__watcher);
    if (watcher == NULL) {
        return -1;
    }
    int ours = (PyObject *)Py_TYPE(watcher) == state->ChildWatcher &&
               pid != NULL && PyLong_Check(pid);
    Py_DECREF(watcher);
    if (ours && pyaio_child_watch(state, self->loop, (int)PyLong_AsLong(pid),
                                  self->transport, NULL) == 0) {
        return 0;
    }
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_OSError)) {
        return -1;
    }
    PyErr_Clear(); /* a thread has to wait */
    PyObject *done = PyObject_CallMethodOneArg(
        self->loop, state->str__watch_child, self->transport);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* Whether a loop starts children in our way: 1, 0, or -1 with an exception. */
static int
is_usual(PyaioState *state, PyObject *loop)
{
    if (pyaio_sched_direct(state, loop,
                           PYAIO_LOOP_CREATE_FUTURE | PYAIO_LOOP_CHILDREN) ==
        NULL) {
        return 0;
    }
    if (state->program_watches == Py_None) {
        return 1;
    }
    PyObject *watches = PyObject_CallNoArgs(state->program_watches);
    int err = watches ? PyObject_IsTrue(watches) : -1;
    Py_XDECREF(watches);
    return err < 0 ? -1 : !err;
}

/* --- the coroutine ------------------------------------------------------- */

static PySendResult
spawn(PyaioState *state, Create *self, PyObject **result)
{
    self->protocol = make_protocol(state, self);
    PyObject *waiter =
        self->protocol ? pyaio_loop_create_future(state, self->loop) : NULL;
    if (waiter != NULL) {
        self->transport = make_transport(state, self, waiter);
    }
    PySendResult went = PYGEN_ERROR;
    if (self->transport != NULL && watch(state, self) == 0) {
        went = pyaio_await_start(state, &self->head.await, waiter, result);
    }
    else {
        Py_CLEAR(self->transport);
    }
    Py_XDECREF(waiter);
    return went;
}

/* The child could not be connected: it has to end first. */
static PySendResult
end_child(PyaioState *state, Create *self, PyObject **result)
{
    PyObject *raised = PyErr_GetRaisedException();
    PyObject *args[] = {self->transport, raised};
    PyObject *coro = PyObject_Vectorcall(state->end_child, args, 2, NULL);
    Py_DECREF(raised);
    self->ending = 1;
    return pyaio_await_call(state, &self->head.await, coro, result);
}

static PySendResult
finish(PyaioState *state, const Create *self, PyObject **result)
{
    Py_CLEAR(*result);
    PyObject *type =
        PyObject_GetAttr(state->subprocess_streams, state->str_Process);
    PyObject *args[] = {self->transport, self->protocol, self->loop};
    *result = type ? PyObject_Vectorcall(type, args, 3, NULL) : NULL;
    Py_XDECREF(type);
    return *result ? PYGEN_RETURN : PYGEN_ERROR;
}

/* What follows a step. */
static PySendResult
create_go_on(PyaioState *state, Create *self, PySendResult went,
             PyObject **result)
{
    if (went == PYGEN_NEXT || self->head.in_stock || self->ending) {
        return went;
    }
    if (went == PYGEN_RETURN) {
        return finish(state, self, result);
    }
    return self->transport == NULL || pyaio_error_is_exit()
               ? went
               : end_child(state, self, result);
}

static PySendResult
create_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    Create *self = (Create *)op;
    self->loop = pyaio_require_running_loop(state);
    int usual = self->loop ? is_usual(state, self->loop) : -1;
    if (usual == 0) {
        return pyaio_in_stock_await(
            state, op,
            pyaio_in_stock_call(state, op, self->arguments, self->names),
            result);
    }
    PySendResult went = usual < 0 ? PYGEN_ERROR : spawn(state, self, result);
    return create_go_on(state, self, went, result);
}

static PySendResult
create_send(PyaioState *state, PyaioCoroutine *op, PyObject *value,
            PyObject **result)
{
    PySendResult went = pyaio_await_send(state, &op->await, value, result);
    return create_go_on(state, (Create *)op, went, result);
}

static PySendResult
create_throw(PyaioState *state, PyaioCoroutine *op, PyObject *exception,
             PyObject **result)
{
    PySendResult went =
        pyaio_await_throw(state, &op->await, exception, result);
    return create_go_on(state, (Create *)op, went, result);
}

static PyObject *
create_mirror(PyaioState *state, PyaioCoroutine *op)
{
    Create *self = (Create *)op;
    if (!op->in_stock && op->mirror == NULL) {
        op->mirror =
            pyaio_in_stock_call(state, op, self->arguments, self->names);
    }
    return Py_XNewRef(op->in_stock ? op->await.awaited : op->mirror);
}

static int
create_traverse(PyaioCoroutine *op, visitproc visit, void *arg)
{
    Create *self = (Create *)op;
    Py_VISIT(self->arguments);
    Py_VISIT(self->loop);
    Py_VISIT(self->protocol);
    Py_VISIT(self->transport);
    return 0;
}

static void
create_clear(PyaioState *Py_UNUSED(state), PyaioCoroutine *op)
{
    Create *self = (Create *)op;
    Py_CLEAR(self->transport);
    Py_CLEAR(self->protocol);
    Py_CLEAR(self->loop);
    Py_CLEAR(self->arguments);
    Py_CLEAR(self->names);
}

/* --- the functions ------------------------------------------------------- */

#define CREATE_KIND(stock)                       \
    {                                            \
        .function = offsetof(PyaioState, stock), \
        .start = create_start,                   \
        .send = create_send,                     \
        .throw = create_throw,                   \
        .mirror = create_mirror,                 \
        .traverse = create_traverse,             \
        .clear = create_clear,                   \
    }

static const PyaioCoroutineKind exec_kind = CREATE_KIND(create_exec);
static const PyaioCoroutineKind shell_kind = CREATE_KIND(create_shell);

static int
is_known(PyObject *name)
{
    for (const char *const *known = keywords; *known != NULL; known++) {
        if (PyUnicode_CompareWithASCIIString(name, *known) == 0) {
            return 1;
        }
    }
    return 0;
}

static PyObject *
create_new(PyaioState *state, const PyaioCoroutineKind *kind,
           PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    for (Py_ssize_t i = 0; kwnames && i < PyTuple_GET_SIZE(kwnames); i++) {
        if (!is_known(PyTuple_GET_ITEM(kwnames, i))) {
            return NULL;
        }
    }
    PyTypeObject *type = state->CreateCoroutine_type;
    Create *self = (Create *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->arguments = pyaio_in_stock_pack(args, nargs, kwnames);
    self->names = Py_XNewRef(kwnames);
    if (self->arguments == NULL ||
        pyaio_coroutine_setup(&self->head, kind) < 0) {
        self->head.status = PYAIO_CORO_CLOSED; /* nobody will know of it */
        create_clear(state, &self->head);
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static PyObject *
exec_call(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames)
{
    return nargs < 1 ? NULL
                     : create_new(state, &exec_kind, args, nargs, kwnames);
}

static PyObject *
shell_call(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
           PyObject *kwnames)
{
    return nargs != 1 || !(PyUnicode_Check(args[0]) || PyBytes_Check(args[0]))
               ? NULL
               : create_new(state, &shell_kind, args, nargs, kwnames);
}

/* Tells the core what the functions make and call, and returns them, in the
 * place of those that are given, to which they leave what is unusual. */
PyObject *
pyaio_py_adopt_subprocess(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {
        "create_exec", "create_shell",    "protocol",  "transport",
        "watcher",     "program_watches", "end_child", "limit",
        "reader",      "writer",          NULL};
    enum { COUNT = 10 };
    PyaioState *state = pyaio_module_state(module);
    PyObject *given[COUNT];
    PyObject **kept[COUNT] = {
        &state->create_exec,    &state->create_shell,  &state->ChildProtocol,
        &state->ChildTransport, &state->ChildWatcher,  &state->program_watches,
        &state->end_child,      &state->default_limit, &state->StreamReader,
        &state->StreamWriter,
    };
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "$OOOOOOOOOO:_adopt_subprocess", names, &given[0],
            &given[1], &given[2], &given[3], &given[4], &given[5], &given[6],
            &given[7], &given[8], &given[9])) {
        return NULL;
    }
    for (int i = 0; i < COUNT; i++) {
        Py_XSETREF(*kept[i], Py_NewRef(given[i]));
    }
    PyObject *exec =
        pyaio_coroutine_function_new(state, state->create_exec, exec_call);
    PyObject *shell = exec ? pyaio_coroutine_function_new(
                                 state, state->create_shell, shell_call)
                           : NULL;
    PyObject *both = shell ? PyTuple_Pack(2, exec, shell) : NULL;
    Py_XDECREF(exec);
    Py_XDECREF(shell);
    return both;
}

int
pyaio_create_init(PyObject *module)
{
    return pyaio_coroutine_add_type(
        module, &pyaio_module_state(module)->CreateCoroutine_type,
        "pyaio._core.CreateCoroutine", sizeof(Create));
}
