/* ensure_future(): futures as they are, coroutines as tasks. */
#include "combine/ensure_future.h"
#include "base/interop.h"
#include "combine/combine.h"
#include "task/task.h"

/* A coroutine, as far as one can tell without running code. */
static inline int
is_plain_coroutine(const PyaioState *state, PyObject *op)
{
    return PyCoro_CheckExact(op) ||
           PyObject_TypeCheck(op, state->Coroutine_type);
}

int
pyaio_is_coroutine(PyaioState *state, PyObject *op)
{
    if (pyaio_as_native_future(state, op) != NULL) {
        return 0;
    }
    if (is_plain_coroutine(state, op)) {
        return 1;
    }
    PyObject *answer = PyObject_CallOneArg(state->iscoroutine, op);
    if (answer == NULL) {
        return -1;
    }
    int truth = PyObject_IsTrue(answer);
    Py_DECREF(answer);
    return truth;
}

int
pyaio_is_future_or_coroutine(PyaioState *state, PyObject *op)
{
    if (pyaio_is_plain_collection(op)) {
        return 0;
    }
    int future = pyaio_is_future(state, op);
    return future != 0 ? future : pyaio_is_coroutine(state, op);
}

/* loop.create_task(coro), which closes the coroutine where it is refused. */
static PyObject *
create_task_or_close(PyaioState *state, PyObject *loop, PyObject *coro)
{
    PyObject *task = pyaio_loop_create_task(state, loop, coro, NULL, NULL);
    if (task == NULL && PyErr_ExceptionMatches(PyExc_RuntimeError)) {
        PyObject *error = PyErr_GetRaisedException();
        PyObject *closed = PyObject_CallMethodNoArgs(coro, state->str_close);
        if (closed == NULL) {
            Py_DECREF(error);
            return NULL;
        }
        Py_DECREF(closed);
        PyErr_SetRaisedException(error);
    }
    return task;
}

static PyObject *
ask_stock(PyaioState *state, PyObject *op, PyObject *loop)
{
    PyObject *names = PyTuple_Pack(1, state->str_loop);
    if (names == NULL) {
        return NULL;
    }
    PyObject *args[] = {op, loop ? loop : Py_None};
    PyObject *future =
        PyObject_Vectorcall(state->ensure_future, args, 1, names);
    Py_DECREF(names);
    return future;
}

PyObject *
pyaio_ensure_future(PyaioState *state, PyObject *op, PyObject *loop)
{
    PyaioFuture *own = pyaio_as_native_future(state, op);
    if (own != NULL && own->loop != NULL &&
        (loop == NULL || loop == own->loop)) {
        return Py_NewRef(op);
    }
    if (!is_plain_coroutine(state, op)) {
        return ask_stock(state, op, loop);
    }
    if (loop != NULL) {
        return create_task_or_close(state, loop, op);
    }
    loop = pyaio_running_loop(state);
    if (loop == NULL) {
        return PyErr_Occurred() ? NULL : ask_stock(state, op, NULL);
    }
    PyObject *task = create_task_or_close(state, loop, op);
    Py_DECREF(loop);
    return task;
}

static PyObject *
ensure_future(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
              PyObject *kwnames)
{
    PyaioState *state = pyaio_module_state(module);
    PyObject *loop = NULL;
    Py_ssize_t keywords = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    if (keywords == 1 && PyUnicode_Compare(PyTuple_GET_ITEM(kwnames, 0),
                                           state->str_loop) == 0) {
        loop = args[nargs] == Py_None ? NULL : args[nargs];
        keywords = 0;
    }
    if (nargs != 1 || keywords != 0) {
        return PyObject_Vectorcall(state->ensure_future, args, (size_t)nargs,
                                   kwnames);
    }
    return pyaio_ensure_future(state, args[0], loop);
}

PyDoc_STRVAR(ensure_future_doc,
             "ensure_future(coro_or_future, *, loop=None)\n--\n\n"
             "Return a future as it is, and the task of a coroutine or of\n"
             "another awaitable.\n\n"
             "The task is created on `loop`, by default the running one.\n"
             "ValueError where a future belongs to another loop than `loop`,\n"
             "TypeError for what cannot be awaited. Mirrors\n"
             "asyncio.ensure_future.");

static PyMethodDef ensure_future_methods[] = {
    {"ensure_future", (PyCFunction)(void (*)(void))ensure_future,
     METH_FASTCALL | METH_KEYWORDS, ensure_future_doc},
    {NULL, NULL, 0, NULL},
};

int
pyaio_ensure_future_init(PyObject *module)
{
    return PyModule_AddFunctions(module, ensure_future_methods);
}
