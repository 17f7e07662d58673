"""The running version's asyncio, as the other modules use it: its private parts, mostly.

Imported before anything is installed, so that these stay the stock objects.
"""

from __future__ import annotations

import asyncio
import asyncio.base_subprocess
import asyncio.constants
import asyncio.sslproto
from typing import TYPE_CHECKING, Any

constants: Any = asyncio.constants
coroutines: Any = asyncio.coroutines
events: Any = asyncio.events
futures: Any = asyncio.futures
locks: Any = asyncio.locks
queues: Any = asyncio.queues
runners: Any = asyncio.runners
sslproto: Any = asyncio.sslproto
streams: Any = asyncio.streams
subprocess: Any = asyncio.subprocess
taskgroups: Any = asyncio.taskgroups
tasks: Any = asyncio.tasks
timeouts: Any = asyncio.timeouts
unix_events: Any = asyncio.unix_events
base_subprocess: Any = asyncio.base_subprocess

if TYPE_CHECKING:
    from asyncio import (
        Barrier as Barrier,
        BoundedSemaphore as BoundedSemaphore,
        Condition as Condition,
        DefaultEventLoopPolicy as DefaultEventLoopPolicy,
        Event as Event,
        LifoQueue as LifoQueue,
        Lock as Lock,
        PriorityQueue as PriorityQueue,
        Queue as Queue,
        Semaphore as Semaphore,
        StreamReader as StreamReader,
        StreamReaderProtocol as StreamReaderProtocol,
        StreamWriter as StreamWriter,
        TaskGroup as TaskGroup,
    )
    from asyncio.streams import FlowControlMixin as FlowControlMixin
    from asyncio.subprocess import SubprocessStreamProtocol as SubprocessStreamProtocol
    from socket import socket

    class SelectorEventLoop(asyncio.SelectorEventLoop):
        """With what the published types leave out."""

        _default_executor: Any
        _executor_shutdown_called: bool
        _ssock: socket | None
        _csock: socket | None
        _internal_fds: int

        async def _make_subprocess_transport(self, *args: Any, **kwargs: Any) -> Any: ...
        def _child_watcher_callback(self, pid: int, code: int, transport: Any) -> None: ...
        def _make_self_pipe(self) -> None: ...
        def _close_self_pipe(self) -> None: ...
        def _remove_reader(self, fd: Any) -> bool: ...
        def _ensure_fd_no_transport(self, fd: Any) -> None: ...

    class SSLProtocolTransport(asyncio.Transport):
        """The transport that stock's TLS shows."""

        def __init__(self, loop: Any, ssl_protocol: Any) -> None: ...

    class SSLProtocol(asyncio.BufferedProtocol):
        """With what our own uses of it."""

        max_size: int
        _loop: Any
        _extra: dict[str, Any]
        _incoming: Any
        _app_transport: Any
        _app_transport_created: bool

        def __init__(self, *args: Any, **options: Any) -> None: ...

else:
    TaskGroup = taskgroups.TaskGroup
    Lock, Event, Condition = locks.Lock, locks.Event, locks.Condition
    Semaphore, BoundedSemaphore = locks.Semaphore, locks.BoundedSemaphore
    Barrier = locks.Barrier
    Queue, PriorityQueue, LifoQueue = queues.Queue, queues.PriorityQueue, queues.LifoQueue
    StreamReader, StreamWriter = streams.StreamReader, streams.StreamWriter
    StreamReaderProtocol = streams.StreamReaderProtocol
    FlowControlMixin = streams.FlowControlMixin
    SubprocessStreamProtocol = subprocess.SubprocessStreamProtocol
    SelectorEventLoop = unix_events._UnixSelectorEventLoop
    SSLProtocol = sslproto.SSLProtocol
    SSLProtocolTransport = sslproto._SSLProtocolTransport
    DefaultEventLoopPolicy = getattr(unix_events, "_UnixDefaultEventLoopPolicy", None)

UnixSubprocessTransport: Any = unix_events._UnixSubprocessTransport
# Before 3.14 the policy has a child watcher, which a program may exchange.
HAS_CHILD_WATCHERS = hasattr(events, "get_child_watcher")
ThreadedChildWatcher: Any = getattr(
    unix_events, "ThreadedChildWatcher" if HAS_CHILD_WATCHERS else "_ThreadedChildWatcher"
)
PidfdChildWatcher: Any = getattr(unix_events, "_PidfdChildWatcher", object)
HAS_POLICIES = DefaultEventLoopPolicy is not None
