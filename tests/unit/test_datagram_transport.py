"""Datagram transports: what the protocol hears, and in which turn; sending, flow, the end."""

import asyncio
import contextlib
import contextvars
import errno
import gc
import os
import socket
import sys
import warnings
from pathlib import Path

import pytest

LOCAL = "127.0.0.1"
# It counts a header for what it queues, and forgets to take it off again.
FORGETS_HEADERS = sys.version_info[:2] == (3, 13) and not hasattr(
    asyncio.selector_events._SelectorDatagramTransport, "_header_size"
)


class Log(asyncio.DatagramProtocol):
    """Notes every call."""

    def __init__(self):
        self.calls = []
        self.lost = asyncio.get_running_loop().create_future()

    def note(self, name, *values):
        self.calls.append((name, *values))

    def connection_made(self, transport):
        self.transport = transport
        self.note("made")

    def datagram_received(self, data, address):
        self.note("data", data)
        self.address = address

    def error_received(self, error):
        self.note("error", type(error))

    def pause_writing(self):
        self.note("pause")

    def resume_writing(self):
        self.note("resume", self.transport.get_write_buffer_size())

    def connection_lost(self, error):
        self.note("lost", error)
        if not self.lost.done():
            self.lost.set_result(error)


async def settled(times=6):
    """Let the loop turn a few times."""
    for _ in range(times):
        await asyncio.sleep(0)


async def endpoint(factory=Log, **options):
    """A datagram endpoint on a port of this machine."""
    loop = asyncio.get_running_loop()
    options = options or {"local_addr": (LOCAL, 0)}
    return await loop.create_datagram_endpoint(factory, **options)


def named_pair():
    """Two datagram sockets with addresses, connected to each other."""
    pair = [socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2)]
    for sock in pair:
        sock.bind("")
        sock.setblocking(False)
    pair[0].connect(pair[1].getsockname())
    pair[1].connect(pair[0].getsockname())
    return pair


async def connected(factory=Log, size=None):
    """An endpoint over one of two Unix sockets, and the other one."""
    ours, theirs = named_pair()
    if size is not None:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
    transport, protocol = await endpoint(factory, sock=ours)
    return transport, protocol, theirs


def drain(sock):
    """Every datagram that a socket has."""
    got = []
    while True:
        try:
            got.append(sock.recv(100_000))
        except BlockingIOError:
            return got


# --- receiving and answering -------------------------------------------------------------------


@pytest.mark.parametrize(("host", "fields"), [(LOCAL, 2), ("::1", 4)])
def test_echo(run, host, fields):
    class Echo(Log):
        def datagram_received(self, data, address):
            super().datagram_received(data, address)
            self.transport.sendto(data.upper(), address)

    async def main():
        server, _ = await endpoint(Echo, local_addr=(host, 0))
        where = server.get_extra_info("sockname")
        clients = [await endpoint(remote_addr=where[:2]) for _ in range(3)]
        for n in range(3):
            for transport, _ in clients:
                transport.sendto(b"hello %d" % n)
            await asyncio.sleep(0.02)
        for transport, protocol in clients:
            assert protocol.address == where
            assert len(protocol.address) == fields
            assert protocol.calls == [
                ("made",),
                ("data", b"HELLO 0"),
                ("data", b"HELLO 1"),
                ("data", b"HELLO 2"),
            ]
            transport.close()
        server.close()
        await settled()

    run(main())


def test_sizes(run):
    async def main():
        transport, protocol, theirs = await connected()
        sizes = [1, 70_000, 100_000, 5000, 5000, 4999, 6000, 2, 70_000]
        for size in sizes:
            data = os.urandom(size)
            theirs.send(data)
            await settled()
            assert protocol.calls.pop() == ("data", data)
        theirs.send(b"")
        await settled()
        assert protocol.calls.pop() == ("data", b"")
        assert protocol.address == theirs.getsockname()
        transport.close()
        theirs.close()
        await settled()

    run(main())


def test_unix_addresses(run, tmp_path):
    async def main():
        paths = [str(tmp_path / name) for name in "ab"]
        (one, log), (other, _) = [
            await endpoint(local_addr=path, family=socket.AF_UNIX) for path in paths
        ]
        other.sendto(b"x", paths[0])
        await settled()
        assert (log.calls[-1], log.address) == (("data", b"x"), paths[1])
        one.sendto(b"y", log.address)
        one.close()
        other.close()
        await settled()

    run(main())


def test_one_datagram_a_turn(same_as_stock):
    async def main(impl):
        transport, protocol, theirs = await connected()
        loop = asyncio.get_running_loop()
        await settled()
        for n in range(4):
            theirs.send(b"%d" % n)
        for n in range(8):
            loop.call_soon(protocol.note, n)
            await impl.sleep(0)
        transport.close()
        theirs.close()
        await settled()
        return protocol.calls

    same_as_stock(main)


@pytest.mark.parametrize("act", ["nothing", "pause", "close", "abort", "call_soon"])
def test_many_wait_and_the_first_has_consequences(same_as_stock, act):
    class Acting(Log):
        def datagram_received(self, data, address):
            super().datagram_received(data, address)
            loop = asyncio.get_running_loop()
            if data == b"25" and act == "pause":
                self.transport.pause_reading()
            elif data == b"25" and act in ("close", "abort"):
                getattr(self.transport, act)()
            elif act == "call_soon":
                loop.call_soon(self.note, "called after", data)

    async def main(impl):
        transport, protocol, theirs = await connected(Acting)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200_000)
        await settled()
        for n in range(50):
            with contextlib.suppress(OSError):
                theirs.send(b"%d" % n)
            if n % 5 == 4:
                await settled(12)
                await impl.sleep(0.002)
        await settled(60)
        transport.resume_reading()
        await settled(60)
        transport.abort()
        await protocol.lost
        theirs.close()
        return protocol.calls

    same_as_stock(main)


def test_what_the_protocol_raises(run, reported_by):
    class Broken(Log):
        def datagram_received(self, data, address):
            super().datagram_received(data, address)
            raise RuntimeError("broken")

    async def main():
        reports = reported_by()
        transport, protocol, theirs = await connected(Broken)
        theirs.send(b"1")
        theirs.send(b"2")
        await settled()
        assert [report["message"].split("(")[0] for report in reports] == [
            "Exception in callback _SelectorDatagramTransport._read_ready"
        ] * 2
        assert not transport.is_closing()
        transport.close()
        theirs.close()
        await settled()
        return protocol.calls

    assert run(main()) == [("made",), ("data", b"1"), ("data", b"2"), ("lost", None)]


@pytest.fixture
def reported_by():
    """A function that makes the running loop's reports a list, and returns it."""

    def reported_by():
        reports = []
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: reports.append(context)
        )
        return reports

    return reported_by


def test_pausing(run):
    async def main():
        transport, protocol, theirs = await connected()
        await settled()
        transport.pause_reading()
        assert not transport.is_reading()
        theirs.send(b"1")
        await settled()
        assert protocol.calls == [("made",)]
        transport.resume_reading()
        await settled()
        assert protocol.calls == [("made",), ("data", b"1")]
        transport.close()
        theirs.close()
        await settled()

    run(main())


def test_callbacks_run_in_the_context_of_the_beginning(run):
    variable = contextvars.ContextVar("variable", default="unset")

    class Reader(Log):
        def datagram_received(self, data, address):
            self.note("data", variable.get())

        def connection_lost(self, error):
            super().connection_lost(variable.get())

    async def main():
        variable.set("begun")
        transport, protocol, theirs = await connected(Reader)
        variable.set("later")
        await settled()
        theirs.send(b"x")
        await settled()
        transport.close()
        theirs.close()
        await settled()
        return protocol.calls

    assert run(main()) == [("made",), ("data", "begun"), ("lost", "later")]


# --- sending -----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
def test_what_can_be_sent(run, make):
    async def main():
        transport, _, theirs = await connected()
        transport.sendto(make(b"abc"))
        transport.sendto(data=make(b"d"), addr=None)
        transport.sendto(make(b""))
        got = drain(theirs)
        transport.close()
        theirs.close()
        await settled()
        return got

    assert run(main()) == [b"abc", b"d"] + [b""] * (sys.version_info >= (3, 13))


@pytest.mark.parametrize("arguments", [("text",), (5,), (None,), (b"x", ("10.0.0.1", 5))])
def test_what_cannot_be_sent(same_as_stock, arguments):
    async def main(impl):
        receiver, _ = await endpoint()
        where = receiver.get_extra_info("sockname")
        transport, _ = await endpoint(remote_addr=where)
        try:
            transport.sendto(*arguments)
        except (TypeError, ValueError) as error:
            return type(error), str(error).replace(str(where[1]), "PORT")
        finally:
            transport.close()
            receiver.close()
            await settled()

    assert same_as_stock(main) is not None


@pytest.mark.parametrize("arguments", [(), (b"", None, 5), (b"", 1, 2, 3)])
def test_wrong_arguments(run, arguments):
    async def main():
        transport, _, theirs = await connected()
        with pytest.raises(TypeError):
            transport.sendto(*arguments)
        with pytest.raises(TypeError):
            transport.sendto(b"", address=5)
        with pytest.raises(TypeError):
            transport.sendto(b"", data=b"")
        transport.close()
        theirs.close()
        await settled()

    run(main())


def test_the_address_that_it_was_made_for(run):
    async def main():
        receiver, log = await endpoint()
        where = receiver.get_extra_info("sockname")
        transport, _ = await endpoint(remote_addr=where)
        transport.sendto(b"1")
        transport.sendto(b"2", where)
        transport.sendto(b"3", (*where,))
        await settled(10)
        transport.close()
        receiver.close()
        await settled()
        return log.calls

    assert run(main())[1:4] == [("data", b"1"), ("data", b"2"), ("data", b"3")]


@pytest.mark.parametrize(
    "address",
    [("localhost", 1), ("256.0.0.1", 1), (LOCAL, -1), (LOCAL, 1, 2), 5, (LOCAL, "1"), None],
)
def test_addresses_that_are_left_to_the_socket(same_as_stock, address):
    async def main(impl):
        loop = asyncio.get_running_loop()
        reports = []
        loop.set_exception_handler(lambda loop, context: reports.append(context["message"]))
        transport, log = await endpoint()
        transport.sendto(b"x", address)
        closing = transport.is_closing()
        await settled()
        transport.close()
        await log.lost
        return [call[:1] for call in log.calls], reports, closing

    same_as_stock(main)


def test_nobody_listens(same_as_stock):
    async def main(impl):
        with socket.socket(type=socket.SOCK_DGRAM) as nobody:
            nobody.bind((LOCAL, 0))
            where = nobody.getsockname()
        transport, log = await endpoint(remote_addr=where)
        transport.sendto(b"1")
        await settled(10)
        transport.sendto(b"2")
        await settled(10)
        calls = list(log.calls)
        transport.abort()
        await log.lost
        return calls, log.calls[-1]

    calls, _ = same_as_stock(main)
    assert ("error", ConnectionRefusedError) in calls


def test_a_datagram_that_is_too_long(same_as_stock):
    async def main(impl):
        transport, log = await endpoint()
        transport.sendto(bytes(70_000), transport.get_extra_info("sockname"))
        calls = list(log.calls)
        transport.close()
        await log.lost
        return calls

    assert same_as_stock(main)[-1] == ("error", OSError)


# --- flow --------------------------------------------------------------------------------------


@pytest.mark.skipif(FORGETS_HEADERS, reason="asyncio never takes off the header it counts")
@pytest.mark.parametrize("limits", [{}, {"high": 3000}, {"high": 0}, {"high": 3000, "low": 2999}])
def test_flow(same_as_stock, limits):
    async def main(impl):
        transport, log, theirs = await connected(size=5000)
        transport.set_write_buffer_limits(**limits)
        before = transport.get_write_buffer_limits()
        for n in range(100):
            transport.sendto(b"%04d" % n * 250, None)
        sizes = [transport.get_write_buffer_size()]
        got = []
        while transport.get_write_buffer_size():
            got += drain(theirs)
            await impl.sleep(0)
            sizes.append(transport.get_write_buffer_size())
        got += drain(theirs)
        transport.close()
        await log.lost
        theirs.close()
        return (
            before,
            log.calls,
            sorted(set(sizes)),
            got == [b"%04d" % n * 250 for n in range(100)],
        )

    assert same_as_stock(main)[-1]


def test_what_is_queued_is_a_copy(run):
    async def main():
        transport, log, theirs = await connected(size=5000)
        data = bytearray(1000)
        while not transport.get_write_buffer_size():
            transport.sendto(data)
        data[:] = b"x" * 1000
        transport.sendto(memoryview(data)[:3])
        data.clear()
        assert [len(piece) for piece, _ in transport._buffer] == [1000, 3]
        transport.close()
        assert transport.is_closing()
        got = []
        while not log.lost.done():
            got += drain(theirs)
            await asyncio.sleep(0)
        got += drain(theirs)
        theirs.close()
        return got[-1], set(got[:-1]) == {bytes(1000)}, log.calls[-1]

    assert run(main()) == (b"xxx", True, ("lost", None))


def test_abort_drops_what_is_queued(run):
    async def main():
        transport, log, theirs = await connected(size=5000)
        for _ in range(100):
            transport.sendto(bytes(1000))
        assert transport.get_write_buffer_size() > 0
        transport.abort()
        assert not transport._buffer
        await log.lost
        transport.abort()
        transport.close()
        count = len(drain(theirs))
        theirs.close()
        return count < 100, log.calls[-1]

    assert run(main()) == (True, ("lost", None))


def test_the_peer_goes_while_something_is_queued(same_as_stock):
    async def main(impl):
        transport, log, theirs = await connected(size=5000)
        for _ in range(8):
            transport.sendto(bytes(1000))
        theirs.close()
        await settled(30)
        size = transport.get_write_buffer_size()
        transport.close()
        await log.lost
        return size, log.calls

    if not FORGETS_HEADERS:
        same_as_stock(main)


def test_ended_from_within(same_as_stock):
    class Ending(Log):
        def error_received(self, error):
            super().error_received(error)
            self.transport.abort()

    async def main(impl):
        with socket.socket(type=socket.SOCK_DGRAM) as nobody:
            nobody.bind((LOCAL, 0))
            where = nobody.getsockname()
        transport, log = await endpoint(Ending, remote_addr=where)
        transport.sendto(b"1")
        await settled(10)
        transport.sendto(b"2")
        await log.lost
        return log.calls

    same_as_stock(main)


# --- the end -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["connected", "not"])
def test_sending_when_it_is_over(same_as_stock, caplog, kind):
    async def main(impl):
        receiver, _ = await endpoint()
        where = receiver.get_extra_info("sockname")
        options = {"remote_addr": where} if kind == "connected" else {"local_addr": (LOCAL, 0)}
        transport, log = await endpoint(**options)
        transport.close()
        address = None if kind == "connected" else where
        outcomes = []
        for _ in range(2):
            for _ in range(7):
                try:
                    outcomes.append(transport.sendto(b"x", address))
                except Exception as error:
                    outcomes.append(type(error))
            await log.lost
        receiver.close()
        await settled()
        return outcomes, log.calls

    same_as_stock(main)
    caplog.clear()


def test_the_socket_is_closed_once(run):
    async def main():
        transport, log = await endpoint()
        sock = transport.get_extra_info("socket")
        assert sock.fileno() >= 0
        transport.close()
        transport.close()
        await log.lost
        assert sock.fileno() == -1
        assert transport._sock is None
        assert transport._loop is None

    run(main())


def test_an_unclosed_transport(run):
    async def main():
        transport, _log, theirs = await connected()
        await settled()
        transport.pause_reading()
        sock = transport.get_extra_info("socket")
        del _log
        with pytest.warns(ResourceWarning, match="unclosed transport"):  # noqa: PT031
            del transport
            gc.collect()
        assert sock.fileno() == -1
        theirs.close()

    run(main())


def test_repr_and_extra_information(same_as_stock):
    async def main(impl):
        transport, log = await endpoint()
        number = transport._sock_fd
        shown = [repr(transport)]
        await settled()
        shown.append(repr(transport))
        info = transport.get_extra_info("peername"), transport.get_extra_info("none", 5)
        assert transport.get_extra_info("sockname")[0] == LOCAL
        assert transport.get_protocol() is log
        transport.close()
        shown.append(repr(transport))
        await log.lost
        shown.append(repr(transport))
        return [text.replace(f"fd={number}", "fd=N") for text in shown], info

    same_as_stock(main)


def test_types(run):
    async def main():
        transport, log = await endpoint()
        assert isinstance(transport, asyncio.DatagramTransport) is (sys.version_info >= (3, 12))
        assert isinstance(transport, asyncio.Transport)
        assert type(transport).__name__ == "_SelectorDatagramTransport"
        assert transport.max_size == 256 * 1024
        with pytest.raises(NotImplementedError):
            transport.write(b"x")
        with pytest.raises((AttributeError, RuntimeError)):
            await asyncio.get_running_loop().sendfile(transport, None)
        transport.colour = "blue"
        assert transport.colour == "blue"
        transport.set_protocol(Log())
        transport.close()
        await settled()
        return log.calls

    assert run(main()) == [("made",)]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="only later versions look")
def test_the_descriptor_of_a_transport_cannot_have_another(run):
    async def main():
        transport, log, theirs = await connected()
        loop = asyncio.get_running_loop()
        with pytest.raises(RuntimeError, match="is used by transport"):
            await endpoint(sock=transport._sock)
        with pytest.raises(RuntimeError, match="is used by transport"):
            loop.add_reader(transport.get_extra_info("socket").fileno(), print)
        transport.close()
        theirs.close()
        await log.lost

    run(main())


class Odd(socket.socket):
    """Has its own idea of receiving and sending."""

    script = ()

    def recvfrom(self, *arguments):
        if self.script:
            raise self.script.pop(0)
        return super().recvfrom(*arguments)

    def send(self, data):
        if self.script:
            raise self.script.pop(0)
        return super().send(bytes(data).upper())


@pytest.mark.parametrize(
    "errors",
    [
        [(BlockingIOError,), (InterruptedError,)],
        [(ConnectionRefusedError,), (OSError, errno.ENOBUFS, "full")],
        [(ZeroDivisionError,)],
    ],
)
@pytest.mark.parametrize("sends", [False, True])
def test_a_socket_with_methods_of_its_own(same_as_stock, errors, sends):
    async def main(impl):
        loop = asyncio.get_running_loop()
        reports = []
        loop.set_exception_handler(lambda loop, context: reports.append(context["message"]))
        ours, theirs = named_pair()
        ours = Odd(fileno=ours.detach())
        transport, log = await endpoint(sock=ours)
        await settled()
        ours.script = [make(*values) for make, *values in errors]
        if sends:
            transport.sendto(b"sent")
        else:
            theirs.send(b"received")
        await settled(12)
        got = drain(theirs)
        transport.close()
        await log.lost
        theirs.close()
        return [call[:2] for call in log.calls[:-1]], reports, got

    same_as_stock(main)


def test_many_endpoints_and_flat_descriptors(run):
    async def main():
        loop = asyncio.get_running_loop()

        async def once():
            server, log = await endpoint()
            where = server.get_extra_info("sockname")
            clients = [await endpoint(remote_addr=where) for _ in range(20)]
            for client, _ in clients:
                client.sendto(b"x")
            while log.calls.count(("data", b"x")) < 20:
                await asyncio.sleep(0)
            for transport in (server, *[client for client, _ in clients]):
                transport.close()
            await settled()

        await once()
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(5):
            await once()
        assert len(list(Path("/proc/self/fd").iterdir())) == before
        assert not [fd for fd in loop._transports if fd >= 0 and not loop._transports[fd]._closing]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(main())
