/* What becomes of the transport of a subprocess. */
#include "process/transport.h"
#include "base/context.h"
#include "base/errors.h"
#include "net/party.h"
#include "net/pipe.h"
#include "process/child_pipe.h"
#include "sched/sched.h"
#include "task/future.h"

/* --- what is made when somebody looks ------------------------------------ */

PyObject *
pyaio_subprocess_file(PyaioState *state, PyaioSubprocess *self, int number)
{
    if (self->ends[number] == NULL && self->files[number] >= 0) {
        self->ends[number] =
            PyObject_CallFunction(state->FileIO, "is", self->files[number],
                                  number == 0 ? "wb" : "rb");
        if (self->ends[number] != NULL) {
            self->files[number] = -1; /* it closes the descriptor */
        }
        return self->ends[number];
    }
    PyObject *end = self->ends[number];
    if (end != NULL && (Py_IS_TYPE(end, state->ReadPipe_type) ||
                        Py_IS_TYPE(end, state->WritePipe_type))) {
        return pyaio_pipe_object(state, (PyaioPipe *)end);
    }
    return end ? end : Py_None;
}

PyObject *
pyaio_subprocess_pipe(PyaioState *state, const PyaioSubprocess *self,
                      PyObject *fd)
{
    if (self->pipes == NULL) {
        return PyObject_Hash(fd) == -1 ? NULL : Py_NewRef(Py_None);
    }
    PyObject *protocol = Py_XNewRef(PyDict_GetItemWithError(self->pipes, fd));
    if (protocol == NULL) {
        return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
    }
    PyObject *pipe = PyObject_GetAttr(protocol, state->str_pipe);
    Py_DECREF(protocol);
    return pipe;
}

/* Stock's attribute `subprocess` of the transport and in its information. */
PyObject *
pyaio_subprocess_popen(PyaioState *state, PyaioSubprocess *self)
{
    if (self->proc == NULL && self->args != NULL) {
        PyObject *ends[3];
        for (int i = 0; i < 3; i++) {
            ends[i] = pyaio_subprocess_file(state, self, i);
            if (ends[i] == NULL) {
                return NULL;
            }
        }
        self->proc = PyObject_CallMethod(
            (PyObject *)self, "_popen", "OOOiOOO", self->args, self->pid,
            self->returncode ? self->returncode : Py_None, self->devnull,
            ends[0], ends[1], ends[2]);
        if (self->proc == NULL) {
            return NULL;
        }
        Py_CLEAR(self->args);
        if ((self->extra == NULL && (self->extra = PyDict_New()) == NULL) ||
            PyDict_SetItemString(self->extra, "subprocess", self->proc) < 0) {
            return NULL;
        }
    }
    return self->proc ? self->proc : Py_None;
}

PyObject *
pyaio_subprocess_exit_waiters(PyaioSubprocess *self)
{
    if (self->exit_waiters == NULL && !self->waited) {
        self->exit_waiters =
            PyObject_CallMethod((PyObject *)self, "_new_exit_waiters", NULL);
        return self->exit_waiters;
    }
    return self->waited ? Py_None : self->exit_waiters;
}

PyObject *
pyaio_subprocess_pending(PyaioState *state, PyaioSubprocess *self)
{
    if (self->pending == NULL && self->connecting) {
        self->pending = PyObject_CallNoArgs(state->deque);
        return self->pending;
    }
    return self->connecting ? self->pending : Py_None;
}

/* --- telling the protocol ------------------------------------------------ */

/* Keeps a call until the protocol knows of us. */
static int
call_after_connecting(PyaioState *state, PyaioSubprocess *self,
                      PyObject *const *args, Py_ssize_t count)
{
    PyObject *pending = pyaio_subprocess_pending(state, self);
    PyObject *data = PyTuple_New(count - 1);
    for (Py_ssize_t i = 1; data != NULL && i < count; i++) {
        PyTuple_SET_ITEM(data, i - 1, Py_NewRef(args[i]));
    }
    PyObject *pair = data ? PyTuple_Pack(2, args[0], data) : NULL;
    PyObject *done =
        pending && pair
            ? PyObject_CallMethodOneArg(pending, state->str_append, pair)
            : NULL;
    Py_XDECREF(data);
    Py_XDECREF(pair);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

int
pyaio_subprocess_call(PyaioState *state, PyaioSubprocess *self,
                      PyObject *const *args, Py_ssize_t count)
{
    if (self->connecting) {
        return call_after_connecting(state, self, args, count);
    }
    PyObject *all[PYAIO_CALL_MOST + 1] = {self->loop ? self->loop : Py_None};
    for (Py_ssize_t i = 0; i < count; i++) {
        all[i + 1] = args[i];
    }
    PyObject *done = PyObject_VectorcallMethod(state->str_call_soon, all,
                                               (size_t)count + 1, NULL);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* _call(protocol.<name>, *args), with at most two of them, which may be
 * NULL. */
static int
call_protocol(PyaioState *state, PyaioSubprocess *self, PyObject *name,
              PyObject *first, PyObject *second)
{
    PyObject *protocol = self->protocol ? self->protocol : Py_None;
    PyObject *method = PyObject_GetAttr(protocol, name);
    PyObject *args[] = {method, first, second};
    int err =
        method ? pyaio_subprocess_call(state, self, args, first ? 3 : 1) : -1;
    Py_XDECREF(method);
    return err;
}

/* loop.call_soon(callback, *data) */
static int
call_later(PyaioState *state, const PyaioSubprocess *self, PyObject *pair)
{
    PyObject *callback, *data, *done = NULL;
    if (!PyArg_ParseTuple(pair, "OO!", &callback, &PyTuple_Type, &data)) {
        return -1;
    }
    PyObject *head = PyTuple_Pack(1, callback);
    PyObject *args = head ? PySequence_Concat(head, data) : NULL;
    PyObject *method =
        args ? PyObject_GetAttr(self->loop, state->str_call_soon) : NULL;
    if (method != NULL) {
        done = PyObject_Call(method, args, NULL);
    }
    Py_XDECREF(head);
    Py_XDECREF(args);
    Py_XDECREF(method);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* Queues what had to wait. */
static int
call_pending(PyaioState *state, PyaioSubprocess *self)
{
    PyObject *pending = self->pending;
    self->pending = NULL;
    self->connecting = 0;
    PyObject *items = pending ? PySequence_Tuple(pending) : NULL;
    int err = pending == NULL || items != NULL ? 0 : -1;
    for (Py_ssize_t i = 0; err == 0 && items && i < PyTuple_GET_SIZE(items);
         i++) {
        err = call_later(state, self, PyTuple_GET_ITEM(items, i));
    }
    Py_XDECREF(items);
    Py_XDECREF(pending);
    return err;
}

/* --- the beginning ------------------------------------------------------- */

/* Lets whoever waits for the transport go on, or raises there. */
static int
end_waiting(PyaioState *state, PyObject *waiter, PyObject *exc)
{
    PyaioFuture *future = pyaio_as_native_future(state, waiter);
    if (future == NULL ||
        pyaio_future_state(future) == PYAIO_FUTURE_CANCELLED) {
        return 0;
    }
    return exc ? pyaio_future_set_exception(state, future, exc)
               : pyaio_future_set_result(state, future, Py_None);
}

/* Where stock has a task. */
static int
connect_run(PyaioState *state, PyObject *a, PyObject *waiter)
{
    PyaioSubprocess *self = (PyaioSubprocess *)a;
    if (self->loop == NULL || self->protocol == NULL) {
        return 0;
    }
    PyaioParty party = {state, self->loop, a, self->protocol};
    if (pyaio_child_pipes_connect(state, self) == 0 &&
        pyaio_party_queue_made(&party, NULL) == 0 &&
        call_pending(state, self) == 0) {
        return end_waiting(state, waiter, NULL);
    }
    if (pyaio_error_is_exit()) {
        return -1;
    }
    PyObject *exc = PyErr_GetRaisedException();
    int err = pyaio_child_pipes_abandon(state, self);
    if (err == 0) {
        err = end_waiting(state, waiter, exc);
    }
    Py_DECREF(exc);
    return err;
}

static PyObject *
connect_context(PyaioState *state, PyObject *a)
{
    return pyaio_context_resolve(state, &((PyaioSubprocess *)a)->context);
}

static const PyaioReadyKind connecting = {
    .name = "BaseSubprocessTransport._connect_pipes",
    .run = connect_run,
    .context = connect_context,
};

/* As stock: loop.create_task(self._connect_pipes(waiter)). */
static int
connect_in_task(PyaioState *state, PyaioSubprocess *self, PyObject *waiter)
{
    PyObject *coro = PyObject_CallMethodOneArg(
        (PyObject *)self, state->str__connect_pipes, waiter);
    PyObject *task = coro ? PyObject_CallMethodOneArg(
                                self->loop, state->str_create_task, coro)
                          : NULL;
    Py_XDECREF(coro);
    Py_XDECREF(task);
    return task ? 0 : -1;
}

int
pyaio_subprocess_connect(PyaioState *state, PyaioSubprocess *self,
                         PyObject *waiter)
{
    PyaioScheduler *sched =
        pyaio_sched_direct(state, self->loop,
                           PYAIO_LOOP_CALL_SOON | PYAIO_LOOP_CREATE_TASK |
                               PYAIO_LOOP_CREATE_FUTURE | PYAIO_LOOP_PIPES);
    if (sched == NULL || sched->task_factory != NULL ||
        pyaio_as_native_future(state, waiter) == NULL) {
        return connect_in_task(state, self, waiter);
    }
    self->context = pyaio_context_capture(state);
    return self->context == NULL ? -1
                                 : pyaio_sched_push(sched, &connecting,
                                                    (PyObject *)self, waiter);
}

/* --- pipes --------------------------------------------------------------- */

int
pyaio_subprocess_pipe_data(PyaioState *state, PyaioSubprocess *self,
                           PyObject *fd, PyObject *data)
{
    return call_protocol(state, self, state->str_pipe_data_received, fd, data);
}

int
pyaio_subprocess_pipe_lost(PyaioState *state, PyaioSubprocess *self,
                           PyObject *fd, PyObject *exc)
{
    return call_protocol(state, self, state->str_pipe_connection_lost, fd,
                         exc) < 0
               ? -1
               : pyaio_subprocess_try_finish(state, self);
}

int
pyaio_subprocess_close_pipes(PyaioState *state, const PyaioSubprocess *self)
{
    PyObject *protocols = self->pipes ? PyDict_Values(self->pipes) : NULL;
    if (protocols == NULL) {
        return self->pipes == NULL ? 0 : -1;
    }
    int err = 0;
    for (Py_ssize_t i = 0; err == 0 && i < PyList_GET_SIZE(protocols); i++) {
        PyObject *protocol = PyList_GET_ITEM(protocols, i);
        if (protocol == Py_None) {
            continue;
        }
        PyObject *pipe = PyObject_GetAttr(protocol, state->str_pipe);
        PyObject *done =
            pipe ? PyObject_CallMethodNoArgs(pipe, state->str_close) : NULL;
        err = done ? 0 : -1;
        Py_XDECREF(pipe);
        Py_XDECREF(done);
    }
    Py_DECREF(protocols);
    return err;
}

/* --- the end ------------------------------------------------------------- */

static int
wake_waiter(PyaioState *state, PyObject *waiter, PyObject *returncode)
{
    PyaioFuture *future = pyaio_as_native_future(state, waiter);
    if (future != NULL) {
        return pyaio_future_state(future) != PYAIO_FUTURE_PENDING
                   ? 0
                   : pyaio_future_set_result(state, future, returncode);
    }
    int done = pyaio_any_future_done(state, waiter);
    if (done != 0) {
        return done < 0 ? -1 : 0;
    }
    PyObject *told =
        PyObject_CallMethod(waiter, "set_result", "O", returncode);
    Py_XDECREF(told);
    return told ? 0 : -1;
}

/* Those in wait(). */
static int
wake_waiters(PyaioState *state, PyaioSubprocess *self)
{
    PyObject *waiters = self->exit_waiters;
    PyObject *code = Py_NewRef(self->returncode ? self->returncode : Py_None);
    self->exit_waiters = NULL;
    self->waited = 1;
    int err = 0;
    if (waiters != NULL) {
        PyObject *list = PySequence_List(waiters);
        err = list ? 0 : -1;
        for (Py_ssize_t i = 0; err == 0 && i < PyList_GET_SIZE(list); i++) {
            err = wake_waiter(state, PyList_GET_ITEM(list, i), code);
        }
        Py_XDECREF(list);
        Py_DECREF(waiters);
    }
    Py_DECREF(code);
    return err;
}

/* The Popen must not believe that its child runs. */
static int
tell_popen(PyaioState *state, PyObject *proc, PyObject *returncode)
{
    PyObject *known = PyObject_GetAttr(proc, state->str_returncode);
    if (known == NULL) {
        return -1;
    }
    int err = known == Py_None
                  ? PyObject_SetAttr(proc, state->str_returncode, returncode)
                  : 0;
    Py_DECREF(known);
    return err;
}

int
pyaio_subprocess_exited(PyaioState *state, PyaioSubprocess *self,
                        PyObject *returncode)
{
    Py_XSETREF(self->returncode, Py_NewRef(returncode));
    if (self->proc != NULL && tell_popen(state, self->proc, returncode) < 0) {
        return -1;
    }
    int err =
        call_protocol(state, self, state->str_process_exited, NULL, NULL);
    if (err == 0) {
        err = pyaio_subprocess_try_finish(state, self);
    }
    return err == 0 && self->wakes_early ? wake_waiters(state, self) : err;
}

/* 1 where all pipes are lost, -1 with an exception. */
static int
pipes_are_lost(PyaioState *state, PyObject *pipes)
{
    PyObject *protocols = pipes ? PyDict_Values(pipes) : NULL;
    if (protocols == NULL) {
        return pipes == NULL ? 1 : -1;
    }
    int lost = 1;
    for (Py_ssize_t i = 0; lost == 1 && i < PyList_GET_SIZE(protocols); i++) {
        PyObject *protocol = PyList_GET_ITEM(protocols, i);
        PyObject *gone =
            protocol != Py_None
                ? PyObject_GetAttr(protocol, state->str_disconnected)
                : Py_NewRef(Py_False);
        lost = gone ? PyObject_IsTrue(gone) : -1;
        Py_XDECREF(gone);
    }
    Py_DECREF(protocols);
    return lost;
}

static int
lost_run(PyaioState *state, PyObject *a, PyObject *Py_UNUSED(b))
{
    return pyaio_subprocess_lose(state, (PyaioSubprocess *)a, Py_None);
}

static PyObject *
lost_context(PyaioState *state, PyObject *a)
{
    return pyaio_context_resolve(state, &((PyaioSubprocess *)a)->context);
}

static const PyaioReadyKind losing = {
    .name = "BaseSubprocessTransport._call_connection_lost",
    .run = lost_run,
    .context = lost_context,
};

int
pyaio_subprocess_try_finish(PyaioState *state, PyaioSubprocess *self)
{
    if (pyaio_is_none(self->returncode)) {
        return 0;
    }
    int lost = pipes_are_lost(state, self->pipes);
    if (lost <= 0) {
        return lost;
    }
    self->finished = 1;
    if (!self->connecting) {
        PyObject *context = pyaio_context_capture(state);
        if (context == NULL) {
            return -1;
        }
        Py_XSETREF(self->context, context);
        return pyaio_schedule(state, self->loop, &losing, (PyObject *)self,
                              NULL, 0);
    }
    PyObject *method =
        PyObject_GetAttr((PyObject *)self, state->str__call_connection_lost);
    PyObject *args[] = {method, Py_None};
    int err = method ? pyaio_subprocess_call(state, self, args, 2) : -1;
    Py_XDECREF(method);
    return err;
}

int
pyaio_subprocess_lose(PyaioState *state, PyaioSubprocess *self, PyObject *exc)
{
    PyObject *protocol = Py_NewRef(self->protocol ? self->protocol : Py_None);
    PyObject *done =
        PyObject_CallMethodOneArg(protocol, state->str_connection_lost, exc);
    Py_DECREF(protocol);
    PyObject *raised = done ? NULL : PyErr_GetRaisedException();
    Py_XDECREF(done);
    int err = self->wakes_early ? 0 : wake_waiters(state, self);
    Py_CLEAR(self->loop);
    Py_CLEAR(self->protocol);
    Py_CLEAR(self->proc);
    if (raised == NULL) {
        return err;
    }
    if (err < 0) {
        pyaio_chain_exception(raised);
    }
    else {
        PyErr_SetRaisedException(raised);
    }
    return -1;
}
