/* What transports of every kind queue, log and report. */
#include "net/party.h"
#include "sched/report.h"
#include "sched/sched.h"
#include "task/future.h"

static int
wake_waiter_run(PyaioState *state, PyObject *waiter, PyObject *Py_UNUSED(b))
{
    PyaioFuture *future = pyaio_as_native_future(state, waiter);
    if (future != NULL &&
        pyaio_future_state(future) != PYAIO_FUTURE_FINISHED) {
        return pyaio_future_state(future) == PYAIO_FUTURE_CANCELLED
                   ? 0
                   : pyaio_future_set_result(state, future, Py_None);
    }
    PyObject *result = PyObject_CallFunctionObjArgs(
        state->set_unless_cancelled, waiter, Py_None, NULL);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

static const PyaioReadyKind wake_waiter = {
    .name = "_set_result_unless_cancelled",
    .run = wake_waiter_run,
};

int
pyaio_party_queue_wake(const PyaioParty *party, PyObject *waiter)
{
    return waiter == NULL ? 0
                          : pyaio_schedule(party->state, party->loop,
                                           &wake_waiter, waiter, NULL, 0);
}

int
pyaio_party_queue_made(const PyaioParty *party, PyObject *context)
{
    PyaioState *state = party->state;
    PyObject *method =
        PyObject_GetAttr(party->protocol, state->str_connection_made);
    PyObject *call_soon =
        method ? PyObject_GetAttr(party->loop, state->str_call_soon) : NULL;
    PyObject *result = NULL;
    if (call_soon != NULL) {
        PyObject *args[] = {method, party->transport, context};
        PyObject *names = NULL;
        if (context != NULL) {
            names = PyTuple_Pack(1, state->str_context);
        }
        if (context == NULL || names != NULL) {
            result = PyObject_Vectorcall(call_soon, args, 2, names);
        }
        Py_XDECREF(names);
    }
    Py_XDECREF(method);
    Py_XDECREF(call_soon);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

int
pyaio_party_log(const PyaioParty *party, const char *level, const char *format)
{
    int debug = pyaio_loop_get_debug(party->state, party->loop);
    if (debug <= 0) {
        return debug;
    }
    PyObject *done = PyObject_CallMethod(party->state->logger, level, "sO",
                                         format, party->transport);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

/* logger.debug("%r: %s", transport, message, exc_info=exc) */
static int
log_failure(const PyaioParty *party, PyObject *exc, PyObject *message)
{
    int debug = pyaio_loop_get_debug(party->state, party->loop);
    if (debug <= 0) {
        return debug;
    }
    PyObject *method = PyObject_GetAttrString(party->state->logger, "debug");
    PyObject *args =
        Py_BuildValue("(sOO)", "%r: %s", party->transport, message);
    PyObject *kwargs = Py_BuildValue("{sO}", "exc_info", exc);
    PyObject *done = method != NULL && args != NULL && kwargs != NULL
                         ? PyObject_Call(method, args, kwargs)
                         : NULL;
    Py_XDECREF(method);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    Py_XDECREF(done);
    return done ? 0 : -1;
}

int
pyaio_party_report(const PyaioParty *party, PyObject *exc, PyObject *message,
                   int usual)
{
    PyaioState *state = party->state;
    return usual ? log_failure(party, exc, message)
                 : pyaio_call_exception_handler(
                       state, party->loop, message, state->str_exception, exc,
                       state->str_transport, party->transport,
                       state->str_protocol, party->protocol, NULL);
}
