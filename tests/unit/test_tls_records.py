"""The record stream: any chunking and any damage, on a transport that is a list."""

import asyncio
import contextlib
import itertools
import random
import ssl

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

EXAMPLES = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def impl(tls_impl):
    """Stock, and each engine."""
    return tls_impl


class Wire(asyncio.Transport):
    """A transport that keeps what is written, and what it was told."""

    def __init__(self):
        super().__init__()
        self.sent = bytearray()
        self.calls = []

    def write(self, data):
        assert isinstance(data, (bytes, bytearray, memoryview))
        self.sent += data

    def is_closing(self):
        return "close" in self.calls

    def pause_reading(self):
        self.calls.append("pause")

    def resume_reading(self):
        self.calls.append("resume")

    def close(self):
        self.calls.append("close")

    def abort(self):
        self.calls.append("abort")

    def _force_close(self, exc):
        self.calls.append("abort")
        self.error = exc


class Sink(asyncio.Protocol):
    """Collects data; None stands for the end."""

    def __init__(self):
        self.pieces = []

    def data_received(self, data):
        self.pieces.append(data)

    def eof_received(self):
        self.pieces.append(None)


class BufferedSink(asyncio.BufferedProtocol):
    """The same through a buffer of some size."""

    def __init__(self, size):
        self.pieces, self.buffer = [], bytearray(size)

    def get_buffer(self, sizehint):
        return memoryview(self.buffer)

    def buffer_updated(self, count):
        self.pieces.append(bytes(self.buffer[:count]))

    def eof_received(self):
        self.pieces.append(None)


class Connection:
    """The protocol under test on a wire, with an SSLObject as its peer."""

    def __init__(self, impl, contexts, sink):
        protocol_class = impl.sslproto.SSLProtocol if impl is asyncio else None
        if protocol_class is None:
            from pyaio._tls import SSLProtocol as protocol_class  # noqa: N813
        self.loop, self.sink, self.wire = impl.new_event_loop(), sink, Wire()
        self.loop.set_exception_handler(lambda *_: None)
        self.protocol = protocol_class(self.loop, sink, contexts[0], None, True)
        self.transport = self.protocol._app_transport
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.peer = contexts[1].wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.protocol.connection_made(self.wire)
        for _ in range(3):
            with contextlib.suppress(ssl.SSLWantReadError):
                self.peer.do_handshake()
            self.feed(self.outgoing.read())
            self.take()
        assert self.protocol._get_extra_info("cipher")

    def take(self):
        """Hand what was sent to the peer."""
        self.incoming.write(bytes(self.wire.sent))
        self.wire.sent.clear()

    def feed(self, data):
        """Let the protocol receive bytes, as a transport does."""
        while data and "abort" not in self.wire.calls and "close" not in self.wire.calls:
            buffer = self.protocol.get_buffer(-1)
            count = min(len(data), len(buffer))
            buffer[:count] = data[:count]
            self.protocol.buffer_updated(count)
            data = data[count:]
            self.turn()

    def turn(self):
        """Run what is queued."""
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()

    def received(self):
        """What the program got, and whether the end came."""
        data = b"".join(piece for piece in self.sink.pieces if piece is not None)
        return data, self.sink.pieces[-1:] == [None]

    def close(self):
        self.protocol.connection_lost(None)
        self.turn()
        self.loop.close()


def cut(data, cuts):
    """The data in pieces, cut at these places."""
    places = sorted({0, len(data), *(place % (len(data) + 1) for place in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


messages = st.lists(st.integers(0, 40_000), max_size=6)
places = st.lists(st.integers(0, 1_000_000), max_size=12)


@EXAMPLES
@given(
    sizes=messages, cuts=places, buffer=st.sampled_from([0, 1000, 5000, 20_000]), end=st.booleans()
)
def test_any_chunking(impl, contexts, sizes, cuts, buffer, end):
    """However the records arrive, every byte is delivered once and in order."""
    connection = Connection(impl, contexts, BufferedSink(buffer) if buffer else Sink())
    source = random.Random(repr((sizes, cuts)))
    data = b"".join(source.randbytes(size) for size in sizes)
    start = 0
    for size in sizes:
        if size:
            connection.peer.write(data[start : start + size])
        start += size
    if end:
        with pytest.raises(ssl.SSLWantReadError):
            connection.peer.unwrap()
    for piece in cut(connection.outgoing.read(), cuts):
        connection.feed(piece)
    while buffer and not connection.received()[1] and len(connection.received()[0]) < len(data):
        connection.turn()
    connection.turn()
    got, ended = connection.received()
    assert got == data
    assert ended == end
    connection.close()


@EXAMPLES
@given(
    sizes=messages,
    cuts=places,
    calls=st.lists(st.tuples(st.sampled_from(["exactly", "until"]), st.integers(0, 30_000))),
    limit=st.sampled_from([100, 5000, 1 << 16]),
)
def test_any_reads(impl, contexts, sizes, cuts, calls, limit):
    """A stream gives the same bytes however they arrive, to who waits and who comes late."""
    connection = Connection(impl, contexts, Sink())
    reader = impl.StreamReader(limit=limit, loop=connection.loop)
    protocol = impl.StreamReaderProtocol(reader, loop=connection.loop)
    connection.transport.set_protocol(protocol)
    protocol.connection_made(connection.transport)
    source = random.Random(repr((sizes, cuts)))
    data = b"".join(source.randbytes(size) for size in sizes)
    got = []

    async def read():
        for name, size in calls:
            try:
                if name == "exactly":
                    got.append(await reader.readexactly(size))
                else:
                    got.append(await reader.readuntil(bytes([size % 256])))
            except asyncio.IncompleteReadError as error:
                got.append(error.partial)
            except asyncio.LimitOverrunError:
                got.append(await reader.read(1))
            assert name == "exactly" or len(got[-1]) <= limit + 1
        while piece := await reader.read(1 << 20):
            got.append(piece)

    task = connection.loop.create_task(read())
    if data:
        connection.peer.write(data)
    with pytest.raises(ssl.SSLWantReadError):
        connection.peer.unwrap()
    for piece in cut(connection.outgoing.read(), cuts):
        connection.feed(piece)
    while not task.done():
        connection.turn()
    assert b"".join(got) == data
    connection.close()


@EXAMPLES
@given(sizes=messages, pause=st.lists(st.booleans(), max_size=6))
def test_any_writes(impl, contexts, sizes, pause):
    """However the program writes, and the transport pauses, the peer gets it all in order."""
    connection = Connection(impl, contexts, Sink())
    source = random.Random(repr(sizes))
    expected, paused = b"", False
    for index, size in enumerate(sizes):
        if pause[index : index + 1] == [True]:
            paused = not paused
            (connection.protocol.pause_writing if paused else connection.protocol.resume_writing)()
        data = source.randbytes(size)
        expected += data
        if index % 2:
            connection.transport.writelines([data[: size // 2], bytearray(data[size // 2 :])])
        else:
            connection.transport.write(data)
    if paused:
        assert connection.transport.get_write_buffer_size() >= 0
        connection.protocol.resume_writing()
    assert connection.transport.get_write_buffer_size() == 0
    connection.take()
    got = b""
    while len(got) < len(expected):
        got += connection.peer.read(100_000)
    assert got == expected
    connection.close()


@EXAMPLES
@given(
    sizes=messages,
    cuts=places,
    place=st.integers(0, 1_000_000),
    damage=st.sampled_from(["flip", "drop", "insert", "repeat", "truncate"]),
)
def test_any_damage(impl, contexts, sizes, cuts, place, damage):
    """Of a damaged stream no more is delivered than its sound beginning, and it ends."""
    connection = Connection(impl, contexts, Sink())
    source = random.Random(repr((sizes, place)))
    data = b"".join(source.randbytes(size) for size in sizes)
    for start in range(0, len(data), 5000):
        connection.peer.write(data[start : start + 5000])
    stream = bytearray(connection.outgoing.read())
    place %= len(stream) + 1
    if damage == "flip" and place < len(stream):
        stream[place] ^= 1 << source.randrange(8)
    elif damage == "drop":
        del stream[place : place + 1]
    elif damage == "insert":
        stream[place:place] = source.randbytes(1 + source.randrange(40))
    elif damage == "repeat":
        stream[place:place] = stream[:place]
    else:
        del stream[place:]
    for piece in cut(bytes(stream), cuts):
        connection.feed(piece)
    connection.feed(source.randbytes(30_000))
    connection.turn()
    got, ended = connection.received()
    assert data.startswith(got)
    assert not ended
    assert "abort" in connection.wire.calls or len(got) < len(data) or damage == "truncate"
    connection.close()


def test_noise_in_the_handshake(impl, contexts):
    """Whatever comes instead of a handshake, the connection is given up, or waits."""
    source = random.Random(7)
    for _ in range(60):
        connection = Connection(impl, contexts, Sink())
        fresh = type(connection.protocol)(connection.loop, Sink(), contexts[0], None, True)
        wire = Wire()
        fresh.connection_made(wire)
        noise = source.randbytes(source.randrange(1, 3000))
        if source.random() < 0.7:
            noise = b"\x16\x03\x01" + len(noise).to_bytes(2, "big") + b"\x01" + noise
        buffer = fresh.get_buffer(-1)
        buffer[: len(noise)] = noise
        fresh.buffer_updated(len(noise))
        connection.turn()
        assert fresh._app_protocol.pieces == []
        fresh.connection_lost(None)
        connection.close()
