/* The module's state: every type, stock object and name that C code needs. */
#ifndef PYAIO_BASE_STATE_H
#define PYAIO_BASE_STATE_H

#include "base/compat.h"
#include "base/pool.h"
#include "ds/list.h"

/* Our types. All owned. */
#define PYAIO_STATE_TYPES(X) \
    X(Meta)                  \
    X(ContextSnapshot)       \
    X(ReadyCall)             \
    X(Handle)                \
    X(TimerHandle)           \
    X(ThreadSafeHandle)      \
    X(Future)                \
    X(FutureIter)            \
    X(Task)                  \
    X(CoroutineFunction)     \
    X(Coroutine)             \
    X(CoroutineWrapper)      \
    X(Stop)                  \
    X(InnerCoroutine)        \
    X(SleepCoroutine)        \
    X(GatheringFuture)       \
    X(WaitCoroutine)         \
    X(AsCompleted)           \
    X(AsCompletedCoroutine)  \
    X(ResolveCoroutine)      \
    X(OperationCoroutine)    \
    X(WorkItem)              \
    X(TaskGroupBase)         \
    X(TaskGroupCoroutine)    \
    X(TimeoutBase)           \
    X(TimeoutCoroutine)      \
    X(WaitForCoroutine)      \
    X(Shielding)             \
    X(Shield)                \
    X(WaitingCoroutine)      \
    X(QueueBase)             \
    X(QueueCoroutine)        \
    X(Lock)                  \
    X(Event)                 \
    X(Semaphore)             \
    X(BoundedSemaphore)      \
    X(Condition)             \
    X(ConditionCoroutine)    \
    X(Barrier)               \
    X(BarrierCoroutine)      \
    X(TransportBase)         \
    X(Transport)             \
    X(DatagramTransport)     \
    X(ReadPipe)              \
    X(WritePipe)             \
    X(StreamReader)          \
    X(ReadCoroutine)         \
    X(FlowControl)           \
    X(StreamProtocol)        \
    X(StreamWriter)          \
    X(DrainCoroutine)        \
    X(TlsTransport)          \
    X(Tls)                   \
    X(TransportTable)        \
    X(Listener)              \
    X(Incoming)              \
    X(ConnectCoroutine)      \
    X(Child)                 \
    X(Subprocess)            \
    X(ChildWriter)           \
    X(ChildReader)           \
    X(CreateCoroutine)       \
    X(ChildWaitCoroutine)    \
    X(ChildProtocol)         \
    X(Process)               \
    X(CommunicateCoroutine)  \
    X(EventLoopBase)

/* Stock objects, looked up at import. All owned. */
#define PYAIO_STATE_STOCK(X)     \
    X(stock_Future)              \
    X(stock_Task)                \
    X(stock_Handle)              \
    X(stock_TimerHandle)         \
    X(stock_ThreadSafeHandle)    \
    X(stock_TaskGroup)           \
    X(stock_TaskGroup_aenter)    \
    X(stock_TaskGroup_aexit)     \
    X(stock_TaskGroup_leave)     \
    X(stock_TaskGroup_create)    \
    X(stock_TaskGroup_ended)     \
    X(stock_Timeout)             \
    X(stock_Timeout_aenter)      \
    X(stock_Timeout_aexit)       \
    X(stock_Timeout_move)        \
    X(stock_Timeout_fire)        \
    X(stock_timeout)             \
    X(stock_timeout_at)          \
    X(timeout_states)            \
    X(timeouts_names)            \
    X(stock_wait_for)            \
    X(stock_shield)              \
    X(log_on_exception)          \
    X(stock_sleep)               \
    X(stock_gather)              \
    X(stock_guard_enter)         \
    X(stock_guard_exit)          \
    X(stock_Lock)                \
    X(stock_Lock_acquire)        \
    X(stock_Event)               \
    X(stock_Event_wait)          \
    X(stock_Semaphore)           \
    X(stock_Semaphore_acquire)   \
    X(stock_BoundedSemaphore)    \
    X(stock_Condition_wait)      \
    X(stock_Condition_wait_for)  \
    X(stock_Condition_notify)    \
    X(stock_Condition_wake)      \
    X(stock_Barrier_wait)        \
    X(stock_Barrier_enter)       \
    X(stock_Barrier_exit)        \
    X(barrier_filling)           \
    X(barrier_draining)          \
    X(barrier_resetting)         \
    X(barrier_broken)            \
    X(stock_Queue)               \
    X(stock_PriorityQueue)       \
    X(stock_LifoQueue)           \
    X(stock_queue_get)           \
    X(stock_queue_put)           \
    X(stock_queue_join)          \
    X(QueueEmpty)                \
    X(QueueFull)                 \
    X(QueueShutDown)             \
    X(queue_originals)           \
    X(heappush)                  \
    X(heappop)                   \
    X(discard_awaited_by)        \
    X(set_unless_cancelled)      \
    X(stock_loop_create_task)    \
    X(stock_create_task)         \
    X(tasks_names)               \
    X(stock_handle_run)          \
    X(CancelledError)            \
    X(BrokenBarrierError)        \
    X(InvalidStateError)         \
    X(get_event_loop)            \
    X(get_running_loop)          \
    X(events)                    \
    X(futures)                   \
    X(get_asyncgen_hooks)        \
    X(set_asyncgen_hooks)        \
    X(current_tasks)             \
    X(current_task)              \
    X(enter_task)                \
    X(leave_task)                \
    X(swap_current_task)         \
    X(register_task)             \
    X(register_eager_task)       \
    X(eager_factory)             \
    X(unregister_eager_task)     \
    X(awaited_by_add)            \
    X(awaited_by_discard)        \
    X(iscoroutine)               \
    X(ensure_future)             \
    X(format_callback_source)    \
    X(extract_stack)             \
    X(future_repr)               \
    X(task_repr)                 \
    X(task_get_stack)            \
    X(task_print_stack)          \
    X(counterparts)              \
    X(GenericAlias)              \
    X(FunctionType)              \
    X(deque)                     \
    X(CoroutineType)             \
    X(base_events)               \
    X(os_module)                 \
    X(stock_waitpid)             \
    X(subprocess_module)         \
    X(subprocess_streams)        \
    X(create_exec)               \
    X(create_shell)              \
    X(ChildProtocol)             \
    X(ChildTransport)            \
    X(ChildWatcher)              \
    X(program_watches)           \
    X(end_child)                 \
    X(default_limit)             \
    X(stock_ChildProtocol)       \
    X(stock_Process)             \
    X(stock_Process_wait)        \
    X(stock_communicate)         \
    X(Process)                   \
    X(StreamReader)              \
    X(StreamWriter)              \
    X(stock_Subprocess)          \
    X(stock_Subprocess_wait)     \
    X(stock_SubprocessTransport) \
    X(format_handle)             \
    X(logger)                    \
    X(stock_FlowControlMixin)    \
    X(stock_ReadTransport)       \
    X(stock_TransportSocket)     \
    X(stock_DatagramTransport)   \
    X(FileIO)                    \
    X(BufferedReader)            \
    X(BufferedWriter)            \
    X(stock_BufferedProtocol)    \
    X(stock_socket_base)         \
    X(sendfile_try_native)       \
    X(minus_one)                 \
    X(loop_originals)            \
    X(constants)                 \
    X(unix_events)               \
    X(stock_socket)              \
    X(socket_originals)          \
    X(socket_base_close)         \
    X(stock_start_serving)       \
    X(stock_connect_tcp)         \
    X(stock_connect_unix)        \
    X(stock_tls_write)           \
    X(stock_tls_get_buffer)      \
    X(tls_handshake)             \
    X(tls_wrapped)               \
    X(tls_flushing)              \
    X(tls_shutdown)              \
    X(ssl_again_errors)          \
    X(ssl_SSLObject)             \
    X(ssl_SSLSocket)             \
    X(ssl_MemoryBIO)             \
    X(SSLProtocol)               \
    X(EventLoop)                 \
    X(stock_wait)                \
    X(stock_as_completed)        \
    X(stock_anext)               \
    X(wait_for_one)              \
    X(stock_inner_wait)          \
    X(stock_Queue_get)           \
    X(isawaitable)               \
    X(Timeout)                   \
    X(timeout)                   \
    X(stock_getaddrinfo)         \
    X(stock_getnameinfo)         \
    X(stock_sock_recv)           \
    X(stock_sock_recv_into)      \
    X(stock_sock_recvfrom)       \
    X(stock_sock_recvfrom_into)  \
    X(stock_sock_sendall)        \
    X(stock_sock_sendto)         \
    X(stock_sock_connect)        \
    X(stock_sock_accept)         \
    X(stock_sock_sendfile)       \
    X(os_sendfile)               \
    X(SendfileNotAvailable)      \
    X(stock_run_in_executor)     \
    X(socket_module)             \
    X(socket_getaddrinfo)        \
    X(socket_getnameinfo)        \
    X(c_socket_module)           \
    X(c_socket_getaddrinfo)      \
    X(address_families)          \
    X(socket_kinds)              \
    X(ThreadPoolExecutor)        \
    X(executor_submit)           \
    X(stock_submit)              \
    X(convert_exception)         \
    X(stock_StreamReader)        \
    X(stock_reader_anext)        \
    X(stock_reader_feed)         \
    X(stock_reader_read)         \
    X(stock_reader_exactly)      \
    X(stock_reader_line)         \
    X(stock_reader_until)        \
    X(stock_reader_wait)         \
    X(stock_reader_resume)       \
    X(stock_FlowControl)         \
    X(stock_drain_helper)        \
    X(stock_StreamWriter)        \
    X(stock_writer_drain)        \
    X(stock_reader_set)          \
    X(stock_writer_del)          \
    X(IncompleteReadError)       \
    X(LimitOverrunError)         \
    X(newline)                   \
    X(TaskGroup)

/* Interned strings, each reachable as state->str_<name>. */
#define PYAIO_STATE_NAMES(X)          \
    X(_call_connection_lost)          \
    X(_connect_pipes)                 \
    X(_active)                        \
    X(_originals)                     \
    X(_wakes_early)                   \
    X(pipe_data_received)             \
    X(pipe_connection_lost)           \
    X(process_exited)                 \
    X(disconnected)                   \
    X(returncode)                     \
    X(waiter)                         \
    X(extra)                          \
    X(env)                            \
    X(cwd)                            \
    X(restore_signals)                \
    X(start_new_session)              \
    X(process_group)                  \
    X(_process_exited)                \
    X(_pipe_protocols)                \
    X(_pipe_data_received)            \
    X(_pipe_connection_lost)          \
    X(connect_read_pipe)              \
    X(connect_write_pipe)             \
    X(_make_read_pipe_transport)      \
    X(_make_write_pipe_transport)     \
    X(subprocess_exec)                \
    X(subprocess_shell)               \
    X(_make_subprocess_transport)     \
    X(_watch_child)                   \
    X(_watcher)                       \
    X(limit)                          \
    X(reader)                         \
    X(get_pipe_transport)             \
    X(set_transport)                  \
    X(_maybe_close_transport)         \
    X(_new_exit_waiters)              \
    X(Process)                        \
    X(_feed_stdin)                    \
    X(_read_stream)                   \
    X(_noop)                          \
    X(stdin)                          \
    X(stdout)                         \
    X(stderr)                         \
    X(get_pid)                        \
    X(waitpid)                        \
    X(drain)                          \
    X(Task)                           \
    X(Timeout)                        \
    X(_add_reader)                    \
    X(_add_writer)                    \
    X(_asyncio_future_blocking)       \
    X(remove_reader)                  \
    X(remove_writer)                  \
    X(_create_connection_transport)   \
    X(_sock_connect_cb)               \
    X(_sock_connect)                  \
    X(_sock_sendfile_fallback)        \
    X(_sock_sendfile_native)          \
    X(_sock_sendfile_native_impl)     \
    X(_sock_sendfile_update_filepos)  \
    X(_check_sendfile_params)         \
    X(sock_connect)                   \
    X(_connect_sock)                  \
    X(_ensure_resolved)               \
    X(_accept_connection2)            \
    X(_accept_connection)             \
    X(_ensure_fd_no_transport)        \
    X(_make_socket_transport)         \
    X(_call_eof_received)             \
    X(_control_app_writing)           \
    X(_control_ssl_reading)           \
    X(_do_flush)                      \
    X(_do_handshake)                  \
    X(_do_read)                       \
    X(_do_shutdown)                   \
    X(_do_write)                      \
    X(_start_shutdown)                \
    X(_write_appdata)                 \
    X(_is_transport_closing)          \
    X(_attach)                        \
    X(_check_running)                 \
    X(_asyncgen_finalizer_hook)       \
    X(_asyncgen_firstiter_hook)       \
    X(_block)                         \
    X(_cancelled)                     \
    X(_detach)                        \
    X(_exit)                          \
    X(_get)                           \
    X(_get_loop)                      \
    X(_init)                          \
    X(_default_executor)              \
    X(_executor_shutdown_called)      \
    X(_log_destroy_pending)           \
    X(_loop)                          \
    X(_notify)                        \
    X(_on_task_done)                  \
    X(_on_timeout)                    \
    X(_put)                           \
    X(_release)                       \
    X(_run)                           \
    X(_run_forever_cleanup)           \
    X(_run_forever_setup)             \
    X(_set_running_loop)              \
    X(_start_serving)                 \
    X(_set_coroutine_origin_tracking) \
    X(_shutdown)                      \
    X(_timer_handle_cancelled)        \
    X(_transports)                    \
    X(_wait)                          \
    X(_wake_up_first)                 \
    X(_wake_up_next)                  \
    X(_wakeup_next)                   \
    X(accept)                         \
    X(acquire)                        \
    X(add_done_callback)              \
    X(add_writer)                     \
    X(append)                         \
    X(buffer_updated)                 \
    X(call_at)                        \
    X(call_exception_handler)         \
    X(call_later)                     \
    X(call_soon)                      \
    X(call_soon_threadsafe)           \
    X(cancel)                         \
    X(cancelled)                      \
    X(clear)                          \
    X(close)                          \
    X(connect)                        \
    X(connection_lost)                \
    X(connection_made)                \
    X(context)                        \
    X(count)                          \
    X(create_future)                  \
    X(create_task)                    \
    X(data)                           \
    X(data_received)                  \
    X(datagram_received)              \
    X(current_task)                   \
    X(done)                           \
    X(empty)                          \
    X(eof_received)                   \
    X(error_received)                 \
    X(exception)                      \
    X(fallback)                       \
    X(fileno)                         \
    X(full)                           \
    X(future_add_to_awaited_by)       \
    X(future_discard_from_awaited_by) \
    X(future)                         \
    X(get_buffer)                     \
    X(get_debug)                      \
    X(get_loop)                       \
    X(get_nowait)                     \
    X(getpeername)                    \
    X(getsockname)                    \
    X(getaddrinfo)                    \
    X(getnameinfo)                    \
    X(handle)                         \
    X(is_running)                     \
    X(item)                           \
    X(locked)                         \
    X(loop)                           \
    X(message)                        \
    X(mode)                           \
    X(msg)                            \
    X(name)                           \
    X(notify)                         \
    X(notify_all)                     \
    X(pause_writing)                  \
    X(peername)                       \
    X(pipe)                           \
    X(pop)                            \
    X(popleft)                        \
    X(protocol)                       \
    X(put_nowait)                     \
    X(qsize)                          \
    X(release)                        \
    X(remove)                         \
    X(reschedule)                     \
    X(remove_done_callback)           \
    X(result)                         \
    X(resume_writing)                 \
    X(send)                           \
    X(sendfile)                       \
    X(set)                            \
    X(set_result)                     \
    X(socket)                         \
    X(sockname)                       \
    X(run_in_executor)                \
    X(set_exception)                  \
    X(source_traceback)               \
    X(submit)                         \
    X(task)                           \
    X(throw)                          \
    X(time)                           \
    X(timeout)                        \
    X(transport)                      \
    X(wait)                           \
    X(write)                          \
    X(_drain_helper)                  \
    X(_maybe_resume_transport)        \
    X(_stream_reader)                 \
    X(_wait_for_data)                 \
    X(_wakeup_waiter)                 \
    X(feed_data)                      \
    X(feed_eof)                       \
    X(is_closing)                     \
    X(pause_reading)                  \
    X(resume_reading)                 \
    X(read)                           \
    X(readline)                       \
    X(readuntil)                      \
    X(writelines)                     \
    X(write_eof)                      \
    X(can_write_eof)                  \
    X(get_extra_info)                 \
    X(default)                        \
    X(list_of_data)                   \
    X(n)                              \
    X(offset)                         \
    X(os)                             \
    X(separator)                      \
    X(exc)                            \
    X(stream_reader)

#define PYAIO_STATE_OBJECTS(X) PYAIO_STATE_STOCK(X)

/* What a queue finds when it looks its methods up (sync/queue_methods.c). */
typedef struct {
    unsigned int tag; /* version of the class that was asked, or 0 */
    uint8_t replaced; /* mask of PYAIO_QUEUE_* */
    uint8_t init;     /* PYAIO_QUEUE_FIFO..., whose _init() it is */
    uint8_t put;      /* whose _put() */
    uint8_t get;      /* whose _get() */
} PyaioQueueMethods;

#define PYAIO_QUEUE_CLASSES 8

/* Which methods a class of streams has replaced (stream/methods.h). */
typedef struct {
    unsigned int tag; /* version of the class, or 0 */
    unsigned int replaced;
} PyaioStreamClass;

#define PYAIO_STREAM_CLASSES 4

struct PyaioNativeProtocol;

typedef struct PyaioState {
#define X(name) PyTypeObject *name##_type; /* owned */
    PYAIO_STATE_TYPES(X)
#undef X
#define X(name) PyObject *name; /* owned */
    PYAIO_STATE_OBJECTS(X)
#undef X
#define X(name) PyObject *str_##name; /* owned */
    PYAIO_STATE_NAMES(X)
#undef X
    PyaioPool future_pool;
    PyaioPool task_pool;
    PyaioPool handle_pool;
    PyaioPool timer_handle_pool;
    PyaioPool future_iter_pool;
    PyaioPool sleep_pool;
    PyaioPool waiting_pool;
    PyaioPool queue_pool;
    PyaioPool stop_pool;
    PyaioPool read_pool;
    PyaioPool drain_pool;
    PyaioPool timeout_pool;
    PyaioPool timeout_coroutine_pool;
    PyaioPool wait_for_pool;
    PyaioPool operation_pool;

    PyaioLink tasks; /* every unfinished Task of ours where stock's
                                  own registry is slow (base/interop.h) */
    unsigned long long task_count; /* numbers the default names of tasks */
    int entered;                   /* counted among the states that exist */
    unsigned long fork_generation; /* counts the forks this process came of */

    PyObject *snapshot;        /* owned: base/context.h, or NULL */
    uint64_t child_classes;    /* process/transport_type.c: the version of the
                               classes that were found unchanged */
    Py_ssize_t context_offset; /* in a Context, 0 where not verified */

    /* Offsets in the thread state, 0 where they could not be verified. */
    Py_ssize_t running_loop_offset;
    Py_ssize_t current_task_offset;
    Py_ssize_t task_list_offset; /* head of the thread's list of tasks */

    /* Of the running version's conditions: */
    int condition_notifies_again; /* a wait() that fails passes on the
                                     notification that it may have had, and
                                     makes its future before it releases the
                                     lock (gh-112202) */
    int condition_keeps_error;    /* it raises the CancelledError that came,
                                     not one of its own (gh-111693) */
    int semaphore_wakes_all;      /* who acquires a semaphore lets in everybody
                                whom there are units for (gh-90155) */

    /* Version tags under which `handle_run_replaced` was computed. */
    unsigned int stock_handle_tag;
    unsigned int handle_tag;
    /* Version tag under which a socket type was seen to be plain, or 0. */
    unsigned int plain_socket_tag;
    /* The same of stream transports, for their write(). */
    unsigned int transport_write_tag;
    /* The same of TLS protocols, for their get_buffer(). */
    unsigned int tls_tag;
    int sockets_verified;      /* their layout is as net/socket.h says */
    int sendfile_always_seeks; /* also where nothing was sent */
    /* Of the running version's listening sockets: */
    int accept_skips_aborted; /* a connection that its peer gave up does not
                                 end the wake-up */
    int accept_one_more;      /* it accepts one more than the backlog */
    /* The same tag of socket.socket with all of its methods. */
    unsigned int intact_socket_tag;
    /* Places in a socket.socket; the first is 0 where one was not found. */
    Py_ssize_t socket_timeout_offset;
    Py_ssize_t socket_io_refs_offset;
    Py_ssize_t socket_closed_offset;
    /* Place of the socket in a TransportSocket, and the tag of that class. */
    Py_ssize_t transport_socket_offset;
    unsigned int transport_socket_tag;
    int handle_run_replaced; /* somebody put another _run into Handle */
    /* Version tags of Task and Future under which cancel() was seen to be the
     * original, or 0. */
    unsigned int task_cancel_tag;
    unsigned int future_cancel_tag;
    /* The methods of collections.deque, NULL where they are not as known. */
    PyCFunction deque_append;
    PyCFunction deque_popleft;
    /* Of the queue classes used last, by the last bits of their tags. */
    PyaioQueueMethods queue_methods[PYAIO_QUEUE_CLASSES];
    PyaioStreamClass readers[PYAIO_STREAM_CLASSES];
    PyaioStreamClass writers[PYAIO_STREAM_CLASSES];
    PyaioStreamClass protocols[PYAIO_STREAM_CLASSES];
    PyaioStreamClass processes[PYAIO_STREAM_CLASSES];
    /* How StreamProtocol_type takes data (net/protocol.h). */
    const struct PyaioNativeProtocol *stream_protocol;
    const struct PyaioNativeProtocol *tls_protocol;
    /* Version tag under which no method of Transport was replaced, or 0. */
    unsigned int transport_tag;
    /* The same of the class Timeout, for the methods that it calls. */
    unsigned int timeout_tag;
} PyaioState;

extern PyModuleDef pyaio_module;

/* The state where one interpreter has loaded the module, as nearly always;
 * NULL where several have, or none has any more. The one mutable static: a
 * search through the type costs three calls in every method (csrc/README.md
 * has the figures). Changed under the GIL only, which all interpreters that
 * may load the module share. */
extern PyaioState *pyaio_only_state;

PyaioState *pyaio_state_search(PyTypeObject *type);

static inline PyaioState *
pyaio_module_state(PyObject *module)
{
    return (PyaioState *)PyModule_GetState(module);
}

/* The state behind one of our types or a class derived from one. NULL only
 * while the interpreter tears the module down, which finalizers and
 * deallocators live to see. */
static inline PyaioState *
pyaio_state_of_type(PyTypeObject *type)
{
    PyaioState *only = pyaio_only_state;
    return only != NULL ? only : pyaio_state_search(type);
}

static inline PyaioState *
pyaio_state_of(PyObject *op)
{
    return pyaio_state_of_type(Py_TYPE(op));
}

/* The object of a field, by its place in the state: borrowed. */
static inline PyObject *
pyaio_state_object(const PyaioState *state, size_t place)
{
    return *(PyObject *const *)(const void *)((const char *)state + place);
}

/* Makes a type from its spec and keeps it in *slot. `base` may be NULL.
 * Returns 0 or -1. */
int pyaio_add_type(PyObject *module, PyTypeObject **slot, PyType_Spec *spec,
                   PyTypeObject *base);

int pyaio_state_init(PyaioState *state);
/* The state's memory is about to go. */
void pyaio_state_leave(PyaioState *state);
int pyaio_state_traverse(PyaioState *state, visitproc visit, void *arg);
void pyaio_state_clear(PyaioState *state);

#endif
