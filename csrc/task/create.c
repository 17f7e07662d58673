/* create_task(), current_task(), and the registry's Python side. */
#include "base/interop.h"
#include "task/create.h"
#include "task/step.h"

PyObject *
pyaio_py_create_task(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                     PyObject *kwnames)
{
    PyaioState *state = pyaio_module_state(module);
    PyObject *loop = nargs == 1 ? pyaio_running_loop(state) : NULL;
    if (loop != NULL) {
        PyaioScheduler *sched = pyaio_scheduler_of(state, loop);
        if (sched != NULL) {
            PyObject *task = pyaio_loop_create_task(state, loop, args[0],
                                                    args + 1, kwnames);
            Py_DECREF(loop);
            return task;
        }
        Py_DECREF(loop);
    }
    else if (PyErr_Occurred()) {
        return NULL;
    }
    /* Another loop, none, or wrong arguments: as the running version does. */
    return PyObject_Vectorcall(state->stock_create_task, args, (size_t)nargs,
                               kwnames);
}

PyObject *
pyaio_py_current_task(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"loop", NULL};
    PyObject *loop = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:current_task", names,
                                     &loop)) {
        return NULL;
    }
    PyaioState *state = pyaio_module_state(module);
    loop =
        loop == Py_None ? pyaio_require_running_loop(state) : Py_NewRef(loop);
    if (loop == NULL) {
        return NULL;
    }
    PyaioTaskPlace place;
    PyObject *task =
        pyaio_current_task(state, pyaio_task_place(state, loop, &place), loop);
    Py_DECREF(loop);
    return task;
}

PyObject *
pyaio_py_native_tasks(PyObject *module, PyObject *Py_UNUSED(unused))
{
    PyaioState *state = pyaio_module_state(module);
    PyObject *result = PyList_New(0);
#if PYAIO_HAS_CALL_GRAPH
    (void)state; /* all of them stand in _asyncio's own list */
#else
    for (PyaioLink *link = state->tasks.next;
         result != NULL && link != &state->tasks; link = link->next) {
        PyaioTask *task = PYAIO_CONTAINER_OF(link, PyaioTask, link);
        /* One that is being deallocated is still linked, without
         * references. */
        if (Py_REFCNT(task) > 0 &&
            PyList_Append(result, (PyObject *)task) < 0) {
            Py_CLEAR(result);
        }
    }
#endif
    return result;
}
