"""Every name of asyncio, and the native ones of pyaio over them."""

import sys
from asyncio import (
    ALL_COMPLETED as ALL_COMPLETED,
    FIRST_COMPLETED as FIRST_COMPLETED,
    FIRST_EXCEPTION as FIRST_EXCEPTION,
    AbstractEventLoop as AbstractEventLoop,
    AbstractServer as AbstractServer,
    Barrier as Barrier,
    BaseEventLoop as BaseEventLoop,
    BaseProtocol as BaseProtocol,
    BaseTransport as BaseTransport,
    BoundedSemaphore as BoundedSemaphore,
    BrokenBarrierError as BrokenBarrierError,
    BufferedProtocol as BufferedProtocol,
    CancelledError as CancelledError,
    Condition as Condition,
    DatagramProtocol as DatagramProtocol,
    DatagramTransport as DatagramTransport,
    Event as Event,
    IncompleteReadError as IncompleteReadError,
    InvalidStateError as InvalidStateError,
    LifoQueue as LifoQueue,
    LimitOverrunError as LimitOverrunError,
    Lock as Lock,
    PriorityQueue as PriorityQueue,
    Protocol as Protocol,
    Queue as Queue,
    QueueEmpty as QueueEmpty,
    QueueFull as QueueFull,
    ReadTransport as ReadTransport,
    Semaphore as Semaphore,
    SendfileNotAvailableError as SendfileNotAvailableError,
    Server as Server,
    StreamReader as StreamReader,
    StreamReaderProtocol as StreamReaderProtocol,
    StreamWriter as StreamWriter,
    SubprocessProtocol as SubprocessProtocol,
    SubprocessTransport as SubprocessTransport,
    TaskGroup as TaskGroup,
    Timeout as Timeout,
    TimeoutError as TimeoutError,
    Transport as Transport,
    WriteTransport as WriteTransport,
    _enter_task as _enter_task,
    _get_running_loop as _get_running_loop,
    _leave_task as _leave_task,
    _register_task as _register_task,
    _set_running_loop as _set_running_loop,
    _unregister_task as _unregister_task,
    all_tasks as all_tasks,
    base_events as base_events,
    base_futures as base_futures,
    base_subprocess as base_subprocess,
    base_tasks as base_tasks,
    constants as constants,
    coroutines as coroutines,
    create_subprocess_exec as create_subprocess_exec,
    create_subprocess_shell as create_subprocess_shell,
    events as events,
    exceptions as exceptions,
    format_helpers as format_helpers,
    futures as futures,
    get_event_loop as get_event_loop,
    get_event_loop_policy as get_event_loop_policy,
    get_running_loop as get_running_loop,
    iscoroutine as iscoroutine,
    iscoroutinefunction as iscoroutinefunction,
    isfuture as isfuture,
    locks as locks,
    log as log,
    mixins as mixins,
    open_connection as open_connection,
    open_unix_connection as open_unix_connection,
    protocols as protocols,
    queues as queues,
    run_coroutine_threadsafe as run_coroutine_threadsafe,
    runners as runners,
    selector_events as selector_events,
    set_event_loop as set_event_loop,
    set_event_loop_policy as set_event_loop_policy,
    sslproto as sslproto,
    staggered as staggered,
    start_server as start_server,
    start_unix_server as start_unix_server,
    streams as streams,
    subprocess as subprocess,
    taskgroups as taskgroups,
    tasks as tasks,
    threads as threads,
    timeouts as timeouts,
    to_thread as to_thread,
    transports as transports,
    trsock as trsock,
    unix_events as unix_events,
    wrap_future as wrap_future,
)
from typing import Any

from ._core import (
    Future as Future,
    Handle as Handle,
    Task as Task,
    TimerHandle as TimerHandle,
    as_completed as as_completed,
    create_task as create_task,
    current_task as current_task,
    ensure_future as ensure_future,
    gather as gather,
    shield as shield,
    sleep as sleep,
    timeout as timeout,
    timeout_at as timeout_at,
    wait as wait,
    wait_for as wait_for,
)
from ._install import install as install, uninstall as uninstall
from ._loop import EventLoop as EventLoop
from ._policy import SelectorEventLoop as SelectorEventLoop, new_event_loop as new_event_loop
from ._runners import Runner as Runner, run as run

if sys.version_info >= (3, 12):
    from asyncio import (
        create_eager_task_factory as create_eager_task_factory,
        eager_task_factory as eager_task_factory,
    )

if sys.version_info >= (3, 13):
    from asyncio import (
        QueueShutDown as QueueShutDown,
    )

if sys.version_info >= (3, 14):
    from asyncio import (
        FrameCallGraphEntry as FrameCallGraphEntry,
        FutureCallGraph as FutureCallGraph,
        capture_call_graph as capture_call_graph,
        format_call_graph as format_call_graph,
        future_add_to_awaited_by as future_add_to_awaited_by,
        future_discard_from_awaited_by as future_discard_from_awaited_by,
        graph as graph,
        print_call_graph as print_call_graph,
    )
else:
    from asyncio import (
        AbstractChildWatcher as AbstractChildWatcher,
        AbstractEventLoopPolicy as AbstractEventLoopPolicy,
        FastChildWatcher as FastChildWatcher,
        MultiLoopChildWatcher as MultiLoopChildWatcher,
        PidfdChildWatcher as PidfdChildWatcher,
        SafeChildWatcher as SafeChildWatcher,
        ThreadedChildWatcher as ThreadedChildWatcher,
        get_child_watcher as get_child_watcher,
        set_child_watcher as set_child_watcher,
    )

if sys.version_info < (3, 16):
    from ._policy import EventLoopPolicy as EventLoopPolicy

    DefaultEventLoopPolicy = EventLoopPolicy

__version__: str

def __getattr__(name: str) -> Any: ...
