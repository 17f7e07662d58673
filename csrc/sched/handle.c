/* Handle: a callback to run once, or whenever a descriptor is ready. */
#include "sched/handle.h"
#include "base/context.h"
#include "base/meta.h"
#include "sched/report.h"

/* --- contents ----------------------------------------------------------- */

static int
handle_set_args(PyaioHandleBase *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs <= 3) {
        self->arg0 = nargs > 0 ? Py_NewRef(args[0]) : NULL;
        self->arg1 = nargs > 1 ? Py_NewRef(args[1]) : NULL;
        self->arg2 = nargs > 2 ? Py_NewRef(args[2]) : NULL;
        return 0;
    }
    PyObject *tuple = PyTuple_New(nargs);
    if (tuple == NULL) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < nargs; i++) {
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(args[i]));
    }
    self->arg0 = tuple;
    self->arg1 = NULL;
    self->arg2 = Py_NewRef(Py_None);
    return 0;
}

static inline int
handle_args_in_tuple(const PyaioHandleBase *self)
{
    return self->arg1 == NULL && self->arg2 != NULL;
}

/* The arguments as a tuple. */
static PyObject *
handle_args(PyaioHandleBase *self)
{
    if (self->arg0 == NULL) {
        return PyTuple_New(0);
    }
    if (handle_args_in_tuple(self)) {
        return Py_NewRef(self->arg0);
    }
    if (self->arg1 == NULL) {
        return PyTuple_Pack(1, self->arg0);
    }
    if (self->arg2 == NULL) {
        return PyTuple_Pack(2, self->arg0, self->arg1);
    }
    return PyTuple_Pack(3, self->arg0, self->arg1, self->arg2);
}

/* Gives up callback and arguments. */
void
pyaio_handle_forget(PyaioHandleBase *self)
{
    PyObject *callback = self->callback, *arg0 = self->arg0;
    PyObject *arg1 = self->arg1, *arg2 = self->arg2;
    self->callback = self->arg0 = self->arg1 = self->arg2 = NULL;
    Py_XDECREF(callback);
    Py_XDECREF(arg0);
    Py_XDECREF(arg1);
    Py_XDECREF(arg2);
}

int
pyaio_handle_fill(PyaioState *state, PyaioHandleBase *self, PyObject *callback,
                  PyObject *const *args, Py_ssize_t nargs, PyObject *loop,
                  PyObject *context)
{
    if (context != NULL && context != Py_None) {
        self->context = Py_NewRef(context);
    }
    else {
        self->context = pyaio_context_capture(state);
        if (self->context == NULL) {
            return -1;
        }
    }
    if (handle_set_args(self, args, nargs) < 0) {
        return -1;
    }
    self->callback = Py_NewRef(callback);
    self->loop = Py_NewRef(loop);
    int debug = pyaio_loop_get_debug(state, loop);
    if (debug > 0) {
        self->source_traceback = PyObject_CallNoArgs(state->extract_stack);
        return self->source_traceback ? 0 : -1;
    }
    return debug;
}

PyObject *
pyaio_handle_new(PyaioState *state, PyObject *callback, PyObject *const *args,
                 Py_ssize_t nargs, PyObject *loop, PyObject *context)
{
    PyObject *op = pyaio_pool_take_untracked(
        &state->handle_pool, state->Handle_type, sizeof(PyaioHandleBase));
    if (op != NULL && pyaio_handle_fill(state, (PyaioHandleBase *)op, callback,
                                        args, nargs, loop, context) < 0) {
        Py_CLEAR(op);
    }
    return op;
}

/* --- running ------------------------------------------------------------ */

void
pyaio_handle_check_run(PyaioState *state)
{
    PyTypeObject *stock = (PyTypeObject *)state->stock_Handle;
    PyTypeObject *ours = state->Handle_type;
    if (stock->tp_version_tag == state->stock_handle_tag &&
        ours->tp_version_tag == state->handle_tag) {
        return;
    }
    PyObject *run = PyObject_GetAttr((PyObject *)stock, state->str__run);
    PyObject *native = PyObject_GetAttr((PyObject *)ours, state->str__run);
    PyErr_Clear();
    state->handle_run_replaced = run != state->stock_handle_run ||
                                 native == NULL ||
                                 !Py_IS_TYPE(native, &PyMethodDescr_Type);
    Py_XDECREF(run);
    Py_XDECREF(native);
    state->stock_handle_tag = stock->tp_version_tag;
    state->handle_tag = ours->tp_version_tag;
}

/* Calls the callback in the current context. */
static inline PyObject *
handle_call(PyaioHandleBase *self)
{
    PyObject *callback = self->callback;
    PyObject *args[4] = {NULL, self->arg0, self->arg1, self->arg2};
    if (handle_args_in_tuple(self)) {
        PyObject *tuple = Py_NewRef(args[1]);
        Py_INCREF(callback);
        PyObject *result = PyObject_CallObject(callback, tuple);
        Py_DECREF(callback);
        Py_DECREF(tuple);
        return result;
    }
    /* The callback may cancel its own handle, which gives these up. */
    size_t nargs = 0;
    while (nargs < 3 && args[nargs + 1] != NULL) {
        Py_INCREF(args[++nargs]);
    }
    Py_INCREF(callback);
    PyObject *result = PyObject_Vectorcall(
        callback, args + 1, nargs | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
    Py_DECREF(callback);
    for (size_t i = 1; i <= nargs; i++) {
        Py_DECREF(args[i]);
    }
    return result;
}

/* Calls context.run(callback, *args) of a context that is not the
 * interpreter's. */
static PyObject *
handle_call_in(PyaioHandleBase *self, PyObject *context)
{
    PyObject *result = NULL;
    PyObject *args = handle_args(self);
    PyObject *first = args ? PyTuple_Pack(1, self->callback) : NULL;
    PyObject *all = first ? PySequence_Concat(first, args) : NULL;
    PyObject *run = all ? PyObject_GetAttrString(context, "run") : NULL;
    if (run != NULL) {
        result = PyObject_CallObject(run, all);
    }
    Py_XDECREF(args);
    Py_XDECREF(first);
    Py_XDECREF(all);
    Py_XDECREF(run);
    return result;
}

int
pyaio_handle_invoke(PyaioState *state, PyaioHandleBase *self)
{
    if (self->callback == NULL) {
        return 0;
    }
    PyObject *context = pyaio_context_resolve(state, &self->context);
    PyObject *result = NULL;
    Py_XINCREF(context);
    if (context == NULL) {
        return pyaio_report_handle(state, (PyObject *)self);
    }
    if (PyContext_CheckExact(context)) {
        if (PyContext_Enter(context) == 0) {
            result = handle_call(self);
            if (PyContext_Exit(context) < 0) {
                Py_CLEAR(result);
            }
        }
    }
    else {
        result = handle_call_in(self, context);
    }
    Py_DECREF(context);
    if (result == NULL) {
        return pyaio_report_handle(state, (PyObject *)self);
    }
    Py_DECREF(result);
    return 0;
}

/* Calls a _run() that somebody put into the class. */
static int
handle_run_method(PyaioState *state, PyObject *handle)
{
    PyObject *owner = (PyObject *)Py_TYPE(handle);
    PyObject *run = PyObject_GetAttr(owner, state->str__run);
    if (run != NULL && Py_IS_TYPE(run, &PyMethodDescr_Type)) {
        /* It was put into the stock class, behind our back. */
        Py_SETREF(run, PyObject_GetAttr(state->stock_Handle, state->str__run));
    }
    PyObject *result = run ? PyObject_CallOneArg(run, handle) : NULL;
    Py_XDECREF(run);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

int
pyaio_handle_run(PyaioState *state, PyObject *handle)
{
    if (pyaio_handle_is_cancelled(handle)) {
        return 0;
    }
    if (state->handle_run_replaced) {
        return handle_run_method(state, handle);
    }
    if (Py_IS_TYPE(handle, state->ThreadSafeHandle_type)) {
        return pyaio_threadsafe_handle_invoke(state, handle);
    }
    return pyaio_handle_invoke(state, (PyaioHandleBase *)handle);
}

static int
ready_handle_run(PyaioState *state, PyObject *handle,
                 PyObject *Py_UNUSED(unused))
{
    return pyaio_handle_run(state, handle);
}

const PyaioReadyKind pyaio_ready_handle = {
    .name = "Handle._run",
    .run = ready_handle_run,
};

static int
ready_foreign_handle_run(PyaioState *state, PyObject *handle,
                         PyObject *Py_UNUSED(unused))
{
    PyObject *flag = PyObject_GetAttr(handle, state->str__cancelled);
    int cancelled = flag ? PyObject_IsTrue(flag) : -1;
    Py_XDECREF(flag);
    if (cancelled != 0) {
        return cancelled < 0 ? -1 : 0;
    }
    PyObject *result = PyObject_CallMethodNoArgs(handle, state->str__run);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

const PyaioReadyKind pyaio_ready_foreign_handle = {
    .name = "Handle._run",
    .run = ready_foreign_handle_run,
};

/* --- cancelling and showing --------------------------------------------- */

/* The text that repr() goes on to show after a cancellation in debug mode:
 * that of the handle as it is, marked as cancelled. */
static PyObject *
handle_cancelled_repr(PyObject *handle)
{
    PyObject *text = PyObject_Repr(handle);
    const char *name = Py_TYPE(handle)->tp_name;
    const char *dot = strrchr(name, '.');
    PyObject *plain = PyUnicode_FromFormat("<%s", dot ? dot + 1 : name);
    PyObject *marked =
        PyUnicode_FromFormat("<%s cancelled", dot ? dot + 1 : name);
    PyObject *result = NULL;
    if (text != NULL && plain != NULL && marked != NULL) {
        result = PyUnicode_Replace(text, plain, marked, 1);
    }
    Py_XDECREF(text);
    Py_XDECREF(plain);
    Py_XDECREF(marked);
    return result;
}

void
pyaio_handle_cancel(PyaioState *state, PyObject *handle)
{
    PyaioHandleBase *self = (PyaioHandleBase *)handle;
    if (self->callback == NULL || self->loop == NULL) {
        return;
    }
    PyObject *text = NULL;
    if (pyaio_loop_get_debug(state, self->loop) > 0) {
        text = handle_cancelled_repr(handle);
    }
    PyErr_Clear();
    pyaio_handle_forget(self);
    self->arg2 = text;
}

PyObject *
pyaio_handle_format_source(PyaioState *state, PyObject *handle)
{
    PyaioHandleBase *self = (PyaioHandleBase *)handle;
    PyObject *args = handle_args(self);
    if (args == NULL) {
        return NULL;
    }
    PyObject *callback = self->callback ? self->callback : Py_None;
    /* Python 3.13 began to leave the arguments out unless debug is true. */
    PyObject *code =
        PyObject_GetAttrString(state->format_callback_source, "__code__");
    int takes_debug =
        code != NULL && ((PyCodeObject *)code)->co_kwonlyargcount > 0;
    Py_XDECREF(code);
    PyErr_Clear();
    PyObject *result;
    if (takes_debug) {
        int debug = pyaio_loop_get_debug(state, self->loop);
        PyObject *kwargs =
            debug < 0
                ? NULL
                : Py_BuildValue("{sO}", "debug", debug ? Py_True : Py_False);
        PyObject *pair = kwargs ? PyTuple_Pack(2, callback, args) : NULL;
        result =
            pair ? PyObject_Call(state->format_callback_source, pair, kwargs)
                 : NULL;
        Py_XDECREF(pair);
        Py_XDECREF(kwargs);
    }
    else {
        result = PyObject_CallFunctionObjArgs(state->format_callback_source,
                                              callback, args, NULL);
    }
    Py_DECREF(args);
    return result;
}

/* --- the Python type ---------------------------------------------------- */

static PyObject *
Handle_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
           PyObject *Py_UNUSED(kwargs))
{
    PyaioState *state = pyaio_state_of_type(type);
    if (state == NULL || type != state->Handle_type) {
        return type->tp_alloc(type, 0);
    }
    return pyaio_pool_take(&state->handle_pool, type, sizeof(PyaioHandleBase));
}

static int
Handle_init(PyObject *op, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"callback", "args", "loop", "context", NULL};
    PyObject *callback, *arguments, *loop, *context = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOO|O:Handle", names,
                                     &callback, &arguments, &loop, &context)) {
        return -1;
    }
    return pyaio_handle_init_from_python(op, callback, arguments, loop,
                                         context);
}

int
pyaio_handle_init_from_python(PyObject *op, PyObject *callback,
                              PyObject *arguments, PyObject *loop,
                              PyObject *context)
{
    PyaioHandleBase *self = (PyaioHandleBase *)op;
    PyaioState *state = pyaio_state_of(op);
    PyObject *tuple =
        arguments == Py_None ? PyTuple_New(0) : PySequence_Tuple(arguments);
    if (tuple == NULL) {
        return -1;
    }
    pyaio_handle_forget(self);
    Py_CLEAR(self->context);
    Py_CLEAR(self->loop);
    Py_CLEAR(self->source_traceback);
    if (pyaio_handle_fill(state, self, callback, NULL, 0, loop, context) < 0) {
        Py_DECREF(tuple);
        return -1;
    }
    self->arg0 = tuple;
    self->arg2 = Py_NewRef(Py_None);
    return 0;
}

int
pyaio_handle_traverse(PyObject *op, visitproc visit, void *arg)
{
    PyaioHandleBase *self = (PyaioHandleBase *)op;
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(self->callback);
    Py_VISIT(self->arg0);
    Py_VISIT(self->arg1);
    Py_VISIT(self->arg2);
    Py_VISIT(self->context);
    Py_VISIT(self->loop);
    Py_VISIT(self->source_traceback);
    return 0;
}

int
pyaio_handle_clear(PyObject *op)
{
    PyaioHandleBase *self = (PyaioHandleBase *)op;
    pyaio_handle_forget(self);
    Py_CLEAR(self->context);
    Py_CLEAR(self->loop);
    Py_CLEAR(self->source_traceback);
    return 0;
}

static void
Handle_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    PyObject_ClearWeakRefs(op);
    PyaioState *state = pyaio_state_of_type(type);
    (void)pyaio_handle_clear(op);
    if (state != NULL && type == state->Handle_type) {
        pyaio_pool_give(&state->handle_pool, op);
        return;
    }
    type->tp_free(op);
    Py_DECREF(type);
}

static PyObject *
Handle_cancel(PyObject *op, PyObject *Py_UNUSED(unused))
{
    pyaio_handle_cancel(pyaio_state_of(op), op);
    Py_RETURN_NONE;
}

PyObject *
pyaio_handle_py_cancelled(PyObject *op, PyObject *Py_UNUSED(unused))
{
    return PyBool_FromLong(pyaio_handle_is_cancelled(op));
}

PyObject *
pyaio_handle_py_run(PyObject *op, PyObject *Py_UNUSED(unused))
{
    if (pyaio_handle_invoke(pyaio_state_of(op), (PyaioHandleBase *)op) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *
pyaio_handle_py_get_context(PyObject *op, PyObject *Py_UNUSED(unused))
{
    PyObject **field = &((PyaioHandleBase *)op)->context;
    if (*field == NULL) {
        Py_RETURN_NONE;
    }
    return Py_XNewRef(pyaio_context_resolve(pyaio_state_of(op), field));
}

PyObject *
pyaio_handle_py_get_context_field(PyObject *op, void *Py_UNUSED(closure))
{
    return pyaio_handle_py_get_context(op, NULL);
}

static PyMethodDef handle_methods[] = {
    {"cancel", Handle_cancel, METH_NOARGS,
     "Cancel the callback; without effect once it has run."},
    PYAIO_HANDLE_METHODS,
    {NULL, NULL, 0, NULL},
};

PyObject *
pyaio_handle_py_get_callback(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *callback = ((PyaioHandleBase *)op)->callback;
    return Py_NewRef(callback ? callback : Py_None);
}

PyObject *
pyaio_handle_py_get_args(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioHandleBase *self = (PyaioHandleBase *)op;
    if (self->callback == NULL) {
        Py_RETURN_NONE;
    }
    return handle_args(self);
}

PyObject *
pyaio_handle_py_get_cancelled(PyObject *op, void *Py_UNUSED(closure))
{
    return PyBool_FromLong(pyaio_handle_is_cancelled(op));
}

PyObject *
pyaio_handle_py_get_repr(PyObject *op, void *Py_UNUSED(closure))
{
    PyaioHandleBase *self = (PyaioHandleBase *)op;
    PyObject *text = self->callback == NULL ? self->arg2 : NULL;
    return Py_NewRef(text && PyUnicode_Check(text) ? text : Py_None);
}

PyObject *
pyaio_handle_get_field(PyObject *op, void *closure)
{
    PyObject *value = *(PyObject **)((char *)op + (size_t)closure);
    return Py_NewRef(value ? value : Py_None);
}

int
pyaio_handle_set_field(PyObject *op, PyObject *value, void *closure)
{
    PyObject **field = (PyObject **)((char *)op + (size_t)closure);
    PyObject *old = *field;
    *field = value == Py_None ? NULL : Py_XNewRef(value);
    Py_XDECREF(old);
    return 0;
}

static PyGetSetDef handle_getset[] = {
    PYAIO_HANDLE_GETSET,
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(handle_doc, "Handle(callback, args, loop, context=None)\n--\n\n"
                         "A callback scheduled with loop.call_soon().\n\n"
                         "Mirrors asyncio.Handle.");

static PyType_Slot handle_slots[] = {
    {Py_tp_doc, (void *)(uintptr_t)handle_doc},
    {Py_tp_new, Handle_new},
    {Py_tp_init, Handle_init},
    {Py_tp_traverse, pyaio_handle_traverse},
    {Py_tp_clear, pyaio_handle_clear},
    {Py_tp_dealloc, Handle_dealloc},
    {Py_tp_methods, handle_methods},
    {Py_tp_getset, handle_getset},
    {0, NULL},
};

static PyType_Spec handle_spec = {
    .name = "pyaio._core.Handle",
    .basicsize = sizeof(PyaioHandleBase),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = handle_slots,
};

int
pyaio_handle_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (pyaio_add_type(module, &state->Handle_type, &handle_spec,
                       (PyTypeObject *)state->stock_Handle) < 0 ||
        pyaio_meta_adopt(state, state->Handle_type) < 0) {
        return -1;
    }
    return 0;
}
