/* Constructing the transport of a subprocess: in our way, or by stock's
 * constructor. */
#include "process/transport.h"
#include "sched/sched.h"
#include "stream/methods.h"

/* The attribute of a module or a class, or NULL: a new reference. */
static PyObject *
value_of(PyObject *owner, PyObject *name)
{
    if (PyModule_CheckExact(owner)) {
        return Py_XNewRef(
            PyDict_GetItemWithError(PyModule_GetDict(owner), name));
    }
    return PyObject_GetAttr(owner, name);
}

/* Whether each of these is what it was: triples (owner, name, value). */
static int
are_same(PyObject *entries)
{
    int same = 1;
    for (Py_ssize_t i = 0; same && i < PyTuple_GET_SIZE(entries); i++) {
        PyObject *entry = PyTuple_GET_ITEM(entries, i);
        PyObject *now =
            value_of(PyTuple_GET_ITEM(entry, 0), PyTuple_GET_ITEM(entry, 1));
        same = now == PyTuple_GET_ITEM(entry, 2);
        PyErr_Clear();
        Py_XDECREF(now);
    }
    return same;
}

/* A number that grows with any change of the classes; 0 where that cannot be
 * said. */
static uint64_t
version_of(PyObject *classes)
{
    uint64_t sum = 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(classes); i++) {
        unsigned tag =
            ((PyTypeObject *)PyTuple_GET_ITEM(classes, i))->tp_version_tag;
        if (tag == 0) {
            return 0;
        }
        sum += tag;
    }
    return sum;
}

static int
classes_are_same(PyaioState *state, PyObject *classes, PyObject *entries)
{
    uint64_t version = version_of(classes);
    if (version != 0 && version == state->child_classes) {
        return 1;
    }
    state->child_classes = 0;
    if (!are_same(entries)) {
        return 0;
    }
    state->child_classes = version_of(classes);
    return 1;
}

/* Whether stock's classes and what Popen calls are what they were when the
 * Python half of the transport was made, which lists them. */
static int
is_original(PyaioState *state, PyObject *op)
{
    PyObject *classes, *methods, *functions;
    PyObject *originals = PyObject_GetAttr(op, state->str__originals);
    if (originals == NULL || !PyTuple_Check(originals)) {
        Py_XDECREF(originals);
        return originals ? 0 : -1;
    }
    int same =
        PyArg_ParseTuple(originals, "O!O!O!", &PyTuple_Type, &classes,
                         &PyTuple_Type, &methods, &PyTuple_Type, &functions)
            ? are_same(functions) && classes_are_same(state, classes, methods)
            : -1;
    Py_DECREF(originals);
    return same;
}

/* Whether the arguments of the constructor are such as we know. */
static int
parse(PyaioState *state, PyObject *args, PyObject *kwargs,
      PyaioConstruction *made)
{
    PyaioChildPlan *plan = &made->plan;
    PyObject *extra = Py_None, *bufsize = NULL, *shell = NULL;
    *plan = pyaio_child_plan(NULL, 0);
    made->waiter = Py_None;
    if (!PyArg_UnpackTuple(args, "", 8, 8, &made->loop, &made->protocol,
                           &plan->args, &shell, &plan->files[0],
                           &plan->files[1], &plan->files[2], &bufsize)) {
        PyErr_Clear();
        return 0;
    }
    const struct {
        PyObject *name, **value;
    } known[] = {
        {state->str_waiter, &made->waiter},
        {state->str_extra, &extra},
        {state->str_env, &plan->env},
        {state->str_cwd, &plan->cwd},
        {state->str_restore_signals, &plan->restore_signals},
        {state->str_start_new_session, &plan->new_session},
        {state->str_process_group, &plan->process_group},
    };
    Py_ssize_t position = 0;
    PyObject *name, *value;
    while (kwargs && PyDict_Next(kwargs, &position, &name, &value)) {
        size_t i = 0, count = sizeof(known) / sizeof(known[0]);
        while (i < count && known[i].name != name) {
            i++;
        }
        if (i == count) {
            return 0;
        }
        *known[i].value = value;
    }
    plan->shell = shell == Py_True;
    return extra == Py_None && (plan->shell || shell == Py_False);
}

static int
note_pipes(PyaioSubprocess *self)
{
    for (int i = 0; i < 3; i++) {
        if (self->files[i] < 0) {
            continue;
        }
        if (self->pipes == NULL && (self->pipes = PyDict_New()) == NULL) {
            return -1;
        }
        PyObject *number = PyLong_FromLong(i);
        int err = number ? PyDict_SetItem(self->pipes, number, Py_None) : -1;
        Py_XDECREF(number);
        if (err < 0) {
            return -1;
        }
    }
    return 0;
}

static int
is_true(PyObject *op, PyObject *name)
{
    PyObject *value = PyObject_GetAttr(op, name);
    int truth = value ? PyObject_IsTrue(value) : -1;
    Py_XDECREF(value);
    return truth;
}

int
pyaio_subprocess_construct(PyaioState *state, PyaioSubprocess *self,
                           const PyaioConstruction *made)
{
    PyObject *op = (PyObject *)self;
    int usual =
        pyaio_sched_direct(state, made->loop, PYAIO_LOOP_GET_DEBUG) != NULL;
    if (usual == 1) {
        usual = is_original(state, op);
    }
    int early = usual == 1 ? is_true(op, state->str__wakes_early) : 0;
    if (usual != 1 || early < 0) {
        return early < 0 ? -1 : usual;
    }
    int started = pyaio_subprocess_start(state, self, &made->plan);
    if (started <= 0) {
        self->closed = started < 0;
        return started;
    }
    self->wakes_early = (uint8_t)early;
    self->connecting = 1;
    self->loop = Py_NewRef(made->loop);
    self->protocol = Py_NewRef(made->protocol);
    return note_pipes(self) < 0 ||
                   pyaio_subprocess_connect(state, self, made->waiter) < 0
               ? -1
               : 1;
}

int
pyaio_subprocess_construct_in_stock(PyaioState *state, PyObject *op,
                                    PyObject *args, PyObject *kwargs)
{
    PyObject *init =
        PyObject_GetAttrString(state->stock_Subprocess, "__init__");
    PyObject *head = init ? PyTuple_Pack(1, op) : NULL;
    PyObject *all = head ? PySequence_Concat(head, args) : NULL;
    PyObject *result = all ? PyObject_Call(init, all, kwargs) : NULL;
    Py_XDECREF(init);
    Py_XDECREF(head);
    Py_XDECREF(all);
    Py_XDECREF(result);
    ((PyaioSubprocess *)op)->from_stock = 1;
    return result ? 0 : -1;
}

int
pyaio_subprocess_init_object(PyObject *op, PyObject *args, PyObject *kwargs)
{
    PyaioState *state = pyaio_state_of(op);
    PyaioSubprocess *self = (PyaioSubprocess *)op;
    PyaioConstruction made;
    int done = self->loop == NULL && parse(state, args, kwargs, &made)
                   ? pyaio_subprocess_construct(state, self, &made)
                   : 0;
    if (done != 0) {
        return done < 0 ? -1 : 0;
    }
    return pyaio_subprocess_construct_in_stock(state, op, args, kwargs);
}

PyObject *
pyaio_subprocess_alloc(PyaioState *state)
{
    PyTypeObject *type = (PyTypeObject *)state->ChildTransport;
    return pyaio_stream_class_is_plain(state->ChildTransport,
                                       state->Subprocess_type)
               ? type->tp_new(type, NULL, NULL)
               : Py_NewRef(Py_None);
}
