"""How the running version accepts connections: patch releases differ."""

from __future__ import annotations

from typing import Any

from . import _stock

_BACKLOG = 2


class _Connection:
    """Stands for a socket that was accepted."""

    def setblocking(self, flag: bool) -> None:
        """Take the call that every accepted socket gets."""


class _Listener:
    """Stands for a listening socket; counts how often it is asked to accept."""

    def __init__(self, *, aborts: bool) -> None:
        self.aborts = aborts
        self.asked = 0

    def accept(self) -> tuple[_Connection, None]:
        """Accept a connection, or fail as when the peer has given up."""
        self.asked += 1
        if self.aborts:
            raise ConnectionAbortedError
        return _Connection(), None


class _Loop:
    """Stands for the loop, and does nothing with what is accepted."""

    _debug = False

    def _accept_connection2(self, *args: Any, **kwargs: Any) -> None: ...

    def create_task(self, coro: None, **kwargs: Any) -> None:
        """Start nothing."""


def _times_asked(*, aborts: bool) -> int:
    """How often stock accepts in one wake-up, with a backlog of `_BACKLOG`."""
    listener = _Listener(aborts=aborts)
    _stock.SelectorEventLoop._accept_connection(  # type: ignore[attr-defined]
        _Loop(), None, listener, backlog=_BACKLOG
    )
    return listener.asked


SKIPS_ABORTED = _times_asked(aborts=True) > 1  # goes on after a connection that was aborted
ONE_MORE = _times_asked(aborts=False) > _BACKLOG  # accepts one more than the backlog
