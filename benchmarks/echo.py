"""Echo servers: this process serves, a C program on another core sends and reads back.

A row is named echo_KIND_SIZE_CONNECTIONS; an operation is one message there and back.
"""

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import WrongResultError, register

SOURCE = Path(__file__).with_name("load.c")
SIZES = {"64b": 64, "1k": 1024, "64k": 65536, "1m": 1 << 20}
CONNECTIONS = [1, 20, 50, 1000]
# Of the many combinations these are in the table unless rows are chosen.
USUAL = [("64b", 50), ("1k", 50), ("64k", 20), ("1m", 20)]
_BUFFER = bytearray(256 * 1024)


class Echo(asyncio.Protocol):
    """Sends back what it receives."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class BufferedEcho(asyncio.BufferedProtocol):
    """The same, receiving into one buffer that all connections share."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.view = memoryview(_BUFFER)

    def get_buffer(self, _sizehint: int) -> bytearray:
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        # What waits to be sent is overwritten meanwhile, with the same: all messages are zeros.
        self.transport.write(self.view[:nbytes])


async def echo_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The same with streams."""
    while data := await reader.read(256 * 1024):
        writer.write(data)
        await writer.drain()
    writer.close()


class Control(asyncio.Protocol):
    """Gives the load its orders."""

    def __init__(self, ready: "asyncio.Future[Control]") -> None:
        self.ready = ready
        self.answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.ready.set_result(self)

    def data_received(self, data: bytes) -> None:
        assert self.answer is not None
        self.answer.set_result(int(data))

    def connection_lost(self, _error: Exception | None) -> None:
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(WrongResultError("the load has gone"))

    async def order(self, echoes: int) -> int:
        """Have that many messages echoed; return how many were."""
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(b"%d\n" % echoes)
        return await self.answer


def compiled_load() -> Path:
    """The load program, compiled unless that was done since its source changed."""
    program = Path(tempfile.gettempdir()) / f"pyaio-load-{os.getuid()}-{SOURCE.stat().st_mtime_ns}"
    if not program.exists():
        partial = program.with_suffix(f".{os.getpid()}")
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, "-O2", "-o", partial, SOURCE], check=True)
        partial.rename(program)
    return program


def other_core() -> int:
    """A core that this process is not pinned to; -1 for any."""
    free = set(range(os.cpu_count() or 1)) - os.sched_getaffinity(0)
    return min(free, default=-1)


async def start(kind: str, size: int, connections: int) -> tuple[Any, Control]:
    """Serve, and start the load; return the server and what gives the load its orders."""
    loop = asyncio.get_running_loop()
    program = compiled_load()
    unix = kind.startswith("unix_")
    factory: Any = {"protocol": Echo, "buffered": BufferedEcho}.get(kind.removeprefix("unix_"))
    path = tempfile.mktemp(prefix="pyaio-echo-") if unix else None
    options: dict[str, Any] = {"backlog": 1024}
    where = (path,) if unix else ("127.0.0.1", 0)
    if factory is not None:
        create = loop.create_unix_server if unix else loop.create_server
        server = await create(factory, *where, **options)
    else:
        serve: Callable[..., Any] = asyncio.start_unix_server if unix else asyncio.start_server
        server = await serve(echo_stream, *where, **options)
    ready: asyncio.Future[Control] = loop.create_future()
    orders = await loop.create_server(lambda: Control(ready), "127.0.0.1", 0)
    address = path if unix else str(server.sockets[0].getsockname()[1])
    arguments = [other_core(), orders.sockets[0].getsockname()[1], "unix" if unix else "tcp"]
    arguments += [address, connections, size]
    subprocess.Popen([program, *map(str, arguments)])
    control = await ready
    orders.close()
    return server, control


def define(kind: str, size: str, connections: int) -> None:
    """Register one row. The server and the load live as long as the row's loop."""
    running: dict[asyncio.AbstractEventLoop, tuple[Any, Control]] = {}

    async def body(repeat: int) -> int:
        loop = asyncio.get_running_loop()
        if loop not in running:
            running[loop] = await start(kind, SIZES[size], connections)
        _, control = running[loop]
        return await control.order(repeat)

    body.__doc__ = f"{connections} connections, messages of {size}, {kind}."
    usual = (size, connections) in USUAL and kind != "unix_protocol"
    usual = usual or (kind, size, connections) in {
        ("protocol", "1k", 1000),
        ("unix_protocol", "1k", 50),
        ("unix_streams", "1k", 50),
    }
    register(f"echo_{kind}_{size}_{connections}", 1, body, usual=usual)


for _kind in ("protocol", "buffered", "streams", "unix_protocol", "unix_streams"):
    for _size in SIZES:
        for _connections in CONNECTIONS:
            define(_kind, _size, _connections)
