"""The beginning and the end of TLS: handshakes, who is who, timeouts, start_tls()."""

import asyncio
import os
import socket
import ssl
import struct

import pytest
from certificates import client_context, server_context
from tls_peers import LOCAL, Pair, RawPair, Recorder


@pytest.fixture
def impl(tls_impl):
    """Stock, and each engine."""
    return tls_impl


async def listen(context, make=Recorder, **options):
    """A TLS server, and its port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(make, LOCAL, 0, ssl=context, **options)
    return server, server.sockets[0].getsockname()[1]


async def connect(port, context, name="localhost", **options):
    """A client's transport and protocol."""
    loop = asyncio.get_running_loop()
    return await loop.create_connection(
        Recorder, LOCAL, port, ssl=context, server_hostname=name, **options
    )


# --- who is who ------------------------------------------------------------------------------


def test_untrusted_certificate(run, contexts, other_certificate):
    """A certificate that nobody vouches for is an error of the client's."""

    async def main():
        server, port = await listen(contexts[0])
        with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
            await connect(port, client_context(other_certificate))
        server.close()

    run(main())


def test_wrong_name(run, contexts):
    """A certificate of another host is refused."""

    async def main():
        server, port = await listen(contexts[0])
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            await connect(port, contexts[1], "elsewhere")
        server.close()

    run(main())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_client_certificates(run, certificate, other_certificate, version):
    """The server sees who the client is, and refuses who shows nothing."""
    server_side, client_side = server_context(certificate), client_context(certificate)
    server_side.verify_mode = ssl.CERT_REQUIRED
    server_side.load_verify_locations(other_certificate.certificate)
    client_side.maximum_version = version

    async def main():
        server, port = await listen(server_side)
        if version == ssl.TLSVersion.TLSv1_2:
            with pytest.raises(ConnectionResetError):
                await connect(port, client_side)
        else:
            # By then the client's handshake is complete.
            _, client = await connect(port, client_side)
            assert await client.lost is None
        server.close()
        client_side.load_cert_chain(other_certificate.certificate, other_certificate.key)
        async with Pair((server_side, client_side)) as (client, server):
            peer = server.transport.get_extra_info("peercert")
            assert ("commonName", "elsewhere") in peer["subject"][0]
            client.transport.close()
            await server.lost

    run(main())


def test_protocol_negotiation(run, certificate):
    """Both sides agree on a protocol."""
    server_side, client_side = server_context(certificate), client_context(certificate)
    server_side.set_alpn_protocols(["h2", "http/1.1"])
    client_side.set_alpn_protocols(["http/1.1"])

    async def main():
        async with Pair((server_side, client_side)) as (client, server):
            for end in (client, server):
                chosen = end.transport.get_extra_info("ssl_object").selected_alpn_protocol()
                assert chosen == "http/1.1"
            client.transport.close()
            await server.lost

    run(main())


def test_server_names(run, certificate, other_certificate):
    """The context's callback sees the name, its own object, and may choose another context."""
    server_side, chosen = server_context(other_certificate), server_context(certificate)
    names = []

    def choose(ssl_object, name, context):
        names.append(name)
        assert isinstance(ssl_object, ssl.SSLObject)
        assert context is server_side
        ssl_object.context = chosen

    server_side.sni_callback = choose

    async def main():
        async with Pair((server_side, client_context(certificate))) as (client, server):
            assert names == ["localhost"]
            assert server.transport.get_extra_info("ssl_object").context is chosen
            client.transport.write(b"x")
            await server.until(1)
            client.transport.close()
            await server.lost

    run(main())


def test_server_name_that_is_refused(run, certificate):
    """The callback may refuse."""
    server_side = server_context(certificate)
    server_side.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    async def main():
        server, port = await listen(server_side)
        with pytest.raises(ConnectionResetError):
            await connect(port, client_context(certificate))
        server.close()

    run(main())


def test_key_log_and_messages(run, certificate, tmp_path):
    """The context's other callbacks are called, the object's messages while data is read too."""
    server_side, client_side = server_context(certificate), client_context(certificate)
    client_side.keylog_filename = str(tmp_path / "keys")
    server_side.keylog_filename = str(tmp_path / "server")
    seen = []

    def note(connection, direction, version, content_type, message_type, data):
        seen.append((direction, content_type.name))

    client_side._msg_callback = note

    async def main():
        async with Pair((server_side, client_side)) as (client, server):
            before = len(seen)
            server.transport.write(b"x" * 50_000)
            await client.until(50_000)
            assert {direction for direction, _ in seen[before:]} == {"read"}
            before = len(seen)
            client.transport.write(b"y" * 50_000)
            await server.until(50_000)
            assert "write" in {direction for direction, _ in seen[before:]}
            client.transport.close()
            await server.lost

    run(main())
    for name in ("keys", "server"):
        assert "TRAFFIC_SECRET" in (tmp_path / name).read_text()


def test_error_in_a_message_callback(run, certificate, logged):
    """What a callback raises while data is read comes out of the ssl module's next call."""
    server_side, client_side = server_context(certificate), client_context(certificate)
    armed = []

    def fail(*_):
        if armed and armed.pop():
            raise ZeroDivisionError("in the callback")

    client_side._msg_callback = fail

    async def main():
        async with Pair((server_side, client_side)) as (client, server):
            server.transport.write(b"x")
            await client.until(1)
            armed.append(True)
            server.transport.write(b"y")
            server.transport.close()
            await client.lost
            await server.lost
            assert not armed

    run(main())
    assert logged()[0].startswith("Fatal error on SSL protocol")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_session_reuse(run, certificate, version):
    """A session of an earlier connection is taken up."""
    server_side, client_side = server_context(certificate), client_context(certificate)
    client_side.maximum_version = version
    sessions = []
    make = client_side.wrap_bio

    def wrap_bio(*arguments, **options):
        return make(*arguments, session=sessions[-1] if sessions else None, **options)

    async def main():
        for turn in range(2):
            client_side.wrap_bio = wrap_bio
            async with Pair((server_side, client_side)) as (client, server):
                server.transport.write(b"x")
                await client.until(1)
                connection = client.transport.get_extra_info("ssl_object")
                assert connection.session_reused == (turn == 1)
                sessions.append(connection.session)
                client.transport.close()
                await server.lost

    run(main())


def test_authentication_after_the_handshake(run, certificate, other_certificate):
    """A server may ask a TLS 1.3 client who it is at any time, while data goes both ways."""
    server_side, client_side = server_context(certificate), client_context(certificate)
    server_side.load_verify_locations(other_certificate.certificate)
    client_side.load_cert_chain(other_certificate.certificate, other_certificate.key)
    client_side.post_handshake_auth = server_side.post_handshake_auth = True
    server_side.verify_mode = ssl.CERT_REQUIRED

    async def main():
        async with Pair((server_side, client_side)) as (client, server):
            connection = server.transport.get_extra_info("ssl_object")
            assert not connection.getpeercert()
            data = os.urandom(100_000)
            client.transport.write(data)
            connection.verify_client_post_handshake()
            server.transport.write(data)
            assert await client.until(len(data)) == data
            client.transport.write(b"answer")
            assert (await server.until(len(data) + 6))[-6:] == b"answer"
            assert ("commonName", "elsewhere") in connection.getpeercert()["subject"][0]
            client.transport.close()
            await server.lost

    run(main())


# --- time ------------------------------------------------------------------------------------


def test_handshake_timeout_of_a_server(run, contexts, logged):
    """A client that says nothing is cut off, and the protocol never hears of it."""

    async def main():
        loop = asyncio.get_running_loop()
        made = []
        server, port = await listen(
            contexts[0], lambda: made.append(Recorder()) or made[-1], ssl_handshake_timeout=0.05
        )
        with socket.create_connection((LOCAL, port)) as sock:
            sock.setblocking(False)
            assert await loop.sock_recv(sock, 100) == b""
        assert made[0].calls == []
        server.close()

    run(main())
    assert not [message for message in logged() if "Unclosed" in message]


def test_handshake_timeout_of_a_client(run, contexts):
    """A server that says nothing is given up."""

    async def main():
        with socket.create_server((LOCAL, 0)) as listener:
            port = listener.getsockname()[1]
            text = "SSL handshake is taking longer than 0.05 seconds: aborting the connection"
            with pytest.raises(ConnectionAbortedError, match=text):
                await connect(port, contexts[1], ssl_handshake_timeout=0.05)

    run(main())


def test_shutdown_timeout(run, contexts):
    """A peer that does not answer the end is left alone with it."""

    async def main():
        async with RawPair(contexts, ssl_shutdown_timeout=0.05) as raw:
            server = await raw.shake_hands()
            server.transport.close()
            with pytest.raises(TimeoutError, match="SSL shutdown timed out"):
                raise await server.lost

    run(main())


@pytest.mark.parametrize("name", ["ssl_handshake_timeout", "ssl_shutdown_timeout"])
@pytest.mark.parametrize("value", [0, -1])
def test_wrong_timeouts(run, contexts, name, value):
    """They are above zero."""

    async def main():
        loop = asyncio.get_running_loop()
        async with Pair(contexts) as (client, server):
            with pytest.raises(
                ValueError, match=f"{name} should be a positive number, got {value}"
            ):
                await loop.start_tls(client.transport, client, contexts[1], **{name: value})
            client.transport.abort()
            await server.lost

    run(main())


def test_cancelled_handshake(run, contexts):
    """Who no longer waits leaves no connection behind."""

    async def main():
        loop = asyncio.get_running_loop()
        with socket.create_server((LOCAL, 0)) as listener:
            listener.setblocking(False)
            task = asyncio.ensure_future(connect(listener.getsockname()[1], contexts[1]))
            sock, _ = await loop.sock_accept(listener)
            with sock:
                assert await loop.sock_recv(sock, 1)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                while await loop.sock_recv(sock, 10_000):
                    pass

    run(main())


def test_server_that_hangs_up(run, contexts):
    """An end in the middle of the handshake is a reset."""

    async def main():
        loop = asyncio.get_running_loop()
        with socket.create_server((LOCAL, 0)) as listener:
            listener.setblocking(False)
            task = asyncio.ensure_future(connect(listener.getsockname()[1], contexts[1]))
            sock, _ = await loop.sock_accept(listener)
            await loop.sock_recv(sock, 100_000)
            sock.close()
            with pytest.raises(ConnectionResetError):
                await task

    run(main())


@pytest.mark.parametrize("part", [1, 5, 100, 10_000])
def test_reset_in_the_handshake(run, contexts, part):
    """A client that breaks off within its first message; the server goes on with others."""

    async def main():
        raw = RawPair(contexts)
        async with raw:
            with pytest.raises(ssl.SSLWantReadError):
                raw.object.do_handshake()
            raw.sock.send(raw.outgoing.read()[:part])
            server = await raw.accepted
            await asyncio.sleep(0)
            raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.sock.close()
            raw.accepted = asyncio.get_running_loop().create_future()
            port = raw.listener.sockets[0].getsockname()[1]
            transport, client = await connect(port, contexts[1])
            transport.write(b"x")
            assert await (await raw.accepted).until(1) == b"x"
            assert server.calls == []
            transport.close()
            await client.lost

    run(main())


# --- start_tls() -----------------------------------------------------------------------------


class Upgrading(Recorder):
    """A server's protocol that starts TLS when it is asked to."""

    context = None

    def data_received(self, data):
        super().data_received(data)
        if data == b"STARTTLS" and self.context is not None:
            self.upgraded = asyncio.ensure_future(self.upgrade())

    async def upgrade(self):
        loop = asyncio.get_running_loop()
        self.data.clear()
        plain = self.transport
        coroutine = loop.start_tls(plain, self, self.context, server_side=True)
        plain.write(b"GO")
        self.transport = await coroutine


def test_start_tls(run, contexts):
    """A connection goes over to TLS at both ends, and its protocols stay."""

    async def main():
        loop = asyncio.get_running_loop()
        made = []

        def accept():
            made.append(Upgrading())
            made[-1].context = contexts[0]
            return made[-1]

        server, port = await listen(None, accept)
        transport, client = await loop.create_connection(Recorder, LOCAL, port)
        transport.write(b"STARTTLS")
        assert await client.until(2) == b"GO"
        client.data.clear()
        secured = await loop.start_tls(transport, client, contexts[1], server_hostname="localhost")
        await made[0].upgraded
        assert secured.get_extra_info("ssl_object").version() == "TLSv1.3"
        assert secured.get_extra_info("peername") == transport.get_extra_info("peername")
        secured.write(b"secret")
        assert await made[0].until(6) == b"secret"
        made[0].transport.write(b"answer")
        assert await client.until(6) == b"answer"
        assert client.calls == ["made"]
        secured.close()
        await made[0].lost
        await client.lost
        server.close()

    run(main())


def test_tls_inside_tls(run, contexts):
    """TLS goes over a connection that is one of TLS."""

    async def main():
        loop = asyncio.get_running_loop()
        async with Pair(contexts) as (client, server):
            inner = asyncio.ensure_future(
                loop.start_tls(server.transport, server, contexts[0], server_side=True)
            )
            outer = client.transport
            client.transport = await loop.start_tls(
                outer, client, contexts[1], server_hostname="localhost"
            )
            server.transport = await inner
            data = os.urandom(600_000)
            client.transport.write(data)
            assert await server.until(len(data)) == data
            server.transport.write(data)
            assert await client.until(len(data)) == data
            assert client.transport.get_extra_info("socket") is outer.get_extra_info("socket")
            client.transport.close()
            await server.lost
            await client.lost

    run(main())


def test_start_tls_refuses(run, contexts):
    """Neither contexts of other kinds nor transports that cannot."""

    async def main():
        loop = asyncio.get_running_loop()
        async with Pair(contexts) as (client, server):
            with pytest.raises(TypeError, match="sslcontext is expected to be an instance of"):
                await loop.start_tls(client.transport, client, None)
            with pytest.raises(TypeError, match="is not supported by start_tls"):
                await loop.start_tls(asyncio.Transport(), client, contexts[1])
            client.transport.abort()
            await server.lost

    run(main())


def test_start_tls_that_fails(run, contexts, other_certificate):
    """The transport is closed, and the error comes to who waits."""

    async def main():
        loop = asyncio.get_running_loop()
        server, port = await listen(contexts[0])
        transport, client = await loop.create_connection(Recorder, LOCAL, port)
        with pytest.raises(ssl.SSLCertVerificationError):
            await loop.start_tls(
                transport, client, client_context(other_certificate), server_hostname="localhost"
            )
        assert transport.is_closing()
        server.close()

    run(main())


def test_streams_start_tls(run, contexts):
    """Streams go over to TLS."""

    async def handle(reader, writer):
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"GO\n")
        await writer.drain()
        await writer.start_tls(contexts[0])
        while data := await reader.read(100):
            writer.write(data)
        writer.close()
        await writer.wait_closed()

    async def main():
        async with await asyncio.start_server(handle, LOCAL, 0) as server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection(LOCAL, port)
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"GO\n"
            await writer.start_tls(contexts[1], server_hostname="localhost")
            writer.write(b"secret")
            assert await reader.readexactly(6) == b"secret"
            writer.close()
            await writer.wait_closed()

    run(main())


def test_start_tls_after_plain_bytes(run, contexts):
    """What was written before, and is not sent yet, goes out as it is, and in front."""
    data = os.urandom(4 << 20)

    async def main():
        loop = asyncio.get_running_loop()
        with socket.create_server((LOCAL, 0)) as listener:
            transport, client = await loop.create_connection(Recorder, *listener.getsockname())
            peer, _ = listener.accept()
        with peer:
            peer.setblocking(False)
            transport.set_write_buffer_limits(high=1 << 30)  # TLS could not know of a pause
            transport.write(data)
            assert transport.get_write_buffer_size() > 0
            task = asyncio.ensure_future(
                loop.start_tls(transport, client, contexts[1], server_hostname="localhost")
            )
            got = b""
            while len(got) <= len(data):
                got += await loop.sock_recv(peer, 1 << 20)
            assert got[: len(data)] == data
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            incoming.write(got[len(data) :])
            tls = contexts[0].wrap_bio(incoming, outgoing, server_side=True)
            while tls.version() is None:
                try:
                    tls.do_handshake()
                except ssl.SSLWantReadError:
                    await loop.sock_sendall(peer, outgoing.read())
                    incoming.write(await loop.sock_recv(peer, 65536))
            tls.write(b"x" * 20_000)
            await loop.sock_sendall(peer, outgoing.read())
            await task
            assert await client.until(20_000) == b"x" * 20_000
            task.result().abort()
            await client.lost

    run(main())


def test_client_has_plain_bytes_unread(run, contexts):
    """What a client's stream received before is read before what is decrypted."""

    async def handle(reader, writer):
        writer.write(b"GO\nplain")
        await writer.start_tls(contexts[0])
        writer.write(b"secret")
        writer.close()

    async def main():
        async with await asyncio.start_server(handle, LOCAL, 0) as server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection(LOCAL, port)
            assert await reader.readline() == b"GO\n"
            while len(reader._buffer) < 5:
                await asyncio.sleep(0)
            await writer.start_tls(contexts[1], server_hostname="localhost")
            assert await reader.read() == b"plainsecret"
            writer.close()
            await writer.wait_closed()

    run(main())


def test_server_has_the_handshake_unread(run, impl, contexts, stock):
    """A client may begin the handshake without waiting for the server's consent."""
    if impl is stock or (impl is asyncio and asyncio.SelectorEventLoop is stock.SelectorEventLoop):
        code = stock.SelectorEventLoop.start_tls.__code__
        if "_stream_reader" not in code.co_consts + code.co_names:
            pytest.skip("this version of asyncio waits in vain for it")

    async def handle(reader, writer):
        assert await reader.readline() == b"STARTTLS\n"
        while not reader._buffer:
            await asyncio.sleep(0)
        await writer.start_tls(contexts[0])
        writer.write(b"hello " + await reader.readexactly(5))
        await writer.drain()
        writer.close()

    async def main():
        loop = asyncio.get_running_loop()
        async with await asyncio.start_server(handle, LOCAL, 0) as server:
            raw = RawPair(contexts)
            async with raw:
                with socket.create_connection(server.sockets[0].getsockname()) as sock:
                    raw.sock.close()
                    sock.setblocking(False)
                    raw.sock = sock
                    with pytest.raises(ssl.SSLWantReadError):
                        raw.object.do_handshake()
                    await loop.sock_sendall(sock, b"STARTTLS\n" + raw.outgoing.read())
                    await raw.call(raw.object.do_handshake)
                    raw.object.write(b"world")
                    await raw.send()
                    assert await raw.call(raw.object.read, 100) == b"hello world"

    run(main())


def test_stock_protocol_on_our_transport(run, contexts, stock):
    """Libraries put stock's own TLS protocol on whatever transport they have."""

    async def main():
        loop = asyncio.get_running_loop()
        server, port = await listen(contexts[0])
        transport, client = await loop.create_connection(Recorder, LOCAL, port)
        waiter = loop.create_future()
        protocol = stock.sslproto.SSLProtocol(
            loop, client, contexts[1], waiter, False, "localhost", call_connection_made=False
        )
        transport.pause_reading()
        transport.set_protocol(protocol)
        loop.call_soon(protocol.connection_made, transport)
        loop.call_soon(transport.resume_reading)
        await waiter
        secured = protocol._app_transport
        secured.write(b"x" * 100_000)
        assert secured.get_extra_info("cipher")
        secured.close()
        await client.lost
        server.close()

    run(main())
