"""Connections that are made, accepted and closed, with both ends in one loop."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from measure import row

Factory = Callable[[], asyncio.Protocol]


class Counter(asyncio.Protocol):
    """One end: says when the connection is gone, through a future made for both ends."""

    def __init__(self, ends: "Ends") -> None:
        self.ends = ends

    def connection_made(self, _transport: asyncio.BaseTransport) -> None:
        """Note the connection."""
        self.ends.made += 1

    def connection_lost(self, _error: Exception | None) -> None:
        """Note its end."""
        self.ends.lost += 1
        if self.ends.lost == self.ends.made == 2:
            self.ends.closed.set_result(None)


class Ends:
    """The two ends of one connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.made = self.lost = 0
        self.closed = loop.create_future()


async def connect_and_close(
    server: asyncio.Server,
    current: list[Ends],
    connect: Callable[[Factory], Awaitable[tuple[Any, Any]]],
    repeat: int,
) -> int:
    """Make `repeat` connections, one after another."""
    loop = asyncio.get_running_loop()
    done = 0
    async with server:
        for _ in range(repeat):
            ends = current[0] = Ends(loop)
            transport, _ = await connect(lambda: Counter(current[0]))
            transport.close()
            await ends.closed
            done += ends.made == ends.lost == 2
    return done


@row(operations=1)
async def connect_tcp(repeat: int) -> int:
    """Connect to 127.0.0.1, accept, close both ends; one connection after another."""
    loop = asyncio.get_running_loop()
    current: list[Ends] = [None]  # type: ignore[list-item]
    server = await loop.create_server(lambda: Counter(current[0]), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    def connect(factory: Factory) -> Awaitable[tuple[Any, Any]]:
        return loop.create_connection(factory, "127.0.0.1", port)

    return await connect_and_close(server, current, connect, repeat)


@row(operations=1)
async def connect_unix(repeat: int) -> int:
    """The same over a Unix socket."""
    loop = asyncio.get_running_loop()
    current: list[Ends] = [None]  # type: ignore[list-item]
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "socket")
        server = await loop.create_unix_server(lambda: Counter(current[0]), path)

        def connect(factory: Factory) -> Awaitable[tuple[Any, Any]]:
            return loop.create_unix_connection(factory, path)

        return await connect_and_close(server, current, connect, repeat)
