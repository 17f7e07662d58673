"""create_server() and create_unix_server(), which leave nothing behind where they fail."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from . import _core, _stock

if TYPE_CHECKING:
    from socket import socket


class Serving(_stock.SelectorEventLoop):
    """The running version's methods, apart from how a server starts.

    Stock starts it as the last thing, and forgets about it if that fails or the task is cancelled
    then: it would go on listening for nobody. Here it is closed; a socket that it was given is
    no longer watched, but stays its giver's.
    """

    @functools.wraps(_stock.SelectorEventLoop.create_server)
    async def create_server(  # type: ignore[override]
        self, *args: Any, sock: socket | None = None, start_serving: bool = True, **options: Any
    ) -> Any:
        server = await super().create_server(*args, sock=sock, start_serving=False, **options)
        if start_serving:
            await self._start(server, sock)
        return server

    @functools.wraps(_stock.SelectorEventLoop.create_unix_server)
    async def create_unix_server(  # type: ignore[override]
        self, *args: Any, sock: socket | None = None, start_serving: bool = True, **options: Any
    ) -> Any:
        server = await super().create_unix_server(*args, sock=sock, start_serving=False, **options)
        if start_serving:
            await self._start(server, sock)
        return server

    async def _start(self, server: Any, given: socket | None) -> None:
        try:
            server._start_serving()
            await _core.sleep(0)
        except BaseException:
            if given is None:
                server.close()
            elif given.fileno() >= 0:
                self._remove_reader(given.fileno())
            raise
