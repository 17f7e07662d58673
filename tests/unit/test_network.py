"""What is inherited from stock and runs on our poller: one short round trip of each kind."""

import asyncio
import contextvars
import os
import socket
import sys
import threading

import pytest

LOCAL = "127.0.0.1"


async def echo(reader, writer):
    """A connection of an echo server."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def round_trip(reader, writer, size=1_000_000):
    """Send some data, end, and return whether it came back whole."""
    data = os.urandom(size)
    writer.write(data)
    reading = asyncio.ensure_future(reader.readexactly(size))
    await writer.drain()
    got = await reading
    if writer.can_write_eof():
        writer.write_eof()
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    return got == data


class Recorder(asyncio.Protocol):
    """A protocol that logs what happens to it."""

    def __init__(self):
        self.log = []
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        self.log.append("made")

    def data_received(self, data):
        self.log.append(data)

    def eof_received(self):
        self.log.append("eof")

    def connection_lost(self, error):
        self.log.append(error)
        self.closed.set_result(None)


def test_streams(impl, run):
    async def main():
        server = await impl.start_server(echo, LOCAL, 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            return await impl.gather(
                *[
                    round_trip(*connection)
                    for connection in [await impl.open_connection(LOCAL, port) for _ in range(5)]
                ]
            )

    assert run(main()) == [True] * 5


def test_unix_streams(impl, run, tmp_path):
    async def main():
        path = str(tmp_path / "socket")
        server = await impl.start_unix_server(echo, path)
        async with server:
            return await round_trip(*await impl.open_unix_connection(path))

    assert run(main()) is True


def test_tls_streams(impl, run, contexts):
    async def main():
        server = await impl.start_server(echo, LOCAL, 0, ssl=contexts[0])
        port = server.sockets[0].getsockname()[1]
        async with server:
            return await round_trip(
                *await impl.open_connection(
                    LOCAL, port, ssl=contexts[1], server_hostname="localhost"
                )
            )

    assert run(main()) is True


def test_start_tls(impl, run, contexts):
    async def serve(reader, writer):
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"ready\n")
        await writer.drain()
        await writer.start_tls(contexts[0])
        await echo(reader, writer)

    async def main():
        server = await impl.start_server(serve, LOCAL, 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            reader, writer = await impl.open_connection(LOCAL, port)
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"ready\n"
            await writer.start_tls(contexts[1], server_hostname="localhost")
            return await round_trip(reader, writer)

    assert run(main()) is True


def test_protocols_and_their_order_of_events(impl, run):
    async def main():
        loop, servers = asyncio.get_running_loop(), []

        def factory():
            servers.append(Recorder())
            return servers[-1]

        server = await loop.create_server(factory, LOCAL, 0)
        port = server.sockets[0].getsockname()[1]
        transport, client = await loop.create_connection(Recorder, LOCAL, port)
        assert isinstance(transport, asyncio.Transport)
        assert transport.get_extra_info("peername") == (LOCAL, port)
        assert isinstance(transport.get_extra_info("socket"), asyncio.trsock.TransportSocket)
        transport.write(b"hello")
        transport.write_eof()
        await client.closed
        await servers[0].closed
        server.close()
        await server.wait_closed()
        return client.log, servers[0].log

    assert run(main()) == (["made", "eof", None], ["made", b"hello", "eof", None])


def test_datagrams(impl, run):
    class Datagrams(asyncio.DatagramProtocol):
        def __init__(self, answer):
            self.answer = answer
            self.got = asyncio.get_running_loop().create_future()

        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, address):
            if self.answer:
                self.transport.sendto(data[::-1], address)
            else:
                self.got.set_result(data)

    async def main():
        loop = asyncio.get_running_loop()
        server, _ = await loop.create_datagram_endpoint(
            lambda: Datagrams(True), local_addr=(LOCAL, 0)
        )
        address = server.get_extra_info("sockname")
        client, protocol = await loop.create_datagram_endpoint(
            lambda: Datagrams(False), remote_addr=address
        )
        client.sendto(b"abc")
        data = await protocol.got
        client.close()
        server.close()
        await impl.sleep(0)
        return data

    assert run(main()) == b"cba"


def test_sock_methods(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket() as listener, socket.socket() as client:
            listener.setblocking(False)
            client.setblocking(False)
            listener.bind((LOCAL, 0))
            listener.listen()
            accepting = impl.create_task(loop.sock_accept(listener))
            await loop.sock_connect(client, listener.getsockname())
            server, _ = await accepting
            with server:
                data = os.urandom(500_000)
                sending = impl.create_task(loop.sock_sendall(server, data))
                got = bytearray()
                while len(got) < len(data):
                    got += await loop.sock_recv(client, 65536)
                await sending
                buffer = bytearray(10)
                await loop.sock_sendall(client, b"into")
                count = await loop.sock_recv_into(server, buffer)
                return bytes(got) == data, bytes(buffer[:count])

    assert run(main()) == (True, b"into")


def test_sock_datagram_methods(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        with (
            socket.socket(type=socket.SOCK_DGRAM) as one,
            socket.socket(type=socket.SOCK_DGRAM) as other,
        ):
            for sock in (one, other):
                sock.setblocking(False)
                sock.bind((LOCAL, 0))
            await loop.sock_sendto(one, b"first", other.getsockname())
            data, address = await loop.sock_recvfrom(other, 100)
            await loop.sock_sendto(other, b"second", address)
            buffer = bytearray(100)
            count, _ = await loop.sock_recvfrom_into(one, buffer)
            return data, bytes(buffer[:count])

    assert run(main()) == (b"first", b"second")


def test_a_cancelled_sock_recv_leaves_no_reader(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        with left, right:
            left.setblocking(False)
            task = impl.create_task(loop.sock_recv(left, 10))
            await impl.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await impl.sleep(0)
            return loop.remove_reader(left)

    assert run(main()) is False


def test_sendfile(impl, run, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(os.urandom(300_000))

    async def serve(reader, writer):
        with path.open("rb") as file:
            await asyncio.get_running_loop().sendfile(writer.transport, file)
        writer.close()

    async def main():
        server = await impl.start_server(serve, LOCAL, 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            reader, writer = await impl.open_connection(LOCAL, port)
            data = await reader.read()
            writer.close()
            await writer.wait_closed()
            return data

    assert run(main()) == path.read_bytes()


def test_pipes(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        reading, writing = os.pipe()
        reader = impl.StreamReader()
        await loop.connect_read_pipe(
            lambda: impl.StreamReaderProtocol(reader), os.fdopen(reading, "rb", 0)
        )
        transport, _ = await loop.connect_write_pipe(
            asyncio.BaseProtocol, os.fdopen(writing, "wb", 0)
        )
        transport.write(b"through a pipe")
        transport.close()
        return await reader.read()

    assert run(main()) == b"through a pipe"


def test_subprocesses(impl, run):
    code = "import sys; data = sys.stdin.read(); print(data.upper()); sys.exit(3)"

    async def main():
        process = await impl.create_subprocess_exec(
            sys.executable,
            "-c",
            code,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, error = await process.communicate(b"hello")
        return out, error, process.returncode

    assert run(main()) == (b"HELLO\n", b"", 3)


def test_subprocesses_of_a_shell_and_killed_ones(impl, run):
    async def main():
        process = await impl.create_subprocess_shell("exit 4")
        code = await process.wait()
        sleeping = await impl.create_subprocess_exec("sleep", "1000")
        sleeping.kill()
        return code, await sleeping.wait()

    assert run(main()) == (4, -9)


def test_a_refused_connection(impl, run):
    with socket.socket() as unused:
        unused.bind((LOCAL, 0))
        port = unused.getsockname()[1]

        async def main():
            with pytest.raises(ConnectionRefusedError):
                await impl.open_connection(LOCAL, port)

        run(main())


def test_a_connection_that_is_cancelled(impl, run):
    async def main():
        server = await impl.start_server(echo, LOCAL, 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            for turns in range(6):
                task = impl.create_task(impl.open_connection(LOCAL, port))
                for _ in range(turns):
                    await impl.sleep(0)
                task.cancel()
                try:
                    _, writer = await task
                except asyncio.CancelledError:
                    continue
                writer.close()
                await writer.wait_closed()
        for _ in range(5):
            await impl.sleep(0)

    run(main())


def test_the_context_of_protocol_callbacks(same_as_stock):
    variable = contextvars.ContextVar("variable", default="default")

    async def main(aio):
        variable.set("main")
        log, loop = [], asyncio.get_running_loop()

        class Contexts(asyncio.Protocol):
            def __init__(self, name):
                self.name = name
                log.append((name, "init", variable.get()))

            def connection_made(self, transport):
                log.append((self.name, "made", variable.get()))
                self.transport = transport

            def data_received(self, data):
                log.append((self.name, "data", variable.get()))
                self.transport.close()

            def connection_lost(self, error):
                log.append((self.name, "lost", variable.get()))
                lost.append(self.name)

        lost = []
        server = await loop.create_server(lambda: Contexts("server"), LOCAL, 0)
        port = server.sockets[0].getsockname()[1]
        variable.set("client")
        transport, _ = await loop.create_connection(lambda: Contexts("client"), LOCAL, port)
        transport.write(b"x")
        while len(lost) < 2:
            await aio.sleep(0.001)
        server.close()
        await server.wait_closed()
        return sorted(log)

    same_as_stock(main)


def test_reading_is_paused_and_resumed(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        transport, protocol = await loop.create_connection(Recorder, sock=left)
        right.send(b"first")
        while len(protocol.log) < 2:
            await impl.sleep(0)
        transport.pause_reading()
        right.send(b"second")
        for _ in range(5):
            await impl.sleep(0)
        paused = list(protocol.log)
        transport.resume_reading()
        while len(protocol.log) < 3:
            await impl.sleep(0)
        transport.abort()
        await protocol.closed
        right.close()
        return paused, protocol.log

    assert run(main()) == (["made", b"first"], ["made", b"first", b"second", None])


def test_servers_of_several_threads(impl):
    async def main():
        server = await impl.start_server(echo, LOCAL, 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            return await round_trip(*await impl.open_connection(LOCAL, port), 100_000)

    results = []
    threads = [threading.Thread(target=lambda: results.append(impl.run(main()))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 3
