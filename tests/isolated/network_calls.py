"""The network calls of a loop, for the tests that make each of their system calls fail.

A row is a coroutine function that makes one call, or a few that belong together, and gives back
what it got. It owns nothing but what the loop gave it: sockets that it is handed are closed by
whoever made the Peers. To add a row is to write such a function and decorate it.
"""

import asyncio
import contextlib
import os
import socket
import tempfile

LOCAL = "127.0.0.1"
MESSAGE = b"message" * 100
LARGE = 500_000
ROWS = {}


def row(function):
    """Put a row into the table."""
    ROWS[function.__name__] = function
    return function


class Peers:
    """What a row has to do with: sockets outside of the loop, and files."""

    def __init__(self):
        with contextlib.ExitStack() as stack:
            self.folder = stack.enter_context(tempfile.TemporaryDirectory())
            self.path = os.path.join(self.folder, "server")  # noqa: PTH118
            self.tcp = stack.enter_context(socket.create_server((LOCAL, 0)))
            self.unix = stack.enter_context(socket.socket(socket.AF_UNIX))
            self.unix.bind(os.path.join(self.folder, "peer"))  # noqa: PTH118
            self.unix.listen()
            self.udp = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            self.udp.bind((LOCAL, 0))
            self.connected, self.far = map(stack.enter_context, socket.socketpair())
            self.free = stack.enter_context(socket.socket())
            self.datagrams = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            self.datagrams.bind((LOCAL, 0))
            self.client = stack.enter_context(socket.create_connection(self.tcp.getsockname()))
            for sock in (self.connected, self.tcp, self.free, self.datagrams):
                sock.setblocking(False)
            self.file = stack.enter_context(tempfile.TemporaryFile())
            self.file.write(MESSAGE)
            self.file.seek(0)
            self.far.sendall(MESSAGE)
            self.datagrams.sendto(b"datagram", self.datagrams.getsockname())
            self.stack = stack.pop_all()

    def close(self):
        """Close all of it."""
        self.stack.close()


class Ending(asyncio.Protocol):
    """A protocol whose `ended` is set when data came or the connection is lost."""

    def __init__(self):
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.end()

    def connection_lost(self, error):
        self.end()

    def end(self):
        """Let whoever waits go on."""
        if not self.ended.done():
            self.ended.set_result(None)


class Echo(Ending):
    """Sends back what it gets."""

    def data_received(self, data):
        self.transport.write(data)


async def greet(connecting):
    """Connect, send something, and abort."""
    transport, _ = await connecting
    transport.write(MESSAGE)
    transport.abort()


async def exchange(server, connecting):
    """Send something to an echo server and wait for the answer."""
    try:
        transport, protocol = await connecting
        try:
            transport.write(MESSAGE)
            await protocol.ended
        finally:
            transport.abort()
    finally:
        server.close()


@row
async def create_connection(loop, peers):
    await greet(loop.create_connection(Ending, *peers.tcp.getsockname()))


@row
async def create_connection_from_an_address(loop, peers):
    await greet(loop.create_connection(Ending, *peers.tcp.getsockname(), local_addr=(LOCAL, 0)))


@row
async def create_connection_with_happy_eyeballs(loop, peers):
    await greet(loop.create_connection(Ending, *peers.tcp.getsockname(), happy_eyeballs_delay=0.1))


@row
async def create_connection_over_a_socket(loop, peers):
    await greet(loop.create_connection(Ending, sock=peers.connected))


@row
async def create_unix_connection(loop, peers):
    await greet(loop.create_unix_connection(Ending, peers.unix.getsockname()))


@row
async def connect_accepted_socket(loop, peers):
    await greet(loop.connect_accepted_socket(Ending, peers.connected))


@row
async def create_server(loop, peers):
    server = await loop.create_server(Echo, [LOCAL, "127.0.0.2"], 0)
    await exchange(server, loop.create_connection(Ending, *server.sockets[0].getsockname()))


@row
async def create_unix_server(loop, peers):
    server = await loop.create_unix_server(Echo, peers.path)
    await exchange(server, loop.create_unix_connection(Ending, peers.path))


@row
async def streams(loop, peers):
    async def echo(reader, writer):
        with contextlib.suppress(OSError):
            writer.write(await reader.readexactly(len(MESSAGE)))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, LOCAL, 0)
    try:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            writer.write(MESSAGE)
            await reader.readexactly(len(MESSAGE))
        finally:
            writer.transport.abort()
    finally:
        server.close()


@row
async def sock_connect(loop, peers):
    await loop.sock_connect(peers.free, peers.tcp.getsockname())


@row
async def sock_accept(loop, peers):
    sock, _ = await loop.sock_accept(peers.tcp)
    sock.close()


@row
async def sock_recv_and_send(loop, peers):
    await loop.sock_sendall(peers.connected, MESSAGE)
    await loop.sock_recv(peers.connected, 100)
    await loop.sock_recv_into(peers.connected, bytearray(100))


@row
async def sock_datagrams(loop, peers):
    await loop.sock_sendto(peers.datagrams, b"datagram", peers.udp.getsockname())
    await loop.sock_recvfrom(peers.datagrams, 100)


@row
async def sock_sendfile(loop, peers):
    await loop.sock_sendfile(peers.connected, peers.file)


@row
async def sock_sendfile_that_waits(loop, peers):
    """The file does not fit into the socket's buffers."""
    peers.file.truncate(LARGE)
    peers.far.setblocking(False)

    async def read():
        got = 0
        while got < LARGE:
            got += len(await loop.sock_recv(peers.far, LARGE))

    reading = loop.create_task(read())
    try:
        await loop.sock_sendfile(peers.connected, peers.file, 10, LARGE - 10, fallback=False)
    except asyncio.SendfileNotAvailableError as error:
        raise OSError("the first call failed") from error
    finally:
        reading.cancel()


@row
async def sendfile(loop, peers):
    transport, _ = await loop.create_connection(Ending, *peers.tcp.getsockname())
    try:
        await loop.sendfile(transport, peers.file)
    finally:
        transport.abort()


@row
async def create_datagram_endpoint(loop, peers):
    transport, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=(LOCAL, 0), remote_addr=peers.udp.getsockname()
    )
    transport.sendto(b"datagram")
    transport.abort()


@row
async def pipes(loop, peers):
    reading, writing = os.pipe()
    with open(reading, "rb", 0) as reader, open(writing, "wb", 0) as writer:  # noqa: PTH123
        read_transport, protocol = await loop.connect_read_pipe(Ending, reader)
        try:
            write_transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, writer)
            try:
                write_transport.write(MESSAGE)
                await protocol.ended
            finally:
                write_transport.abort()
        finally:
            read_transport.close()
