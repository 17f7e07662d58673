"""Stream transports: what happens, in which order and in which turn of the loop."""

import array
import asyncio
import contextvars
import gc
import os
import socket
import sys
import weakref

import pytest


class Log(asyncio.Protocol):
    """Notes every call with the number of the loop's turn since the connection was made."""

    def __init__(self):
        self.calls = []
        self.lost = asyncio.get_running_loop().create_future()
        self.turn = 0

    def note(self, name, *values):
        self.calls.append((name, *values))

    def connection_made(self, transport):
        self.transport = transport
        self.note("made")

    def data_received(self, data):
        self.note("data", data)

    def eof_received(self):
        self.note("eof")

    def pause_writing(self):
        self.note("pause", self.transport.get_write_buffer_size() > 0)

    def resume_writing(self):
        # How much is left below the mark is the kernel's to say.
        low, _ = self.transport.get_write_buffer_limits()
        self.note("resume", self.transport.get_write_buffer_size() <= low)

    def connection_lost(self, error):
        self.note("lost", type(error))
        if not self.lost.done():
            self.lost.set_result(error)


class BufferedLog(asyncio.BufferedProtocol, Log):
    """The same for a protocol with a buffer of its own."""

    size = 5

    def get_buffer(self, hint):
        self.buffer = bytearray(self.size)
        self.note("get", hint)
        return self.buffer

    def buffer_updated(self, count):
        self.note("updated", bytes(self.buffer[:count]))


async def connect(factory=Log, kind="unix"):
    """A transport with its protocol, and the blocking socket at the other end."""
    loop = asyncio.get_running_loop()
    if kind == "unix":
        ours, theirs = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            theirs = socket.create_connection(listener.getsockname())
            ours, _ = listener.accept()
    for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        ours.setsockopt(socket.SOL_SOCKET, option, 20_000)
        theirs.setsockopt(socket.SOL_SOCKET, option, 20_000)
    theirs.settimeout(30)
    ours.setblocking(False)
    transport, protocol = await loop.create_connection(factory, sock=ours)
    return transport, protocol, theirs


async def turns(count):
    """Let the loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


async def drain(theirs, size):
    """Read exactly `size` bytes from the other end, in a thread."""

    def read():
        got = bytearray()
        while len(got) < size and (data := theirs.recv(65536)):
            got += data
        return bytes(got)

    return await asyncio.get_running_loop().run_in_executor(None, read)


async def end(transport, protocol, theirs):
    """Close both ends and return what happened."""
    transport.abort()
    await protocol.lost
    theirs.close()
    return protocol.calls


@pytest.fixture(params=["unix", "tcp"])
def kind(request):
    return request.param


def test_data_arrives_in_the_same_turn_as_on_stock(same_as_stock):
    async def main(aio):
        transport, protocol, theirs = await connect()
        found = []
        for i in range(4):
            theirs.send(b"%d" % i)
            count = 0
            while len(protocol.calls) < i + 2:
                await aio.sleep(0)
                count += 1
            found.append(count)
        return found, await end(transport, protocol, theirs)

    same_as_stock(main)


def test_the_beginning_and_the_end_take_as_many_turns(same_as_stock):
    async def main(aio):
        loop = asyncio.get_running_loop()
        order, (ours, theirs) = [], socket.socketpair()
        ours.setblocking(False)
        theirs.send(b"early")

        class Early(Log):
            def note(self, name, *values):
                order.append((name, *values))

        async def count():
            for i in range(12):
                order.append(i)
                await aio.sleep(0)

        counting = loop.create_task(count())
        transport, protocol = await loop.create_connection(Early, sock=ours)
        order.append("connected")
        await aio.sleep(0)
        await aio.sleep(0)
        transport.close()
        order.append("closed")
        await protocol.lost
        order.append("awaited")
        await counting
        theirs.close()
        return order

    same_as_stock(main)


@pytest.mark.parametrize("keep_open", [None, False, True])
def test_end_of_file(same_as_stock, kind, keep_open):
    async def main(aio):
        class HalfOpen(Log):
            def eof_received(self):
                super().eof_received()
                return keep_open

        transport, protocol, theirs = await connect(HalfOpen, kind)
        theirs.send(b"data")
        theirs.shutdown(socket.SHUT_WR)
        while ("eof",) not in protocol.calls:
            await aio.sleep(0)
        await turns(5)
        state = transport.is_closing(), transport.is_reading()
        if keep_open:
            transport.write(b"answer")
            transport.close()
            assert await drain(theirs, 7) == b"answer"
        return state, await end(transport, protocol, theirs)

    same_as_stock(main)


@pytest.mark.parametrize(
    ("error", "arguments"), [(ZeroDivisionError, ["oops"]), (OSError, [12345, "of the user's"])]
)
@pytest.mark.parametrize("where", ["data_received", "eof_received", "pause_writing"])
def test_callbacks_that_fail(same_as_stock, logged, where, error, arguments):
    async def main(aio):
        loop = asyncio.get_running_loop()
        reports = []
        loop.set_exception_handler(
            lambda loop, context: reports.append(
                (context["message"], repr(context["exception"]), sorted(context))
            )
        )

        class Failing(Log):
            pass

        def fail(self, *args):
            self.note(where)
            raise error(*arguments)

        setattr(Failing, where, fail)
        transport, protocol, theirs = await connect(Failing)
        if where == "pause_writing":
            transport.write(bytes(1_000_000))
        else:
            theirs.send(b"x")
            theirs.shutdown(socket.SHUT_WR)
        await turns(10)
        return reports, await end(transport, protocol, theirs)

    same_as_stock(main)


def test_exits_break_out_of_the_loop(impl):
    class Exiting(Log):
        def data_received(self, data):
            raise KeyboardInterrupt

    loop = impl.new_event_loop()
    try:
        transport, protocol, theirs = loop.run_until_complete(connect(Exiting))
        theirs.send(b"x")
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(asyncio.sleep(30))
        assert not transport.is_closing()
        assert loop.run_until_complete(end(transport, protocol, theirs))[-1][0] == "lost"
    finally:
        loop.close()


def test_buffered_protocols(same_as_stock, kind):
    async def main(aio):
        _, protocol, theirs = await connect(BufferedLog, kind)
        theirs.send(b"0123456789ab")
        while len(protocol.calls) < 7:
            await aio.sleep(0)
        theirs.close()
        await protocol.lost
        return protocol.calls

    same_as_stock(main)


@pytest.mark.parametrize(
    "buffer", ["empty", "bytes", "none", "array", "strided", "raises", "released"]
)
def test_odd_buffers(same_as_stock, logged, buffer):
    made = {
        "empty": lambda: bytearray(),
        "bytes": lambda: b"not to be written",
        "none": lambda: None,
        "array": lambda: array.array("i", [0] * 4),
        "strided": lambda: memoryview(bytearray(8))[::2],
        "raises": lambda: 1 // 0,
        "released": lambda: memoryview(bytearray(8)).release(),
    }[buffer]

    async def main(aio):
        loop = asyncio.get_running_loop()
        reports = []
        loop.set_exception_handler(
            lambda loop, context: reports.append(
                (context["message"], type(context["exception"]), sorted(context))
            )
        )

        class Odd(BufferedLog):
            def get_buffer(self, hint):
                self.buffer = made()
                return self.buffer

            def buffer_updated(self, count):
                self.note("updated", count)

        transport, protocol, theirs = await connect(Odd)
        theirs.send(b"0123")
        await turns(5)
        return reports, await end(transport, protocol, theirs)

    same_as_stock(main)


def test_the_protocol_is_changed_in_flight(same_as_stock):
    async def main(aio):
        transport, first, theirs = await connect()
        others = [BufferedLog(), Log()]
        theirs.send(b"one")
        await turns(4)
        found = []
        for other in others:
            transport.set_protocol(other)
            found.append(transport.get_protocol() is other)
            other.transport = transport
            theirs.send(b"more")
            await turns(6)
        transport.close()
        await others[-1].lost
        theirs.close()
        return found, first.calls, [other.calls for other in others]

    same_as_stock(main)


def test_reading_paused_in_a_callback(same_as_stock):
    async def main(aio):
        class Pausing(BufferedLog):
            size = 2

            def buffer_updated(self, count):
                super().buffer_updated(count)
                self.transport.pause_reading()
                self.transport.pause_reading()
                if len(self.calls) < 8:
                    loop.call_soon(self.transport.resume_reading)

        loop = asyncio.get_running_loop()
        transport, protocol, theirs = await connect(Pausing)
        theirs.send(b"0123456789")
        await turns(20)
        state = transport.is_reading()
        transport.resume_reading()
        transport.resume_reading()
        await turns(3)
        return state, await end(transport, protocol, theirs)

    same_as_stock(main)


def test_a_paused_transport_hears_of_nothing(same_as_stock):
    async def main(aio):
        transport, protocol, theirs = await connect()
        transport.pause_reading()
        theirs.send(b"data")
        theirs.close()
        await aio.sleep(0.02)  # the poll sleeps, though there is something to read
        paused = list(protocol.calls)
        transport.resume_reading()
        await protocol.lost
        return paused, protocol.calls

    same_as_stock(main)


def test_paused_between_the_event_and_its_callback(same_as_stock):
    async def main(aio):
        loop = asyncio.get_running_loop()
        transport, protocol, theirs = await connect()
        other, other_protocol, their_other = await connect()

        def pause_both(data):
            for each in (transport, other):
                if each.is_reading():
                    each.pause_reading()
                    loop.call_later(0.01, each.resume_reading)

        protocol.data_received = other_protocol.data_received = lambda data: (
            order.append(data),
            pause_both(data),
        )
        order = []
        theirs.send(b"1")
        their_other.send(b"2")
        await aio.sleep(0)
        await aio.sleep(0)
        first = len(order)
        await aio.sleep(0.05)
        await end(transport, protocol, theirs)
        await end(other, other_protocol, their_other)
        return first, sorted(order)

    same_as_stock(main)


def test_closed_between_the_event_and_its_callback(same_as_stock):
    async def main(aio):
        transport, protocol, theirs = await connect()
        other, other_protocol, their_other = await connect()
        for mine, its in ((protocol, other), (other_protocol, transport)):
            mine.data_received = lambda data, its=its: (order.append(data), its.abort())
        order = []
        theirs.send(b"x")
        their_other.send(b"x")
        await turns(4)
        return (
            order,
            sorted([await end(transport, protocol, theirs)])
            + sorted([await end(other, other_protocol, their_other)]),
        )

    same_as_stock(main)


def test_flow_control(same_as_stock, kind):
    async def main(aio):
        transport, protocol, theirs = await connect(kind=kind)
        transport.set_write_buffer_limits(high=1000, low=400)
        while transport.get_write_buffer_size() == 0:
            transport.write(bytes(500))
        before = transport.get_write_buffer_size()
        transport.write(bytes(1000 - before))
        at_the_mark = list(protocol.calls)
        transport.write(b"x")
        above = list(protocol.calls)
        transport.write(bytes(300_000))
        sizes = transport.get_write_buffer_size()
        transport.write_eof()
        with pytest.raises(RuntimeError, match=r"Cannot call write\(\) after write_eof\(\)"):
            transport.write(b"more")
        await drain(theirs, 10**9)
        return at_the_mark, above, sizes, await end(transport, protocol, theirs)

    same_as_stock(main)


@pytest.mark.parametrize(
    "marks",
    [(), (None, 10), (10, None), (10, 10), (0, 0), (5, 6), (10, -1), (1e6, None), (7, 2.5)],
)
def test_marks(same_as_stock, outcome, marks):
    async def main(aio):
        transport, protocol, theirs = await connect()
        before = transport.get_write_buffer_limits()
        result = outcome(transport.set_write_buffer_limits, *marks)
        after = transport.get_write_buffer_limits()
        await end(transport, protocol, theirs)
        return before, result, after

    same_as_stock(main)


def test_marks_changed_below_what_waits(same_as_stock):
    async def main(aio):
        transport, protocol, theirs = await connect()
        transport.set_write_buffer_limits(high=10**9)
        transport.write(bytes(500_000))
        before = list(protocol.calls)
        transport.set_write_buffer_limits(high=100)
        after = list(protocol.calls)
        await end(transport, protocol, theirs)
        return before, after

    same_as_stock(main)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"bytes",
        bytearray(b"bytearray"),
        memoryview(b"view"),
        memoryview(bytearray(b"0123456789"))[3:7],
        type("Bytes", (bytes,), {})(b"derived"),
    ],
    ids=lambda data: f"{type(data).__name__}-{len(data)}",
)
def test_what_can_be_written(same_as_stock, outcome, data):
    async def main(aio):
        transport, protocol, theirs = await connect()
        one = outcome(transport.write, data)
        many = outcome(transport.writelines, [b"<", data, b">"])
        none = outcome(transport.writelines, [])
        transport.write_eof()
        refused = outcome(transport.write, b"x"), outcome(transport.writelines, [b"x"])
        got = await drain(theirs, 10**6)
        await end(transport, protocol, theirs)
        return one, many, none, refused, got

    same_as_stock(main)


@pytest.mark.parametrize("data", ["text", None, 5, array.array("b", [1])], ids=repr)
def test_what_cannot_be_written(same_as_stock, outcome, data):
    async def main(aio):
        transport, protocol, theirs = await connect()
        return outcome(transport.write, data), await end(transport, protocol, theirs)

    same_as_stock(main)


@pytest.mark.parametrize("size", [1, 100, 5000, 100_000, 3_000_000])
def test_all_arrives_in_order(impl, run, kind, size):
    async def main():
        transport, protocol, theirs = await connect(kind=kind)
        data = os.urandom(size)
        view = memoryview(data)
        third = size // 3
        transport.write(data[:third])
        transport.writelines([view[third:third], view[third : 2 * third], b"", view[2 * third :]])
        transport.writelines(iter([data]))
        transport.close()
        got = await drain(theirs, 10**9)
        await protocol.lost
        theirs.close()
        return got == data * 2

    assert run(main()) is True


def test_what_was_written_can_be_changed_afterwards(impl, run):
    async def main():
        transport, _, theirs = await connect()
        data = bytearray(b"a" * 300_000)
        view = memoryview(data)
        transport.write(data)
        view.release()
        if type(transport).__module__ != "asyncio.selector_events":
            data[:] = b"b" * 10  # from 3.12 on stock goes on to look at it
        transport.close()
        got = await drain(theirs, 10**9)
        theirs.close()
        return got

    assert run(main()) == b"a" * 300_000


def test_reads_of_every_size(impl, run):
    async def main():
        transport, protocol, theirs = await connect(kind="tcp")
        loop = asyncio.get_running_loop()
        sizes = [1, 5000, 3, 60_000, 100_000, 10, 300_000, 300_000, 5]
        sent = b""
        for size in sizes:
            data = os.urandom(size)
            await loop.run_in_executor(None, theirs.sendall, data)
            sent += data
            while sum(len(call[1]) for call in protocol.calls[1:]) < len(sent):
                await impl.sleep(0)
        got = b"".join(call[1] for call in protocol.calls[1:])
        await end(transport, protocol, theirs)
        return got == sent

    assert run(main()) is True


def test_writing_to_who_has_gone(same_as_stock, logged, kind):
    async def main(aio):
        transport, protocol, theirs = await connect(kind=kind)
        transport.pause_reading()
        theirs.close()
        for _ in range(10):
            transport.write(b"x" * 1000)
            await aio.sleep(0.002)
        lost = await protocol.lost
        calls = [call[0] for call in protocol.calls]
        return isinstance(lost, OSError), calls, transport._conn_lost > 0

    same_as_stock(main)


def test_a_lost_transport_warns_of_writes(same_as_stock, logged, caplog):
    async def main(aio):
        caplog.clear()
        transport, protocol, theirs = await connect()
        transport.abort()
        for _ in range(10):
            transport.write(b"x")
        await protocol.lost
        transport.write(b"x")
        transport.close()
        transport.abort()
        transport.write_eof()
        transport.pause_reading()
        transport.resume_reading()
        theirs.close()
        count = sum(r.getMessage() == "socket.send() raised exception." for r in caplog.records)
        return count, transport._conn_lost, transport.is_closing(), transport.is_reading()

    same_as_stock(main)


def test_closing_with_a_backlog(same_as_stock):
    async def main(aio):
        transport, protocol, theirs = await connect()
        transport.write(bytes(300_000))
        transport.close()
        transport.close()
        transport.write(b"after")
        state = transport.is_closing(), transport.get_write_buffer_size() > 0
        got = await drain(theirs, 10**9)
        await protocol.lost
        theirs.close()
        return state, len(got), got[-5:], protocol.calls

    same_as_stock(main)


@pytest.mark.parametrize("action", ["close", "abort", "write", "writelines"])
def test_actions_while_the_backlog_shrinks(same_as_stock, logged, action):
    async def main(aio):
        class Acting(Log):
            def resume_writing(self):
                super().resume_writing()
                if self.calls.count(("resume", True)) == 1:
                    arguments = {"write": [b"more"], "writelines": [[b"more"]]}.get(action, [])
                    getattr(self.transport, action)(*arguments)

        transport, protocol, theirs = await connect(Acting)
        transport.set_write_buffer_limits(high=0)
        transport.write(bytes(200_000))
        size = 200_000 + 4 * action.startswith("write")
        got = await drain(theirs, size)
        await turns(5)
        return len(got), await end(transport, protocol, theirs)

    same_as_stock(main)


def test_contexts_of_the_callbacks(same_as_stock):
    variable = contextvars.ContextVar("variable", default="none")

    async def main(aio):
        class Contexts(Log):
            def note(self, name, *values):
                super().note(name, variable.get())
                variable.set(name)

        variable.set("connect")
        transport, protocol, theirs = await connect(Contexts)
        for i in range(2):
            variable.set(f"send {i}")
            theirs.send(b"x")
            await turns(4)
        variable.set("resume")
        transport.pause_reading()
        transport.resume_reading()
        theirs.send(b"x")
        await turns(4)
        variable.set("write")
        transport.write(bytes(500_000))
        variable.set("drain")
        await drain(theirs, 500_000)
        await turns(4)
        variable.set("close")
        transport.close()
        variable.set("after")
        await protocol.lost
        theirs.close()
        return protocol.calls

    same_as_stock(main)


def test_repr(same_as_stock):
    async def main(aio):
        transport, protocol, theirs = await connect()
        await turns(2)
        fd = f"fd={transport.get_extra_info('socket').fileno()}"
        found = [repr(transport)]
        transport.pause_reading()
        found.append(repr(transport))
        transport.set_write_buffer_limits(10**9)
        while not transport.get_write_buffer_size():
            transport.write(bytes(100_000))
        found.append(repr(transport).replace(f"={transport.get_write_buffer_size()}>", "=n>"))
        transport.close()
        found.append(repr(transport).replace(f"={transport.get_write_buffer_size()}>", "=n>"))
        await end(transport, protocol, theirs)
        found.append(repr(transport))
        return [text.replace(fd, "fd=n") for text in found]

    same_as_stock(main)


def test_what_others_look_at(same_as_stock):
    async def main(aio):
        transport, protocol, theirs = await connect()
        loop = asyncio.get_running_loop()
        names = ["_conn_lost", "_paused", "_closing", "_eof", "_protocol_connected", "_server"]
        names += ["_empty_waiter", "max_size", "_start_tls_compatible", "_sendfile_compatible"]
        names += ["_protocol_paused", "_high_water", "_low_water", "_buffer"]
        found = [getattr(transport, name) for name in names]
        found += [isinstance(transport, asyncio.Transport), transport.can_write_eof()]
        found += [isinstance(transport, asyncio.transports._FlowControlMixin)]
        found += [transport._loop is loop, transport._protocol is protocol]
        found += [transport._sock_fd == transport._sock.fileno()]
        found += [loop._transports.get(transport._sock_fd) is transport]
        found += [transport.get_extra_info(name, 5) for name in ("sockname", "peername", "none")]
        transport.note = "of somebody"
        found += [transport.note, vars(transport).get("note")]
        transport.write = lambda data: written.append(data)
        written = []
        transport.write(b"patched")
        await end(transport, protocol, theirs)
        found += [written, transport._sock, transport._protocol, transport._loop]
        return found

    same_as_stock(main)


def test_its_descriptor_is_refused(same_as_stock, outcome):
    async def main(aio):
        loop = asyncio.get_running_loop()
        transport, protocol, theirs = await connect()
        fd = transport._sock_fd
        calls = [loop.add_reader, loop.add_writer]
        refused = [outcome(call, fd, print)[1] for call in calls]
        refused += [outcome(call, fd)[1] for call in (loop.remove_reader, loop.remove_writer)]
        transport.close()
        accepted = outcome(loop.remove_reader, fd)
        await end(transport, protocol, theirs)
        return refused, accepted

    same_as_stock(main)


@pytest.mark.parametrize("action", ["write", "writelines", "pause", "close", "eof"])
def test_a_descriptor_closed_behind_our_back(same_as_stock, outcome, action):
    async def main(aio):
        transport, protocol, theirs = await connect()
        await turns(2)
        transport._sock.close()
        other, their_other = socket.socketpair()  # takes the number
        found = [other.fileno() == transport._sock_fd]
        if action == "write":
            found.append(outcome(transport.write, b"to nobody"))
        elif action == "writelines" and sys.version_info >= (3, 12):
            found.append(outcome(transport.writelines, [b"to", b"nobody"]))
        elif action == "eof":
            found.append(outcome(transport.write_eof))
        elif action == "pause":
            transport.pause_reading()
        transport.close()
        await protocol.lost
        theirs.close()
        their_other.setblocking(False)
        found.append(outcome(their_other.recv, 100))
        for each in (other, their_other):
            each.close()
        return found, protocol.calls

    same_as_stock(main)


@pytest.mark.filterwarnings("ignore:unclosed")
def test_unclosed_transports_warn(impl):
    loop = impl.new_event_loop()
    transport, protocol, theirs = loop.run_until_complete(connect())
    transport.of_its_own = transport  # so that it is the collector who finds it
    description = repr(transport)
    loop.close()
    protocol.transport = None
    del transport
    with pytest.warns(ResourceWarning) as caught:
        gc.collect()
    texts = [str(warning.message) for warning in caught]
    assert any(text.startswith(f"unclosed transport {description[:25]}") for text in texts)
    assert theirs.recv(1) == b""  # it was closed
    theirs.close()


def test_no_cycle_is_left(request, impl, run):
    if sys.version_info < (3, 12) and request.node.callspec.params["impl"] == "asyncio":
        pytest.skip("asyncio's own transport is part of a cycle in 3.11")

    async def main():
        transport, protocol, theirs = await connect()
        theirs.send(b"x")
        await turns(3)
        dead = weakref.ref(transport)
        transport.close()
        await protocol.lost
        theirs.close()
        del transport, protocol
        await turns(2)
        return dead() is None

    gc.disable()
    try:
        assert run(main()) is True
    finally:
        gc.enable()


def test_a_loud_peer_starves_nobody(impl, run):
    async def main():
        loud, loud_protocol, their_loud = await connect(kind="tcp")
        quiet, quiet_protocol, their_quiet = await connect()
        loop = asyncio.get_running_loop()
        stop = False

        def shout():
            while not stop:
                try:
                    their_loud.sendall(bytes(1_000_000))
                except OSError:
                    return

        shouting = loop.run_in_executor(None, shout)
        while len(loud_protocol.calls) < 10:
            await impl.sleep(0)
        their_quiet.send(b"a word")
        heard_after = 0
        while len(quiet_protocol.calls) < 2:
            await impl.sleep(0)
            heard_after += 1
        stop = True
        largest = max(len(call[1]) for call in loud_protocol.calls[1:])
        await end(loud, loud_protocol, their_loud)
        await shouting
        await end(quiet, quiet_protocol, their_quiet)
        return heard_after <= 4, largest <= 256 * 1024

    assert run(main()) == (True, True)


def test_sockets_with_methods_of_their_own(same_as_stock):
    class Loud(socket.socket):
        def recv(self, size):
            return super().recv(size).upper()

        def send(self, data):
            return super().send(bytes(data).replace(b"quiet", b"LOUD!"))

    async def main(aio):
        ours, theirs = socket.socketpair()
        theirs.settimeout(30)
        loud = Loud(fileno=ours.detach())
        loud.setblocking(False)
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_connection(Log, sock=loud)
        theirs.send(b"hello")
        while len(protocol.calls) < 2:
            await aio.sleep(0)
        transport.write(b"be quiet")
        got = theirs.recv(100)
        return got, await end(transport, protocol, theirs)

    assert same_as_stock(main)[0] == b"be LOUD!"
