"""What tests of TLS connect: protocols that take notes, pairs of connections."""

import asyncio
import socket
import ssl

LOCAL = "127.0.0.1"


class Recorder(asyncio.Protocol):
    """Notes everything that it is told."""

    def __init__(self):
        self.data = bytearray()
        self.calls = []
        self.lost = asyncio.get_running_loop().create_future()
        self.made = asyncio.get_running_loop().create_future()
        self.changed = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport
        self.calls.append("made")
        self.made.set_result(transport)

    def data_received(self, data):
        assert type(data) is bytes
        self.data += data
        self.changed.set()

    def eof_received(self):
        self.calls.append("eof")
        self.changed.set()

    def pause_writing(self):
        self.calls.append("pause")

    def resume_writing(self):
        self.calls.append("resume")

    def connection_lost(self, exc):
        self.calls.append("lost")
        self.lost.set_result(exc)

    async def until(self, size):
        """Wait for so many bytes."""
        while len(self.data) < size:
            self.changed.clear()
            await self.changed.wait()
        return bytes(self.data)


class BufferedRecorder(Recorder, asyncio.BufferedProtocol):
    """The same with a buffer of its own, of a size that fits nothing."""

    size = 777

    def get_buffer(self, sizehint):
        assert sizehint >= 0
        self.buffer = bytearray(self.size)
        return memoryview(self.buffer)  # stock loses what goes into the rest of a bytearray

    def buffer_updated(self, count):
        assert 0 < count <= self.size
        Recorder.data_received(self, bytes(self.buffer[:count]))


class Pair:
    """A client and a server that are connected, both with a protocol."""

    def __init__(self, contexts, make=Recorder, **options):
        self.contexts, self.make, self.options = contexts, make, options

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        accepted = loop.create_future()

        def accept():
            protocol = self.make()
            accepted.set_result(protocol)
            return protocol

        context = self.contexts[0]
        self.listener = await loop.create_server(accept, LOCAL, 0, ssl=context, **self.options)
        port = self.listener.sockets[0].getsockname()[1]
        _, client = await loop.create_connection(
            self.make,
            LOCAL,
            port,
            ssl=self.contexts[1],
            server_hostname="localhost",
            **self.options,
        )
        server = await accepted
        await server.made
        return client, server

    async def __aexit__(self, *_):
        self.listener.close()


class RawPair(Pair):
    """The same, with a plain socket and an SSLObject at the client's end."""

    async def __aenter__(self):
        loop = asyncio.get_running_loop()
        self.accepted = loop.create_future()

        def accept():
            protocol = self.make()
            self.accepted.set_result(protocol)
            return protocol

        context = self.contexts[0]
        self.listener = await loop.create_server(accept, LOCAL, 0, ssl=context, **self.options)
        self.sock = socket.create_connection(self.listener.sockets[0].getsockname())
        self.sock.setblocking(False)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = self.contexts[1].wrap_bio(
            self.incoming, self.outgoing, server_hostname="localhost"
        )
        return self

    async def __aexit__(self, *_):
        self.sock.close()
        self.listener.close()

    async def send(self, data=b""):
        """Send what the object has to send, and some more bytes as they are."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.sock, self.outgoing.read() + data)

    async def call(self, method, *arguments):
        """Call a method of the object until it succeeds."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                result = method(*arguments)
            except ssl.SSLWantReadError:
                await self.send()
                self.incoming.write(await loop.sock_recv(self.sock, 65536))
            else:
                await self.send()
                return result

    async def shake_hands(self):
        """Make the handshake, and wait for the server's protocol."""
        await self.call(self.object.do_handshake)
        protocol = await self.accepted
        await protocol.made
        return protocol
