/* Seeing the end of a child: its process descriptor, watched by a loop. */
#include "base/context.h"
#include "base/errors.h"
#include "process/process.h"
#include "sched/sched.h"
#include "sched/watch.h"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
/* P_PIDFD, which older C libraries do not know. */
#define BY_DESCRIPTOR ((idtype_t)3)

typedef struct {
    PyObject_HEAD
    PyObject *loop;      /* owned */
    PyObject *callback;  /* owned: what is called, */
    PyObject *arguments; /* owned: tuple, after process id and exit code */
    PyObject *context;   /* base/context.h: in which it is called */
    pid_t pid;
    int fd; /* owned: the process descriptor; -1 once it is closed */
} Child;

static int
Child_traverse(PyObject *op, visitproc visit, void *arg)
{
    Child *self = (Child *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->loop);
    Py_VISIT(self->callback);
    Py_VISIT(self->arguments);
    Py_VISIT(self->context);
    return 0;
}

static int
Child_clear(PyObject *op)
{
    Child *self = (Child *)op;
    Py_CLEAR(self->loop);
    Py_CLEAR(self->callback);
    Py_CLEAR(self->arguments);
    Py_CLEAR(self->context);
    return 0;
}

static void
child_close(Child *self)
{
    if (self->fd >= 0) {
        (void)close(self->fd);
        self->fd = -1;
    }
}

static void
Child_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    child_close((Child *)op);
    (void)Child_clear(op);
    type->tp_free(op);
    Py_DECREF(type);
}

/* Whether os.waitpid() is what it was. */
static int
waits_as_usual(const PyaioState *state)
{
    PyObject *names = PyModule_GetDict(state->os_module);
    return PyDict_GetItemWithError(names, state->str_waitpid) ==
           state->stock_waitpid;
}

/* The exit code of the child, which has ended, by its descriptor: 1, 0 where
 * that is not to be had. */
static int
take_code(const Child *self, int *code)
{
    siginfo_t info = {0};
    if (waitid(BY_DESCRIPTOR, (id_t)self->fd, &info, WEXITED | WNOHANG) < 0 ||
        info.si_pid != self->pid) {
        return 0;
    }
    *code = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    return 1;
}

/* os.waitpid(), or what somebody put there: the status of the child, which has
 * ended. Returns 0, or -1 with an exception. */
static int
child_wait(PyaioState *state, const Child *self, int *status)
{
    PyObject *pair = PyObject_CallMethod(state->os_module, "waitpid", "ii",
                                         (int)self->pid, 0);
    int pid;
    int err = pair && PyArg_ParseTuple(pair, "ii", &pid, status) ? 0 : -1;
    Py_XDECREF(pair);
    return err;
}

/* Reaps the child. *code is its exit code, 255 where somebody else was faster.
 * Returns 0, or -1 with an exception. */
static int
child_reap(PyaioState *state, const Child *self, int *code)
{
    int status;
    if (waits_as_usual(state) && take_code(self, code)) {
        return 0;
    }
    if (child_wait(state, self, &status) == 0) {
        *code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
        return 0;
    }
    if (!PyErr_ExceptionMatches(PyExc_ChildProcessError)) {
        return -1;
    }
    PyErr_Clear();
    *code = 255;
    PyObject *done = PyObject_CallMethod(
        state->logger, "warning", "si",
        "child process pid %d exit status already read:  will report "
        "returncode 255",
        (int)self->pid);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* transport._process_exited(code) */
static int
child_tell_transport(PyaioState *state, PyObject *transport, int code)
{
    PyObject *number = PyLong_FromLong(code);
    PyObject *done =
        number ? PyObject_CallMethodOneArg(transport,
                                           state->str__process_exited, number)
               : NULL;
    Py_XDECREF(number);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* callback(pid, code, *arguments); or the callback is a transport of ours. */
static int
child_tell(PyaioState *state, const Child *self, int code)
{
    if (PyObject_TypeCheck(self->callback, state->Subprocess_type)) {
        return child_tell_transport(state, self->callback, code);
    }
    PyObject *head = Py_BuildValue("(ii)", (int)self->pid, code);
    PyObject *args = head ? PySequence_Concat(head, self->arguments) : NULL;
    PyObject *callback = Py_NewRef(self->callback);
    PyObject *done = args ? PyObject_Call(callback, args, NULL) : NULL;
    Py_DECREF(callback);
    Py_XDECREF(head);
    Py_XDECREF(args);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* In the turn in which the poller says so the child is reaped and its end
 * told of. */
static int
ended_run(PyaioState *state, PyObject *a, PyObject *Py_UNUSED(b))
{
    Child *self = (Child *)a;
    PyaioScheduler *sched =
        self->loop ? pyaio_scheduler_of(state, self->loop) : NULL;
    if (sched == NULL ||
        !pyaio_watch_take(sched, self->fd, PYAIO_POLL_READ, a)) {
        return 0;
    }
    pyaio_watch_remove_of(sched, self->fd, PYAIO_POLL_READ, a);
    int code;
    int err = child_reap(state, self, &code);
    child_close(self);
    return err < 0 ? -1 : child_tell(state, self, code);
}

static PyObject *
ended_context(PyaioState *state, PyObject *a)
{
    return pyaio_context_resolve(state, &((Child *)a)->context);
}

static const PyaioReadyKind ended = {
    .name = "_PidfdChildWatcher._do_wait",
    .run = ended_run,
    .context = ended_context,
};

int
pyaio_child_watch(PyaioState *state, PyObject *loop, int pid,
                  PyObject *callback, PyObject *arguments)
{
    PyaioScheduler *sched = pyaio_scheduler_of(state, loop);
    if (sched == NULL || sched->poller == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
        return -1;
    }
    Child *self = (Child *)state->Child_type->tp_alloc(state->Child_type, 0);
    if (self == NULL) {
        return -1;
    }
    self->loop = Py_NewRef(loop);
    self->callback = Py_NewRef(callback);
    self->arguments = Py_XNewRef(arguments);
    self->context = pyaio_context_capture(state);
    self->pid = pid;
    self->fd = (int)syscall(SYS_pidfd_open, pid, 0);
    int err = -1;
    if (self->fd < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
    }
    else if (self->context != NULL) {
        err = pyaio_watch_add(sched, self->fd, PYAIO_POLL_READ, &ended,
                              (PyObject *)self, NULL);
    }
    Py_DECREF(self);
    return err;
}

/* _watch_child(loop, pid, callback, args) */
PyObject *
pyaio_py_watch_child(PyObject *module, PyObject *args)
{
    PyObject *loop, *callback, *arguments;
    int pid;
    if (!PyArg_ParseTuple(args, "OiOO!:_watch_child", &loop, &pid, &callback,
                          &PyTuple_Type, &arguments)) {
        return NULL;
    }
    return pyaio_none_or_error(pyaio_child_watch(
        pyaio_module_state(module), loop, pid, callback, arguments));
}

static PyType_Slot child_slots[] = {
    {Py_tp_traverse, Child_traverse},
    {Py_tp_clear, Child_clear},
    {Py_tp_dealloc, Child_dealloc},
    {0, NULL},
};

static PyType_Spec child_spec = {
    .name = "pyaio._core._Child",
    .basicsize = sizeof(Child),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = child_slots,
};

int
pyaio_child_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    return pyaio_add_type(module, &state->Child_type, &child_spec, NULL);
}
