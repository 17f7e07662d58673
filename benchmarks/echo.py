"""Echo servers: this process serves, a C program on another core sends and reads back.

A row is named echo_KIND_SIZE_CONNECTIONS; an operation is one message there and back. Rows named
sendfile and sock_sendfile answer each message of 64 bytes with a file of SIZE.
"""

import asyncio
import ctypes
import mmap
import socket
import ssl
import tempfile
from collections.abc import Callable
from typing import Any

from load import SIZES, make_certificate, start_load
from measure import WrongResultError, register

CONNECTIONS = [1, 20, 50, 1000]
# Of the many combinations these are in the table unless rows are chosen.
USUAL = [("64b", 50), ("1k", 50), ("64k", 20), ("1m", 20)]
NOT_USUAL = {"unix_protocol", "tls_buffered", "sock_sendfile"}


def buffer_at_page(size: int) -> memoryview:
    """A buffer that begins with a page.

    How many bytes into one it began would make a factor of two on some processors.
    """
    memory = bytearray(size + mmap.PAGESIZE)
    start = -ctypes.addressof(ctypes.c_char.from_buffer(memory)) % mmap.PAGESIZE
    return memoryview(memory)[start : start + size]


_BUFFER = buffer_at_page(256 * 1024)


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

    def get_buffer(self, _sizehint: int) -> memoryview:
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        # What waits to be sent is overwritten meanwhile, with the same: all messages are zeros.
        self.transport.write(_BUFFER[:nbytes])


async def echo_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The same with streams."""
    while data := await reader.read(256 * 1024):
        writer.write(data)
        await writer.drain()
    writer.close()


class DatagramEcho(asyncio.DatagramProtocol):
    """The same with datagrams."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.transport.sendto(data, address)


class FileSender(asyncio.Protocol):
    """Answers each message with the whole file."""

    def __init__(self, file: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.file = file

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, _data: bytes) -> None:
        self.task = self.loop.create_task(self.send())

    async def send(self) -> None:
        try:
            await self.loop.sendfile(self.transport, self.file)
        except NotImplementedError:
            self.transport.abort()  # which the load takes for the end of everything


async def echo_sock(connection: socket.socket) -> None:
    """An echo on a socket without a transport."""
    loop = asyncio.get_running_loop()
    with connection:
        while data := await loop.sock_recv(connection, 256 * 1024):
            await loop.sock_sendall(connection, data)


async def send_files(connection: socket.socket, file: Any) -> None:
    """FileSender on a socket without a transport."""
    loop = asyncio.get_running_loop()
    with connection:
        while await loop.sock_recv(connection, 64):
            await loop.sock_sendfile(connection, file)


async def accept(listener: socket.socket, serve: Callable[[socket.socket], Any]) -> None:
    """Start a task for each connection."""
    loop = asyncio.get_running_loop()
    tasks = []
    while True:
        connection, _ = await loop.sock_accept(listener)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tasks.append(loop.create_task(serve(connection)))


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


def server_context() -> ssl.SSLContext:
    """A context with a certificate of its own, made by the openssl command."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        context.load_cert_chain(*make_certificate(folder))
    return context


def file_of(size: int) -> Any:
    """An open file of so many zeros that nobody else knows."""
    file = tempfile.TemporaryFile()  # noqa: SIM115
    file.truncate(size)
    return file


async def serve_streams(kind: str, size: int) -> tuple[Any, int | str]:
    """Serve with transports; return the server and its port, or the path of a Unix socket."""
    loop = asyncio.get_running_loop()
    unix = kind.startswith("unix_")
    options: dict[str, Any] = {"backlog": 1024}
    if kind.startswith("tls_"):
        options["ssl"] = server_context()
    kind = kind.removeprefix("unix_").removeprefix("tls_")
    factory: Any = {"protocol": Echo, "buffered": BufferedEcho}.get(kind)
    if kind == "sendfile":
        file = file_of(size)
        factory = lambda: FileSender(file)  # noqa: E731
    path = tempfile.mktemp(prefix="pyaio-echo-")
    where = (path,) if unix else ("127.0.0.1", 0)
    if factory is not None:
        create = loop.create_unix_server if unix else loop.create_server
        server = await create(factory, *where, **options)
    else:
        serve: Callable[..., Any] = asyncio.start_unix_server if unix else asyncio.start_server
        server = await serve(echo_stream, *where, **options)
    return server, path if unix else int(server.sockets[0].getsockname()[1])


def serve_sockets(kind: str, size: int) -> tuple[Any, int]:
    """Serve without transports; return the task that does so and its port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listener.setblocking(False)
    serve: Any = echo_sock
    if kind == "sock_sendfile":
        file = file_of(size)
        serve = lambda connection: send_files(connection, file)  # noqa: E731
    task = asyncio.get_running_loop().create_task(accept(listener, serve))
    return task, int(listener.getsockname()[1])


async def start(kind: str, size: int, connections: int) -> tuple[Any, Control]:
    """Serve, and start the load; return the server and what gives the load its orders."""
    loop = asyncio.get_running_loop()
    server: Any
    address: int | str
    if kind == "udp":
        server, _ = await loop.create_datagram_endpoint(DatagramEcho, local_addr=("127.0.0.1", 0))
        address = server.get_extra_info("sockname")[1]
    elif kind.startswith("sock"):
        server, address = serve_sockets(kind, size)
    else:
        server, address = await serve_streams(kind, size)
    ready: asyncio.Future[Control] = loop.create_future()
    orders = await loop.create_server(lambda: Control(ready), "127.0.0.1", 0)
    sizes = [64, size] if "sendfile" in kind else [size]
    start_load(orders.sockets[0].getsockname()[1], kind, address, connections, *sizes)
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
    usual = (size, connections) in USUAL and kind not in NOT_USUAL
    usual = usual or (kind, size, connections) in {
        ("protocol", "1k", 1000),
        ("unix_protocol", "1k", 50),
        ("unix_streams", "1k", 50),
    }
    name = kind if "sendfile" in kind else f"echo_{kind}"
    register(f"{name}_{size}_{connections}", 1, body, usual=usual)


_SIZES_OF = {
    "udp": ["64b", "1k", "32k"],
    "sendfile": ["64k", "1m"],
    "sock_sendfile": ["64k", "1m"],
}
_KINDS = ["protocol", "buffered", "streams", "unix_protocol", "unix_streams"]
_KINDS += ["tls_protocol", "tls_buffered", "tls_streams", "sock", *_SIZES_OF]
for _kind in _KINDS:
    for _size in _SIZES_OF.get(_kind, ["64b", "1k", "64k", "1m"]):
        for _connections in CONNECTIONS:
            define(_kind, _size, _connections)
