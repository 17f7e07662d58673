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

#define NAME(name) offsetof(PyaioState, str_##name)

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

static int
is_shell(const Create *self)
{
    return self->head.kind->function == offsetof(PyaioState, create_shell);
}

static Py_ssize_t
count_named(const Create *self)
{
    return self->names ? PyTuple_GET_SIZE(self->names) : 0;
}

/* What is to be run: the command, or the program and its arguments. */
static PyObject *
command_of(const Create *self)
{
    Py_ssize_t count = PyTuple_GET_SIZE(self->arguments) - count_named(self);
    return is_shell(self) ? Py_NewRef(PyTuple_GET_ITEM(self->arguments, 0))
                          : PyTuple_GetSlice(self->arguments, 0, count);
}

/* The keywords of a usual call, and where they go: the first of them are not
 * among the transport's own. */
#define PLAN(field) offsetof(PyaioChildPlan, field)
static const struct {
    size_t name;  /* place in the state */
    size_t place; /* in the plan */
} keywords[] = {
    {NAME(limit), 0},
    {NAME(stdin), PLAN(files[0])},
    {NAME(stdout), PLAN(files[1])},
    {NAME(stderr), PLAN(files[2])},
    {NAME(env), PLAN(env)},
    {NAME(cwd), PLAN(cwd)},
    {NAME(restore_signals), PLAN(restore_signals)},
    {NAME(start_new_session), PLAN(new_session)},
    {NAME(process_group), PLAN(process_group)},
};
enum {
    LIMIT = 0,
    OPTIONS = 4, /* the transport's own begin here */
    KEYWORDS = sizeof(keywords) / sizeof(keywords[0]),
};

/* Where a keyword stands in the table: KEYWORDS for one that is not known. */
static int
find_keyword(const PyaioState *state, PyObject *name)
{
    int i = 0;
    while (i < KEYWORDS &&
           pyaio_state_object(state, keywords[i].name) != name) {
        i++;
    }
    return i;
}

/* A keyword's value: borrowed. */
static PyObject *
named_value(const Create *self, Py_ssize_t i)
{
    Py_ssize_t first = PyTuple_GET_SIZE(self->arguments) - count_named(self);
    return PyTuple_GET_ITEM(self->arguments, first + i);
}

/* Sorts the keywords into the plan; the limit is returned, borrowed. */
static PyObject *
fill_plan(const PyaioState *state, const Create *self, PyaioChildPlan *plan)
{
    PyObject *limit = state->default_limit;
    for (Py_ssize_t i = 0; i < count_named(self); i++) {
        int found = find_keyword(state, PyTuple_GET_ITEM(self->names, i));
        PyObject *value = named_value(self, i);
        if (found == LIMIT) {
            limit = value;
        }
        else {
            char *place = (char *)plan + keywords[found].place;
            *(PyObject **)(void *)place = value;
        }
    }
    return limit;
}

/* The keywords for the transport's constructor: a new dict. */
static PyObject *
options_of(const PyaioState *state, const Create *self, PyObject *waiter)
{
    PyObject *options = PyDict_New();
    int err =
        options ? PyDict_SetItem(options, state->str_waiter, waiter) : -1;
    for (Py_ssize_t i = 0; err == 0 && i < count_named(self); i++) {
        PyObject *name = PyTuple_GET_ITEM(self->names, i);
        if (find_keyword(state, name) >= OPTIONS) {
            err = PyDict_SetItem(options, name, named_value(self, i));
        }
    }
    if (err < 0) {
        Py_CLEAR(options);
    }
    return options;
}

/* By the constructor of the class, or stock's alone for a transport that was
 * allocated already. Steals `op`. */
static PyObject *
construct_by_arguments(PyaioState *state, const Create *self,
                       const PyaioConstruction *made, PyObject *op)
{
    const PyaioChildPlan *plan = &made->plan;
    PyObject *options = options_of(state, self, made->waiter);
    PyObject *args =
        options
            ? Py_BuildValue("(OOOOOOOi)", made->loop, made->protocol,
                            plan->args, plan->shell ? Py_True : Py_False,
                            plan->files[0], plan->files[1], plan->files[2], 0)
            : NULL;
    if (args == NULL) {
        Py_CLEAR(op);
    }
    else if (op == Py_None) {
        Py_SETREF(op, PyObject_Call(state->ChildTransport, args, options));
    }
    else if (pyaio_subprocess_construct_in_stock(state, op, args, options) <
             0) {
        Py_CLEAR(op);
    }
    Py_XDECREF(args);
    Py_XDECREF(options);
    return op;
}

/* Starts the child. */
static PyObject *
make_transport(PyaioState *state, const Create *self,
               const PyaioConstruction *made)
{
    PyObject *op = pyaio_subprocess_alloc(state);
    if (op == NULL) {
        return NULL;
    }
    int done =
        op == Py_None
            ? 0
            : pyaio_subprocess_construct(state, (PyaioSubprocess *)op, made);
    if (done == 0) {
        return construct_by_arguments(state, self, made, op);
    }
    if (done < 0) {
        Py_CLEAR(op);
    }
    return op;
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
    PyObject *command = command_of(self);
    if (command == NULL) {
        return PYGEN_ERROR;
    }
    PyaioConstruction made = {pyaio_child_plan(command, is_shell(self)),
                              self->loop, NULL, NULL};
    PyObject *limit = fill_plan(state, self, &made.plan);
    made.protocol = self->protocol =
        pyaio_child_protocol_new(state, limit, self->loop);
    made.waiter =
        made.protocol ? pyaio_loop_create_future(state, self->loop) : NULL;
    if (made.waiter != NULL) {
        self->transport = make_transport(state, self, &made);
    }
    Py_DECREF(command);
    PySendResult went = PYGEN_ERROR;
    if (self->transport != NULL && watch(state, self) == 0) {
        went =
            pyaio_await_start(state, &self->head.await, made.waiter, result);
    }
    else {
        Py_CLEAR(self->transport);
    }
    Py_XDECREF(made.waiter);
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
    if (type == state->stock_Process) {
        Py_SETREF(type, Py_NewRef(state->Process));
    }
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

static PyObject *
create_new(PyaioState *state, const PyaioCoroutineKind *kind,
           PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    for (Py_ssize_t i = 0; kwnames && i < PyTuple_GET_SIZE(kwnames); i++) {
        if (find_keyword(state, PyTuple_GET_ITEM(kwnames, i)) == KEYWORDS) {
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
    static char *names[] = {"create_exec", "create_shell", "protocol",
                            "transport",   "watcher",      "program_watches",
                            "end_child",   "limit",        "reader",
                            "writer",      "process",      NULL};
    enum { COUNT = 11 };
    PyaioState *state = pyaio_module_state(module);
    PyObject *given[COUNT];
    PyObject **kept[COUNT] = {
        &state->create_exec,    &state->create_shell,  &state->ChildProtocol,
        &state->ChildTransport, &state->ChildWatcher,  &state->program_watches,
        &state->end_child,      &state->default_limit, &state->StreamReader,
        &state->StreamWriter,   &state->Process,
    };
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "$OOOOOOOOOOO:_adopt_subprocess", names, &given[0],
            &given[1], &given[2], &given[3], &given[4], &given[5], &given[6],
            &given[7], &given[8], &given[9], &given[10])) {
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
