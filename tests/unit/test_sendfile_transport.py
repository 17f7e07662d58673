"""loop.sendfile(): over TCP, Unix sockets and TLS, with what transports do meanwhile."""

import asyncio
import contextlib
import io
import os
import socket

import pytest
from sent_files import LARGE, SIZE, outcome, receive, receive_now, settled
from tls_peers import Pair, Recorder


@contextlib.asynccontextmanager
async def connected(make=Recorder):
    """A transport, its protocol, and the socket at its other end, which does not block."""
    left, right = socket.socketpair()
    with right:
        left.setblocking(False)
        right.setblocking(False)
        transport, protocol = await asyncio.get_running_loop().create_connection(make, sock=left)
        try:
            yield transport, protocol, right
        finally:
            transport.abort()
            await settled()


async def sending(impl, transport, file):
    """The task of a sendfile() that is under way."""
    task = impl.create_task(asyncio.get_running_loop().sendfile(transport, file))
    await settled()
    return task


# --- the kernel's way --------------------------------------------------------------------------


@pytest.mark.parametrize("fallback", [True, False])
@pytest.mark.parametrize(
    ("offset", "count"),
    [
        (0, None),
        (5, None),
        (SIZE, None),
        (0, 1),
        (10, 1000),
        (SIZE - 10, 1000),
        (0, 0),
        (-1, None),
    ],
)
def test_offsets_and_counts(same_as_stock, path, offset, count, fallback):
    async def main(impl):
        loop = asyncio.get_running_loop()
        with path.open("rb") as file:
            async with connected() as (transport, _, right):
                reading = impl.create_task(receive(right))
                sending = loop.sendfile(transport, file, offset, count, fallback=fallback)
                sent = await outcome(sending)
                transport.write(b".")
                transport.close()
                return sent, await reading, file.tell()

    sent, data, _ = same_as_stock(main)
    if isinstance(sent, int):
        end = SIZE if count is None else offset + count
        assert data == path.read_bytes()[offset:end] + b"."


def test_a_slow_reader(impl, run, large):
    async def main():
        loop = asyncio.get_running_loop()
        with large.open("rb") as file:
            async with connected() as (transport, _, right):
                transport.write(b"before")
                task = impl.create_task(loop.sendfile(transport, file))
                got = bytearray()
                while len(got) < LARGE + 6:
                    assert not task.done()
                    await impl.sleep(0.001)
                    got += receive_now(right)
                sent = await task
                transport.write(b"behind")
                return sent, bytes(got), await receive(right, 6), file.tell()

    assert run(main()) == (LARGE, b"before" + large.read_bytes(), b"behind", LARGE)


def test_what_was_written_goes_first(impl, run, path):
    async def main():
        with path.open("rb") as file:
            async with connected() as (transport, _, right):
                transport.write(bytes(LARGE))
                assert transport.get_write_buffer_size() > 0
                task = await sending(impl, transport, file)
                with pytest.raises(RuntimeError, match="sendfile is in progress"):
                    transport.write(b"too early")
                got = await receive(right, LARGE + SIZE)
                return await task, got == bytes(LARGE) + path.read_bytes()

    assert run(main()) == (SIZE, True)


def test_reading_rests_meanwhile(impl, run, large):
    async def main():
        loop = asyncio.get_running_loop()
        with large.open("rb") as file:
            async with connected() as (transport, protocol, right):
                task = await sending(impl, transport, file)
                assert not transport.is_reading()
                right.send(b"data")
                await settled()
                assert protocol.data == b""
                await receive(right, LARGE)
                await task
                assert transport.is_reading()
                await protocol.until(4)
                transport.pause_reading()
                await loop.sendfile(transport, file, 0, 10)
                return transport.is_reading(), len(await receive(right, 10))

    assert run(main()) == (False, 10)


def test_cancelled(impl, run, large):
    async def main():
        with large.open("rb") as file:
            async with connected() as (transport, _, right):
                task = await sending(impl, transport, file)
                task.cancel()
                await impl.wait([task])
                assert task.cancelled()
                assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 0
                got = receive_now(right)
                assert transport.is_reading()
                transport.write(b"more")
                return large.read_bytes().startswith(got), await receive(right, 4)

    assert run(main()) == (True, b"more")


def test_the_peer_closes(impl, run, large):
    async def main():
        with large.open("rb") as file:
            async with connected() as (transport, _, right):
                task = await sending(impl, transport, file)
                got = receive_now(right)
                right.close()
                with pytest.raises(ConnectionError):
                    await task
                return len(got) > 0, len(got) <= file.tell() < LARGE

    assert run(main()) == (True, True)


# --- the fallback ------------------------------------------------------------------------------


@pytest.mark.parametrize("fallback", [True, False])
@pytest.mark.parametrize("args", [(), (3,), (3, 4)])
def test_what_the_kernel_cannot_send(same_as_stock, args, fallback):
    async def main(impl):
        loop = asyncio.get_running_loop()
        file = io.BytesIO(b"0123456789")
        async with connected() as (transport, _, right):
            sent = await outcome(loop.sendfile(transport, file, *args, fallback=fallback))
            await settled()
            return sent, receive_now(right), file.tell(), transport.is_reading()

    sent, data, *_ = same_as_stock(main)
    if fallback:
        assert sent == len(data) > 0
    else:
        assert sent == (asyncio.SendfileNotAvailableError, "not a regular file")


@pytest.mark.parametrize("fallback", [True, False])
def test_tls(same_as_stock, path, contexts, fallback):
    async def main(impl):
        loop = asyncio.get_running_loop()
        with path.open("rb") as file:
            async with Pair(contexts) as (client, server):
                sending = loop.sendfile(client.transport, file, 10, fallback=fallback)
                try:
                    result = await sending, await server.until(SIZE - 10), file.tell()
                except RuntimeError as error:
                    result = str(error).partition(" for ")[0]
                client.transport.abort()
                server.transport.abort()
                await impl.gather(client.lost, server.lost)
                return result

    result = same_as_stock(main)
    if fallback:
        assert result == (SIZE - 10, path.read_bytes()[10:], SIZE)
    else:
        assert "fallback is disabled" in result


# --- what is refused ---------------------------------------------------------------------------


def test_a_transport_that_closes(run, path):
    async def main():
        loop = asyncio.get_running_loop()
        with path.open("rb") as file:
            async with connected() as (transport, _, _):
                transport.close()
                with pytest.raises(RuntimeError, match="Transport is closing"):
                    await loop.sendfile(transport, file)

    run(main())


def test_a_transport_of_another_kind(run, path):
    async def main():
        loop = asyncio.get_running_loop()
        reading, writing = os.pipe()
        with open(reading, "rb", 0), open(writing, "wb", 0) as pipe:  # noqa: PTH123
            transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, pipe)
            with path.open("rb") as file, pytest.raises(RuntimeError, match="not supported for"):
                await loop.sendfile(transport, file)
            transport.abort()
            await settled()

    run(main())


# --- what was replaced -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["_sendfile_native", "sock_sendfile", "_sock_sendfile_native"])
def test_replaced_methods_are_called(impl, path, name):
    new = impl.new_event_loop()
    new.close()

    async def replacement(self, *args, **options):
        await asyncio.sleep(0)
        return name

    loop = type("Loop", (type(new),), {name: replacement})()

    async def main():
        with path.open("rb") as file:
            async with connected() as (transport, _, _):
                return await loop.sendfile(transport, file)

    try:
        assert loop.run_until_complete(main()) == name
    finally:
        loop.close()
