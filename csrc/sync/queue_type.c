/* QueueBase: the Python face of a queue. */
#include "base/errors.h"
#include "base/meta.h"
#include "sync/queue.h"
#include "sync/sync.h"

static inline PyaioState *
state_of(PyObject *op)
{
    return pyaio_state_of(op);
}

/* --- making -------------------------------------------------------------- */

static PyObject *
Queue_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
          PyObject *Py_UNUSED(kwargs))
{
    PyObject *op = type->tp_alloc(type, 0);
    if (op != NULL) {
        pyaio_waiters_init(&((PyaioQueue *)op)->getters, 0);
        pyaio_waiters_init(&((PyaioQueue *)op)->putters, 0);
    }
    return op;
}

/* self._init(maxsize). */
static int
queue_make_container(PyaioState *state, PyaioQueue *self, PyObject *maxsize)
{
    uint8_t whose = pyaio_queue_methods(state, self)->init;
    if (whose == PYAIO_QUEUE_REPLACED) {
        PyObject *done = PyObject_CallMethodOneArg((PyObject *)self,
                                                   state->str__init, maxsize);
        Py_XDECREF(done);
        return done ? 0 : -1;
    }
    PyObject *items = whose == PYAIO_QUEUE_FIFO
                          ? PyObject_CallNoArgs(state->deque)
                          : PyList_New(0);
    if (items == NULL) {
        return -1;
    }
    Py_XSETREF(self->items, items);
    return 0;
}

static int
Queue_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"maxsize", NULL};
    PyObject *maxsize = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:Queue", names,
                                     &maxsize)) {
        return -1;
    }
    PyaioQueue *self = (PyaioQueue *)op;
    PyaioState *state = state_of(op);
    maxsize = maxsize ? Py_NewRef(maxsize) : PyLong_FromLong(0);
    if (maxsize == NULL) {
        return -1;
    }
    pyaio_waiters_init(&self->getters, 0);
    pyaio_waiters_init(&self->putters, 0);
    self->is_finished = 1;
    self->present |= PYAIO_QUEUE_HAS_GETTERS | PYAIO_QUEUE_HAS_PUTTERS |
                     PYAIO_QUEUE_HAS_FINISHED;
    PyObject *zero = PyLong_FromLong(0);
    int err = zero == NULL || pyaio_number_set(&self->unfinished, zero) < 0 ||
                      pyaio_number_set(&self->maxsize, maxsize) < 0
                  ? -1
                  : 0;
    Py_XDECREF(zero);
    Py_CLEAR(self->finished);
    if (err == 0) {
        err = queue_make_container(state, self, maxsize);
    }
    Py_DECREF(maxsize);
    self->is_shutdown = 0;
    self->present |= PYAIO_QUEUE_HAS_SHUTDOWN;
    return err;
}

/* --- methods ------------------------------------------------------------- */

static PyObject *
bool_or_error(int truth)
{
    return truth < 0 ? NULL : PyBool_FromLong(truth);
}

static PyObject *
Queue_qsize(PyObject *op, PyObject *Py_UNUSED(unused))
{
    Py_ssize_t count = pyaio_queue_count(state_of(op), (PyaioQueue *)op);
    return count < 0 ? NULL : PyLong_FromSsize_t(count);
}

static PyObject *
Queue_empty(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return bool_or_error(pyaio_queue_is_empty(state_of(op), (PyaioQueue *)op));
}

static PyObject *
Queue_full(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return bool_or_error(pyaio_queue_is_full(state_of(op), (PyaioQueue *)op));
}

static PyObject *
Queue_get_nowait(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return pyaio_queue_get_nowait(state_of(op), (PyaioQueue *)op);
}

static PyObject *
Queue_put_nowait(PyObject *op, PyObject *const *args, Py_ssize_t nargs,
                 PyObject *kwnames)
{
    PyaioState *state = state_of(op);
    Py_ssize_t named = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    if (nargs + named != 1 ||
        (named && PyUnicode_Compare(PyTuple_GET_ITEM(kwnames, 0),
                                    state->str_item) != 0)) {
        PyErr_SetString(PyExc_TypeError,
                        "put_nowait() takes exactly one argument, 'item'");
        return NULL;
    }
    return pyaio_none_or_error(
        pyaio_queue_put_nowait(state, (PyaioQueue *)op, args[0]));
}

static PyObject *
Queue_task_done(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return pyaio_none_or_error(
        pyaio_queue_task_done(state_of(op), (PyaioQueue *)op));
}

#if PYAIO_HAS_QUEUE_SHUTDOWN
static PyObject *
Queue_shutdown(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"immediate", NULL};
    PyObject *immediate = Py_False;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:shutdown", names,
                                     &immediate)) {
        return NULL;
    }
    return pyaio_none_or_error(
        pyaio_queue_shutdown(state_of(op), (PyaioQueue *)op, immediate));
}
#endif

static PyObject *
number_or_missing(PyObject *op, const PyaioNumber *number, const char *name)
{
    if (!number->is_set) {
        pyaio_primitive_no_attribute(op, name);
        return NULL;
    }
    return pyaio_number_get(number);
}

/* --- what repr() and str() say ------------------------------------------- */

/* Appends `part`, a new reference or NULL after an error, to *text. */
static int
format_append(PyObject **text, PyObject *part)
{
    if (part == NULL) {
        Py_CLEAR(*text);
        return -1;
    }
    PyUnicode_Append(text, part);
    Py_DECREF(part);
    return *text ? 0 : -1;
}

static int
format_items(PyaioQueue *self, PyObject **text)
{
    PyObject *items = Py_XNewRef(self->items);
    int truth = items ? PyObject_IsTrue(items) : 0;
    int err = truth < 0 ? -1 : 0;
    if (truth > 0) {
        PyObject *list = PySequence_List(items);
        err = format_append(
            text, list ? PyUnicode_FromFormat(" _queue=%R", list) : NULL);
        Py_XDECREF(list);
    }
    Py_XDECREF(items);
    return err;
}

static int
format_waiters(PyaioQueue *self, PyObject **text, PyaioWaiters *waiters,
               unsigned bit, const char *name)
{
    Py_ssize_t count =
        pyaio_queue_require(self, bit) < 0 ? -1 : pyaio_waiters_count(waiters);
    if (count <= 0) {
        return count < 0 ? -1 : 0;
    }
    return format_append(text, PyUnicode_FromFormat(" %s[%zd]", name, count));
}

static int
format_state(PyaioQueue *self, PyObject **text)
{
    PyObject *unfinished = number_or_missing(
        (PyObject *)self, &self->unfinished, "_unfinished_tasks");
    int truth = unfinished ? PyObject_IsTrue(unfinished) : -1;
    int err = truth < 0 ? -1 : 0;
    if (truth > 0) {
        err =
            format_append(text, PyUnicode_FromFormat(" tasks=%R", unfinished));
    }
    Py_XDECREF(unfinished);
    if (err == 0 && self->is_shutdown) {
        return format_append(text, PyUnicode_FromString(" shutdown"));
    }
    if (err == 0 && PYAIO_HAS_QUEUE_SHUTDOWN) {
        return pyaio_queue_require(self, PYAIO_QUEUE_HAS_SHUTDOWN);
    }
    return err;
}

static PyObject *
Queue_format(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyaioQueue *self = (PyaioQueue *)op;
    PyObject *maxsize = number_or_missing(op, &self->maxsize, "_maxsize");
    PyObject *text =
        maxsize ? PyUnicode_FromFormat("maxsize=%R", maxsize) : NULL;
    Py_XDECREF(maxsize);
    if (text == NULL) {
        return NULL;
    }
    if (format_items(self, &text) < 0 ||
        format_waiters(self, &text, &self->getters, PYAIO_QUEUE_HAS_GETTERS,
                       "_getters") < 0 ||
        format_waiters(self, &text, &self->putters, PYAIO_QUEUE_HAS_PUTTERS,
                       "_putters") < 0 ||
        format_state(self, &text) < 0) {
        Py_CLEAR(text);
    }
    return text;
}

/* --- attributes ---------------------------------------------------------- */

static PyObject *
Queue_get_maxsize(PyObject *op, void *Py_UNUSED(closure))
{
    return number_or_missing(op, &((PyaioQueue *)op)->maxsize, "_maxsize");
}

static int
Queue_set_maxsize(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    return pyaio_number_set(&((PyaioQueue *)op)->maxsize, value);
}

static PyObject *
Queue_get_unfinished(PyObject *op, void *Py_UNUSED(closure))
{
    return number_or_missing(op, &((PyaioQueue *)op)->unfinished,
                             "_unfinished_tasks");
}

static int
Queue_set_unfinished(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    return pyaio_number_set(&((PyaioQueue *)op)->unfinished, value);
}

/* Takes note that the attribute of `bit` is there, or is not. */
static void
queue_set_present(PyaioQueue *self, unsigned bit, PyObject *value)
{
    self->present =
        (uint8_t)(value ? self->present | bit : self->present & ~bit);
}

static PyaioWaiters *
waiters_of(PyaioQueue *self, void *closure)
{
    return closure ? &self->putters : &self->getters;
}

static unsigned
waiters_bit(void *closure)
{
    return closure ? PYAIO_QUEUE_HAS_PUTTERS : PYAIO_QUEUE_HAS_GETTERS;
}

static PyObject *
Queue_get_waiters(PyObject *op, void *closure)
{
    PyaioQueue *self = (PyaioQueue *)op;
    if (pyaio_queue_require(self, waiters_bit(closure)) < 0) {
        return NULL;
    }
    return pyaio_waiters_get(state_of(op), waiters_of(self, closure));
}

static int
Queue_set_waiters(PyObject *op, PyObject *value, void *closure)
{
    PyaioQueue *self = (PyaioQueue *)op;
    queue_set_present(self, waiters_bit(closure), value);
    return pyaio_waiters_set(waiters_of(self, closure),
                             value ? value : Py_None);
}

static PyObject *
Queue_get_finished(PyObject *op, void *Py_UNUSED(closure))
{
    return pyaio_queue_finished(state_of(op), (PyaioQueue *)op);
}

static int
Queue_set_finished(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    PyaioQueue *self = (PyaioQueue *)op;
    queue_set_present(self, PYAIO_QUEUE_HAS_FINISHED, value);
    Py_XSETREF(self->finished, Py_XNewRef(value));
    return 0;
}

#if PYAIO_HAS_QUEUE_SHUTDOWN
static PyObject *
Queue_get_is_shutdown(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioQueue *self = (PyaioQueue *)op;
    if (pyaio_queue_require(self, PYAIO_QUEUE_HAS_SHUTDOWN) < 0) {
        return NULL;
    }
    return PyBool_FromLong(self->is_shutdown);
}

static int
Queue_set_is_shutdown(PyObject *op, PyObject *value, void *Py_UNUSED(closure))
{
    PyaioQueue *self = (PyaioQueue *)op;
    int truth = value ? PyObject_IsTrue(value) : 0;
    if (truth < 0) {
        return -1;
    }
    self->is_shutdown = (uint8_t)truth;
    queue_set_present(self, PYAIO_QUEUE_HAS_SHUTDOWN, value);
    return 0;
}
#endif

static int
Queue_setattro(PyObject *op, PyObject *name, PyObject *value)
{
    int err = PyObject_GenericSetAttr(op, name, value);
    PyaioState *state = state_of(op);
    if (err == 0 && state != NULL) {
        pyaio_queue_attribute_set(state, (PyaioQueue *)op, name,
                                  value != NULL);
    }
    return err;
}

/* --- the type ------------------------------------------------------------ */

static int
Queue_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioQueue *self = (PyaioQueue *)op;
    Py_VISIT(self->items);
    Py_VISIT(self->finished);
    int err = pyaio_number_traverse(&self->maxsize, visit, arg);
    err = err ? err : pyaio_number_traverse(&self->unfinished, visit, arg);
    err = err ? err : pyaio_waiters_traverse(&self->getters, visit, arg);
    err = err ? err : pyaio_waiters_traverse(&self->putters, visit, arg);
    return err ? err : pyaio_primitive_traverse(op, visit, arg);
}

static int
Queue_clear(PyObject *op)
{
    PyaioQueue *self = (PyaioQueue *)op;
    pyaio_waiters_clear(&self->getters);
    pyaio_waiters_clear(&self->putters);
    (void)pyaio_number_set(&self->maxsize, NULL);
    (void)pyaio_number_set(&self->unfinished, NULL);
    Py_CLEAR(self->items);
    Py_CLEAR(self->finished);
    return pyaio_primitive_clear(op);
}

static void
Queue_dealloc(PyObject *op)
{
    pyaio_primitive_dealloc(op, Queue_clear);
}

PyDoc_STRVAR(qsize_doc, "qsize($self, /)\n--\n\n"
                        "How many items there are.");
PyDoc_STRVAR(empty_doc, "empty($self, /)\n--\n\n"
                        "Whether there is no item to get.");
PyDoc_STRVAR(
    full_doc,
    "full($self, /)\n--\n\n"
    "Whether maxsize items are in; never where maxsize is 0 or less.");
PyDoc_STRVAR(get_nowait_doc,
             "get_nowait($self, /)\n--\n\n"
             "Take an item out and return it; QueueEmpty where there is none "
             "(QueueShutDown after shutdown(), 3.13).");
PyDoc_STRVAR(put_nowait_doc,
             "put_nowait($self, /, item)\n--\n\n"
             "Put an item in; QueueFull where there is no room "
             "(QueueShutDown after shutdown(), 3.13).");
PyDoc_STRVAR(task_done_doc,
             "task_done($self, /)\n--\n\n"
             "Say that the work on one item that was gotten is done.\n\n"
             "join() returns when that was said of every item. ValueError "
             "where it was said more often than items were put.");
PyDoc_STRVAR(format_doc, "_format($self, /)\n--\n\n"
                         "What repr() tells of the queue.");
#if PYAIO_HAS_QUEUE_SHUTDOWN
PyDoc_STRVAR(shutdown_doc,
             "shutdown($self, /, immediate=False)\n--\n\n"
             "Have every put() raise QueueShutDown, and every get() once the "
             "queue is empty.\n\n"
             "With immediate=True it is emptied first, as if task_done() were "
             "called for each item. Whoever waits is woken.");
#endif

static PyMethodDef queue_methods[] = {
    PYAIO_PRIMITIVE_METHODS,
    {"qsize", Queue_qsize, METH_NOARGS, qsize_doc},
    {"empty", Queue_empty, METH_NOARGS, empty_doc},
    {"full", Queue_full, METH_NOARGS, full_doc},
    {"get_nowait", Queue_get_nowait, METH_NOARGS, get_nowait_doc},
    {"put_nowait", (PyCFunction)(void (*)(void))Queue_put_nowait,
     METH_FASTCALL | METH_KEYWORDS, put_nowait_doc},
    {"task_done", Queue_task_done, METH_NOARGS, task_done_doc},
#if PYAIO_HAS_QUEUE_SHUTDOWN
    {"shutdown", (PyCFunction)(void (*)(void))Queue_shutdown,
     METH_VARARGS | METH_KEYWORDS, shutdown_doc},
#endif
    {"_format", Queue_format, METH_NOARGS, format_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef queue_getset[] = {
    PYAIO_PRIMITIVE_GETSET,
    {"maxsize", Queue_get_maxsize, NULL, "How many items fit in.", NULL},
    {"_maxsize", Queue_get_maxsize, Queue_set_maxsize, NULL, NULL},
    {"_getters", Queue_get_waiters, Queue_set_waiters, NULL, NULL},
    {"_putters", Queue_get_waiters, Queue_set_waiters, NULL, ""},
    {"_unfinished_tasks", Queue_get_unfinished, Queue_set_unfinished, NULL,
     NULL},
    {"_finished", Queue_get_finished, Queue_set_finished, NULL, NULL},
#if PYAIO_HAS_QUEUE_SHUTDOWN
    {"_is_shutdown", Queue_get_is_shutdown, Queue_set_is_shutdown, NULL, NULL},
#endif
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef queue_members[] = {
    {"_queue", T_OBJECT_EX, offsetof(PyaioQueue, items), 0, NULL},
    PYAIO_PRIMITIVE_MEMBERS,
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(queue_doc, "Queue(maxsize=0)\n--\n\n"
                        "What is native of the Queue that stands on it.");

static PyType_Slot queue_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)queue_doc},
    {Py_tp_new, Queue_new},
    {Py_tp_init, Queue_init},
    {Py_tp_setattro, Queue_setattro},
    {Py_tp_traverse, Queue_traverse},
    {Py_tp_clear, Queue_clear},
    {Py_tp_dealloc, Queue_dealloc},
    {Py_tp_methods, queue_methods},
    {Py_tp_getset, queue_getset},
    {Py_tp_members, queue_members},
    {0, NULL},
};

static PyType_Spec queue_spec = {
    .name = "pyaio._core.Queue",
    .basicsize = sizeof(PyaioQueue),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = queue_slots,
};

/* The C function behind a method of the deque, if it has these flags. */
static PyCFunction
deque_method(PyaioState *state, const char *name, int flags)
{
    PyObject *found = PyObject_GetAttrString(state->deque, name);
    PyCFunction function = NULL;
    if (found != NULL && Py_IS_TYPE(found, &PyMethodDescr_Type)) {
        PyMethodDef *method = ((PyMethodDescrObject *)found)->d_method;
        function = method->ml_flags == flags ? method->ml_meth : NULL;
    }
    Py_XDECREF(found);
    PyErr_Clear();
    return function;
}

int
pyaio_queue_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_add_type(module, &state->QueueBase_type, &queue_spec, NULL) <
            0 ||
        pyaio_meta_adopt(state, state->QueueBase_type) < 0 ||
        pyaio_queue_coroutines_init(module) < 0) {
        return -1;
    }
    state->deque_append = deque_method(state, "append", METH_O);
    state->deque_popleft = deque_method(state, "popleft", METH_NOARGS);
    return pyaio_queue_methods_init(state);
}
