"""create_server() and create_unix_server(): their arguments, their Server, their failures."""

import asyncio
import inspect
import os
import socket
import sys
from pathlib import Path

import pytest

LOCAL = "127.0.0.1"


def free_port():
    """A port that nobody uses."""
    with socket.socket() as sock:
        sock.bind((LOCAL, 0))
        return sock.getsockname()[1]


async def echoes(address, connect):
    """Whether a server at that address echoes."""
    reader, writer = await connect(*address)
    writer.write(b"hello")
    got = await reader.readexactly(5)
    writer.close()
    await writer.wait_closed()
    return got == b"hello"


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


def test_several_hosts(run):
    async def main():
        loop = asyncio.get_running_loop()
        port = free_port()
        server = await loop.create_server(Echo, [LOCAL, "127.0.0.2", LOCAL], port)
        assert sorted(s.getsockname() for s in server.sockets) == [
            (LOCAL, port),
            ("127.0.0.2", port),
        ]
        assert all(type(s).__name__ == "TransportSocket" for s in server.sockets)
        found = [await echoes((h, port), asyncio.open_connection) for h in (LOCAL, "127.0.0.2")]
        server.close()
        assert server.sockets == ()
        await server.wait_closed()
        return found

    assert run(main()) == [True, True]


def test_options(run):
    async def main():
        loop = asyncio.get_running_loop()
        options = {"reuse_port": True, "reuse_address": False, "backlog": 7}
        if sys.version_info >= (3, 13):
            options["keep_alive"] = True
        server = await loop.create_server(Echo, LOCAL, 0, start_serving=False, **options)
        assert isinstance(server, asyncio.Server)
        assert isinstance(server, asyncio.base_events.Server)
        assert not server.is_serving()
        (sock,) = server.sockets
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
        assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        if "keep_alive" in options:
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*sock.getsockname())
        await server.start_serving()
        assert server.is_serving()
        assert server.get_loop() is loop
        assert server._backlog == 7
        found = await echoes(sock.getsockname(), asyncio.open_connection)
        server.close()
        return found

    assert run(main()) is True


def test_serve_forever(run):
    async def main():
        server = await asyncio.get_running_loop().create_server(Echo, LOCAL, 0)
        serving = asyncio.ensure_future(server.serve_forever())
        await asyncio.sleep(0)
        found = await echoes(server.sockets[0].getsockname(), asyncio.open_connection)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert not server.is_serving()
        return found

    assert run(main()) is True


@pytest.mark.skipif(sys.version_info < (3, 13), reason="came with Python 3.13")
@pytest.mark.parametrize("method", ["close_clients", "abort_clients"])
def test_clients_end_with_the_server(run, method):
    async def main():
        server = await asyncio.get_running_loop().create_server(Echo, LOCAL, 0)
        address = server.sockets[0].getsockname()
        ends = [await asyncio.open_connection(*address) for _ in range(3)]
        while len(server._clients) < 3:
            await asyncio.sleep(0)
        server.close()
        waiting = asyncio.ensure_future(server.wait_closed())
        await asyncio.sleep(0)
        assert not waiting.done()
        getattr(server, method)()
        await waiting
        for reader, writer in ends:
            try:
                assert await reader.read() == b""
            except ConnectionResetError:
                assert method == "abort_clients"
            writer.close()

    run(main())


@pytest.mark.parametrize("kind", ["path", "bytes", "abstract", "pathlike"])
def test_unix(run, tmp_path, kind):
    name = str(tmp_path / "served")
    path = {
        "bytes": os.fsencode(name),
        "abstract": f"\0pyaio-serving-{os.getpid()}",
        "pathlike": Path(name),
    }.get(kind, name)

    async def main():
        server = await asyncio.get_running_loop().create_unix_server(Echo, path)
        found = await echoes((path,), asyncio.open_unix_connection)
        there = Path(name).exists()
        server.close()
        await server.wait_closed()
        return found, there, Path(name).exists()

    found, there, left = run(main())
    assert found
    assert there == (kind != "abstract")
    assert left == (there and sys.version_info < (3, 13))


@pytest.mark.skipif(sys.version_info < (3, 13), reason="came with Python 3.13")
def test_socket_is_left(run, tmp_path):
    path = tmp_path / "served"

    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(Echo, str(path), cleanup_socket=False)
        server.close()

    run(main())
    assert path.exists()


def call(module, method, options, *args):
    """What a call of a method of the loop ends with."""

    async def call():
        try:
            server = await getattr(asyncio.get_running_loop(), method)(Echo, *args, **options)
        except Exception as error:
            return type(error), str(error)
        server.close()
        return len(args)

    return call()


@pytest.mark.parametrize(
    ("args", "options"),
    [
        ((), {}),
        ((LOCAL, 0), {"sock": socket}),
        ((LOCAL, 0), {"ssl": True}),
        ((LOCAL, 0), {"ssl_handshake_timeout": 1}),
        ((LOCAL, 0), {"unknown": 1}),
        ((LOCAL, 0), {"start_serving": False}),
        (("192.0.2.1", 0), {}),
    ],
)
def test_bad_arguments(same_as_stock, args, options):
    if args and args[0] == "192.0.2.1" and sys.version_info >= (3, 13):
        pytest.skip("the text has a set of addresses in it, in any order")
    same_as_stock(call, "create_server", options, *args)


@pytest.mark.parametrize(
    ("args", "options"),
    [((), {}), (("x" * 200,), {}), (("/nowhere/at/all",), {}), (("a",), {"b": 1})],
)
def test_bad_unix_arguments(same_as_stock, args, options):
    same_as_stock(call, "create_unix_server", options, *args)


def test_port_in_use(same_as_stock):
    with socket.create_server((LOCAL, 0)) as sock:
        kind, text = same_as_stock(call, "create_server", {}, *sock.getsockname())
    assert kind is OSError
    assert "error while attempting to bind" in text


def test_signature(loop, stock):
    """The methods look like the running version's."""
    for name in ("create_server", "create_unix_server"):
        method = getattr(loop, name)
        assert inspect.iscoroutinefunction(method)
        assert method.__name__ == name
        expected = inspect.signature(getattr(stock.SelectorEventLoop, name))
        assert list(inspect.signature(method).parameters) == list(expected.parameters)[1:]


def test_two_in_one_loop(run):
    """Each connection is its own server's."""

    async def main():
        loop = asyncio.get_running_loop()
        met = []

        def factory(name):
            def make():
                met.append(name)
                return Echo()

            return make

        servers = [await loop.create_server(factory(n), LOCAL, 0) for n in "ab"]
        for server in (servers[1], servers[0], servers[1]):
            assert await echoes(server.sockets[0].getsockname(), asyncio.open_connection)
        for server in servers:
            server.close()
        return met

    assert run(main()) == ["b", "a", "b"]
