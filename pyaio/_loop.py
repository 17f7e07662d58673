"""EventLoop: scheduler, poller, streams and pipes are native; the rest as it is in asyncio."""

from __future__ import annotations

import functools
import selectors
import sys
import weakref
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, TypeVarTuple

from . import _core, _stock
from ._serving import Serving
from ._subprocess import Spawning
from ._tls import TlsMethods

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor
    from socket import socket

_Ts = TypeVarTuple("_Ts")
# From 3.12 on a descriptor that has a transport cannot get another.
_CHECKS_NEW_TRANSPORTS = sys.version_info >= (3, 12)


class SelectorView:
    """What a loop's poller watches, in the shape of a selector that can be read only."""

    def __init__(self, loop: EventLoop) -> None:
        self._loop = loop

    def get_map(self) -> dict[int, selectors.SelectorKey]:
        """Every watched descriptor and its key, whose data is the pair (reader, writer)."""
        keys = {}
        for fd, (reader, writer) in self._loop._watchers().items():
            events = selectors.EVENT_READ * (reader is not None)
            events |= selectors.EVENT_WRITE * (writer is not None)
            keys[fd] = selectors.SelectorKey(fd, fd, events, (reader, writer))
        return keys

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        """The key of a descriptor or of an object with fileno(); KeyError if it is not watched."""
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        try:
            return self.get_map()[fd]
        except KeyError:
            raise KeyError(f"{fileobj!r} is not registered") from None


class Transports(_core.TransportTable, MutableMapping[int, Any]):
    """Every descriptor's transport, as long as that lives."""


class _SelectorAttribute:
    """Makes `loop._selector` a view that others may replace, without a reference cycle."""

    def __get__(self, loop: EventLoop | None, owner: type) -> Any:
        if loop is None:
            return self
        return None if loop.is_closed() else SelectorView(loop)


class EventLoop(_core.EventLoop, TlsMethods, Serving, Spawning):
    """An asyncio event loop whose callbacks, timers, tasks and poller are native.

    Sockets, TLS and pipes have native transports; sock_*(), connecting to literal addresses,
    accepting and starting children are native. Executors and signal handlers are the running
    version's own, on the native poller. The stock __init__ is never called: it would make a
    selector and a socket pair that nothing uses.
    """

    # What the inherited methods keep on the loop; they set it on the instance.
    _default_executor: ThreadPoolExecutor | None = None
    _executor_shutdown_called = False
    _asyncgens_shutdown_called = False
    _ssock: socket | None = None
    _csock: socket | None = None
    _internal_fds = 1  # the poller's wake-up descriptor
    _timer_cancelled_count = 0
    _coroutine_origin_tracking_enabled = False
    _coroutine_origin_tracking_saved_depth: int | None = None
    slow_callback_duration = 0.1
    _selector = _SelectorAttribute()

    def __init__(self) -> None:
        super().__init__()
        self._signal_handlers: dict[int, Any] = {}
        self._unix_server_sockets: dict[socket, int] = {}
        self.set_debug(_stock.coroutines._is_debug_mode())

    # Made when they are first needed: many loops live too short for that.
    @functools.cached_property
    def _asyncgens(self) -> weakref.WeakSet[Any]:
        return weakref.WeakSet()

    @functools.cached_property
    def _transports(self) -> Transports:
        return Transports()

    def close(self) -> None:
        """Close the loop; RuntimeError while it runs, nothing if it is closed already."""
        super().close()
        if self._ssock is not None:
            self._close_self_pipe()
        self._internal_fds = 0
        self._executor_shutdown_called = True
        executor, self._default_executor = self._default_executor, None
        if executor is not None:
            executor.shutdown(wait=False)
        # Finds the loop closed, so that it only removes the signal handlers.
        _stock.SelectorEventLoop.close(self)

    def _make_socket_transport(
        self, sock: socket, protocol: Any, waiter: Any = None, **options: Any
    ) -> Any:
        """A transport over a connected socket."""
        if _CHECKS_NEW_TRANSPORTS:
            self._ensure_fd_no_transport(sock)
        return _core._SelectorSocketTransport(self, sock, protocol, waiter, **options)

    def _make_read_pipe_transport(
        self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> Any:
        """A transport over the reading end of a pipe."""
        return _core._UnixReadPipeTransport(self, pipe, protocol, waiter, extra)

    def _make_write_pipe_transport(
        self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> Any:
        """A transport over the writing end of a pipe."""
        return _core._UnixWritePipeTransport(self, pipe, protocol, waiter, extra)

    def _make_datagram_transport(
        self,
        sock: socket,
        protocol: Any,
        address: Any = None,
        waiter: Any = None,
        extra: Any = None,
    ) -> Any:
        """A transport over a datagram socket."""
        if _CHECKS_NEW_TRANSPORTS:
            self._ensure_fd_no_transport(sock)
        return _core._SelectorDatagramTransport(self, sock, protocol, address, waiter, extra)

    def add_signal_handler(self, sig: int, callback: Callable[[*_Ts], Any], *args: *_Ts) -> None:
        """Call callback(*args) in the loop when the signal arrives; main thread only."""
        if self._csock is None and not self.is_closed():
            # Carries signal numbers from the interpreter's handler; most loops never need it.
            self._make_self_pipe()
        super().add_signal_handler(sig, callback, *args)
