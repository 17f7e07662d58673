/* The module pyaio._core: its types and functions. */
#include "base/context.h"
#include "base/interop.h"
#include "base/layout.h"
#include "base/meta.h"
#include "base/stop.h"
#include "combine/combine.h"
#include "loop/loop.h"
#include "memory_map.h"
#include "net/connect.h"
#include "net/datagram.h"
#include "net/listener.h"
#include "net/net.h"
#include "net/pipe.h"
#include "net/socket_object.h"
#include "net/transport.h"
#include "net/transport_table.h"
#include "process/process.h"
#include "sched/handle.h"
#include "stream/stream.h"
#include "sync/sync.h"
#include "task/create.h"
#include "task/task.h"
#include "tls/tls.h"

static int
module_verify_layout(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    return pyaio_layout_verify((PyTypeObject *)state->stock_Future,
                               (PyTypeObject *)state->stock_Task,
                               (PyTypeObject *)state->stock_Handle,
                               (PyTypeObject *)state->stock_TimerHandle);
}

static int
module_init_state(PyObject *module)
{
    return pyaio_state_init(pyaio_module_state(module));
}

static int
module_init_interop(PyObject *module)
{
    return pyaio_interop_init(pyaio_module_state(module));
}

static int
module_add_names(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    const struct {
        const char *name;
        PyTypeObject *type;
    } public[] = {
        {"NativeMeta", state->Meta_type},
        {"Handle", state->Handle_type},
        {"TimerHandle", state->TimerHandle_type},
        {"Future", state->Future_type},
        {"Task", state->Task_type},
        {"EventLoop", state->EventLoopBase_type},
        {"TaskGroup", state->TaskGroupBase_type},
        {"Timeout", state->TimeoutBase_type},
        {"Lock", state->Lock_type},
        {"Event", state->Event_type},
        {"Semaphore", state->Semaphore_type},
        {"BoundedSemaphore", state->BoundedSemaphore_type},
        {"Condition", state->Condition_type},
        {"Barrier", state->Barrier_type},
        {"_SelectorSocketTransport", state->Transport_type},
        {"_SelectorDatagramTransport", state->DatagramTransport_type},
        {"_SubprocessTransport", state->Subprocess_type},
        {"_ReadSubprocessPipe", state->ChildReader_type},
        {"_WriteSubprocessPipe", state->ChildWriter_type},
        {"_UnixReadPipeTransport", state->ReadPipe_type},
        {"_UnixWritePipeTransport", state->WritePipe_type},
        {"Queue", state->QueueBase_type},
        {"StreamReader", state->StreamReader_type},
        {"FlowControlMixin", state->FlowControl_type},
        {"StreamReaderProtocol", state->StreamProtocol_type},
        {"SubprocessStreamProtocol", state->ChildProtocol_type},
        {"Process", state->Process_type},
        {"StreamWriter", state->StreamWriter_type},
        {"SSLProtocol", state->Tls_type},
        {"_SSLProtocolTransport", state->TlsTransport_type},
    };
    for (size_t i = 0; i < sizeof(public) / sizeof(public[0]); i++) {
        if (PyModule_AddObjectRef(module, public[i].name,
                                  (PyObject *)public[i].type) < 0) {
            return -1;
        }
    }
    return 0;
}

/* In order: each may need what those before it made. */
static int (*const module_parts[])(PyObject *) = {
    module_init_state,
    module_verify_layout,
    module_init_interop,
    pyaio_meta_init,
    pyaio_context_init,
    pyaio_stop_init,
    pyaio_ready_call_init,
    pyaio_handle_init,
    pyaio_timer_handle_init,
    pyaio_threadsafe_handle_init,
    pyaio_future_init,
    pyaio_future_iter_init,
    pyaio_task_init,
    pyaio_task_registry_init,
    pyaio_coroutine_init,
    pyaio_inner_init,
    pyaio_sleep_init,
    pyaio_gather_init,
    pyaio_ensure_future_init,
    pyaio_wait_init,
    pyaio_as_completed_init,
    pyaio_taskgroup_init,
    pyaio_timeout_init,
    pyaio_wait_for_init,
    pyaio_shield_init,
    pyaio_waiting_init,
    pyaio_lock_init,
    pyaio_event_init,
    pyaio_semaphore_init,
    pyaio_condition_init,
    pyaio_barrier_init,
    pyaio_socket_init,
    pyaio_socket_object_init,
    pyaio_transport_table_init,
    pyaio_transport_init,
    pyaio_datagram_init,
    pyaio_pipe_init,
    pyaio_child_init,
    pyaio_subprocess_init,
    pyaio_child_pipe_init,
    pyaio_create_init,
    pyaio_child_wait_init,
    pyaio_listener_init,
    pyaio_incoming_init,
    pyaio_tls_init,
    pyaio_tls_transport_init,
    pyaio_queue_init,
    pyaio_stream_init,
    pyaio_child_protocol_init,
    pyaio_process_init,
    pyaio_stream_protocol_adopt,
    pyaio_child_protocol_adopt,
    pyaio_loop_init,
    pyaio_resolve_init,
    pyaio_connect_init,
    pyaio_operation_init,
    pyaio_sock_receive_init,
    pyaio_sock_send_init,
    pyaio_sock_connect_init,
    pyaio_sock_sendfile_init,
    module_add_names,
};

static int
module_exec(PyObject *module)
{
    for (size_t i = 0; i < sizeof(module_parts) / sizeof(module_parts[0]);
         i++) {
        if (module_parts[i](module) < 0) {
            return -1;
        }
    }
    return 0;
}

/* Tells the core which Python classes stand on its own: their exact instances
 * take every shortcut; what as_completed()'s coroutines come from; what puts a
 * WorkItem into a thread pool, None where nothing can; the factory of eager
 * tasks of ours, None before 3.12; and how the running version accepts. */
static PyObject *
module_adopt(PyObject *module, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"event_loop",      "task_group",
                            "timeout",         "wait_for_one",
                            "executor_submit", "eager_factory",
                            "ssl_protocol",    "accept_skips_aborted",
                            "accept_one_more", NULL};
    PyObject *event_loop, *task_group, *timeout, *wait_for_one;
    PyObject *executor_submit, *eager_factory, *ssl_protocol;
    PyaioState *state = pyaio_module_state(module);
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "O!O!O!OOOO!pp:_adopt", names, &PyType_Type,
            &event_loop, &PyType_Type, &task_group, &PyType_Type, &timeout,
            &wait_for_one, &executor_submit, &eager_factory, &PyType_Type,
            &ssl_protocol, &state->accept_skips_aborted,
            &state->accept_one_more)) {
        return NULL;
    }
    Py_XSETREF(state->EventLoop, Py_NewRef(event_loop));
    Py_XSETREF(state->TaskGroup, Py_NewRef(task_group));
    Py_XSETREF(state->wait_for_one, Py_NewRef(wait_for_one));
    Py_XSETREF(state->executor_submit, Py_NewRef(executor_submit));
    Py_XSETREF(state->Timeout, Py_NewRef(timeout));
    Py_XSETREF(state->eager_factory, Py_NewRef(eager_factory));
    if (pyaio_sched_note_originals(state, event_loop) < 0) {
        return NULL;
    }
    Py_XSETREF(state->SSLProtocol, Py_NewRef(ssl_protocol));
    Py_RETURN_NONE;
}

/* Tells the metaclass which stock class a class of ours stands for. */
static PyObject *
module_stands_for(PyObject *module, PyObject *args)
{
    PyObject *ours, *stock;
    if (!PyArg_ParseTuple(args, "O!O!:_stands_for", &PyType_Type, &ours,
                          &PyType_Type, &stock)) {
        return NULL;
    }
    PyObject *pairs = pyaio_module_state(module)->counterparts;
    if (PyDict_SetItem(pairs, ours, stock) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Called in the child of every os.fork(). */
static PyObject *
module_after_fork(PyObject *module, PyObject *Py_UNUSED(unused))
{
    pyaio_module_state(module)->fork_generation++;
    Py_RETURN_NONE;
}

static PyMethodDef module_functions[] = {
    {"create_task", (PyCFunction)(void (*)(void))pyaio_py_create_task,
     METH_FASTCALL | METH_KEYWORDS,
     "create_task(coro, **kwargs)\n--\n\n"
     "Schedule a coroutine on the running loop; return its Task.\n\n"
     "Keywords as in the running version: name, context, and from 3.14 on "
     "whatever Task takes. RuntimeError where no loop runs. Mirrors "
     "asyncio.create_task."},
    {"current_task", (PyCFunction)(void (*)(void))pyaio_py_current_task,
     METH_VARARGS | METH_KEYWORDS,
     "current_task(loop=None)\n--\n\n"
     "Return the task that runs on the loop, by default the running one.\n\n"
     "None outside of tasks; RuntimeError where no loop runs and none is "
     "given. Mirrors asyncio.current_task."},
    {"_native_tasks", pyaio_py_native_tasks, METH_NOARGS, NULL},
#if !PYAIO_HAS_CALL_GRAPH
    {"_memory_map", pyaio_py_memory_map, METH_NOARGS, NULL},
#endif
    {"_adopt", (PyCFunction)(void (*)(void))module_adopt,
     METH_VARARGS | METH_KEYWORDS, NULL},
    {"_stands_for", module_stands_for, METH_VARARGS, NULL},
    {"_after_fork", module_after_fork, METH_NOARGS, NULL},
    {"_watch_child", pyaio_py_watch_child, METH_VARARGS, NULL},
    {"_adopt_subprocess",
     (PyCFunction)(void (*)(void))pyaio_py_adopt_subprocess,
     METH_VARARGS | METH_KEYWORDS, NULL},
    {"_simulate_time", pyaio_py_simulate_time, METH_VARARGS,
     "_simulate_time(loop, milliseconds, /)\n--\n\n"
     "Advance the simulated clock of a loop, for tests.\n\n"
     "The first call, on a loop that does not run, puts it on such a clock: "
     "the loop then never blocks, but moves its clock on when nothing is "
     "ready."},
    {NULL, NULL, 0, NULL},
};

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    PyaioState *state = pyaio_module_state(module);
    return state ? pyaio_state_traverse(state, visit, arg) : 0;
}

static int
module_clear(PyObject *module)
{
    PyaioState *state = pyaio_module_state(module);
    if (state != NULL) {
        pyaio_state_clear(state);
    }
    return 0;
}

static void
module_free(void *module)
{
    (void)module_clear((PyObject *)module);
    PyaioState *state = pyaio_module_state((PyObject *)module);
    if (state != NULL) {
        pyaio_state_leave(state);
    }
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)(uintptr_t)module_exec},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_SUPPORTED},
#endif
    {0, NULL},
};

PyModuleDef pyaio_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pyaio._core",
    .m_doc = "The native core of pyaio.",
    .m_size = sizeof(PyaioState),
    .m_methods = module_functions,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__core(void);

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&pyaio_module);
}
