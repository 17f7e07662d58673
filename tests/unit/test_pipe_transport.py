"""Pipe transports: what happens, in which order and in which turn of the loop."""

import array
import asyncio
import contextvars
import gc
import os
import pty
import re
import socket
import tty

import pytest


class Log(asyncio.Protocol):
    """Notes every call."""

    def __init__(self):
        self.calls = []
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        self.calls.append("made")

    def data_received(self, data):
        self.calls.append(("data", data))

    def eof_received(self):
        self.calls.append("eof")

    def pause_writing(self):
        self.calls.append("pause")

    def resume_writing(self):
        self.calls.append(("resume", self.transport.get_write_buffer_size()))

    def connection_lost(self, error):
        self.calls.append(("lost", type(error)))
        if not self.lost.done():
            self.lost.set_result(error)


async def turns(count):
    for _ in range(count):
        await asyncio.sleep(0)


async def reader(factory=Log):
    """A reading transport, its protocol and the descriptor of the other end."""
    inner, outer = os.pipe()
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_read_pipe(factory, os.fdopen(inner, "rb", 0))
    return transport, protocol, outer


async def writer(factory=Log, files=os.pipe):
    """A writing transport, its protocol and the descriptor of the other end."""
    outer, inner = files()
    os.set_blocking(outer, False)
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(factory, os.fdopen(inner, "wb", 0))
    return transport, protocol, outer


async def drain(fd, length):
    """So many bytes from a descriptor that does not block."""
    data = b""
    while len(data) < length:
        try:
            data += os.read(fd, length - len(data))
        except BlockingIOError:
            await asyncio.sleep(0)
    return data


def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


# --- reading


def test_data_then_eof(same_as_stock):
    """Data, end, loss: each in the turn in which it comes on asyncio."""

    async def program(module):
        transport, protocol, outer = await reader()
        seen = []
        for action in (lambda: os.write(outer, b"one"), lambda: os.close(outer)):
            action()
            for _ in range(6):
                await asyncio.sleep(0)
                seen.append(list(protocol.calls))
        return seen, transport.is_closing(), is_open(transport._fileno), transport._pipe

    same_as_stock(program)


@pytest.mark.parametrize("size", [1, 4095, 4096, 65536, 1 << 20])
def test_everything_arrives(same_as_stock, size):
    """Whatever the size of what is written, the same bytes come out."""

    async def program(module):
        _, protocol, outer = await reader()
        loop = asyncio.get_running_loop()
        data = bytes(range(256)) * (size // 256 + 1)
        done = loop.run_in_executor(None, write_all, outer, data)
        await protocol.lost
        await done
        received = b"".join(c[1] for c in protocol.calls if c[0] == "data")
        return received == data, protocol.calls[-2:]

    def write_all(fd, data):
        while data:
            data = data[os.write(fd, data) :]
        os.close(fd)

    assert same_as_stock(program)[0]


def test_sizes_that_change(same_as_stock):
    """Small after large and large after small."""

    async def program(module):
        _, protocol, outer = await reader()
        for size in (10_000, 10_001, 3, 60_000, 60_000, 20, 1):
            os.write(outer, b"x" * size)
            await turns(3)
        os.close(outer)
        await protocol.lost
        return [len(c[1]) for c in protocol.calls if c[0] == "data"]

    assert same_as_stock(program) == [10_000, 10_001, 3, 60_000, 60_000, 20, 1]


def test_pause_and_resume(same_as_stock):
    """Nothing is read while reading is paused; states and return values on the way."""

    async def program(module):
        transport, protocol, outer = await reader()
        seen = [transport.is_reading(), transport.pause_reading(), transport.is_reading()]
        os.write(outer, b"later")
        await turns(4)
        seen.append(list(protocol.calls))
        seen += [transport.pause_reading(), transport.resume_reading(), transport.is_reading()]
        await turns(3)
        seen += [list(protocol.calls), transport.resume_reading()]
        transport.close()
        seen += [transport.is_reading(), transport.pause_reading(), transport.resume_reading()]
        os.close(outer)
        await protocol.lost
        return seen, protocol.calls

    same_as_stock(program)


def test_paused_before_it_begins(same_as_stock):
    """connection_made() may pause reading."""

    class Paused(Log):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.pause_reading()

    async def program(module):
        transport, protocol, outer = await reader(Paused)
        os.write(outer, b"x")
        await turns(4)
        before = list(protocol.calls)
        transport.resume_reading()
        await turns(4)
        transport.close()
        os.close(outer)
        return before, protocol.calls

    same_as_stock(program)


def test_closed_while_data_waits(same_as_stock):
    """What comes after close() is dropped, and the transport is lost without an error."""

    async def program(module):
        transport, protocol, outer = await reader()
        os.write(outer, b"x")
        transport.close()
        transport.close()
        seen = [transport.is_closing(), list(protocol.calls)]
        await turns(4)
        os.close(outer)
        return seen, protocol.calls

    same_as_stock(program)


def test_data_received_raises(same_as_stock):
    """It is reported as any callback's error, and reading goes on."""

    class Fails(Log):
        def data_received(self, data):
            super().data_received(data)
            if data == b"bad":
                raise ValueError(data)

    async def program(module):
        reports = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reports.append(repr(context["exception"])))
        transport, protocol, outer = await reader(Fails)
        for data in (b"bad", b"good"):
            os.write(outer, data)
            await turns(3)
        transport.close()
        os.close(outer)
        await turns(3)
        return reports, protocol.calls

    same_as_stock(program)


def test_protocol_is_changed_in_flight(same_as_stock):
    """The next data goes to the protocol that is set by then."""

    async def program(module):
        transport, first, outer = await reader()
        second = Log()
        os.write(outer, b"1")
        await turns(3)
        transport.set_protocol(second)
        os.write(outer, b"2")
        await turns(3)
        same = transport.get_protocol() is second
        os.close(outer)
        await second.lost
        return same, first.calls, second.calls, transport.get_protocol()

    same_as_stock(program)


def test_terminal_that_hangs_up(same_as_stock, logged):
    """A terminal whose other end was closed says EIO, of which nobody hears."""

    async def program(module):
        inner, outer = pty.openpty()
        tty.setraw(outer)
        loop = asyncio.get_running_loop()
        _, protocol = await loop.connect_read_pipe(Log, os.fdopen(inner, "rb", 0))
        os.write(outer, b"shown")
        while len(protocol.calls) < 2:
            await asyncio.sleep(0)
        os.close(outer)
        await protocol.lost
        return protocol.calls

    same_as_stock(program)
    assert not logged()


def test_context_of_data(same_as_stock):
    """Data comes in the context in which reading was begun or resumed."""
    var = contextvars.ContextVar("var", default="none")

    class Seen(Log):
        def data_received(self, data):
            self.calls.append((data, var.get()))

        def connection_lost(self, error):
            self.calls.append(var.get())
            super().connection_lost(error)

    async def program(module):
        var.set("connected")
        transport, protocol, outer = await reader(Seen)
        var.set("later")
        os.write(outer, b"1")
        await turns(3)
        transport.pause_reading()
        var.set("resumed")
        transport.resume_reading()
        var.set("even later")
        os.write(outer, b"2")
        await turns(3)
        var.set("closed")
        transport.close()
        os.close(outer)
        await protocol.lost
        return protocol.calls

    same_as_stock(program)


# --- writing


def test_small_writes(same_as_stock):
    """What fits is written at once, whatever type it has."""

    async def program(module):
        transport, protocol, outer = await writer()
        changing = bytearray(b"two")
        seen = [transport.write(b"one"), transport.write(changing), transport.write(b"")]
        changing[:] = b"not"
        transport.write(memoryview(b"-three-")[1:-1])
        transport.write(array.array("b", b"four").tobytes())
        transport.writelines([b"five", bytearray(b"six")])
        seen += [transport.get_write_buffer_size(), os.read(outer, 100)]
        transport.close()
        await protocol.lost
        seen.append(os.read(outer, 1))
        os.close(outer)
        return seen, protocol.calls, transport.can_write_eof()

    same_as_stock(program)


@pytest.mark.parametrize("data", ["text", 5, None, array.array("b", b"x"), [b"list"]])
def test_other_types(same_as_stock, outcome, data):
    """Only bytes, bytearrays and memoryviews are written."""

    async def program(module):
        transport, protocol, outer = await writer()
        result = outcome(transport.write, data)
        transport.close()
        await protocol.lost
        os.close(outer)
        return result

    same_as_stock(program)


def test_flow_control(same_as_stock):
    """The protocol is paused above the high mark, and resumed when all is written."""

    async def program(module):
        transport, protocol, outer = await writer()
        transport.set_write_buffer_limits(high=100_000)
        seen = [transport.get_write_buffer_limits()]
        data = bytes(range(256)) * 2000
        for start in range(0, len(data), 64_000):
            transport.write(data[start : start + 64_000])
            seen.append((transport.get_write_buffer_size(), list(protocol.calls)))
        received = await drain(outer, len(data))
        await turns(3)
        seen += [received == data, list(protocol.calls)]
        transport.close()
        await protocol.lost
        os.close(outer)
        return seen

    same_as_stock(program)


@pytest.mark.parametrize("limits", [{"high": 10, "low": 11}, {"low": -1}, {"high": "x"}])
def test_bad_limits(same_as_stock, outcome, limits):
    """The marks must be in order."""

    async def program(module):
        transport, protocol, outer = await writer()
        result = outcome(transport.set_write_buffer_limits, **limits)
        transport.close()
        await protocol.lost
        os.close(outer)
        return result

    same_as_stock(program)


def test_mutable_data_is_copied(same_as_stock):
    """What waits is what was given, whatever happens to it since."""

    async def program(module):
        transport, protocol, outer = await writer()
        transport.write(b"x" * 100_000)
        data = bytearray(b"y" * 1000)
        transport.write(data)
        transport.write(memoryview(data))
        data[:] = b"z" * 10
        transport.close()
        received = await drain(outer, 102_000)
        await protocol.lost
        os.close(outer)
        return received == b"x" * 100_000 + b"y" * 2000

    assert same_as_stock(program)


@pytest.mark.parametrize("end", ["close", "write_eof", "abort"])
def test_ends_with_a_backlog(same_as_stock, end):
    """close() and write_eof() write what waits, abort() drops it."""

    async def program(module):
        transport, protocol, outer = await writer()
        transport.write(b"x" * 200_000)
        getattr(transport, end)()
        seen = [transport.is_closing(), transport.get_write_buffer_size()]
        length = 200_000 if end != "abort" else 65_536
        received = await drain(outer, length)
        await protocol.lost
        seen += [len(received), os.read(outer, 1), protocol.calls]
        os.close(outer)
        return seen

    same_as_stock(program)


def test_abort_after_close(same_as_stock):
    """A close that waits for the reader can be cut short."""

    async def program(module):
        transport, protocol, outer = await writer()
        transport.write(b"x" * 200_000)
        transport.close()
        transport.abort()
        await protocol.lost
        os.close(outer)
        return protocol.calls

    same_as_stock(program)


@pytest.mark.parametrize("backlog", [0, 200_000])
def test_reader_goes_away(same_as_stock, backlog):
    """It is noticed without writing; an error where something is lost."""

    async def program(module):
        transport, protocol, outer = await writer()
        transport.write(b"x" * backlog)
        os.close(outer)
        seen = []
        for _ in range(5):
            await asyncio.sleep(0)
            seen.append(list(protocol.calls))
        return seen

    same_as_stock(program)


def test_write_to_nobody(same_as_stock, logged):
    """Writes that fail are quiet, but for a warning after some."""

    async def program(module):
        transport, protocol, outer = await writer()
        os.close(outer)
        seen = [transport.write(b"x"), transport._conn_lost, transport.is_closing()]
        for _ in range(8):
            transport.write(b"x")
        await protocol.lost
        return seen, transport._conn_lost, protocol.calls

    same_as_stock(program)
    warnings = [text for text in logged() if "pipe closed by peer" in text]
    assert len(warnings) == 8  # four by each


def test_socket_that_talks_back(same_as_stock):
    """A writer that can be read from is taken for closed, sockets too."""

    def files():
        theirs, ours = socket.socketpair()
        return theirs.detach(), ours.detach()

    async def program(module):
        transport, protocol, outer = await writer(files=files)
        transport.write(b"x")
        os.write(outer, b"talk")
        await protocol.lost
        os.close(outer)
        return protocol.calls, transport.is_closing()

    same_as_stock(program)


def test_character_device(same_as_stock):
    """Devices are written to, and are not watched for anything else."""

    async def program(module):
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(
            Log, os.fdopen(os.open("/dev/null", os.O_WRONLY), "wb", 0)
        )
        transport.write(b"x" * 100_000)
        size = transport.get_write_buffer_size()
        transport.close()
        await protocol.lost
        return size, protocol.calls

    same_as_stock(program)


def test_socket_objects(same_as_stock):
    """Socket objects may be both ends of a pipe."""

    async def program(module):
        loop = asyncio.get_running_loop()
        first, second = socket.socketpair()
        receiver, got = await loop.connect_read_pipe(Log, first)
        sender, _ = await loop.connect_write_pipe(Log, second)
        sender.write(b"through")
        await turns(4)
        sender.close()
        await got.lost
        return got.calls, receiver.get_extra_info("pipe") is first, first.fileno()

    same_as_stock(program)


def test_resumed_protocol_writes_more(same_as_stock):
    """resume_writing() may write, and close."""

    class More(Log):
        def resume_writing(self):
            super().resume_writing()
            if self.calls.count("pause") == 1:
                self.transport.write(b"y" * 200_000)
                self.transport.close()

    async def program(module):
        transport, protocol, outer = await writer(More)
        transport.write(b"x" * 200_000)
        received = await drain(outer, 200_000)
        return received == b"x" * 200_000, protocol.calls[:3], transport.is_closing(), outer

    async def twice(module):
        *seen, outer = await program(module)
        os.close(outer)
        await turns(5)
        return seen

    same_as_stock(twice)


# --- both


@pytest.mark.parametrize("method", ["connect_read_pipe", "connect_write_pipe"])
def test_regular_file(same_as_stock, outcome, tmp_path, method):
    """A regular file is refused, and stays open."""
    path = tmp_path / "file"
    path.write_bytes(b"content")

    async def program(module):
        loop = asyncio.get_running_loop()
        with path.open("r+b") as file:
            try:
                await getattr(loop, method)(Log, file)
            except ValueError as error:
                return str(error), file.closed, os.get_blocking(file.fileno())

    same_as_stock(program)


@pytest.mark.parametrize("connect", [reader, writer])
def test_objects(same_as_stock, connect):
    """Types, attributes and representations, from the beginning to the end."""

    async def program(module):
        transport, protocol, outer = await connect()
        bases = (asyncio.BaseTransport, asyncio.ReadTransport, asyncio.WriteTransport)
        seen = [isinstance(transport, base) for base in bases]

        def note():
            shown = repr(transport).replace(f"fd={transport._fileno}", "fd")
            seen.append((shown, transport._closing, transport._pipe is None))

        note()
        if connect is writer:
            transport.write(b"x" * 65_537)
            note()
        else:
            transport.pause_reading()
            note()
        seen += [type(transport.get_extra_info("pipe")), transport.get_extra_info("no", 5)]
        seen.append(transport.get_extra_info("pipe") is transport._pipe)
        transport.close()
        note()
        os.close(outer)
        await protocol.lost
        await turns(2)
        note()
        transport.close()
        return seen, type(transport).__name__

    same_as_stock(program)


@pytest.mark.parametrize("connect", [reader, writer])
def test_never_closed(impl, loop, connect):
    """Forgotten transports warn, and close their pipes."""

    async def main():
        transport, _, outer = await connect()
        os.close(outer)
        return transport._fileno, repr(transport)

    fd, shown = loop.run_until_complete(main())
    loop.close()
    with pytest.warns(ResourceWarning) as caught:
        gc.collect()
    name = shown.split()[0]
    assert any(f"unclosed transport {name}" in str(w.message) for w in caught)
    assert not is_open(fd)


def test_descriptor_of_another(impl, loop, reported):
    """A pipe that was closed behind the transport's back is an error, not whoever is there."""
    if impl is asyncio and "pyaio" not in type(loop).__module__:
        pytest.skip("asyncio writes to whatever has the number")

    async def main():
        transport, protocol, outer = await writer()
        number = transport._fileno
        transport.get_extra_info("pipe").close()
        first, second = os.pipe()
        other_outer = os.dup(first)
        os.dup2(second, number)
        for fd in {first, second} - {number}:
            os.close(fd)
        os.set_blocking(other_outer, False)
        transport.write(b"stray")
        error = await protocol.lost
        with pytest.raises(BlockingIOError):
            os.read(other_outer, 10)
        for fd in (outer, number, other_outer):
            os.close(fd)
        return type(error)

    assert loop.run_until_complete(main()) is OSError


def test_debug_log(same_as_stock, caplog):
    """What a loop in debug mode tells of a pipe."""
    caplog.set_level("DEBUG", "asyncio")

    async def program(module):
        asyncio.get_running_loop().set_debug(True)
        caplog.clear()
        transport, protocol, outer = await reader()
        transport.pause_reading()
        transport.resume_reading()
        os.close(outer)
        await protocol.lost
        _, protocol, outer = await writer()
        os.close(outer)
        await protocol.lost
        texts = [record.getMessage() for record in caplog.records]
        return [re.sub(r"\d+|0x\w+", "N", text) for text in texts if text.startswith("<_Unix")]

    assert len(same_as_stock(program)) == 4
