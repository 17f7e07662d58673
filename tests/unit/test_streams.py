"""Streams over sockets: connecting, serving, back pressure, ends, what is replaced on the way."""

import contextlib
import gc
import os
import socket
import weakref

import pytest


@contextlib.asynccontextmanager
async def pair(aio, **options):
    """Two streams over a pair of sockets: (reader, writer), (reader, writer)."""
    streams = []
    for sock in socket.socketpair():
        streams.append(await aio.open_unix_connection(sock=sock, **options))
    try:
        yield streams
    finally:
        for _, writer in streams:
            writer.close()
            with contextlib.suppress(OSError, AssertionError):
                await writer.wait_closed()


@pytest.mark.parametrize("unix", [False, True])
def test_an_echo_server(impl, run, tmp_path, unix):
    async def serve(reader, writer):
        async for line in reader:
            writer.write(line.upper())
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def ask(connect, where, text):
        reader, writer = await connect(*where)
        writer.writelines([text, b"\n"])
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer, type(reader), type(writer)

    async def main():
        if unix:
            where = (os.fspath(tmp_path / "socket"),)
            server = await impl.start_unix_server(serve, *where)
            connect = impl.open_unix_connection
        else:
            server = await impl.start_server(serve, "127.0.0.1", 0)
            where = server.sockets[0].getsockname()
            connect = impl.open_connection
        async with server:
            asked = [ask(connect, where, b"line %d" % n) for n in range(5)]
            return await impl.gather(*asked)

    for n, (answer, *types) in enumerate(run(main())):
        assert answer == b"LINE %d\n" % n
        assert types == [impl.StreamReader, impl.StreamWriter]


@pytest.mark.parametrize("size", [1, 1000, 65536, 3_000_000])
def test_messages_of_any_size(impl, run, size):
    message = os.urandom(min(size, 4096)) * (size // min(size, 4096))

    async def main():
        async with pair(impl) as ((reader, _), (_, writer)):

            async def send():
                for _ in range(3):
                    writer.write(message)
                    await writer.drain()
                writer.write_eof()

            task = impl.create_task(send())
            read = await reader.readexactly(len(message))
            rest = await reader.read()
            await task
            return read == message, rest == message * 2

    assert run(main()) == (True, True)


def test_a_slow_reader_holds_the_writer_back(impl, run):
    async def main():
        async with pair(impl, limit=1000) as ((reader, other), (_, writer)):
            task = impl.create_task(flood(writer))
            while not reader._paused:
                await impl.sleep(0.001)
            await impl.sleep(0.01)
            waiting = len(writer._protocol._drain_waiters)
            held = len(reader._buffer)
            assert not other.transport.is_reading()
            total = 0
            while data := await reader.read(4096):
                total += len(data)
            return waiting, held > 2000, total, await task

    async def flood(writer):
        for _ in range(300):
            writer.write(b"x" * 10_000)
            await writer.drain()
        writer.write_eof()
        return "sent"

    assert run(main()) == (1, True, 3_000_000, "sent")


def test_bytes_from_the_network_reach_a_method_that_is_replaced(impl, run):
    """Whoever replaces data_received() or feed_data(), at whatever time, is heard."""

    async def main():
        log = []
        async with pair(impl) as ((reader, writer), (_, other)):
            protocol = writer.transport.get_protocol()

            async def receive(data):
                other.write(data)
                log.append(await reader.readexactly(len(data)))

            await receive(b"a")
            feed, received = reader.feed_data, protocol.data_received
            reader.feed_data = lambda data: log.append(("feed", data)) or feed(data)
            await receive(b"b")
            protocol.data_received = lambda data: log.append(("got", data)) or received(data)
            await receive(b"c")
            del protocol.data_received, reader.feed_data
            await receive(b"d")
        return log

    assert run(main()) == [b"a", ("feed", b"b"), b"b", ("got", b"c"), ("feed", b"c"), b"c", b"d"]


def test_a_patched_class(impl, run, monkeypatch):
    log = []
    original = impl.StreamReader.feed_data

    def feed_data(self, data):
        log.append(data)
        original(self, data)

    async def main():
        async with pair(impl) as ((reader, _), (_, writer)):
            writer.write(b"a")
            await reader.readexactly(1)
            with monkeypatch.context() as patch:
                patch.setattr(impl.StreamReader, "feed_data", feed_data)
                writer.write(b"b")
                await reader.readexactly(1)
            writer.write(b"c")
            await reader.readexactly(1)

    run(main())
    assert log == [b"b"]


def test_a_transport_whose_write_is_replaced(impl, run):
    async def main():
        log = []
        async with pair(impl) as (_, (_, writer)):
            transport = writer.transport
            with contextlib.suppress(AttributeError):  # stock's transports have no such dictionary
                transport.write = log.append
                writer.write(b"x")
                del transport.write
            return log

    assert run(main()) == [b"x"]


def test_a_reader_that_fails_ends_the_connection(impl, loop, reported):
    async def main():
        async with pair(impl) as ((reader, writer), (_, other)):
            reader.feed_eof()  # more data breaks the reader's promise
            other.write(b"late")
            while not writer.is_closing():
                await impl.sleep(0)

    loop.run_until_complete(main())
    assert [type(context["exception"]) for context in reported] == [AssertionError]


def test_connections_leave_nothing_behind(impl, run):
    seen = []

    async def serve(reader, writer):
        seen.extend(map(weakref.ref, (reader, writer, writer.transport, writer._protocol)))
        writer.write(await reader.readline())
        writer.close()
        await writer.wait_closed()

    async def ask(where):
        reader, writer = await impl.open_connection(*where)
        seen.extend(map(weakref.ref, (reader, writer, writer.transport, writer._protocol)))
        writer.write(b"line\n")
        await reader.read()
        writer.close()
        await writer.wait_closed()

    async def main():
        server = await impl.start_server(serve, "127.0.0.1", 0)
        async with server:
            for _ in range(3):
                await ask(server.sockets[0].getsockname())
        await server.wait_closed()

    run(main())
    gc.collect()
    assert len(seen) == 24
    assert not [ref() for ref in seen if ref() is not None]


@pytest.mark.parametrize("shell", [False, True])
def test_the_streams_of_a_process(impl, run, shell):
    message = bytes(range(256)) * 2000

    async def main():
        options = {"stdin": -1, "stdout": -1}
        if shell:
            process = await impl.create_subprocess_shell("cat", **options)
        else:
            process = await impl.create_subprocess_exec("cat", **options)
        streams = [process.stdin, process.stdout]
        protocol = process.stdin._protocol
        assert isinstance(protocol, impl.subprocess.SubprocessStreamProtocol)
        assert [type(stream) for stream in streams] == [impl.StreamWriter, impl.StreamReader]
        output, _ = await process.communicate(message)
        return output == message, await process.wait()

    assert run(main()) == (True, 0)
