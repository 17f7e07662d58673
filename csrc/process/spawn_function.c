/* _spawn(): the arguments of a child, as system calls take them. */
#include "process/process.h"
#include "process/spawn.h"

/* A NULL-terminated array of C strings. */
typedef struct {
    PyObject *list;  /* owned: the bytes objects that they lie in */
    char **pointers; /* NULL where there are none */
} StringArray;

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

/* _spawn(args, paths, env, cwd, restore_signals, new_session, process_group,
 *        stdin, stdout, stderr)
 *
 * Returns the child's process id, or (stage, error number) of what failed. */
PyObject *
pyaio_py_spawn(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *argv, *paths, *env, *cwd;
    PyaioSpawnOrder order = {0};
    int process_group;
    if (!PyArg_ParseTuple(args, "OOOOppiiii:_spawn", &argv, &paths, &env, &cwd,
                          &order.restore_signals, &order.new_session,
                          &process_group, &order.files[0], &order.files[1],
                          &order.files[2])) {
        return NULL;
    }
    StringArray strings[3];
    memset(strings, 0, sizeof(strings));
    PyObject *folder = NULL, *result = NULL;
    if (strings_fill(&strings[0], argv) == 0 &&
        strings_fill(&strings[1], paths) == 0 &&
        (env == Py_None || strings_fill(&strings[2], env) == 0) &&
        (cwd == Py_None || PyUnicode_FSConverter(cwd, &folder))) {
        order.argv = strings[0].pointers;
        order.paths = strings[1].pointers;
        order.env = strings[2].pointers;
        order.cwd = folder ? PyBytes_AS_STRING(folder) : NULL;
        order.process_group = process_group;
        pid_t pid = pyaio_spawn(&order);
        result = pid >= 0 ? PyLong_FromLong(pid)
                          : Py_BuildValue("(ii)", order.stage, order.failure);
    }
    Py_XDECREF(folder);
    for (int i = 0; i < 3; i++) {
        strings_clear(&strings[i]);
    }
    return result;
}
