/* Flow control. */
#include "net/flow.h"
#include "base/errors.h"

#define DEFAULT_HIGH (64 * 1024)

void
pyaio_flow_init(PyaioFlow *flow)
{
    flow->high = DEFAULT_HIGH;
    flow->low = DEFAULT_HIGH / 4;
}

int
pyaio_flow_traverse(PyaioFlow *flow, visitproc visit, void *arg)
{
    Py_VISIT(flow->high_given);
    Py_VISIT(flow->low_given);
    return 0;
}

void
pyaio_flow_clear(PyaioFlow *flow)
{
    Py_CLEAR(flow->high_given);
    Py_CLEAR(flow->low_given);
}

/* number * factor, or number // -factor. */
static PyObject *
flow_scaled(PyObject *number, long factor)
{
    PyObject *by = PyLong_FromLong(factor > 0 ? factor : -factor);
    if (by == NULL) {
        return NULL;
    }
    PyObject *result = factor > 0 ? PyNumber_Multiply(by, number)
                                  : PyNumber_FloorDivide(number, by);
    Py_DECREF(by);
    return result;
}

/* The largest number of bytes that is not above `mark`, which is not
 * negative. */
static Py_ssize_t
flow_bytes(PyObject *mark)
{
    PyObject *one = PyLong_FromLong(1);
    PyObject *whole = one ? PyNumber_FloorDivide(mark, one) : NULL;
    PyObject *number = whole ? PyNumber_Long(whole) : NULL;
    Py_XDECREF(one);
    Py_XDECREF(whole);
    if (number == NULL) {
        /* Infinity has no such number. */
        if (PyErr_ExceptionMatches(PyExc_OverflowError) ||
            PyErr_ExceptionMatches(PyExc_ValueError)) {
            PyErr_Clear();
            return PY_SSIZE_T_MAX;
        }
        return -1;
    }
    int overflow;
    long long bytes = PyLong_AsLongLongAndOverflow(number, &overflow);
    Py_DECREF(number);
    return overflow ? PY_SSIZE_T_MAX : (Py_ssize_t)bytes;
}

/* Takes over both references. */
static int
flow_apply(PyaioFlow *flow, PyObject *high, PyObject *low)
{
    PyObject *zero = PyLong_FromLong(0);
    int good = zero ? PyObject_RichCompareBool(high, low, Py_GE) : -1;
    if (good > 0) {
        good = PyObject_RichCompareBool(low, zero, Py_GE);
    }
    Py_XDECREF(zero);
    Py_ssize_t high_bytes = -1, low_bytes = -1;
    if (good == 0) {
        PyErr_Format(PyExc_ValueError,
                     "high (%R) must be >= low (%R) must be >= 0", high, low);
    }
    else if (good > 0) {
        high_bytes = flow_bytes(high);
        low_bytes = high_bytes < 0 ? -1 : flow_bytes(low);
    }
    if (low_bytes < 0) {
        Py_DECREF(high);
        Py_DECREF(low);
        return -1;
    }
    flow->high = high_bytes;
    flow->low = low_bytes;
    Py_XSETREF(flow->high_given, high);
    Py_XSETREF(flow->low_given, low);
    return 0;
}

int
pyaio_flow_set_limits(PyaioFlow *flow, PyObject *high, PyObject *low)
{
    if (high == Py_None) {
        high = low == Py_None ? PyLong_FromLong(DEFAULT_HIGH)
                              : flow_scaled(low, 4);
    }
    else {
        Py_INCREF(high);
    }
    if (high == NULL) {
        return -1;
    }
    low = low == Py_None ? flow_scaled(high, -4) : Py_NewRef(low);
    if (low == NULL) {
        Py_DECREF(high);
        return -1;
    }
    return flow_apply(flow, high, low);
}

int
pyaio_flow_parse_limits(PyaioFlow *flow, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"high", "low", NULL};
    PyObject *high = Py_None, *low = Py_None;
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "|OO:set_write_buffer_limits", names, &high, &low)) {
        return -1;
    }
    return pyaio_flow_set_limits(flow, high, low);
}

PyObject *
pyaio_flow_get_high(PyaioFlow *flow)
{
    return flow->high_given ? Py_NewRef(flow->high_given)
                            : PyLong_FromSsize_t(flow->high);
}

PyObject *
pyaio_flow_get_low(PyaioFlow *flow)
{
    return flow->low_given ? Py_NewRef(flow->low_given)
                           : PyLong_FromSsize_t(flow->low);
}

PyObject *
pyaio_flow_get_limits(PyaioFlow *flow)
{
    PyObject *low = pyaio_flow_get_low(flow);
    PyObject *high = pyaio_flow_get_high(flow);
    PyObject *pair = low && high ? PyTuple_Pack(2, low, high) : NULL;
    Py_XDECREF(low);
    Py_XDECREF(high);
    return pair;
}

static int
flow_tell(const PyaioParty *party, PyObject *method, const char *failure)
{
    PyaioState *state = party->state;
    PyObject *protocol = Py_NewRef(party->protocol);
    PyObject *result = PyObject_CallMethodNoArgs(protocol, method);
    int err = 0;
    if (result == NULL && pyaio_error_is_exit()) {
        err = -1;
    }
    else if (result == NULL) {
        PyObject *exc = PyErr_GetRaisedException();
        PyObject *message = PyUnicode_FromString(failure);
        PyaioParty told = {state, party->loop, party->transport, protocol};
        err = message ? pyaio_party_report(&told, exc, message, 0) : -1;
        Py_XDECREF(message);
        Py_DECREF(exc);
    }
    Py_XDECREF(result);
    Py_DECREF(protocol);
    return err;
}

int
pyaio_flow_pause(PyaioFlow *flow, const PyaioParty *party)
{
    flow->paused = 1;
    return flow_tell(party, party->state->str_pause_writing,
                     "protocol.pause_writing() failed");
}

int
pyaio_flow_resume(PyaioFlow *flow, const PyaioParty *party)
{
    flow->paused = 0;
    return flow_tell(party, party->state->str_resume_writing,
                     "protocol.resume_writing() failed");
}
