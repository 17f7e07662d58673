/* GatheringFuture: counts the ends of its children, then has their results. */
#include "combine/gathering.h"
#include "base/interop.h"
#include "base/meta.h"

/* --- children ------------------------------------------------------------ */

PyaioGathering *
pyaio_gathering_new(PyaioState *state, Py_ssize_t capacity,
                    int return_exceptions)
{
    PyTypeObject *type = state->GatheringFuture_type;
    PyaioGathering *self = (PyaioGathering *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->children = PyMem_New(PyObject *, (size_t)capacity);
    if (self->children == NULL) {
        Py_DECREF(self);
        PyErr_NoMemory();
        return NULL;
    }
    self->return_exceptions = (uint8_t)return_exceptions;
    return self;
}

static int
gathering_child_run(PyaioState *state, PyObject *a, PyObject *b)
{
    if (b == NULL) {
        PyErr_SetString(PyExc_TypeError,
                        "gather.<locals>._done_callback() missing 1 required "
                        "positional argument: 'fut'");
        return -1;
    }
    return pyaio_gathering_child_ended(state, (PyaioGathering *)a, b);
}

static const PyaioReadyKind gathering_child = {
    .name = "gather.<locals>._done_callback",
    .run = gathering_child_run,
};

static int
gathering_forget_waiter(PyaioState *state, PyaioGathering *self,
                        PyObject *child)
{
    if (self->waiter_is_ours && pyaio_as_native_future(state, child)) {
        return pyaio_awaited_by_discard(state, child, self->waiter);
    }
    return pyaio_stock_awaited_by_discard(state, child, self->waiter);
}

static int
gathering_record_waiter(PyaioState *state, PyaioGathering *self,
                        PyObject *child)
{
    if (self->waiter_is_ours && pyaio_as_native_future(state, child)) {
        return pyaio_awaited_by_add(state, child, self->waiter);
    }
    return pyaio_stock_awaited_by_add(state, child, self->waiter);
}

int
pyaio_gathering_add(PyaioState *state, PyaioGathering *self, PyObject *child,
                    int early)
{
    self->children[self->length++] = Py_NewRef(child);
    self->different++;
    if (early) {
        return 0;
    }
    if (self->waiter != NULL &&
        gathering_record_waiter(state, self, child) < 0) {
        return -1;
    }
    return pyaio_any_future_add_waiter(state, child, &gathering_child,
                                       (PyObject *)self);
}

/* --- what a child ended with --------------------------------------------- */

typedef enum {
    ENDED_ERROR = -1, /* it could not be found out, an exception is set */
    ENDED_RESULT,
    ENDED_EXCEPTION,
    ENDED_CANCELLED,
} Ended;

/* For futures that are not ours, through their methods. */
static Ended
child_ask(PyaioState *state, PyObject *child, PyObject **exception)
{
    int cancelled = pyaio_any_future_cancelled(state, child);
    if (cancelled != 0) {
        return cancelled < 0 ? ENDED_ERROR : ENDED_CANCELLED;
    }
    PyObject *found = PyObject_CallMethodNoArgs(child, state->str_exception);
    if (found == NULL) {
        return ENDED_ERROR;
    }
    if (found == Py_None) {
        Py_DECREF(found);
        return ENDED_RESULT;
    }
    *exception = found;
    return ENDED_EXCEPTION;
}

/* How `child`, which is done, ended; *exception, a new reference, only with
 * ENDED_EXCEPTION, which is retrieved by that. */
static Ended
child_ended(PyaioState *state, PyObject *child, PyObject **exception)
{
    PyaioFuture *future = pyaio_as_native_future(state, child);
    if (future == NULL || !pyaio_future_done(future)) {
        return child_ask(state, child, exception);
    }
    PyaioFutureBase *base = pyaio_future_base(future);
    if (base->state == PYAIO_FUTURE_CANCELLED) {
        return ENDED_CANCELLED;
    }
    future->log_tb = 0;
    if (base->exception == NULL) {
        return ENDED_RESULT;
    }
    *exception = Py_NewRef(base->exception);
    return ENDED_EXCEPTION;
}

static PyObject *
child_result(PyaioState *state, PyObject *child)
{
    PyaioFuture *future = pyaio_as_native_future(state, child);
    if (future != NULL && pyaio_future_base(future)->result != NULL) {
        return Py_NewRef(pyaio_future_base(future)->result);
    }
    return PyObject_CallMethodNoArgs(child, state->str_result);
}

static PyObject *
child_make_cancelled_error(PyaioState *state, PyObject *child)
{
    PyaioFuture *future = pyaio_as_native_future(state, child);
    if (future != NULL) {
        return pyaio_future_cancelled_error(state, future);
    }
    return PyObject_CallMethod(child, "_make_cancelled_error", NULL);
}

/* The CancelledError that stands among the results for a cancelled child. */
static PyObject *
child_cancellation_as_result(PyaioState *state, PyObject *child)
{
    PyObject *message = PyObject_GetAttrString(child, "_cancel_message");
    if (message == NULL) {
        return NULL;
    }
    if (message == Py_None) {
        Py_SETREF(message, PyUnicode_FromString(""));
    }
    PyObject *error =
        message ? PyObject_CallOneArg(state->CancelledError, message) : NULL;
    Py_XDECREF(message);
    return error;
}

/* The child's entry in the list of results. */
static PyObject *
child_as_result(PyaioState *state, PyObject *child)
{
    PyObject *exception;
    switch (child_ended(state, child, &exception)) {
    case ENDED_RESULT:
        return child_result(state, child);
    case ENDED_EXCEPTION:
        return exception;
    case ENDED_CANCELLED:
        return child_cancellation_as_result(state, child);
    default:
        return NULL;
    }
}

/* --- the end ------------------------------------------------------------- */

/* Fails with `exception`, which may be any object that a child gave out.
 * Steals it; NULL means that one is set already. */
static int
gathering_fail(PyaioState *state, PyaioGathering *self, PyObject *exception)
{
    if (exception == NULL) {
        return -1;
    }
    int err;
    if (PyExceptionInstance_Check(exception) &&
        !PyErr_GivenExceptionMatches(exception, PyExc_StopIteration)) {
        err = pyaio_future_set_exception(state, &self->base.future, exception);
    }
    else {
        PyObject *done = PyObject_CallMethod((PyObject *)self, "set_exception",
                                             "O", exception);
        err = done ? 0 : -1;
        Py_XDECREF(done);
    }
    Py_DECREF(exception);
    return err;
}

/* Nobody waits for the children that go on. (Later patch releases of the
 * versions that record who awaits whom.) */
static int
gathering_forget_rest(PyaioState *state, PyaioGathering *self)
{
    if (self->waiter == NULL || state->discard_awaited_by == Py_None) {
        return 0;
    }
    for (Py_ssize_t i = 0; i < self->length; i++) {
        PyObject *child = Py_NewRef(self->children[i]);
        int err = gathering_forget_waiter(state, self, child);
        Py_DECREF(child);
        if (err < 0) {
            return -1;
        }
    }
    return 0;
}

/* Fails if `child` did. Returns 1 if so, 0 if not, -1 with an exception. */
static int
gathering_check_failure(PyaioState *state, PyaioGathering *self,
                        PyObject *child)
{
    PyObject *exception;
    switch (child_ended(state, child, &exception)) {
    case ENDED_RESULT:
        return 0;
    case ENDED_EXCEPTION:
        break;
    case ENDED_CANCELLED:
        exception = child_make_cancelled_error(state, child);
        break;
    default:
        return -1;
    }
    if (gathering_fail(state, self, exception) < 0 ||
        gathering_forget_rest(state, self) < 0) {
        return -1;
    }
    return 1;
}

static PyObject *
gathering_collect(PyaioState *state, PyaioGathering *self)
{
    Py_ssize_t length = self->length;
    PyObject *results = PyList_New(length);
    if (results == NULL) {
        return NULL;
    }
    PyObject_GC_UnTrack(results); /* while it has gaps */
    for (Py_ssize_t i = 0; i < length; i++) {
        PyObject *child = Py_NewRef(self->children[i]);
        PyObject *result = child_as_result(state, child);
        Py_DECREF(child);
        if (result == NULL) {
            Py_DECREF(results);
            return NULL;
        }
        PyList_SET_ITEM(results, i, result);
    }
    PyObject_GC_Track(results);
    return results;
}

/* Every child has ended. */
static int
gathering_finish(PyaioState *state, PyaioGathering *self)
{
    PyObject *results = gathering_collect(state, self);
    if (results == NULL) {
        return -1;
    }
    int err = 0;
    if (pyaio_future_done(&self->base.future)) { /* code ran meanwhile */
        PyErr_SetString(state->InvalidStateError, "invalid state");
        err = -1;
    }
    else if (self->cancel_requested) {
        /* Whatever the children made of it, as stock: the last one's. */
        PyObject *last = Py_NewRef(self->children[self->length - 1]);
        err = gathering_fail(state, self,
                             child_make_cancelled_error(state, last));
        Py_DECREF(last);
    }
    else {
        err = pyaio_future_set_result(state, &self->base.future, results);
    }
    Py_DECREF(results);
    Py_CLEAR(self->waiter);
    return err;
}

int
pyaio_gathering_child_ended(PyaioState *state, PyaioGathering *self,
                            PyObject *child)
{
    self->finished++;
    if (self->waiter != NULL &&
        gathering_forget_waiter(state, self, child) < 0) {
        return -1;
    }
    if (!self->complete || pyaio_future_done(&self->base.future)) {
        PyObject *exception = NULL; /* retrieved by looking at it */
        Ended ended = child_ended(state, child, &exception);
        if (ended == ENDED_EXCEPTION) {
            Py_DECREF(exception);
        }
        return ended == ENDED_ERROR ? -1 : 0;
    }
    if (!self->return_exceptions) {
        int failed = gathering_check_failure(state, self, child);
        if (failed != 0) {
            return failed < 0 ? -1 : 0;
        }
    }
    return self->finished == self->different ? gathering_finish(state, self)
                                             : 0;
}

/* --- the type ------------------------------------------------------------ */

/* Asks every child to cancel. Returns whether one agreed, or -1. */
static int
gathering_cancel_children(PyaioState *state, PyaioGathering *self,
                          PyObject *message)
{
    int any = 0;
    for (Py_ssize_t i = 0; i < self->length; i++) {
        PyObject *child = Py_NewRef(self->children[i]);
        int cancelled = pyaio_any_future_cancel(state, child, message);
        Py_DECREF(child);
        if (cancelled < 0) {
            return -1;
        }
        any |= cancelled;
    }
    return any;
}

static PyObject *
GatheringFuture_cancel(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"msg", NULL};
    PyObject *message = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:cancel", names,
                                     &message)) {
        return NULL;
    }
    PyaioGathering *self = (PyaioGathering *)op;
    if (pyaio_future_done(&self->base.future)) {
        Py_RETURN_FALSE;
    }
    int any = gathering_cancel_children(pyaio_state_of(op), self, message);
    if (any < 0) {
        return NULL;
    }
    self->cancel_requested |= (uint8_t)any;
    return PyBool_FromLong(any);
}

static PyObject *
GatheringFuture_get_children(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioGathering *self = (PyaioGathering *)op;
    PyObject *list = PyList_New(self->length);
    if (list != NULL) {
        for (Py_ssize_t i = 0; i < self->length; i++) {
            PyList_SET_ITEM(list, i, Py_NewRef(self->children[i]));
        }
    }
    return list;
}

static PyObject *
GatheringFuture_get_cancel_requested(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(((PyaioGathering *)op)->cancel_requested);
}

static int
GatheringFuture_set_cancel_requested(PyObject *op, PyObject *value,
                                     void *Py_UNUSED(closure))
{
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "cannot delete attribute");
        return -1;
    }
    int truth = PyObject_IsTrue(value);
    if (truth < 0) {
        return -1;
    }
    ((PyaioGathering *)op)->cancel_requested = (uint8_t)truth;
    return 0;
}

static int
GatheringFuture_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioGathering *self = (PyaioGathering *)op;
    for (Py_ssize_t i = 0; i < self->length; i++) {
        Py_VISIT(self->children[i]);
    }
    Py_VISIT(self->waiter);
    return pyaio_future_tp_traverse(op, visit, arg);
}

static void
gathering_drop_children(PyaioGathering *self)
{
    PyObject **children = self->children;
    Py_ssize_t length = self->length;
    self->children = NULL;
    self->length = 0;
    self->complete = 0;
    for (Py_ssize_t i = 0; i < length; i++) {
        Py_DECREF(children[i]);
    }
    PyMem_Free(children);
    Py_CLEAR(self->waiter);
}

static int
GatheringFuture_clear(PyObject *op)
{
    gathering_drop_children((PyaioGathering *)op);
    return pyaio_future_tp_clear(op);
}

static void
GatheringFuture_dealloc(PyObject *op)
{
    if (PyObject_CallFinalizerFromDealloc(op) < 0) {
        return; /* resurrected */
    }
    PyObject_GC_UnTrack(op);
    gathering_drop_children((PyaioGathering *)op);
    PyObject_GC_Track(op); /* as Future's expects it */
    Py_TYPE(op)->tp_base->tp_dealloc(op);
}

#if PYAIO_HAS_CALL_GRAPH
/* Somebody else ends it: Future's method, after which the children that go on
 * are awaited no more. */
static PyObject *
gathering_end_by(PyObject *op, const char *name, PyObject *value)
{
    PyaioState *state = pyaio_state_of(op);
    PyObject *method =
        PyObject_GetAttrString((PyObject *)state->Future_type, name);
    PyObject *done =
        method ? PyObject_CallFunctionObjArgs(method, op, value, NULL) : NULL;
    Py_XDECREF(method);
    if (done != NULL &&
        gathering_forget_rest(state, (PyaioGathering *)op) < 0) {
        Py_CLEAR(done);
    }
    return done;
}

static PyObject *
GatheringFuture_set_result(PyObject *op, PyObject *result)
{
    return gathering_end_by(op, "set_result", result);
}

static PyObject *
GatheringFuture_set_exception(PyObject *op, PyObject *exception)
{
    return gathering_end_by(op, "set_exception", exception);
}
#endif

static PyMethodDef gathering_methods[] = {
#if PYAIO_HAS_CALL_GRAPH
    {"set_result", GatheringFuture_set_result, METH_O,
     "set_result($self, result, /)\n--\n\n"
     "End it before its children, which go on."},
    {"set_exception", GatheringFuture_set_exception, METH_O,
     "set_exception($self, exception, /)\n--\n\n"
     "Fail before its children, which go on."},
#endif
    {"cancel", (PyCFunction)(void (*)(void))GatheringFuture_cancel,
     METH_VARARGS | METH_KEYWORDS,
     "cancel($self, /, msg=None)\n--\n\n"
     "Cancel the children; False where none of them could be."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef gathering_getset[] = {
    {"_children", GatheringFuture_get_children, NULL, NULL, NULL},
    {"_cancel_requested", GatheringFuture_get_cancel_requested,
     GatheringFuture_set_cancel_requested, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot gathering_slots[] = {
    {Py_tp_traverse, GatheringFuture_traverse},
    {Py_tp_clear, GatheringFuture_clear},
    {Py_tp_finalize, pyaio_future_tp_finalize},
    {Py_tp_dealloc, GatheringFuture_dealloc},
    {Py_tp_methods, gathering_methods},
    {Py_tp_getset, gathering_getset},
    {0, NULL},
};

static PyType_Spec gathering_spec = {
    .name = "pyaio._core._GatheringFuture",
    .basicsize = sizeof(PyaioGathering),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION | PYAIO_TPFLAGS_INHERITED_DICT,
    .slots = gathering_slots,
};

int
pyaio_gathering_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    /* A type cannot be made from a spec where the base has a metaclass with a
     * __new__() in Python, so Future puts its own aside for the moment. */
    PyTypeObject *future = state->Future_type;
    PyTypeObject *meta = Py_TYPE(future);
    Py_SET_TYPE((PyObject *)future, &PyType_Type);
    int err = pyaio_add_type(module, &state->GatheringFuture_type,
                             &gathering_spec, future);
    Py_SET_TYPE((PyObject *)future, meta);
    return err < 0 ? -1 : pyaio_meta_adopt(state, state->GatheringFuture_type);
}
