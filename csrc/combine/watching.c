/* Watching futures: a callback each, and an edge in the graph of who awaits
 * whom. */
#include "combine/watching.h"
#include "task/step.h"

int
pyaio_watching_init(PyaioState *state, PyaioWatching *self,
                    const PyaioReadyKind *kind, PyObject *target,
                    PyObject *loop)
{
    self->kind = kind;
    self->target = target;
#if PYAIO_HAS_CALL_GRAPH
    PyaioTaskPlace place;
    PyObject *task =
        pyaio_current_task(state, pyaio_task_place(state, loop, &place), loop);
    if (task == NULL) {
        return -1;
    }
    if (task == Py_None) {
        Py_DECREF(task);
        return 0;
    }
    self->task = task;
    self->task_is_ours = pyaio_as_future(state, task) != NULL;
#else
    (void)state;
    (void)loop;
#endif
    return 0;
}

/* future.method(callback) of a foreign one, with the same callback always. */
static int
watching_call(PyaioState *state, PyaioWatching *self, PyObject *future,
              PyObject *method)
{
    if (self->callback == NULL) {
        self->callback =
            pyaio_ready_call_new(state, self->kind, self->target, NULL);
        if (self->callback == NULL) {
            return -1;
        }
    }
    PyObject *callback = Py_NewRef(self->callback);
    PyObject *done = PyObject_CallMethodOneArg(future, method, callback);
    Py_DECREF(callback);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

static int
watching_record(PyaioState *state, PyaioWatching *self, PyObject *future)
{
    if (self->task == NULL) {
        return 0;
    }
    if (self->task_is_ours && pyaio_as_native_future(state, future)) {
        return pyaio_awaited_by_add(state, future, self->task);
    }
    return pyaio_stock_awaited_by_add(state, future, self->task);
}

int
pyaio_watching_forget(PyaioState *state, PyaioWatching *self, PyObject *future)
{
    if (self->task == NULL) {
        return 0;
    }
    if (self->task_is_ours && pyaio_as_native_future(state, future)) {
        return pyaio_awaited_by_discard(state, future, self->task);
    }
    return pyaio_stock_awaited_by_discard(state, future, self->task);
}

int
pyaio_watching_add(PyaioState *state, PyaioWatching *self, PyObject *future)
{
    PyaioFuture *own = pyaio_as_native_future(state, future);
    int err =
        own != NULL && own->loop != NULL
            ? pyaio_future_add_waiter(state, own, self->kind, self->target)
            : watching_call(state, self, future, state->str_add_done_callback);
    return err < 0 ? -1 : watching_record(state, self, future);
}

int
pyaio_watching_remove(PyaioState *state, PyaioWatching *self, PyObject *future)
{
    PyaioFuture *own = pyaio_as_native_future(state, future);
    int err = 0;
    if (own != NULL && own->loop != NULL) {
        err = pyaio_future_remove_waiter(state, own, self->kind, self->target);
    }
    else {
        err = watching_call(state, self, future,
                            state->str_remove_done_callback);
    }
    return err < 0 ? -1 : pyaio_watching_forget(state, self, future);
}
