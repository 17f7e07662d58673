/* gather(): turns its arguments into futures and waits for them all. */
#include "base/interop.h"
#include "combine/argument_set.h"
#include "combine/combine.h"
#include "combine/ensure_future.h"
#include "combine/gathering.h"
#include "task/step.h"
#include "task/task.h"

/* One call, while it collects its children. */
typedef struct {
    PyaioState *state;
    PyaioGathering *outer; /* owned */
    PyObject *loop;        /* owned: NULL until it is known */
    PyObject *early;       /* owned: list of children that had ended when they
                              came, NULL while there are none */
} Gather;

/* The child is gather()'s own: nobody is to blame if it is destroyed while
 * pending. */
static int
gather_silence(PyaioState *state, PyObject *child)
{
    if (Py_IS_TYPE(child, state->Task_type)) {
        ((PyaioTask *)child)->future.log_destroy = 0;
        return 0;
    }
    return PyObject_SetAttr(child, state->str__log_destroy_pending, Py_False);
}

/* Whether the child's end is handled at the end of the call. 3.11 leaves that
 * to the loop, as any other callback. */
static int
gather_is_early(Gather *call, PyObject *child)
{
    int done = PYAIO_HAS_EAGER ? pyaio_any_future_done(call->state, child) : 0;
    if (done <= 0) {
        return done;
    }
    if (call->early == NULL) {
        call->early = PyList_New(0);
        if (call->early == NULL) {
            return -1;
        }
    }
    return PyList_Append(call->early, child) < 0 ? -1 : 1;
}

static int
gather_add(Gather *call, PyObject *arg)
{
    PyaioState *state = call->state;
    PyObject *child = pyaio_ensure_future(state, arg, call->loop);
    if (child == NULL) {
        return -1;
    }
    int err = 0;
    if (call->loop == NULL) {
        call->loop = pyaio_any_future_loop(state, child);
        err = call->loop ? 0 : -1;
    }
    if (err == 0 && child != arg) {
        err = gather_silence(state, child);
    }
    if (err == 0) {
        int early = gather_is_early(call, child);
        err = early < 0
                  ? -1
                  : pyaio_gathering_add(state, call->outer, child, early);
    }
    Py_DECREF(child);
    return err;
}

static int
gather_add_all(Gather *call, PyObject *const *args, Py_ssize_t nargs)
{
    PyaioGathering *outer = call->outer;
    PyaioArgumentSet set;
    if (pyaio_argument_set_init(&set, args, nargs) < 0) {
        return -1;
    }
    int err = 0;
    for (Py_ssize_t i = 0; i < nargs && err == 0; i++) {
        Py_ssize_t first = pyaio_argument_set_add(&set, i);
        if (first == i) {
            err = gather_add(call, args[i]);
        }
        else if (first >= 0) {
            outer->children[outer->length++] =
                Py_NewRef(outer->children[first]);
        }
        else {
            err = -1;
        }
    }
    pyaio_argument_set_free(&set);
    return err;
}

/* Finds the loop, and who waits, as far as that precedes the arguments. */
static int
gather_find_loop(Gather *call)
{
#if PYAIO_HAS_CALL_GRAPH
    PyaioState *state = call->state;
    call->loop = pyaio_running_loop(state);
    if (call->loop == NULL) {
        return PyErr_Occurred() ? -1 : 0;
    }
    PyaioTaskPlace place;
    PyObject *task = pyaio_current_task(
        state, pyaio_task_place(state, call->loop, &place), call->loop);
    if (task == NULL || task == Py_None) {
        Py_XDECREF(task);
        return task ? 0 : -1;
    }
    call->outer->waiter = task;
    call->outer->waiter_is_ours = pyaio_as_future(state, task) != NULL;
#else
    (void)call;
#endif
    return 0;
}

static int
gather_end_early(Gather *call)
{
    Py_ssize_t count = call->early ? PyList_GET_SIZE(call->early) : 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (pyaio_gathering_child_ended(call->state, call->outer,
                                        PyList_GET_ITEM(call->early, i)) < 0) {
            return -1;
        }
    }
    return 0;
}

static PyObject *
gather_run(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
           int return_exceptions)
{
    Gather call = {.state = state};
    call.outer = pyaio_gathering_new(state, nargs, return_exceptions);
    if (call.outer == NULL) {
        return NULL;
    }
    int err = gather_find_loop(&call);
    if (err == 0) {
        err = gather_add_all(&call, args, nargs);
    }
    if (err == 0) {
        err = pyaio_future_setup(state, &call.outer->base.future, call.loop);
    }
    if (err == 0) {
        call.outer->complete = 1;
        err = gather_end_early(&call);
    }
    Py_XDECREF(call.early);
    Py_XDECREF(call.loop);
    if (err < 0) {
        Py_DECREF(call.outer);
        return NULL;
    }
    return (PyObject *)call.outer;
}

/* Reads return_exceptions. Returns its truth, -1 with an exception, or -2
 * where stock is to say what is wrong with the arguments. */
static int
gather_read_keywords(PyObject *const *values, PyObject *kwnames)
{
    if (kwnames == NULL || PyTuple_GET_SIZE(kwnames) == 0) {
        return 0;
    }
    if (PyTuple_GET_SIZE(kwnames) > 1 ||
        !PyUnicode_Check(PyTuple_GET_ITEM(kwnames, 0)) ||
        PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(kwnames, 0),
                                         "return_exceptions") != 0) {
        return -2;
    }
    return PyObject_IsTrue(values[0]);
}

static PyObject *
gather(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
       PyObject *kwnames)
{
    PyaioState *state = pyaio_module_state(module);
    int return_exceptions = gather_read_keywords(args + nargs, kwnames);
    if (return_exceptions == -1) {
        return NULL;
    }
    if (nargs == 0 || return_exceptions == -2) {
        return PyObject_Vectorcall(state->stock_gather, args, (size_t)nargs,
                                   kwnames);
    }
    return gather_run(state, args, nargs, return_exceptions);
}

PyDoc_STRVAR(
    gather_doc,
    "gather(*coros_or_futures, return_exceptions=False)\n--\n\n"
    "Return a future for the list of the arguments' results, in their order.\n"
    "\n"
    "Coroutines are made tasks. The first exception goes to the future at\n"
    "once, while the other children go on; with `return_exceptions` true,\n"
    "exceptions stand in the list. Cancelling the future cancels the\n"
    "children.");

static PyMethodDef gather_methods[] = {
    {"gather", (PyCFunction)(void (*)(void))gather,
     METH_FASTCALL | METH_KEYWORDS, gather_doc},
    {NULL, NULL, 0, NULL},
};

int
pyaio_gather_init(PyObject *module)
{
    if (pyaio_gathering_init(module) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, gather_methods);
}
