/* Which of a queue's methods somebody replaced. */
#include "sync/queue.h"

#define NAME(name) offsetof(PyaioState, str_##name)

/* In the order of the bits PYAIO_QUEUE_QSIZE... */
static const size_t plain_names[] = {
    NAME(qsize),      NAME(empty),        NAME(full),      NAME(get_nowait),
    NAME(put_nowait), NAME(_wakeup_next), NAME(_get_loop),
};
/* Of each there are three, by the class. */
static const size_t container_names[] = {NAME(_init), NAME(_put), NAME(_get)};

#define PLAIN (int)(sizeof(plain_names) / sizeof(plain_names[0]))
#define CONTAINER (int)(sizeof(container_names) / sizeof(container_names[0]))
#define CLASSES 3

/* Whose the method is that `type` has under the name: PYAIO_QUEUE_FIFO... by
 * its place among the `count` originals from `first` on. */
static int
look_up_one(PyaioState *state, PyTypeObject *type, size_t name, int first,
            int count)
{
    PyObject *found =
        PyObject_GetAttr((PyObject *)type, pyaio_state_object(state, name));
    int whose = PYAIO_QUEUE_REPLACED;
    for (int i = 0; i < count; i++) {
        if (found == PyTuple_GET_ITEM(state->queue_originals, first + i)) {
            whose = i + 1;
        }
    }
    Py_XDECREF(found);
    return whose;
}

/* What instances of `type` have that set none of the methods themselves. */
static PyaioQueueMethods
look_up_class(PyaioState *state, PyTypeObject *type)
{
    unsigned tag = type->tp_version_tag;
    PyaioQueueMethods *kept = &state->queue_methods[tag % PYAIO_QUEUE_CLASSES];
    if (tag != 0 && kept->tag == tag) {
        return *kept;
    }
    PyObject *raised = PyErr_GetRaisedException();
    PyaioQueueMethods methods = {.tag = 0};
    for (int i = 0; i < PLAIN; i++) {
        if (look_up_one(state, type, plain_names[i], i, 1) ==
            PYAIO_QUEUE_REPLACED) {
            methods.replaced |= (uint8_t)(1u << i);
        }
    }
    uint8_t *whose[CONTAINER] = {&methods.init, &methods.put, &methods.get};
    for (int i = 0; i < CONTAINER; i++) {
        *whose[i] = (uint8_t)look_up_one(state, type, container_names[i],
                                         PLAIN + CLASSES * i, CLASSES);
    }
    PyErr_Clear();
    if (raised != NULL) {
        PyErr_SetRaisedException(raised);
    }
    methods.tag = type->tp_version_tag;
    state->queue_methods[methods.tag % PYAIO_QUEUE_CLASSES] = methods;
    return methods;
}

void
pyaio_queue_look_up(PyaioState *state, PyaioQueue *self)
{
    PyaioQueueMethods methods = {.tag = 0, .replaced = UINT8_MAX};
    if (state->queue_originals != NULL) { /* else the module is going */
        methods = look_up_class(state, Py_TYPE(self));
    }
    methods.replaced |= (uint8_t)(self->own & ((1u << PLAIN) - 1));
    uint8_t *whose[CONTAINER] = {&methods.init, &methods.put, &methods.get};
    for (int i = 0; i < CONTAINER; i++) {
        if (self->own & (1u << (PLAIN + i))) {
            *whose[i] = PYAIO_QUEUE_REPLACED;
        }
    }
    self->methods = methods;
}

/* The bit in `own` of the method of that name, or 0. */
static unsigned
own_bit(const PyaioState *state, PyObject *name)
{
    for (int i = 0; i < PLAIN + CONTAINER; i++) {
        PyObject *known = pyaio_state_object(
            state, i < PLAIN ? plain_names[i] : container_names[i - PLAIN]);
        if (known != NULL &&
            (name == known || (!PyUnicode_CHECK_INTERNED(name) &&
                               PyUnicode_Compare(name, known) == 0))) {
            return 1u << i;
        }
    }
    return 0;
}

void
pyaio_queue_attribute_set(PyaioState *state, PyaioQueue *self, PyObject *name,
                          int present)
{
    unsigned bit = PyUnicode_Check(name) ? own_bit(state, name) : 0;
    if (bit != 0) {
        self->own = (uint16_t)(present ? self->own | bit : self->own & ~bit);
        self->methods.tag = 0;
    }
}

int
pyaio_queue_methods_init(PyaioState *state)
{
    PyObject *originals = PyTuple_New(PLAIN + CONTAINER * CLASSES);
    if (originals == NULL) {
        return -1;
    }
    state->queue_originals = originals;
    PyObject *ours = (PyObject *)state->QueueBase_type;
    for (int i = 0; i < PLAIN; i++) {
        PyObject *name = pyaio_state_object(state, plain_names[i]);
        PyObject *from =
            PyObject_HasAttr(ours, name) ? ours : state->stock_Queue;
        PyObject *method = PyObject_GetAttr(from, name);
        if (method == NULL) {
            return -1;
        }
        PyTuple_SET_ITEM(originals, i, method);
    }
    PyObject *classes[CLASSES] = {state->stock_Queue,
                                  state->stock_PriorityQueue,
                                  state->stock_LifoQueue};
    for (int i = 0; i < CONTAINER * CLASSES; i++) {
        PyObject *method = PyObject_GetAttr(
            classes[i % CLASSES],
            pyaio_state_object(state, container_names[i / CLASSES]));
        if (method == NULL) {
            return -1;
        }
        PyTuple_SET_ITEM(originals, PLAIN + i, method);
    }
    return 0;
}
