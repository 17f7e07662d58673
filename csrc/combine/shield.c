/* shield(): a future that can be cancelled alone. */
#include "combine/shield.h"
#include "base/interop.h"
#include "combine/combine.h"
#include "combine/ensure_future.h"
#include "task/step.h"

/* Whether the outer future will be a plain one of ours. */
static int
makes_plain_future(PyaioState *state, PyaioFuture *inner)
{
    return inner != NULL && inner->loop != NULL &&
           pyaio_sched_direct(state, inner->loop, PYAIO_LOOP_CREATE_FUTURE);
}

/* The task that runs on the inner future's loop, where the running version
 * records who awaits whom. Returns 0 with *task owned or NULL, or -1. */
static int
find_task(PyaioState *state, PyObject *loop, PyObject **task)
{
    *task = NULL;
#if PYAIO_HAS_CALL_GRAPH
    PyaioTaskPlace place;
    *task =
        pyaio_current_task(state, pyaio_task_place(state, loop, &place), loop);
    if (*task == NULL) {
        return -1;
    }
    if (*task == Py_None) {
        Py_CLEAR(*task);
    }
#else
    (void)state;
    (void)loop;
#endif
    return 0;
}

static PyObject *
shield_future(PyaioState *state, PyObject *inner)
{
    int done = pyaio_any_future_done(state, inner);
    if (done != 0) {
        return done < 0 ? NULL : Py_NewRef(inner);
    }
    PyaioFuture *future = pyaio_as_native_future(state, inner);
    if (!makes_plain_future(state, future)) {
        return PyObject_CallOneArg(state->stock_shield, inner);
    }
    PyObject *outer = pyaio_future_new(state, future->loop);
    PyObject *task = NULL;
    if (outer != NULL &&
        (find_task(state, future->loop, &task) < 0 ||
         pyaio_shield_connect(state, inner, outer, task) < 0)) {
        Py_CLEAR(outer);
    }
    Py_XDECREF(task);
    return outer;
}

static PyObject *
shield(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
       PyObject *kwnames)
{
    PyaioState *state = pyaio_module_state(module);
    Py_ssize_t keywords = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    if (nargs + keywords != 1 ||
        (keywords == 1 && PyUnicode_CompareWithASCIIString(
                              PyTuple_GET_ITEM(kwnames, 0), "arg") != 0)) {
        return PyObject_Vectorcall(state->stock_shield, args, (size_t)nargs,
                                   kwnames);
    }
    PyObject *inner = pyaio_ensure_future(state, args[0], NULL);
    PyObject *outer = inner ? shield_future(state, inner) : NULL;
    Py_XDECREF(inner);
    return outer;
}

PyDoc_STRVAR(
    shield_doc,
    "shield(arg)\n--\n\n"
    "Return a future that ends as the future, coroutine or other\n"
    "awaitable does, but is cancelled without cancelling that.\n\n"
    "Keep a reference to a task that is shielded: the loop does not.\n"
    "Mirrors asyncio.shield.");

static PyMethodDef shield_methods[] = {
    {"shield", (PyCFunction)(void (*)(void))shield,
     METH_FASTCALL | METH_KEYWORDS, shield_doc},
    {NULL, NULL, 0, NULL},
};

int
pyaio_shield_init(PyObject *module)
{
    if (pyaio_shielding_init(module) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, shield_methods);
}
