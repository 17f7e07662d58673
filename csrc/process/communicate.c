/* Process.wait() and Process.communicate().
 *
 * Where stock gathers three tasks, one for each stream, ours feeds standard
 * input at once and then reads the one output that there is. Whatever needs
 * more than one of them to wait is stock's. */
#include "combine/coroutine.h"
#include "combine/in_stock.h"
#include "process/process.h"
#include "process/process_type.h"
#include "sched/sched.h"
#include "stream/flow_control.h"
#include "stream/writer.h"

/* What a coroutine awaits. */
enum {
    IN_STOCK = 0,
    READING, /* the output */
    WAITING, /* for the end of the child */
};

typedef struct {
    PyaioCoroutine head;
    PyaioProcess *process; /* owned */
    PyObject *input;       /* owned: None for nothing */
    PyObject *pipe;        /* owned: transport of the output, or NULL */
    PyObject *output;      /* owned: what was read, or NULL */
    uint8_t awaits;
    uint8_t number; /* of the output that is read, 0 for none */
} Communicate;

/* --- standard input ------------------------------------------------------ */

/* Whether it is a writer whose methods nobody replaced, before a pipe that
 * takes more. */
static int
is_plain_input(PyaioState *state, PyObject *op)
{
    if ((PyObject *)Py_TYPE(op) != state->StreamWriter) {
        return 0;
    }
    PyaioWriter *writer = (PyaioWriter *)op;
    PyObject *attributes = writer->head.dict;
    if ((attributes != NULL && PyDict_GET_SIZE(attributes) > 0) ||
        pyaio_stream_replaced(state, &writer->head, &pyaio_writer_methods) ||
        writer->transport == NULL || writer->protocol == NULL ||
        writer->reader != Py_None) {
        return 0;
    }
    PyaioFlowControl *flow = pyaio_flow_control_plain(state, writer->protocol);
    return flow != NULL && !flow->paused;
}

static int
is_data(PyObject *op)
{
    return PyBytes_CheckExact(op) || PyByteArray_CheckExact(op) ||
           PyMemoryView_Check(op);
}

/* Writes everything and closes the pipe: 1, 0 where some of it has to wait, -1
 * with an exception. */
static int
feed(PyaioState *state, const Communicate *self)
{
    PyaioWriter *writer = (PyaioWriter *)self->process->streams[0];
    PyObject *pipe = Py_NewRef(writer->transport);
    PyaioFlowControl *flow = (PyaioFlowControl *)Py_NewRef(writer->protocol);
    PyObject *done =
        PyObject_CallMethodOneArg(pipe, state->str_write, self->input);
    int fed = done ? !flow->paused : -1;
    Py_XDECREF(done);
    if (fed == 1) {
        done = PyObject_CallMethodNoArgs(pipe, state->str_close);
        fed = done ? 1 : -1;
        Py_XDECREF(done);
    }
    Py_DECREF(flow);
    Py_DECREF(pipe);
    return fed;
}

/* --- communicate() ------------------------------------------------------- */

static PySendResult
go_on_in_stock(PyaioState *state, Communicate *self, PyObject *input,
               PyObject **result)
{
    PyObject *args[] = {(PyObject *)self->process, input};
    PyObject *coro =
        input ? PyObject_Vectorcall(state->stock_communicate, args, 2, NULL)
              : NULL;
    return pyaio_in_stock_await(state, &self->head, coro, result);
}

/* Whether there is an input exactly for who wants one, and one output at most,
 * and nobody replaced what stock's calls. Notes which output there is. */
static int
is_usual(PyaioState *state, Communicate *self)
{
    PyaioProcess *process = self->process;
    PyObject *const *streams = process->streams;
    if (process->head.loop == NULL || process->transport == NULL ||
        streams[0] == NULL || streams[1] == NULL || streams[2] == NULL ||
        (streams[1] != Py_None && streams[2] != Py_None) ||
        pyaio_stream_replaced(state, &process->head, &pyaio_process_methods)) {
        return 0;
    }
    self->number = streams[1] != Py_None ? 1 : streams[2] != Py_None ? 2 : 0;
    const PyaioScheduler *sched = pyaio_sched_direct(
        state, process->head.loop,
        PYAIO_LOOP_CALL_SOON | PYAIO_LOOP_CREATE_TASK |
            PYAIO_LOOP_CREATE_FUTURE | PYAIO_LOOP_GET_DEBUG);
    if (sched == NULL || sched->task_factory != NULL) {
        return 0;
    }
    return self->input == Py_None
               ? streams[0] == Py_None
               : is_data(self->input) && is_plain_input(state, streams[0]);
}

/* op.<method>(argument), without one for NULL. `op` is a field of the Process,
 * which may have been deleted meanwhile: NULL. */
static PyObject *
call_field(PyObject *op, PyObject *method, PyObject *argument)
{
    if (op == NULL) {
        PyErr_SetString(PyExc_AttributeError,
                        "an attribute of the Process was deleted");
        return NULL;
    }
    Py_INCREF(op);
    PyObject *result = argument
                           ? PyObject_CallMethodOneArg(op, method, argument)
                           : PyObject_CallMethodNoArgs(op, method);
    Py_DECREF(op);
    return result;
}

static PySendResult
read_output(PyaioState *state, Communicate *self, PyObject **result)
{
    PyaioProcess *process = self->process;
    PyObject *number = PyLong_FromLong(self->number);
    self->pipe = number ? call_field(process->transport,
                                     state->str_get_pipe_transport, number)
                        : NULL;
    Py_XDECREF(number);
    if (self->pipe == NULL) {
        return PYGEN_ERROR;
    }
    self->awaits = READING;
    return pyaio_await_call(
        state, &self->head.await,
        call_field(process->streams[self->number], state->str_read, NULL),
        result);
}

static PyObject *
call_wait(PyaioState *state, const Communicate *self)
{
    return call_field(self->process->transport, state->str__wait, NULL);
}

static PySendResult
wait_for_end(PyaioState *state, Communicate *self, PyObject **result)
{
    self->awaits = WAITING;
    return pyaio_await_call(state, &self->head.await, call_wait(state, self),
                            result);
}

/* The output is there. */
static PySendResult
end_reading(PyaioState *state, Communicate *self, PyObject **result)
{
    self->output = *result;
    *result = NULL;
    PyObject *done = PyObject_CallMethodNoArgs(self->pipe, state->str_close);
    Py_XDECREF(done);
    return done ? wait_for_end(state, self, result) : PYGEN_ERROR;
}

static PySendResult
return_outputs(const Communicate *self, PyObject **result)
{
    PyObject *output = self->output ? self->output : Py_None;
    PyObject *outputs = self->number == 2 ? PyTuple_Pack(2, Py_None, output)
                                          : PyTuple_Pack(2, output, Py_None);
    Py_XSETREF(*result, outputs);
    return outputs ? PYGEN_RETURN : PYGEN_ERROR;
}

/* What follows a step. */
static PySendResult
communicate_go_on(PyaioState *state, Communicate *self, PySendResult went,
                  PyObject **result)
{
    if (went == PYGEN_RETURN && self->awaits == READING) {
        went = end_reading(state, self, result);
    }
    return went == PYGEN_RETURN && self->awaits == WAITING
               ? return_outputs(self, result)
               : went;
}

/* Standard input has to wait, and the output may have to: in tasks, which have
 * no more to write. */
static PySendResult
wait_for_both(PyaioState *state, Communicate *self, PyObject **result)
{
    PyObject *nothing = PyBytes_FromStringAndSize(NULL, 0);
    PySendResult went = go_on_in_stock(state, self, nothing, result);
    Py_XDECREF(nothing);
    return went;
}

static PySendResult
communicate_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    Communicate *self = (Communicate *)op;
    if (!is_usual(state, self)) {
        return go_on_in_stock(state, self, self->input, result);
    }
    int fed = self->input == Py_None ? 1 : feed(state, self);
    if (fed <= 0) {
        return fed < 0 ? PYGEN_ERROR : wait_for_both(state, self, result);
    }
    PySendResult went = self->number != 0 ? read_output(state, self, result)
                                          : wait_for_end(state, self, result);
    return communicate_go_on(state, self, went, result);
}

/* --- wait() -------------------------------------------------------------- */

static PySendResult
wait_start(PyaioState *state, PyaioCoroutine *op, PyObject **result)
{
    return pyaio_await_call(state, &op->await,
                            call_wait(state, (Communicate *)op), result);
}

/* --- the coroutines ------------------------------------------------------ */

static PySendResult
communicate_send(PyaioState *state, PyaioCoroutine *op, PyObject *value,
                 PyObject **result)
{
    PySendResult went = pyaio_await_send(state, &op->await, value, result);
    return communicate_go_on(state, (Communicate *)op, went, result);
}

static PySendResult
communicate_throw(PyaioState *state, PyaioCoroutine *op, PyObject *exception,
                  PyObject **result)
{
    PySendResult went =
        pyaio_await_throw(state, &op->await, exception, result);
    return communicate_go_on(state, (Communicate *)op, went, result);
}

static PyObject *
communicate_mirror(PyaioState *state, PyaioCoroutine *op)
{
    PyObject *function = pyaio_state_object(state, op->kind->function);
    PyObject *args = PyTuple_Pack(1, ((Communicate *)op)->process);
    PyObject *mirror = pyaio_in_stock_mirror(op, function, args);
    Py_XDECREF(args);
    return mirror;
}

static int
communicate_traverse(PyaioCoroutine *op, visitproc visit, void *arg)
{
    Communicate *self = (Communicate *)op;
    Py_VISIT(self->process);
    Py_VISIT(self->input);
    Py_VISIT(self->pipe);
    Py_VISIT(self->output);
    return 0;
}

static void
communicate_clear(PyaioState *Py_UNUSED(state), PyaioCoroutine *op)
{
    Communicate *self = (Communicate *)op;
    Py_CLEAR(self->output);
    Py_CLEAR(self->pipe);
    Py_CLEAR(self->input);
    Py_CLEAR(self->process);
}

#define KIND(stock, begin)                       \
    {                                            \
        .function = offsetof(PyaioState, stock), \
        .start = begin,                          \
        .send = communicate_send,                \
        .throw = communicate_throw,              \
        .mirror = communicate_mirror,            \
        .traverse = communicate_traverse,        \
        .clear = communicate_clear,              \
    }

static const PyaioCoroutineKind communicate_kind =
    KIND(stock_communicate, communicate_start);
static const PyaioCoroutineKind wait_kind =
    KIND(stock_Process_wait, wait_start);

static PyObject *
communicate_new(PyaioState *state, const PyaioCoroutineKind *kind,
                PyObject *process, PyObject *input)
{
    if (!PyObject_TypeCheck(process, state->Process_type)) {
        return NULL;
    }
    PyTypeObject *type = state->CommunicateCoroutine_type;
    Communicate *self = (Communicate *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->process = (PyaioProcess *)Py_NewRef(process);
    self->input = Py_NewRef(input);
    if (pyaio_coroutine_setup(&self->head, kind) < 0) {
        self->head.status = PYAIO_CORO_CLOSED; /* nobody will know of it */
        communicate_clear(state, &self->head);
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static PyObject *
wait_call(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames)
{
    return nargs == 1 && kwnames == NULL
               ? communicate_new(state, &wait_kind, args[0], Py_None)
               : NULL;
}

/* communicate(input=None) */
static PyObject *
communicate_call(PyaioState *state, PyObject *const *args, Py_ssize_t nargs,
                 PyObject *kwnames)
{
    Py_ssize_t named = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    if (nargs < 1 || nargs + named > 2 ||
        (named && PyUnicode_CompareWithASCIIString(
                      PyTuple_GET_ITEM(kwnames, 0), "input") != 0)) {
        return NULL;
    }
    return communicate_new(state, &communicate_kind, args[0],
                           nargs + named == 2 ? args[1] : Py_None);
}

int
pyaio_communicate_init(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    PyObject *type = (PyObject *)state->Process_type;
    return pyaio_coroutine_add_type(module, &state->CommunicateCoroutine_type,
                                    "pyaio._core.CommunicateCoroutine",
                                    sizeof(Communicate)) < 0 ||
                   pyaio_coroutine_function_add(state, type, "wait",
                                                state->stock_Process_wait,
                                                wait_call) < 0
               ? -1
               : pyaio_coroutine_function_add(state, type, "communicate",
                                              state->stock_communicate,
                                              communicate_call);
}
