"""TLS over sockets: what a program sees of connections, on stock and on both engines."""

import asyncio
import gc
import logging
import os
import socket
import ssl
import warnings
import weakref

import pytest
from certificates import client_context, server_context
from tls_peers import LOCAL, BufferedRecorder, Pair, RawPair, Recorder

SIZES = [1, 100, 4096, 5000, 16384, 16385, 70_000, 1_000_000]


@pytest.fixture
def impl(tls_impl):
    """Stock, and each engine."""
    return tls_impl


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_streams(run, certificate, version):
    """Every size comes back whole, over both versions of the protocol."""
    server, client = server_context(certificate), client_context(certificate)
    client.minimum_version = client.maximum_version = version

    async def main():
        async with await asyncio.start_server(echo, LOCAL, 0, ssl=server) as listener:
            port = listener.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection(
                LOCAL, port, ssl=client, server_hostname="localhost"
            )
            for size in SIZES:
                data = os.urandom(size)
                writer.write(data)
                assert await reader.readexactly(size) == data
            for piece in (b"a", bytearray(b"b"), memoryview(b"xcx")[1:2]):
                writer.write(piece)
            writer.writelines([b"d", b"", bytearray(b"e")])
            assert await reader.readexactly(5) == b"abcde"
            writer.close()
            await writer.wait_closed()

    run(main())


def test_extra_info(run, impl, contexts, request):
    """What is known of the connection."""

    async def main():
        async with Pair(contexts) as (client, server):
            info = client.transport.get_extra_info
            assert isinstance(info("ssl_object"), ssl.SSLObject)
            assert info("ssl_object").version() == "TLSv1.3"
            assert info("ssl_object").context is info("sslcontext")
            assert info("sslcontext") is contexts[1]
            assert info("cipher") == info("ssl_object").cipher()
            assert info("compression") is None
            assert ("commonName", "localhost") in info("peercert")["subject"][0]
            assert info("socket").getpeername() == info("peername")
            assert info("sockname") == server.transport.get_extra_info("peername")
            assert info("nothing of the kind", 5) == 5
            assert not server.transport.get_extra_info("peercert")
            assert client.transport._ssl_protocol._sslcontext is contexts[1]
            assert client.transport._start_tls_compatible
            assert not client.transport.can_write_eof()
            with pytest.raises(NotImplementedError):
                client.transport.write_eof()
            engine = request.node.callspec.params["tls_impl"].partition("-")[2]
            assert info("tls_engine", "") == engine
            client.transport.close()
            assert await client.lost is None
            assert await server.lost is None

    run(main())


def test_transport_is_one(run, contexts, stock):
    """The transport is of the classes that libraries ask for."""

    async def main():
        async with Pair(contexts) as (client, _):
            transport = client.transport
            assert isinstance(transport, asyncio.Transport)
            assert isinstance(transport, stock.sslproto._SSLProtocolTransport)
            assert isinstance(transport._ssl_protocol, stock.sslproto.SSLProtocol)
            assert transport.get_protocol() is client
            assert transport.is_reading()
            assert not transport.is_closing()
            transport.note = 1
            weakref.ref(transport)
            transport.abort()
            assert transport.is_closing()
            assert await client.lost is None

    run(main())


@pytest.mark.parametrize("make", [Recorder, BufferedRecorder])
def test_protocols(run, contexts, make):
    """Protocols of both kinds get every byte once and in order, also of many small writes."""

    async def main():
        async with Pair(contexts, make) as (client, server):
            data = os.urandom(300_000)
            for start in range(500):
                client.transport.write(data[start : start + 1])
            client.transport.writelines([data[500:600], data[600:]])
            assert await server.until(len(data)) == data
            server.transport.write(data)
            assert await client.until(len(data)) == data
            server.transport.close()
            assert await client.lost is None
            assert client.calls == ["made", "eof", "lost"]
            assert await server.lost is None
            assert server.calls[0] == "made"
            assert server.calls[-1] == "lost"

    run(main())


def test_buffers_are_copied(run, contexts):
    """A bytearray may change as soon as write() has returned, also before the handshake."""

    async def main():
        async with Pair(contexts) as (client, server):
            data = bytearray(os.urandom(200_000))
            before = bytes(data)
            client.transport.write(data)
            data[:] = bytes(len(data))
            assert await server.until(len(before)) == before
            client.transport.abort()
            await server.lost

    run(main())


def test_what_write_refuses(run, contexts):
    """Anything but bytes is refused; nothing is nothing."""

    async def main():
        async with Pair(contexts) as (client, server):
            for wrong in ("text", 5, None, [b"a"]):
                with pytest.raises(TypeError, match="data: expecting a bytes-like instance, got"):
                    client.transport.write(wrong)
            client.transport.write(b"")
            client.transport.write(memoryview(b""))
            client.transport.writelines([])
            client.transport.write(b"end")
            assert await server.until(3) == b"end"
            client.transport.abort()
            await server.lost

    run(main())


def test_writes_after_the_end(run, contexts, caplog):
    """They do nothing, and are warned about from some number on."""

    async def main():
        async with Pair(contexts) as (client, server):
            client.transport.close()
            for _ in range(10):
                client.transport.write(b"lost")
            assert await server.lost is None
            assert server.data == b""
            await client.lost

    run(main())
    assert "SSL connection is closed" in caplog.text


def test_flow_control_of_writing(run, contexts):
    """The protocol is paused at the high mark, and goes on when the peer has read enough."""

    async def main():
        async with Pair(contexts) as (client, server):
            server.transport.pause_reading()
            assert not server.transport.is_reading()
            client.transport.set_write_buffer_limits(high=100_000, low=50_000)
            assert client.transport.get_write_buffer_limits() == (50_000, 100_000)
            written = 0
            while "pause" not in client.calls:
                client.transport.write(bytes(60_000))
                written += 60_000
                await asyncio.sleep(0)
            assert client.transport.get_write_buffer_size() >= 100_000
            server.transport.resume_reading()
            assert len(await server.until(written)) == written
            assert client.calls == ["made", "pause", "resume"]
            assert client.transport.get_write_buffer_size() == 0
            with pytest.raises(ValueError, match="must be >="):
                client.transport.set_write_buffer_limits(high=1, low=2)
            client.transport.abort()
            await server.lost

    run(main())


@pytest.mark.parametrize("make", [Recorder, BufferedRecorder])
def test_pausing_from_inside(run, contexts, make):
    """A protocol that pauses after every piece still gets everything."""

    class Pausing(make):
        def data_received(self, data):
            super().data_received(data)
            self.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self.transport.resume_reading)

        def buffer_updated(self, count):
            self.data_received(bytes(self.buffer[:count]))

    async def main():
        async with Pair(contexts, Pausing) as (client, server):
            data = os.urandom(400_000)
            client.transport.write(data)
            assert await server.until(len(data)) == data
            client.transport.close()
            await server.lost

    run(main())


def test_paused_reader_stops_the_peer(run, contexts):
    """While the program does not read, no more is downloaded than the marks allow."""

    async def main():
        async with Pair(contexts) as (client, server):
            server.transport.pause_reading()
            server.transport.set_read_buffer_limits(high=70_000)
            data = bytes(8_000_000)
            client.transport.write(data)
            for _ in range(200):
                await asyncio.sleep(0)
            assert server.transport.get_read_buffer_size() < 70_000 + 300_000
            assert server.data == b""
            assert client.transport._ssl_protocol._transport.get_write_buffer_size() > 0
            server.transport.resume_reading()
            assert len(await server.until(len(data))) == len(data)
            client.transport.abort()
            await server.lost

    run(main())


def test_closed_client_stops_downloading(run, contexts):
    """What comes after close() is not delivered, and the connection ends."""

    async def main():
        async with Pair(contexts, ssl_shutdown_timeout=0.2) as (client, server):
            server.transport.write(bytes(30_000_000))
            await client.until(1)
            client.transport.close()
            seen = len(client.data)
            await client.lost
            assert len(client.data) == seen
            server.transport.abort()
            await server.lost

    run(main())


def test_end_without_notice(run, contexts):
    """A peer that just goes is an end like any other."""

    async def main():
        async with RawPair(contexts) as raw:
            server = await raw.shake_hands()
            raw.object.write(b"last words")
            await raw.send()
            raw.sock.shutdown(socket.SHUT_WR)
            assert await server.lost is None
            assert server.calls == ["made", "eof", "lost"]
            assert server.data == b"last words"

    run(main())


def test_notice_of_the_end(run, contexts):
    """The peer's notice is answered with our own, after what is being written."""

    async def main():
        async with RawPair(contexts) as raw:
            server = await raw.shake_hands()
            server.transport.write(b"first")
            assert await raw.call(raw.object.read, 100) == b"first"
            raw.object.write(b"bye")
            with pytest.raises(ssl.SSLWantReadError):
                raw.object.unwrap()
            await raw.send()
            assert await server.lost is None
            assert server.data == b"bye"
            assert server.calls == ["made", "eof", "lost"]
            await raw.call(raw.object.unwrap)

    run(main())


def test_half_close_means_nothing(run, contexts, caplog):
    """A protocol that wants to go on after the end is told that it cannot."""

    class Stubborn(Recorder):
        def eof_received(self):
            super().eof_received()
            return True

    async def main():
        async with RawPair(contexts, Stubborn) as raw:
            server = await raw.shake_hands()
            with pytest.raises(ssl.SSLWantReadError):
                raw.object.unwrap()
            await raw.send()
            assert await server.lost is None

    run(main())
    assert "returning true from eof_received() has no effect when using ssl" in caplog.text


def test_reset(run, contexts):
    """A reset is an error of the connection."""

    async def main():
        async with RawPair(contexts) as raw:
            server = await raw.shake_hands()
            raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            raw.sock.close()
            assert isinstance(await server.lost, ConnectionResetError)
            assert server.calls == ["made", "lost"]

    run(main())


def test_garbage_after_the_handshake(run, contexts, logged):
    """It breaks the connection, and the loop is told."""

    async def main():
        async with RawPair(contexts) as raw:
            server = await raw.shake_hands()
            raw.object.write(b"good")
            await raw.send()
            await server.until(4)
            await raw.send(b"\x17\x03\x03\x00\x20" + bytes(32))
            assert isinstance(await server.lost, ssl.SSLError)
            assert server.data == b"good"

    run(main())
    # An OSError is nothing unusual, outside debug mode.
    assert not logged()


def test_garbage_in_the_handshake(run, contexts):
    """What is no TLS is refused, and the protocol never hears of it."""

    async def main():
        async with RawPair(contexts) as raw:
            await raw.send(b"GET / HTTP/1.1\r\n\r\n")
            loop = asyncio.get_running_loop()
            while await loop.sock_recv(raw.sock, 1000):
                pass
            assert (await raw.accepted).calls == []

    run(main())


def test_truncated_record(run, contexts):
    """Half a record is never delivered."""

    async def main():
        async with RawPair(contexts) as raw:
            server = await raw.shake_hands()
            raw.object.write(b"whole")
            raw.object.write(b"half of this is missing")
            data = raw.outgoing.read()
            await raw.send(data[:-10])
            raw.sock.shutdown(socket.SHUT_WR)
            assert await server.lost is None
            assert server.data == b"whole"

    run(main())


def test_gone_in_the_handshake(run, contexts):
    """A client that goes before its turn leaves nothing behind, and no protocol hears of it."""
    made = weakref.WeakSet()

    async def main():
        def accept():
            protocol = Recorder()
            made.add(protocol)
            accepted.set()
            return protocol

        accepted = asyncio.Event()
        raw = RawPair(contexts)
        async with raw:
            raw.listener.close()
            loop = asyncio.get_running_loop()
            listener = await loop.create_server(accept, LOCAL, 0, ssl=contexts[0])
            sock = socket.create_connection(listener.sockets[0].getsockname())
            with pytest.raises(ssl.SSLWantReadError):
                raw.object.do_handshake()
            sock.sendall(raw.outgoing.read())
            await accepted.wait()
            assert all(protocol.calls == [] for protocol in made)
            sock.close()
            while made:
                await asyncio.sleep(0.001)
                gc.collect()
            listener.close()

    run(main())


def test_unclosed(run, contexts):
    """A transport that nobody closed says so when it goes."""

    async def main():
        async with Pair(contexts) as (client, server):
            below = client.transport._ssl_protocol._transport
            below.set_protocol(asyncio.Protocol())
            client.transport._ssl_protocol._app_transport = None
            client.made = None
            with pytest.warns(ResourceWarning, match="unclosed transport <asyncio._SSLProtocol"):
                client.transport = None
            assert client.calls == ["made"]
            below.abort()
            server.transport.abort()
            await server.lost

    run(main())


def test_nothing_is_left(run, contexts):
    """A connection that was closed is freed with everything that belonged to it."""
    seen = []

    async def main():
        async with Pair(contexts) as (client, server):
            protocol = client.transport._ssl_protocol
            seen.extend(map(weakref.ref, (client.transport, protocol, client, server)))
            kept = client.transport.get_extra_info("ssl_object")
            client.transport.write(b"x" * 100_000)
            await server.until(100_000)
            client.transport.close()
            await client.lost
            await server.lost
        return kept

    kept = run(main())
    gc.collect()
    assert [ref() for ref in seen] == [None] * 4
    assert kept.version() == "TLSv1.3"
    with pytest.raises(ssl.SSLError):
        kept.read(1)


def test_errors_of_the_program(run, contexts, logged):
    """What data_received() raises is reported, and ends the connection."""

    class Broken(Recorder):
        def data_received(self, data):
            raise ZeroDivisionError("in the protocol")

    async def main():
        async with Pair(contexts, Broken) as (client, server):
            client.transport.write(b"x")
            assert isinstance(await server.lost, ZeroDivisionError)
            await client.lost

    run(main())
    assert "Fatal error on SSL protocol" in logged()[0]


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit])
def test_exits_of_the_program(impl, contexts, raised):
    """What ends the program breaks out of the loop."""

    class Ending(Recorder):
        def data_received(self, data):
            raise raised

    async def main():
        async with Pair(contexts, Ending) as (client, server):
            client.transport.write(b"x")
            await server.lost

    loop = impl.new_event_loop()
    task = loop.create_task(main())
    with pytest.raises(raised):
        loop.run_until_complete(task)
    task.cancel()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        loop.run_until_complete(asyncio.wait([task], timeout=5) if task.done() else end(task))
        loop.close()
        del task
        gc.collect()


async def end(task):
    """Wait for a task that was cancelled."""
    await asyncio.wait([task])


def test_debug_mode(impl, contexts, caplog):
    """Debug mode tells of handshakes and ends."""
    caplog.set_level(logging.DEBUG, "asyncio")

    async def main():
        async with Pair(contexts) as (client, server):
            client.transport.write(b"x")
            await server.until(1)
            client.transport.close()
            await server.lost

    loop = impl.new_event_loop()
    loop.set_debug(True)
    loop.run_until_complete(main())
    loop.close()
    assert "starts SSL handshake" in caplog.text
    assert "SSL handshake took" in caplog.text


def test_write_that_was_replaced(run, contexts):
    """Somebody may put another write() into the transport below."""

    async def main():
        async with Pair(contexts) as (client, server):
            below = client.transport._ssl_protocol._transport
            seen = []
            original = below.write
            below.write = lambda data: (seen.append(bytes(data)), original(data))
            client.transport.write(b"through the replacement")
            assert await server.until(1) == b"through the replacement"
            assert len(seen) == 1
            assert seen[0][:3] == b"\x17\x03\x03"
            client.transport.close()
            await server.lost

    run(main())
