/* Filling, traversing and clearing the module's state. */
#include "base/state.h"

PyaioState *pyaio_only_state;
static int states; /* how many there are; under the GIL as well */

static void
state_enter(PyaioState *state)
{
    pyaio_only_state = ++states == 1 ? state : NULL;
}

void
pyaio_state_leave(PyaioState *state)
{
    if (state->entered) {
        state->entered = 0;
        states--;
        if (pyaio_only_state == state) {
            pyaio_only_state = NULL;
        }
    }
}

PyaioState *
pyaio_state_search(PyTypeObject *type)
{
    /* Along tp_base, not the method resolution order: a collector may have
     * cleared that before the last instance dies. */
    for (; type != NULL; type = type->tp_base) {
        if (!PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE)) {
            return NULL;
        }
        PyObject *module = ((PyHeapTypeObject *)type)->ht_module;
        if (module != NULL && PyModule_Check(module) &&
            PyModule_GetDef(module) == &pyaio_module) {
            return pyaio_module_state(module);
        }
    }
    return NULL;
}

int
pyaio_add_type(PyObject *module, PyTypeObject **slot, PyType_Spec *spec,
               PyTypeObject *base)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, (PyObject *)base);
    if (type == NULL) {
        return -1;
    }
    *slot = (PyTypeObject *)type;
    return 0;
}

/* Where a stock object is found: in the attribute `attribute` of the module
 * `module`; optional ones are None where the running version has none. */
typedef struct {
    size_t offset;
    const char *module;
    const char *attribute; /* dots lead further inside; empty: the module */
    int optional;
} StockEntry;

#define STOCK(field, module, attribute) \
    {offsetof(PyaioState, field), module, attribute, 0}
#define STOCK_OPTIONAL(field, module, attribute) \
    {offsetof(PyaioState, field), module, attribute, 1}

static const StockEntry stock_entries[] = {
    STOCK(stock_Future, "_asyncio", "Future"),
    STOCK(stock_Task, "_asyncio", "Task"),
    STOCK(stock_Handle, "asyncio.events", "Handle"),
    STOCK(stock_TimerHandle, "asyncio.events", "TimerHandle"),
    STOCK_OPTIONAL(stock_ThreadSafeHandle, "asyncio.events",
                   "_ThreadSafeHandle"),
    STOCK(stock_TaskGroup, "asyncio.taskgroups", "TaskGroup"),
    STOCK(stock_TaskGroup_aenter, "asyncio.taskgroups",
          "TaskGroup.__aenter__"),
    STOCK(stock_TaskGroup_aexit, "asyncio.taskgroups", "TaskGroup.__aexit__"),
    STOCK_OPTIONAL(stock_TaskGroup_leave, "asyncio.taskgroups",
                   "TaskGroup._aexit"),
    STOCK(stock_TaskGroup_create, "asyncio.taskgroups",
          "TaskGroup.create_task"),
    STOCK(stock_TaskGroup_ended, "asyncio.taskgroups",
          "TaskGroup._on_task_done"),
    STOCK(stock_Timeout, "asyncio.timeouts", "Timeout"),
    STOCK(stock_Timeout_aenter, "asyncio.timeouts", "Timeout.__aenter__"),
    STOCK(stock_Timeout_aexit, "asyncio.timeouts", "Timeout.__aexit__"),
    STOCK(stock_Timeout_move, "asyncio.timeouts", "Timeout.reschedule"),
    STOCK(stock_Timeout_fire, "asyncio.timeouts", "Timeout._on_timeout"),
    STOCK(stock_timeout, "asyncio.timeouts", "timeout"),
    STOCK(stock_timeout_at, "asyncio.timeouts", "timeout_at"),
    STOCK(timeout_states, "asyncio.timeouts", "_State"),
    STOCK(timeouts_names, "asyncio.timeouts", "__dict__"),
    STOCK(stock_wait_for, "asyncio.tasks", "wait_for"),
    STOCK(stock_shield, "asyncio.tasks", "shield"),
    STOCK_OPTIONAL(log_on_exception, "asyncio.tasks", "_log_on_exception"),
    STOCK(stock_sleep, "asyncio.tasks", "sleep"),
    STOCK(stock_gather, "asyncio.tasks", "gather"),
    STOCK(stock_guard_enter, "asyncio.locks",
          "_ContextManagerMixin.__aenter__"),
    STOCK(stock_guard_exit, "asyncio.locks", "_ContextManagerMixin.__aexit__"),
    STOCK(stock_Lock, "asyncio.locks", "Lock"),
    STOCK(stock_Lock_acquire, "asyncio.locks", "Lock.acquire"),
    STOCK(stock_Event, "asyncio.locks", "Event"),
    STOCK(stock_Event_wait, "asyncio.locks", "Event.wait"),
    STOCK(stock_Semaphore, "asyncio.locks", "Semaphore"),
    STOCK(stock_Semaphore_acquire, "asyncio.locks", "Semaphore.acquire"),
    STOCK(stock_BoundedSemaphore, "asyncio.locks", "BoundedSemaphore"),
    STOCK(stock_wait, "asyncio.tasks", "wait"),
    STOCK(stock_inner_wait, "asyncio.tasks", "_wait"),
    STOCK(stock_Queue_get, "asyncio.queues", "Queue.get"),
    STOCK(stock_as_completed, "asyncio.tasks", "as_completed"),
    STOCK_OPTIONAL(stock_anext, "asyncio.tasks",
                   "_AsCompletedIterator.__anext__"),
    STOCK(isawaitable, "inspect", "isawaitable"),
    STOCK(stock_Condition_wait, "asyncio.locks", "Condition.wait"),
    STOCK(stock_Condition_wait_for, "asyncio.locks", "Condition.wait_for"),
    STOCK(stock_Condition_notify, "asyncio.locks", "Condition.notify"),
    STOCK_OPTIONAL(stock_Condition_wake, "asyncio.locks", "Condition._notify"),
    STOCK(stock_Barrier_wait, "asyncio.locks", "Barrier.wait"),
    STOCK(stock_Barrier_enter, "asyncio.locks", "Barrier.__aenter__"),
    STOCK(stock_Barrier_exit, "asyncio.locks", "Barrier.__aexit__"),
    STOCK(barrier_filling, "asyncio.locks", "_BarrierState.FILLING"),
    STOCK(barrier_draining, "asyncio.locks", "_BarrierState.DRAINING"),
    STOCK(barrier_resetting, "asyncio.locks", "_BarrierState.RESETTING"),
    STOCK(barrier_broken, "asyncio.locks", "_BarrierState.BROKEN"),
    STOCK(stock_Queue, "asyncio.queues", "Queue"),
    STOCK(stock_PriorityQueue, "asyncio.queues", "PriorityQueue"),
    STOCK(stock_LifoQueue, "asyncio.queues", "LifoQueue"),
    STOCK(stock_queue_get, "asyncio.queues", "Queue.get"),
    STOCK(stock_queue_put, "asyncio.queues", "Queue.put"),
    STOCK(stock_queue_join, "asyncio.queues", "Queue.join"),
    STOCK(QueueEmpty, "asyncio.queues", "QueueEmpty"),
    STOCK(QueueFull, "asyncio.queues", "QueueFull"),
    STOCK_OPTIONAL(QueueShutDown, "asyncio.queues", "QueueShutDown"),
    STOCK(heappush, "heapq", "heappush"),
    STOCK(heappop, "heapq", "heappop"),
    STOCK(stock_getaddrinfo, "asyncio.base_events",
          "BaseEventLoop.getaddrinfo"),
    STOCK(stock_getnameinfo, "asyncio.base_events",
          "BaseEventLoop.getnameinfo"),
    STOCK(stock_sock_recv, "asyncio.selector_events",
          "BaseSelectorEventLoop.sock_recv"),
    STOCK(stock_sock_recv_into, "asyncio.selector_events",
          "BaseSelectorEventLoop.sock_recv_into"),
    STOCK(stock_sock_recvfrom, "asyncio.selector_events",
          "BaseSelectorEventLoop.sock_recvfrom"),
    STOCK(stock_sock_recvfrom_into, "asyncio.selector_events",
          "BaseSelectorEventLoop.sock_recvfrom_into"),
    STOCK(stock_sock_sendfile, "asyncio.base_events",
          "BaseEventLoop.sock_sendfile"),
    STOCK_OPTIONAL(os_sendfile, "posix", "sendfile"),
    STOCK(SendfileNotAvailable, "asyncio.exceptions",
          "SendfileNotAvailableError"),
    STOCK(stock_sock_sendall, "asyncio.selector_events",
          "BaseSelectorEventLoop.sock_sendall"),
    STOCK(stock_sock_sendto, "asyncio.selector_events",
          "BaseSelectorEventLoop.sock_sendto"),
    STOCK(stock_sock_connect, "asyncio.selector_events",
          "BaseSelectorEventLoop.sock_connect"),
    STOCK(stock_sock_accept, "asyncio.selector_events",
          "BaseSelectorEventLoop.sock_accept"),
    STOCK(stock_run_in_executor, "asyncio.base_events",
          "BaseEventLoop.run_in_executor"),
    STOCK(socket_module, "socket", ""),
    STOCK(socket_getaddrinfo, "socket", "getaddrinfo"),
    STOCK(socket_getnameinfo, "socket", "getnameinfo"),
    STOCK(c_socket_module, "_socket", ""),
    STOCK(c_socket_getaddrinfo, "_socket", "getaddrinfo"),
    STOCK(address_families, "socket", "AddressFamily._value2member_map_"),
    STOCK(socket_kinds, "socket", "SocketKind._value2member_map_"),
    STOCK(ThreadPoolExecutor, "concurrent.futures.thread",
          "ThreadPoolExecutor"),
    STOCK(convert_exception, "asyncio.futures", "_convert_future_exc"),
    STOCK_OPTIONAL(discard_awaited_by, "asyncio.tasks", "_discard_awaited_by"),
    STOCK(set_unless_cancelled, "asyncio.futures",
          "_set_result_unless_cancelled"),
    STOCK(stock_loop_create_task, "asyncio.base_events",
          "BaseEventLoop.create_task"),
    STOCK(stock_create_task, "asyncio.tasks", "create_task"),
    STOCK(tasks_names, "asyncio.tasks", "__dict__"),
    STOCK(stock_handle_run, "asyncio.events", "Handle._run"),
    STOCK(CancelledError, "asyncio.exceptions", "CancelledError"),
    STOCK(BrokenBarrierError, "asyncio.exceptions", "BrokenBarrierError"),
    STOCK(InvalidStateError, "asyncio.exceptions", "InvalidStateError"),
    STOCK(get_event_loop, "asyncio.events", "get_event_loop"),
    STOCK(get_running_loop, "asyncio.events", "_get_running_loop"),
    STOCK(events, "asyncio.events", ""),
    STOCK(futures, "asyncio.futures", ""),
    STOCK(get_asyncgen_hooks, "sys", "get_asyncgen_hooks"),
    STOCK(set_asyncgen_hooks, "sys", "set_asyncgen_hooks"),
    STOCK_OPTIONAL(current_tasks, "_asyncio", "_current_tasks"),
    STOCK(current_task, "asyncio.tasks", "current_task"),
    STOCK(enter_task, "_asyncio", "_enter_task"),
    STOCK(leave_task, "_asyncio", "_leave_task"),
    STOCK_OPTIONAL(swap_current_task, "_asyncio", "_swap_current_task"),
    STOCK(register_task, "_asyncio", "_register_task"),
    STOCK_OPTIONAL(register_eager_task, "_asyncio", "_register_eager_task"),
    STOCK_OPTIONAL(unregister_eager_task, "_asyncio",
                   "_unregister_eager_task"),
    STOCK_OPTIONAL(awaited_by_add, "_asyncio", "future_add_to_awaited_by"),
    STOCK_OPTIONAL(awaited_by_discard, "_asyncio",
                   "future_discard_from_awaited_by"),
    STOCK(iscoroutine, "asyncio.coroutines", "iscoroutine"),
    STOCK(ensure_future, "asyncio.tasks", "ensure_future"),
    STOCK(format_callback_source, "asyncio.format_helpers",
          "_format_callback_source"),
    STOCK(extract_stack, "asyncio.format_helpers", "extract_stack"),
    STOCK(future_repr, "asyncio.base_futures", "_future_repr"),
    STOCK(task_repr, "asyncio.base_tasks", "_task_repr"),
    STOCK(task_get_stack, "asyncio.base_tasks", "_task_get_stack"),
    STOCK(task_print_stack, "asyncio.base_tasks", "_task_print_stack"),
    STOCK(GenericAlias, "types", "GenericAlias"),
    STOCK(FunctionType, "types", "FunctionType"),
    STOCK(deque, "collections", "deque"),
    STOCK(CoroutineType, "types", "CoroutineType"),
    STOCK(base_events, "asyncio.base_events", ""),
    STOCK(os_module, "os", ""),
    STOCK(stock_waitpid, "os", "waitpid"),
    STOCK(subprocess_module, "subprocess", ""),
    STOCK(subprocess_streams, "asyncio.subprocess", ""),
    STOCK(stock_ChildProtocol, "asyncio.subprocess",
          "SubprocessStreamProtocol"),
    STOCK(stock_Process, "asyncio.subprocess", "Process"),
    STOCK(stock_Process_wait, "asyncio.subprocess", "Process.wait"),
    STOCK(stock_communicate, "asyncio.subprocess", "Process.communicate"),
    STOCK(stock_Subprocess, "asyncio.base_subprocess",
          "BaseSubprocessTransport"),
    STOCK(stock_Subprocess_wait, "asyncio.base_subprocess",
          "BaseSubprocessTransport._wait"),
    STOCK(stock_SubprocessTransport, "asyncio.transports",
          "SubprocessTransport"),
    STOCK(format_handle, "asyncio.base_events", "_format_handle"),
    STOCK(logger, "asyncio.log", "logger"),
    STOCK(stock_FlowControlMixin, "asyncio.transports", "_FlowControlMixin"),
    STOCK(stock_ReadTransport, "asyncio.transports", "ReadTransport"),
    STOCK(FileIO, "io", "FileIO"),
    STOCK(BufferedReader, "io", "BufferedReader"),
    STOCK(BufferedWriter, "io", "BufferedWriter"),
    STOCK(stock_DatagramTransport, "asyncio.transports", "DatagramTransport"),
    STOCK(stock_TransportSocket, "asyncio.trsock", "TransportSocket"),
    STOCK(stock_BufferedProtocol, "asyncio.protocols", "BufferedProtocol"),
    STOCK(stock_socket_base, "_socket", "socket"),
    STOCK(stock_StreamReader, "asyncio.streams", "StreamReader"),
    STOCK(stock_reader_anext, "asyncio.streams", "StreamReader.__anext__"),
    STOCK(stock_reader_feed, "asyncio.streams", "StreamReader.feed_data"),
    STOCK(stock_reader_read, "asyncio.streams", "StreamReader.read"),
    STOCK(stock_reader_exactly, "asyncio.streams", "StreamReader.readexactly"),
    STOCK(stock_reader_line, "asyncio.streams", "StreamReader.readline"),
    STOCK(stock_reader_until, "asyncio.streams", "StreamReader.readuntil"),
    STOCK(stock_reader_wait, "asyncio.streams", "StreamReader._wait_for_data"),
    STOCK(stock_reader_set, "asyncio.streams", "StreamReader.set_transport"),
    STOCK(stock_reader_resume, "asyncio.streams",
          "StreamReader._maybe_resume_transport"),
    STOCK(stock_FlowControl, "asyncio.streams", "FlowControlMixin"),
    STOCK(stock_drain_helper, "asyncio.streams",
          "FlowControlMixin._drain_helper"),
    STOCK(stock_StreamWriter, "asyncio.streams", "StreamWriter"),
    STOCK(stock_writer_drain, "asyncio.streams", "StreamWriter.drain"),
    STOCK_OPTIONAL(stock_writer_del, "asyncio.streams",
                   "StreamWriter.__del__"),
    STOCK(IncompleteReadError, "asyncio.exceptions", "IncompleteReadError"),
    STOCK(LimitOverrunError, "asyncio.exceptions", "LimitOverrunError"),
    STOCK(stock_tls_write, "asyncio.sslproto", "SSLProtocol._write_appdata"),
    STOCK(stock_tls_get_buffer, "asyncio.sslproto", "SSLProtocol.get_buffer"),
    STOCK(tls_handshake, "asyncio.sslproto", "SSLProtocolState.DO_HANDSHAKE"),
    STOCK(tls_wrapped, "asyncio.sslproto", "SSLProtocolState.WRAPPED"),
    STOCK(tls_flushing, "asyncio.sslproto", "SSLProtocolState.FLUSHING"),
    STOCK(tls_shutdown, "asyncio.sslproto", "SSLProtocolState.SHUTDOWN"),
    STOCK_OPTIONAL(ssl_again_errors, "asyncio.sslproto", "SSLAgainErrors"),
    STOCK_OPTIONAL(ssl_SSLObject, "asyncio.sslproto", "ssl.SSLObject"),
    STOCK_OPTIONAL(ssl_MemoryBIO, "asyncio.sslproto", "ssl.MemoryBIO"),
    STOCK_OPTIONAL(ssl_SSLSocket, "asyncio.sslproto", "ssl._ssl._SSLSocket"),
    STOCK(stock_socket, "socket", "socket"),
    STOCK(constants, "asyncio.constants", ""),
    STOCK(unix_events, "asyncio.unix_events", ""),
    STOCK(stock_connect_tcp, "asyncio.base_events",
          "BaseEventLoop.create_connection"),
    STOCK(stock_connect_unix, "asyncio.unix_events",
          "_UnixSelectorEventLoop.create_unix_connection"),
    STOCK(stock_start_serving, "asyncio.selector_events",
          "BaseSelectorEventLoop._start_serving"),
    STOCK(sendfile_try_native, "asyncio.constants",
          "_SendfileMode.TRY_NATIVE"),
};

static PyObject *
stock_find(const StockEntry *entry)
{
    PyObject *found = PyImport_ImportModule(entry->module);
    const char *part = entry->attribute;
    while (found != NULL && *part != '\0') {
        const char *end = strchr(part, '.');
        Py_ssize_t length =
            end ? (Py_ssize_t)(end - part) : (Py_ssize_t)strlen(part);
        PyObject *name = PyUnicode_FromStringAndSize(part, length);
        PyObject *next = name ? PyObject_GetAttr(found, name) : NULL;
        Py_XDECREF(name);
        Py_SETREF(found, next);
        part += end ? length + 1 : length;
    }
    if (found == NULL && entry->optional &&
        PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
        found = Py_NewRef(Py_None);
    }
    return found;
}

int
pyaio_state_init(PyaioState *state)
{
    pyaio_list_init(&state->tasks);
    state->entered = 1;
    state_enter(state);
#define X(name)                                            \
    state->str_##name = PyUnicode_InternFromString(#name); \
    if (state->str_##name == NULL) {                       \
        return -1;                                         \
    }
    PYAIO_STATE_NAMES(X)
#undef X
    /* asyncio first: _asyncio alone would make registries of its own. */
    PyObject *asyncio = PyImport_ImportModule("asyncio");
    if (asyncio == NULL) {
        return -1;
    }
    Py_DECREF(asyncio);
    size_t count = sizeof(stock_entries) / sizeof(stock_entries[0]);
    for (size_t i = 0; i < count; i++) {
        PyObject *found = stock_find(&stock_entries[i]);
        if (found == NULL) {
            return -1;
        }
        *(PyObject **)((char *)state + stock_entries[i].offset) = found;
    }
    return 0;
}

int
pyaio_state_traverse(PyaioState *state, visitproc visit, void *arg)
{
    Py_VISIT(state->snapshot);
#define X(name) Py_VISIT(state->name##_type);
    PYAIO_STATE_TYPES(X)
#undef X
#define X(name) Py_VISIT(state->name);
    PYAIO_STATE_OBJECTS(X)
#undef X
    return 0;
}

void
pyaio_state_clear(PyaioState *state)
{
    pyaio_pool_drain(&state->future_pool);
    pyaio_pool_drain(&state->task_pool);
    pyaio_pool_drain(&state->handle_pool);
    pyaio_pool_drain(&state->timer_handle_pool);
    pyaio_pool_drain(&state->future_iter_pool);
    pyaio_pool_drain(&state->stop_pool);
    pyaio_pool_drain(&state->sleep_pool);
    pyaio_pool_drain(&state->read_pool);
    pyaio_pool_drain(&state->drain_pool);
    pyaio_pool_drain(&state->waiting_pool);
    pyaio_pool_drain(&state->queue_pool);
    pyaio_pool_drain(&state->timeout_pool);
    pyaio_pool_drain(&state->wait_for_pool);
    pyaio_pool_drain(&state->operation_pool);
    pyaio_pool_drain(&state->timeout_coroutine_pool);
    Py_CLEAR(state->snapshot);
    state->context_offset = 0;
#define X(name) Py_CLEAR(state->name##_type);
    PYAIO_STATE_TYPES(X)
#undef X
#define X(name) Py_CLEAR(state->name);
    PYAIO_STATE_OBJECTS(X)
#undef X
#define X(name) Py_CLEAR(state->str_##name);
    PYAIO_STATE_NAMES(X)
#undef X
}
