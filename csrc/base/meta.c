/* isinstance() and issubclass() between our classes and the stock ones.
 *
 * A native Task extends the stock Task and so cannot extend the native Future
 * as well; and after install() instances of stock classes must still count.
 * Both follow from one rule: where one of our classes is asked, the stock
 * class of its name answers too. Classes derived from ours are asked as any
 * abstract base class is. */
#include "base/meta.h"

/* The stock class behind exactly `cls`, or NULL. Borrowed. */
static PyObject *
meta_counterpart(PyaioState *state, PyObject *cls)
{
    const struct {
        void *ours;
        PyObject *stock;
    } pairs[] = {
        {state->Future_type, state->stock_Future},
        {state->Task_type, state->stock_Task},
        {state->Handle_type, state->stock_Handle},
        {state->TimerHandle_type, state->stock_TimerHandle},
        {state->ThreadSafeHandle_type, state->stock_ThreadSafeHandle},
        {state->TaskGroup, state->stock_TaskGroup},
        {state->Timeout, state->stock_Timeout},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (cls == (PyObject *)pairs[i].ours) {
            return pairs[i].stock == Py_None ? NULL : pairs[i].stock;
        }
    }
    return state->counterparts
               ? PyDict_GetItemWithError(state->counterparts, cls)
               : NULL;
}

/* What the method `name` of ABCMeta answers. */
static PyObject *
meta_ask_abc(PyObject *cls, const char *name, PyObject *arg)
{
    PyObject *abc_meta = (PyObject *)Py_TYPE(cls)->tp_base;
    while (!PyObject_HasAttrString(abc_meta, "register")) {
        abc_meta = (PyObject *)((PyTypeObject *)abc_meta)->tp_base;
    }
    return PyObject_CallMethod(abc_meta, name, "OO", cls, arg);
}

static PyObject *
Meta_instancecheck(PyObject *cls, PyObject *instance)
{
    if (PyObject_TypeCheck(instance, (PyTypeObject *)cls)) {
        Py_RETURN_TRUE;
    }
    PyaioState *state = pyaio_state_of(cls);
    PyObject *stock = meta_counterpart(state, cls);
    if (stock == NULL) {
        return meta_ask_abc(cls, "__instancecheck__", instance);
    }
    int result = PyObject_IsInstance(instance, stock);
    return result < 0 ? NULL : PyBool_FromLong(result);
}

static PyObject *
Meta_subclasscheck(PyObject *cls, PyObject *subclass)
{
    if (PyType_Check(subclass) &&
        PyType_IsSubtype((PyTypeObject *)subclass, (PyTypeObject *)cls)) {
        Py_RETURN_TRUE;
    }
    PyaioState *state = pyaio_state_of(cls);
    PyObject *stock = meta_counterpart(state, cls);
    if (stock == NULL) {
        return meta_ask_abc(cls, "__subclasscheck__", subclass);
    }
    int result = PyObject_IsSubclass(subclass, stock);
    return result < 0 ? NULL : PyBool_FromLong(result);
}

static PyMethodDef meta_methods[] = {
    {"__instancecheck__", Meta_instancecheck, METH_O, NULL},
    {"__subclasscheck__", Meta_subclasscheck, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot meta_slots[] = {
    {Py_tp_methods, meta_methods},
    {0, NULL},
};

static PyType_Spec meta_spec = {
    .name = "pyaio._core.NativeMeta",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = meta_slots,
};

int
pyaio_meta_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    state->counterparts = PyDict_New();
    if (state->counterparts == NULL) {
        return -1;
    }
    PyObject *abc = PyImport_ImportModule("abc");
    if (abc == NULL) {
        return -1;
    }
    PyObject *base = PyObject_GetAttrString(abc, "ABCMeta");
    Py_DECREF(abc);
    if (base == NULL) {
        return -1;
    }
    int err = pyaio_add_type(module, &state->Meta_type, &meta_spec,
                             (PyTypeObject *)base);
    Py_DECREF(base);
    return err;
}

int
pyaio_meta_adopt(PyaioState *state, PyTypeObject *type)
{
    Py_INCREF(state->Meta_type);
    Py_SET_TYPE((PyObject *)type, state->Meta_type);
    PyType_Modified(type);
    PyObject *abc = PyImport_ImportModule("_abc");
    if (abc == NULL) {
        return -1;
    }
    PyObject *done = PyObject_CallMethod(abc, "_abc_init", "O", type);
    Py_DECREF(abc);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

int
pyaio_attribute_is_original(PyObject *type, PyObject *ours, PyObject *name)
{
    PyObject *found = PyObject_GetAttr(type, name);
    if (found == NULL) {
        PyErr_Clear();
        return 0;
    }
    PyObject *original = PyObject_GetAttr(ours, name);
    int same = found == original;
    if (original == NULL) {
        PyErr_Clear();
    }
    Py_XDECREF(original);
    Py_DECREF(found);
    return same;
}
