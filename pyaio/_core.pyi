"""The C extension.

Its Future, Task, Handle and TimerHandle are, to isinstance(), to issubclass() and so to
a type checker, the classes of those names in asyncio; and so are the functions.
"""

import sys
from _socket import _Address
from abc import ABCMeta
from asyncio import (
    AbstractEventLoop,
    AbstractServer,
    BaseProtocol,
    DatagramTransport,
    Future as Future,
    Handle as Handle,
    ReadTransport,
    SubprocessTransport,
    Task as Task,
    TimerHandle as TimerHandle,
    WriteTransport,
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
from asyncio.events import _TaskFactory
from asyncio.streams import _ReaduntilBuffer as _Separator
from asyncio.transports import _FlowControlMixin
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import Context
from socket import AddressFamily, SocketKind, socket
from types import FunctionType, TracebackType
from typing import IO, Any, Literal, Self, SupportsIndex, TypeAlias, TypeVar, TypeVarTuple, final

from _typeshed import ReadableBuffer, WriteableBuffer
from typing_extensions import disjoint_base

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")
_Coroutine: TypeAlias = Coroutine[Any, Any, _T] | Generator[Any, None, _T]
_Awaitable: TypeAlias = Awaitable[_T] | Generator[Any, None, _T]
_AddressInfo: TypeAlias = (
    tuple[Literal[AddressFamily.AF_INET], SocketKind, int, str, tuple[str, int]]
    | tuple[
        Literal[AddressFamily.AF_INET6],
        SocketKind,
        int,
        str,
        tuple[str, int, int, int] | tuple[int, bytes],
    ]
)
_Report: TypeAlias = dict[str, Any]
_ExceptionHandler: TypeAlias = Callable[[AbstractEventLoop, _Report], object]

def _adopt(
    event_loop: type,
    task_group: type,
    timeout: type,
    wait_for_one: FunctionType,
    executor_submit: Callable[[ThreadPoolExecutor, WorkItem], bool] | None,
    eager_factory: Callable[..., Task[Any]] | None,
    ssl_protocol: type,
    accept_skips_aborted: bool,
    accept_one_more: bool,
) -> None: ...
def _after_fork() -> None: ...
def _watch_child(
    loop: AbstractEventLoop,
    pid: int,
    callback: Callable[..., Any] | SubprocessTransport,
    args: tuple[Any, ...],
    /,
) -> None: ...
def _stands_for(ours: type, stock: type, /) -> None: ...
def _native_tasks() -> list[Task[Any]]: ...
def _simulate_time(loop: EventLoop, milliseconds: int, /) -> None: ...

class NativeMeta(ABCMeta):
    """Has a native class count the instances and subclasses of the stock class of its name."""

@disjoint_base
class TaskGroup(metaclass=NativeMeta):
    """The native half of pyaio.TaskGroup; the unusual course of events is asyncio's own."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        et: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None: ...
    if sys.version_info >= (3, 14):
        def create_task(
            self,
            coro: _Coroutine[_T],
            *,
            name: str | None = None,
            context: Context | None = None,
            eager_start: bool | None = None,
        ) -> Task[_T]: ...
    else:
        def create_task(
            self,
            coro: _Coroutine[_T],
            *,
            name: str | None = None,
            context: Context | None = None,
        ) -> Task[_T]: ...

@final
class _SelectorSocketTransport(_FlowControlMixin):
    """The transport of a stream socket on a native loop."""

    max_size: int
    def __init__(
        self,
        loop: AbstractEventLoop,
        sock: socket,
        protocol: BaseProtocol,
        waiter: Future[Any] | None = None,
        extra: dict[str, Any] | None = None,
        server: AbstractServer | None = None,
        context: Context | None = None,
    ) -> None: ...
    def write(self, data: bytes | bytearray | memoryview, /) -> None: ...
    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview], /) -> None: ...
    def set_protocol(self, protocol: BaseProtocol, /) -> None: ...

@final
class _SelectorDatagramTransport(_FlowControlMixin, DatagramTransport):
    """The transport of a datagram socket on a native loop."""

    max_size: int
    def __init__(
        self,
        loop: AbstractEventLoop,
        sock: socket,
        protocol: BaseProtocol,
        address: Any = None,
        waiter: Future[Any] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None: ...

@disjoint_base
class _SubprocessTransport(SubprocessTransport):
    """The native half of a subprocess' transport; what is unusual is asyncio's own."""

    _closed: bool
    _exit_waiters: Any
    _extra: dict[str, Any]
    _finished: bool
    _loop: Any
    _pending_calls: Any
    _pid: Any
    _pipes: dict[int, Any]
    _proc: Any
    _protocol: Any
    _returncode: Any
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    def get_extra_info(self, name: str, default: Any = None) -> Any: ...
    def get_pipe_transport(self, fd: int) -> Any: ...
    def _process_exited(self, returncode: int, /) -> None: ...
    def _pipe_data_received(self, fd: int, data: bytes, /) -> None: ...
    def _pipe_connection_lost(self, fd: int, exc: BaseException | None, /) -> None: ...
    def _call(self, callback: Callable[..., object], /, *args: Any) -> None: ...
    def _try_finish(self) -> None: ...
    async def _wait(self) -> int: ...
    def _call_connection_lost(self, exc: BaseException | None, /) -> None: ...
    def __del__(self) -> None: ...

def _adopt_subprocess(
    *,
    create_exec: Callable[..., Any],
    create_shell: Callable[..., Any],
    protocol: type[Any],
    transport: type[Any],
    watcher: type[Any],
    program_watches: Callable[[], bool] | None,
    end_child: Callable[..., Any],
    limit: int,
    reader: type[Any],
    writer: type[Any],
    process: type[Any],
) -> tuple[Callable[..., Any], Callable[..., Any]]: ...

@disjoint_base
class _WriteSubprocessPipe:
    """The native half of the protocol of a child's standard input."""

    disconnected: bool
    fd: Any
    pipe: Any
    proc: Any
    def connection_lost(self, exc: BaseException | None, /) -> None: ...

class _ReadSubprocessPipe(_WriteSubprocessPipe):
    """The native half of the protocol of a child's standard output or error."""

    def data_received(self, data: bytes, /) -> None: ...
    def eof_received(self) -> None: ...

@final
class _UnixReadPipeTransport(ReadTransport):
    """The transport of a pipe's reading end on a native loop."""

    max_size: int
    def __init__(
        self,
        loop: AbstractEventLoop,
        pipe: Any,
        protocol: BaseProtocol,
        waiter: Future[Any] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None: ...
    def set_protocol(self, protocol: BaseProtocol, /) -> None: ...

@final
class _UnixWritePipeTransport(_FlowControlMixin):
    """The transport of a pipe's writing end on a native loop."""

    def __init__(
        self,
        loop: AbstractEventLoop,
        pipe: Any,
        protocol: BaseProtocol,
        waiter: Future[Any] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None: ...
    def write(self, data: bytes | bytearray | memoryview, /) -> None: ...
    def set_protocol(self, protocol: BaseProtocol, /) -> None: ...

@disjoint_base
class _SSLProtocolTransport(_FlowControlMixin):
    """The native half of TLS transports."""

    _ssl_protocol: Any
    _closed: bool
    def write(self, data: bytes | bytearray | memoryview, /) -> None: ...
    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview], /) -> None: ...
    def is_closing(self) -> bool: ...

@disjoint_base
class SSLProtocol:
    """The native half of TLS; what is rare is asyncio's own."""

    def buffer_updated(self, nbytes: int, /) -> None: ...
    def _attach_openssl(self) -> bool: ...

@disjoint_base
class Lock(metaclass=NativeMeta):
    """The native half of pyaio.Lock."""

    async def acquire(self) -> Literal[True]: ...
    def release(self) -> None: ...
    def locked(self) -> bool: ...
    async def __aenter__(self) -> None: ...
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None: ...

@disjoint_base
class Event(metaclass=NativeMeta):
    """The native half of pyaio.Event."""

    async def wait(self) -> Literal[True]: ...
    def set(self) -> None: ...
    def clear(self) -> None: ...
    def is_set(self) -> bool: ...

@disjoint_base
class Semaphore(metaclass=NativeMeta):
    """The native half of pyaio.Semaphore."""

    def __init__(self, value: int = 1) -> None: ...
    async def acquire(self) -> Literal[True]: ...
    def release(self) -> None: ...
    def locked(self) -> bool: ...
    async def __aenter__(self) -> None: ...
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None: ...

class BoundedSemaphore(Semaphore):
    """The native half of pyaio.BoundedSemaphore."""

@final
class WorkItem:
    """A call that a thread pool runs on behalf of a loop; also the future that the pool sees."""

    def run(self, context: object = ..., /) -> None: ...
    @property
    def future(self) -> Self: ...
    def cancel(self) -> bool: ...
    def set_exception(self, exception: BaseException, /) -> None: ...

@disjoint_base
class Timeout(metaclass=NativeMeta):
    """The native half of pyaio.Timeout; times are in seconds of the loop's clock."""

    def __init__(self, when: float | None) -> None: ...
    def when(self) -> float | None: ...
    def reschedule(self, when: float | None) -> None: ...
    def expired(self) -> bool: ...
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None: ...

@disjoint_base
class Condition(metaclass=NativeMeta):
    """The native half of pyaio.Condition."""

    def __init__(self, lock: object) -> None: ...
    async def wait(self) -> Literal[True]: ...
    async def wait_for(self, predicate: Callable[[], _T]) -> _T: ...
    def notify(self, n: int = 1) -> None: ...
    def notify_all(self) -> None: ...
    async def __aenter__(self) -> None: ...
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None: ...

@disjoint_base
class Barrier(metaclass=NativeMeta):
    """The native half of pyaio.Barrier; what is not native is asyncio's own."""

    async def wait(self) -> int: ...
    async def __aenter__(self) -> Self: ...  # as asyncio's published type has it; it is an int
    async def __aexit__(self, *args: object) -> None: ...

@disjoint_base
class Queue(metaclass=NativeMeta):
    """The native half of pyaio.Queue and of those derived from it."""

    def __init__(self, maxsize: int = 0) -> None: ...
    @property
    def maxsize(self) -> int: ...
    async def put(self, item: Any) -> None: ...
    def put_nowait(self, item: Any) -> None: ...
    async def get(self) -> Any: ...
    def get_nowait(self) -> Any: ...
    def qsize(self) -> int: ...
    def empty(self) -> bool: ...
    def full(self) -> bool: ...
    async def join(self) -> None: ...
    def task_done(self) -> None: ...
    if sys.version_info >= (3, 13):
        def shutdown(self, immediate: bool = False) -> None: ...

@disjoint_base
class StreamReader(metaclass=NativeMeta):
    """The native half of pyaio.StreamReader and of those derived from it."""

    def __init__(self, limit: int = 65536, loop: AbstractEventLoop | None = None) -> None: ...
    def exception(self) -> Exception | None: ...
    def set_exception(self, exc: Exception) -> None: ...
    def feed_eof(self) -> None: ...
    def set_transport(self, transport: Any) -> None: ...
    def at_eof(self) -> bool: ...
    def feed_data(self, data: Iterable[SupportsIndex]) -> None: ...
    async def readline(self) -> bytes: ...
    if sys.version_info >= (3, 13):
        async def readuntil(
            self, separator: _Separator | tuple[_Separator, ...] = b"\n"
        ) -> bytes: ...
    else:
        async def readuntil(self, separator: _Separator = b"\n") -> bytes: ...

    async def read(self, n: int = -1) -> bytes: ...
    async def readexactly(self, n: int) -> bytes: ...
    def __aiter__(self) -> Self: ...
    async def __anext__(self) -> bytes: ...

@disjoint_base
class FlowControlMixin(metaclass=NativeMeta):
    """The native half of pyaio's FlowControlMixin and of those derived from it."""

    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    async def _drain_helper(self) -> None: ...

@disjoint_base
class StreamReaderProtocol(FlowControlMixin):
    """The native half of pyaio.StreamReaderProtocol and of those derived from it."""

    def data_received(self, data: bytes) -> None: ...

@disjoint_base
class SubprocessStreamProtocol(FlowControlMixin):
    """The native half of pyaio's SubprocessStreamProtocol and of those derived from it."""

    stdin: Any
    stdout: Any
    stderr: Any
    _limit: Any
    _pipe_fds: Any
    _process_exited: bool
    _stdin_closed: Any
    _transport: Any
    def __init__(self, limit: int, loop: AbstractEventLoop) -> None: ...
    def connection_made(self, transport: Any) -> None: ...
    def pipe_data_received(self, fd: int, data: bytes | str) -> None: ...
    def pipe_connection_lost(self, fd: int, exc: BaseException | None) -> None: ...
    def process_exited(self) -> None: ...
    def connection_lost(self, exc: BaseException | None) -> None: ...
    def _maybe_close_transport(self) -> None: ...
    def _get_close_waiter(self, stream: Any, /) -> Any: ...

@disjoint_base
class Process(metaclass=NativeMeta):
    """The native half of pyaio's Process and of those derived from it."""

    stdin: Any
    stdout: Any
    stderr: Any
    pid: int
    _loop: AbstractEventLoop
    _protocol: Any
    _transport: Any
    def __init__(self, transport: Any, protocol: Any, loop: AbstractEventLoop) -> None: ...
    async def wait(self) -> int: ...
    async def communicate(
        self, input: bytes | bytearray | memoryview | None = None
    ) -> tuple[Any, Any]: ...
    async def _feed_stdin(self, input: Any) -> None: ...
    async def _read_stream(self, fd: int) -> Any: ...
    async def _noop(self) -> None: ...

@disjoint_base
class StreamWriter(metaclass=NativeMeta):
    """The native half of pyaio.StreamWriter and of those derived from it."""

    def __init__(
        self,
        transport: WriteTransport,
        protocol: BaseProtocol,
        reader: StreamReader | None,
        loop: AbstractEventLoop,
    ) -> None: ...
    @property
    def transport(self) -> WriteTransport: ...
    def write(self, data: bytes | bytearray | memoryview) -> None: ...
    def writelines(self, data: Iterable[bytes | bytearray | memoryview]) -> None: ...
    def write_eof(self) -> None: ...
    def can_write_eof(self) -> bool: ...
    def close(self) -> None: ...
    def is_closing(self) -> bool: ...
    def get_extra_info(self, name: str, default: Any = None) -> Any: ...
    async def drain(self) -> None: ...

@disjoint_base
class TransportTable:
    """Descriptors and their transports, which are held weakly."""

    def __getitem__(self, key: int, /) -> Any: ...
    def __setitem__(self, key: int, value: Any, /) -> None: ...
    def __delitem__(self, key: int, /) -> None: ...
    def __iter__(self) -> Iterator[int]: ...
    def __len__(self) -> int: ...

@disjoint_base
class EventLoop:
    """The scheduling half of an event loop; asyncio's transports stand on it in pyaio.EventLoop.

    Delays and times are in seconds, as floats.
    """

    def run_forever(self) -> None: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...
    def is_running(self) -> bool: ...
    def is_closed(self) -> bool: ...
    def time(self) -> float: ...
    def call_soon(
        self,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> Handle: ...
    def call_soon_threadsafe(
        self,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> Handle: ...
    def call_later(
        self,
        delay: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> TimerHandle: ...
    def call_at(
        self,
        when: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> TimerHandle: ...
    def create_future(self) -> Future[Any]: ...
    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*_Ts], _T], *args: *_Ts
    ) -> Future[_T]: ...
    async def getaddrinfo(
        self,
        host: bytes | str | None,
        port: bytes | str | int | None,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[_AddressInfo]: ...
    async def getnameinfo(
        self, sockaddr: tuple[str, int] | tuple[str, int, int, int], flags: int = 0
    ) -> tuple[str, str]: ...
    async def sock_recv(self, sock: socket, n: int) -> bytes: ...
    async def sock_recv_into(self, sock: socket, buf: WriteableBuffer) -> int: ...
    async def sock_recvfrom(self, sock: socket, bufsize: int) -> tuple[bytes, Any]: ...
    async def sock_recvfrom_into(
        self, sock: socket, buf: WriteableBuffer, nbytes: int = 0
    ) -> tuple[int, Any]: ...
    async def sock_sendall(self, sock: socket, data: ReadableBuffer) -> None: ...
    async def sock_sendto(self, sock: socket, data: ReadableBuffer, address: _Address) -> int: ...
    async def sock_sendfile(
        self,
        sock: socket,
        file: IO[bytes],
        offset: int = 0,
        count: int | None = None,
        *,
        fallback: bool | None = True,
    ) -> int: ...
    async def sock_connect(self, sock: socket, address: _Address) -> None: ...
    async def sock_accept(self, sock: socket) -> tuple[socket, Any]: ...
    if sys.version_info >= (3, 13):
        def create_task(
            self,
            coro: _Coroutine[_T],
            *,
            name: object = None,
            context: Context | None = None,
            eager_start: bool | None = None,
        ) -> Task[_T]: ...
    else:
        def create_task(
            self, coro: _Coroutine[_T], *, name: object = None, context: Context | None = None
        ) -> Task[_T]: ...
    def set_task_factory(self, factory: _TaskFactory | None) -> None: ...
    def get_task_factory(self) -> _TaskFactory | None: ...
    def get_debug(self) -> bool: ...
    def set_exception_handler(self, handler: _ExceptionHandler | None) -> None: ...
    def _watchers(self) -> dict[int, tuple[Handle | None, Handle | None]]: ...
