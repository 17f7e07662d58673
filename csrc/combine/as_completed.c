/* AsCompleted: collects the ends of its futures, until somebody takes them. */
#include "combine/as_completed.h"
#include "base/interop.h"
#include "combine/combine.h"
#include "combine/ensure_future.h"

/* --- ends ---------------------------------------------------------------- */

/* `future` is NULL for the timeout. */
static int
as_completed_put(PyaioState *state, PyaioAsCompleted *self, PyObject *future)
{
    if (self->last == self->capacity) {
        PyErr_SetString(PyExc_RuntimeError,
                        "Set changed size during iteration");
        return -1;
    }
    self->ended[self->last++] = Py_XNewRef(future);
    return pyaio_consumer_wake_next(state, self);
}

static int
as_completed_child_run(PyaioState *state, PyObject *a, PyObject *b)
{
    PyaioAsCompleted *self = (PyaioAsCompleted *)a;
    if (b == NULL) {
        PyErr_SetString(PyExc_TypeError,
                        "_handle_completion() missing 1 required positional "
                        "argument: 'f'");
        return -1;
    }
    if (self->todo == NULL || PySet_GET_SIZE(self->todo) == 0) {
        return 0; /* the timeout came first */
    }
    PyObject *todo = Py_NewRef(self->todo);
    int found = PySet_Discard(todo, b);
    if (found == 0) {
        PyErr_SetObject(PyExc_KeyError, b);
    }
    int err = -1;
    if (found > 0 && pyaio_watching_forget(state, &self->watching, b) == 0 &&
        as_completed_put(state, self, b) == 0) {
        err = PySet_GET_SIZE(todo) > 0
                  ? 0
                  : pyaio_delay_cancel(state, &self->delay);
    }
    Py_DECREF(todo);
    return err;
}

static const PyaioReadyKind as_completed_child = {
    .name = "as_completed.<locals>._on_completion",
    .run = as_completed_child_run,
};

static int
as_completed_delay_run(PyaioState *state, PyObject *a, PyObject *Py_UNUSED(b))
{
    PyaioAsCompleted *self = (PyaioAsCompleted *)a;
    if (self->todo == NULL) {
        return 0;
    }
    PyObject *todo = Py_NewRef(self->todo);
    PyObject *futures = PySequence_List(todo);
    int err = futures ? 0 : -1;
    for (Py_ssize_t i = 0; err == 0 && i < PyList_GET_SIZE(futures); i++) {
        PyObject *future = PyList_GET_ITEM(futures, i);
        err = pyaio_watching_remove(state, &self->watching, future);
        if (err == 0) {
            err = as_completed_put(state, self, NULL);
        }
    }
    if (err == 0) {
        err = PySet_Clear(todo);
    }
    Py_XDECREF(futures);
    Py_DECREF(todo);
    return err;
}

static const PyaioReadyKind as_completed_delay = {
    .name = "as_completed.<locals>._on_timeout",
    .run = as_completed_delay_run,
};

/* --- the beginning ------------------------------------------------------- */

/* The futures of the arguments, as a set. */
static PyObject *
as_completed_todo(PyaioState *state, PyObject *argument, PyObject *loop)
{
    PyObject *awaitables = PySet_New(argument);
    if (awaitables == NULL) {
        return NULL;
    }
    Py_SETREF(awaitables, PySequence_List(awaitables));
    PyObject *todo = awaitables ? PySet_New(NULL) : NULL;
    if (todo == NULL) {
        Py_XDECREF(awaitables);
        return NULL;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(awaitables); i++) {
        PyObject *future =
            pyaio_ensure_future(state, PyList_GET_ITEM(awaitables, i), loop);
        int err = future ? PySet_Add(todo, future) : -1;
        Py_XDECREF(future);
        if (err < 0) {
            Py_CLEAR(todo);
            break;
        }
    }
    Py_DECREF(awaitables);
    return todo;
}

/* Watches every future and starts the clock. Returns 0 or -1. */
static int
as_completed_watch(PyaioState *state, PyaioAsCompleted *self, PyObject *loop,
                   PyObject *timeout)
{
    PyObject *futures = PySequence_List(self->todo);
    if (futures == NULL) {
        return -1;
    }
    Py_ssize_t count = PyList_GET_SIZE(futures);
    int err = 0;
    self->ended = PyMem_New(PyObject *, (size_t)count);
    if (self->ended == NULL) {
        PyErr_NoMemory();
        err = -1;
    }
    else {
        self->capacity = self->left = count;
    }
    for (Py_ssize_t i = 0; err == 0 && i < count; i++) {
        err = pyaio_watching_add(state, &self->watching,
                                 PyList_GET_ITEM(futures, i));
    }
    Py_DECREF(futures);
    if (err == 0 && count > 0 && timeout != Py_None) {
        err = pyaio_delay_start(state, &self->delay, loop, timeout,
                                &as_completed_delay, (PyObject *)self);
    }
    return err;
}

static PyObject *
as_completed_new(PyaioState *state, PyObject *argument, PyObject *timeout,
                 PyObject *loop)
{
    PyTypeObject *type = state->AsCompleted_type;
    PyaioAsCompleted *self = (PyaioAsCompleted *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    pyaio_list_init(&self->consumers);
    if (pyaio_watching_init(state, &self->watching, &as_completed_child,
                            (PyObject *)self, loop) < 0 ||
        (self->todo = as_completed_todo(state, argument, loop)) == NULL ||
        as_completed_watch(state, self, loop, timeout) < 0) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

/* Whether it is one awaitable in the place of several: 1, 0, or -1. */
static int
is_single(PyaioState *state, PyObject *op)
{
    if (!PYAIO_AS_COMPLETED_IS_ASYNC) {
        return pyaio_is_future_or_coroutine(state, op);
    }
    if (pyaio_is_plain_collection(op)) {
        return 0;
    }
    PyObject *answer = PyObject_CallOneArg(state->isawaitable, op);
    int single = answer ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    return single;
}

static PyObject *
as_completed(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"fs", "timeout", NULL};
    PyObject *argument, *timeout = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$O:as_completed", names,
                                     &argument, &timeout)) {
        return NULL;
    }
    PyaioState *state = pyaio_module_state(module);
    int single = is_single(state, argument);
    PyObject *loop = single == 0 ? pyaio_running_loop(state) : NULL;
    if (loop == NULL) {
        return PyErr_Occurred()
                   ? NULL
                   : PyObject_Call(state->stock_as_completed, args, kwargs);
    }
    PyObject *result = as_completed_new(state, argument, timeout, loop);
    Py_DECREF(loop);
    return result;
}

/* --- the type ------------------------------------------------------------ */

static PyObject *
AsCompleted_iternext(PyObject *op)
{
    PyaioAsCompleted *self = (PyaioAsCompleted *)op;
    if (self->left == 0) {
        return NULL;
    }
    self->left--;
    return pyaio_consumer_new(pyaio_state_of(op), self);
}

static int
AsCompleted_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioAsCompleted *self = (PyaioAsCompleted *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->todo);
    Py_VISIT(self->loop);
    for (Py_ssize_t i = self->first; i < self->last; i++) {
        Py_VISIT(self->ended[i]);
    }
    PyaioLink *link = self->consumers.next;
    while (link != NULL && link != &self->consumers) {
        PyaioConsumer *consumer =
            PYAIO_CONTAINER_OF(link, PyaioConsumer, link);
        Py_VISIT(consumer);
        link = link->next;
    }
    int err = pyaio_delay_traverse(&self->delay, visit, arg);
    return err ? err : pyaio_watching_traverse(&self->watching, visit, arg);
}

static int
AsCompleted_clear(PyObject *op)
{
    PyaioAsCompleted *self = (PyaioAsCompleted *)op;
    PyaioLink *head = &self->consumers;
    while (head->next != NULL && head->next != head) {
        PyaioConsumer *consumer =
            PYAIO_CONTAINER_OF(head->next, PyaioConsumer, link);
        Py_INCREF(consumer);
        pyaio_consumer_unlink(consumer);
        Py_DECREF(consumer);
    }
    pyaio_delay_clear(pyaio_state_of(op), &self->delay);
    pyaio_watching_clear(&self->watching);
    while (self->first < self->last) {
        Py_XDECREF(self->ended[self->first++]);
    }
    Py_CLEAR(self->todo);
    Py_CLEAR(self->loop);
    return 0;
}

static void
AsCompleted_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    (void)AsCompleted_clear(op);
    PyMem_Free(((PyaioAsCompleted *)op)->ended);
    type->tp_free(op);
    Py_DECREF(type);
}

#if PYAIO_AS_COMPLETED_IS_ASYNC
static PyObject *
AsCompleted_anext(PyObject *op)
{
    return pyaio_anext_new(pyaio_state_of(op), (PyaioAsCompleted *)op);
}
#endif

PyDoc_STRVAR(as_completed_type_doc,
             "Iterator of awaitables in the order in which they end.");

static PyType_Slot as_completed_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)as_completed_type_doc},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, AsCompleted_iternext},
#if PYAIO_AS_COMPLETED_IS_ASYNC
    {Py_am_aiter, PyObject_SelfIter},
    {Py_am_anext, AsCompleted_anext},
#endif
    {Py_tp_traverse, AsCompleted_traverse},
    {Py_tp_clear, AsCompleted_clear},
    {Py_tp_dealloc, AsCompleted_dealloc},
    {0, NULL},
};

static PyType_Spec as_completed_spec = {
    .name = "pyaio._core.AsCompleted",
    .basicsize = sizeof(PyaioAsCompleted),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = as_completed_slots,
};

PyDoc_STRVAR(
    as_completed_doc,
    "as_completed(fs, *, timeout=None)\n--\n\n"
    "Return an iterator over awaitables in the order in which they\n"
    "end.\n\n"
    "Each item is a coroutine for the result of the next one to end;\n"
    "asynchronous iteration, from 3.13 on, gives the futures\n"
    "themselves. Where `timeout` seconds are over, the rest raises\n"
    "TimeoutError. Mirrors asyncio.as_completed.");

static PyMethodDef as_completed_methods[] = {
    {"as_completed", (PyCFunction)(void (*)(void))as_completed,
     METH_VARARGS | METH_KEYWORDS, as_completed_doc},
    {NULL, NULL, 0, NULL},
};

int
pyaio_as_completed_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_add_type(module, &state->AsCompleted_type, &as_completed_spec,
                       NULL) < 0 ||
        pyaio_consumer_init(module) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, as_completed_methods);
}
