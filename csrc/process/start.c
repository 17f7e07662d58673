/* Starting the child of a transport, as Popen would. */
#include "process/spawn.h"
#include "process/transport.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Popen's names for what is no descriptor. */
enum { TO_PIPE = -1, TO_OUTPUT = -2, TO_DEVNULL = -3 };

/* A NULL-terminated array of C strings. */
typedef struct {
    PyObject *list;  /* owned: the bytes objects that they lie in */
    char **pointers; /* NULL where there are none */
} StringArray;

/* A child while it is being started. */
typedef struct {
    PyaioSpawnOrder order;
    StringArray argv, paths, env;
    PyObject *command; /* owned: list */
    PyObject *folder;  /* owned: bytes, or NULL */
    int mine[3];       /* our ends of its pipes, -1 for none */
    int theirs[4];     /* closed once the child has them */
    int their_count;
    int devnull; /* -1 where it was not opened */
} Start;

/* --- strings ------------------------------------------------------------- */

static void
strings_clear(StringArray *strings)
{
    PyMem_Free(strings->pointers);
    Py_CLEAR(strings->list);
}

/* From a sequence of what names files: str, bytes or path-like. */
static int
strings_fill(StringArray *strings, PyObject *sequence)
{
    PyObject *items = PySequence_Tuple(sequence);
    if (items == NULL) {
        return -1;
    }
    Py_ssize_t count = PyTuple_GET_SIZE(items);
    strings->list = PyList_New(0);
    strings->pointers = PyMem_Calloc((size_t)count + 1, sizeof(char *));
    int err = strings->list && strings->pointers ? 0 : -1;
    if (strings->pointers == NULL) {
        PyErr_NoMemory();
    }
    for (Py_ssize_t i = 0; err == 0 && i < count; i++) {
        PyObject *bytes;
        if (!PyUnicode_FSConverter(PyTuple_GET_ITEM(items, i), &bytes)) {
            err = -1;
            break;
        }
        strings->pointers[i] = PyBytes_AS_STRING(bytes);
        err = PyList_Append(strings->list, bytes);
        Py_DECREF(bytes);
    }
    Py_DECREF(items);
    return err;
}

static int
is_name(PyObject *op)
{
    return PyUnicode_Check(op) || PyBytes_Check(op);
}

/* What is executed, with the program first: a list. */
static PyObject *
command_of(const PyaioChildPlan *plan)
{
    PyObject *args = plan->args;
    if (plan->shell) {
        return is_name(args) ? Py_BuildValue("[ssO]", "/bin/sh", "-c", args)
                             : NULL;
    }
    return is_name(args) ? Py_BuildValue("[O]", args) : PySequence_List(args);
}

/* Where to look for the program. */
static int
fill_paths(PyaioSubprocess *self, Start *start, const PyaioChildPlan *plan)
{
    PyObject *program;
    if (PyList_GET_SIZE(start->command) == 0 ||
        !PyUnicode_FSConverter(PyList_GET_ITEM(start->command, 0), &program)) {
        return -1;
    }
    PyObject *paths = strchr(PyBytes_AS_STRING(program), '/') != NULL
                          ? PyTuple_Pack(1, program)
                          : PyObject_CallMethod((PyObject *)self, "_paths",
                                                "OO", program, plan->env);
    Py_DECREF(program);
    int err = paths ? strings_fill(&start->paths, paths) : -1;
    Py_XDECREF(paths);
    return err;
}

static int
fill_environment(PyaioSubprocess *self, Start *start,
                 const PyaioChildPlan *plan)
{
    if (plan->env == Py_None) {
        return 0;
    }
    PyObject *pairs =
        PyObject_CallMethod((PyObject *)self, "_environment", "O", plan->env);
    int err = pairs ? strings_fill(&start->env, pairs) : -1;
    Py_XDECREF(pairs);
    return err;
}

/* The group to join: -1 for none, or with an exception. */
static pid_t
process_group_of(PyObject *given)
{
    if (given == Py_None) {
        return -1;
    }
    long number = PyLong_AsLong(given);
    pid_t group = (pid_t)number;
    if (group != number) {
        PyErr_SetString(PyExc_OverflowError, "process_group is too large");
    }
    return group;
}

static int
fill_options(Start *start, const PyaioChildPlan *plan)
{
    PyaioSpawnOrder *order = &start->order;
    if (!PyBool_Check(plan->restore_signals) ||
        !PyBool_Check(plan->new_session)) {
        return -1; /* what they mean differs by version */
    }
    order->restore_signals = plan->restore_signals == Py_True;
    order->new_session = plan->new_session == Py_True;
    order->process_group = process_group_of(plan->process_group);
    if (plan->cwd != Py_None) {
        if (!PyUnicode_FSConverter(plan->cwd, &start->folder)) {
            return -1;
        }
        order->cwd = PyBytes_AS_STRING(start->folder);
    }
    order->argv = start->argv.pointers;
    order->paths = start->paths.pointers;
    order->env = start->env.pointers;
    return PyErr_Occurred() ? -1 : 0;
}

/* --- standard files ------------------------------------------------------ */

/* All of these return a descriptor, or -1 where Popen is to say more. */

static int
open_pipe(Start *start, int number)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return -1;
    }
    int mine = number == 0 ? ends[1] : ends[0];
    int theirs = number == 0 ? ends[0] : ends[1];
    start->mine[number] = mine;
    start->theirs[start->their_count++] = theirs;
    return mine < 3 || theirs < 3 ? -1 : theirs;
}

static int
open_devnull(Start *start)
{
    if (start->devnull < 0) {
        start->devnull = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (start->devnull >= 0) {
            start->theirs[start->their_count++] = start->devnull;
        }
    }
    return start->devnull;
}

static int
open_file(Start *start, int number, PyObject *given)
{
    if (PyLong_CheckExact(given)) {
        int overflow;
        switch (PyLong_AsLongAndOverflow(given, &overflow)) {
        case TO_PIPE:
            return overflow ? -1 : open_pipe(start, number);
        case TO_DEVNULL:
            return open_devnull(start);
        case TO_OUTPUT:
            return number == 2 ? start->order.files[1] : -1;
        default:
            break;
        }
    }
    return PyBool_Check(given) ? -1 : PyObject_AsFileDescriptor(given);
}

static int
open_files(Start *start, const PyaioChildPlan *plan)
{
    int err = 0;
    for (int i = 0; i < 3; i++) {
        start->mine[i] = start->order.files[i] = -1;
    }
    for (int i = 0; err == 0 && i < 3; i++) {
        if (plan->files[i] != Py_None) {
            start->order.files[i] = open_file(start, i, plan->files[i]);
            err = start->order.files[i] < 0 ? -1 : 0;
        }
    }
    return err;
}

static void
close_all(int *files, int count)
{
    for (int i = 0; i < count; i++) {
        if (files[i] >= 0) {
            (void)close(files[i]);
            files[i] = -1;
        }
    }
}

/* --- starting ------------------------------------------------------------ */

/* What subprocess does before it starts another child. */
static int
reap_forgotten(PyaioState *state)
{
    PyObject *module = state->subprocess_module;
    PyObject *active = PyObject_GetAttr(module, state->str__active);
    int any = active ? PyObject_IsTrue(active) : -1;
    Py_XDECREF(active);
    if (any <= 0) {
        return any;
    }
    PyObject *done = PyObject_CallMethod(module, "_cleanup", NULL);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int
prepare(PyaioSubprocess *self, Start *start, const PyaioChildPlan *plan)
{
    start->command = command_of(plan);
    return start->command != NULL &&
                   strings_fill(&start->argv, start->command) == 0 &&
                   fill_paths(self, start, plan) == 0 &&
                   fill_environment(self, start, plan) == 0 &&
                   fill_options(start, plan) == 0
               ? 0
               : -1;
}

/* As Popen's constructor, where it is certain how that names the program. */
static int
raise_failure(const Start *start, const PyaioChildPlan *plan)
{
    if (start->order.stage == PYAIO_SPAWN_SETUP ||
        !is_name(PyList_GET_ITEM(start->command, 0))) {
        return 0;
    }
    errno = start->order.failure;
    PyErr_SetFromErrnoWithFilenameObject(
        PyExc_OSError, start->order.stage == PYAIO_SPAWN_CHDIR
                           ? plan->cwd
                           : PyList_GET_ITEM(start->command, 0));
    return -1;
}

static int
spawn(PyaioSubprocess *self, Start *start, const PyaioChildPlan *plan)
{
    pid_t pid = pyaio_spawn(&start->order);
    if (pid < 0) {
        return raise_failure(start, plan);
    }
    self->pid = PyLong_FromLong(pid);
    if (self->pid == NULL) {
        return -1;
    }
    self->args = Py_NewRef(plan->args);
    self->devnull = start->devnull;
    for (int i = 0; i < 3; i++) {
        self->files[i] = start->mine[i];
        start->mine[i] = -1;
    }
    return 1;
}

static void
start_clear(Start *start)
{
    close_all(start->theirs, start->their_count);
    close_all(start->mine, 3);
    strings_clear(&start->argv);
    strings_clear(&start->paths);
    strings_clear(&start->env);
    Py_XDECREF(start->command);
    Py_XDECREF(start->folder);
}

int
pyaio_subprocess_start(PyaioState *state, PyaioSubprocess *self,
                       const PyaioChildPlan *plan)
{
    Start start;
    memset(&start, 0, sizeof(start));
    start.devnull = -1;
    for (int i = 0; i < 3; i++) {
        start.mine[i] = -1;
    }
    int result = -1;
    if (reap_forgotten(state) < 0) {
        return -1;
    }
    if (prepare(self, &start, plan) < 0) {
        /* Popen says what is wrong. */
        result = PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception)
                     ? -1
                     : 0;
        goto done;
    }
    if (open_files(&start, plan) < 0) {
        result = 0;
        goto done;
    }
    if (PySys_Audit("subprocess.Popen", "OOOO",
                    PyList_GET_ITEM(start.command, 0), start.command,
                    plan->cwd, plan->env) < 0) {
        goto done;
    }
    result = spawn(self, &start, plan);
done:
    if (result == 0) {
        PyErr_Clear();
    }
    start_clear(&start);
    return result;
}
