"""SubprocessStreamProtocol, told by a transport that the test is."""

import asyncio
import asyncio.subprocess as sp
import gc
import weakref

import pytest

FIELDS = (
    *("_limit", "stdin", "stdout", "stderr", "_transport", "_process_exited", "_pipe_fds"),
    *("_paused", "_connection_lost"),
)
METHODS = (
    *("connection_made", "pipe_data_received", "pipe_connection_lost", "process_exited"),
    *("connection_lost", "_maybe_close_transport", "_get_close_waiter"),
)


class Pipe(asyncio.WriteTransport, asyncio.ReadTransport):
    """The transport of one pipe."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def close(self):
        self.calls.append("close")

    def is_closing(self):
        return "close" in self.calls

    def pause_reading(self):
        self.calls.append("pause")

    def resume_reading(self):
        self.calls.append("resume")

    def write(self, data):
        self.calls.append(data)


class Transport(asyncio.SubprocessTransport):
    """That of a child with these pipes."""

    def __init__(self, *fds):
        super().__init__()
        self.pipes = {fd: Pipe() for fd in fds}
        self.calls = []

    def get_pipe_transport(self, fd):
        self.calls.append(fd)
        return self.pipes.get(fd)

    def close(self):
        self.calls.append("close")


def class_of(module):
    """The class as a program finds it, on stock and on pyaio."""
    if module is asyncio:
        return sp.SubprocessStreamProtocol
    from pyaio._process_streams import SubprocessStreamProtocol

    return SubprocessStreamProtocol


def make(module, *fds, limit=100, kind=None):
    """A protocol and its transport."""
    protocol = (kind or class_of(module))(limit=limit, loop=asyncio.get_running_loop())
    transport = Transport(*fds)
    protocol.connection_made(transport)
    return protocol, transport


def look(protocol):
    """Its attributes, as far as they can be compared."""
    seen = {}
    for name in FIELDS:
        value = getattr(protocol, name)
        plain = isinstance(value, (bool, int, list, type(None)))
        seen[name] = value if plain else type(value).__name__
    return seen


@pytest.mark.parametrize("fds", [(), (0,), (1,), (2,), (0, 1), (1, 2), (0, 1, 2)])
def test_streams(same_as_stock, fds):
    """Each pipe has its stream, before and after its end."""

    async def program(module):
        protocol = class_of(module)(100, asyncio.get_running_loop())
        seen = [look(protocol), repr(protocol)]
        transport = Transport(*fds)
        seen.append(protocol.connection_made(transport))
        seen += [look(protocol), list(transport.calls)]
        for fd in (*fds, 3):
            seen.append(protocol.pipe_data_received(fd, b"some"))
            seen.append(protocol.pipe_connection_lost(fd, None))
            seen.append(look(protocol))
        seen.append(protocol.process_exited())
        seen += [look(protocol), transport.calls]
        for stream in (protocol.stdout, protocol.stderr):
            if stream is not None:
                seen += [stream._limit, await stream.read(), stream.at_eof()]
        if protocol.stdin is not None:
            seen.append(await protocol.stdin.wait_closed())
            seen.append(transport.pipes[0].calls)
        return seen

    same_as_stock(program)


@pytest.mark.parametrize("asked", [False, True], ids=["not asked", "asked before"])
def test_errors_of_pipes(same_as_stock, asked):
    """What ends a pipe is raised to those who use its stream."""

    async def program(module):
        protocol, transport = make(module, 0, 1, 2)
        waiter = protocol._stdin_closed if asked else None
        protocol.pipe_connection_lost(0, BrokenPipeError("input"))
        protocol.pipe_connection_lost(1, OSError("output"))
        protocol.pipe_connection_lost(2, ValueError("error"))
        seen = [look(protocol), protocol._connection_lost]
        for reader in (protocol.stdout, protocol.stderr):
            with pytest.raises((OSError, ValueError)) as raised:
                await reader.read()
            seen.append((raised.type, raised.value.args))
        closed = protocol._get_close_waiter(protocol.stdin)
        assert closed is protocol._stdin_closed
        assert waiter in (None, closed)
        assert protocol._get_close_waiter(protocol.stdout) is None
        with pytest.raises(BrokenPipeError) as raised:
            await closed
        seen.append(raised.value.args)
        with pytest.raises(ConnectionResetError):
            await protocol.stdin.drain()
        with pytest.raises(asyncio.InvalidStateError):
            protocol.pipe_connection_lost(0, None)
        return seen, transport.pipes[0].calls

    same_as_stock(program)


def test_nobody_asks_for_the_error(same_as_stock, logged):
    """The error of standard input is not reported where nobody waits for its end."""

    async def program(module):
        protocol, _ = make(module, 0)
        protocol._stdin_closed
        protocol.pipe_connection_lost(0, BrokenPipeError())
        del protocol
        gc.collect()
        await asyncio.sleep(0)
        return logged()

    assert same_as_stock(program) == []


def test_drain(same_as_stock):
    """drain() waits while writing is paused, and fails when standard input is lost."""

    async def program(module):
        protocol, _ = make(module, 0)
        protocol.pause_writing()
        first = asyncio.ensure_future(protocol.stdin.drain())
        await asyncio.sleep(0)
        seen = [first.done()]
        protocol.resume_writing()
        seen.append(await first)
        protocol.pause_writing()
        second, third = (asyncio.ensure_future(protocol.stdin.drain()) for _ in range(2))
        await asyncio.sleep(0)
        protocol.pipe_connection_lost(0, OSError("lost"))
        for task in (second, third):
            with pytest.raises(OSError) as raised:
                await task
            seen.append((raised.type, raised.value.args))
        return seen

    same_as_stock(program)


def test_closing(same_as_stock):
    """The transport is closed when the child and all its pipes have ended, in any order."""

    async def program(module):
        seen = []
        for steps in (
            ("exit", 1, 2),
            (1, "exit", 2),
            (1, 2, "exit"),
            (2, 2, 1, "exit"),
            ("exit",),
        ):
            protocol, transport = make(module, 1, 2)
            for step in steps:
                if step == "exit":
                    protocol.process_exited()
                else:
                    protocol.pipe_connection_lost(step, None)
                seen.append((step, transport.calls[3:], protocol._transport is None))
        return seen

    same_as_stock(program)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("where", ["subclass", "instance"])
def test_replaced_method(same_as_stock, name, where):
    """Where a program has a method of its own the others call that."""

    async def program(module):
        calls = []
        base = class_of(module)

        def replacement(self, *args):
            calls.append((name, len(args)))
            return getattr(base, name)(self, *args)

        kind = type("Derived", (base,), {name: replacement} if where == "subclass" else {})
        protocol = kind(limit=100, loop=asyncio.get_running_loop())
        if where == "instance":
            setattr(protocol, name, replacement.__get__(protocol))
        transport = Transport(0, 1)
        protocol.connection_made(transport)
        protocol.pipe_data_received(1, b"some")
        protocol.pipe_connection_lost(1, None)
        protocol.pipe_connection_lost(0, None)
        protocol.process_exited()
        closed = await protocol.stdin.wait_closed()
        return calls, transport.calls, closed, look(protocol)

    same_as_stock(program)


def test_attributes_of_the_program(same_as_stock):
    """What a program puts there is used."""

    async def program(module):
        protocol, transport = make(module, 0, 1)
        loop = asyncio.get_running_loop()
        mine = asyncio.StreamReader(limit=10, loop=loop)
        protocol.stdout = mine
        protocol.pipe_data_received(1, b"some")
        protocol._pipe_fds = [7]
        protocol._stdin_closed = closed = loop.create_future()
        protocol.stderr = mine
        protocol.pipe_data_received(2, b" more")
        protocol.stdin.close()
        protocol.stdin = None
        protocol.pipe_connection_lost(0, None)
        protocol.pipe_connection_lost(1, None)
        protocol.process_exited()
        seen = [protocol._pipe_fds, closed.done(), transport.calls, await mine.read()]
        other = Transport()
        protocol._transport, protocol._process_exited, protocol._pipe_fds = other, True, ()
        protocol._maybe_close_transport()
        protocol.of_its_own = "kept"
        return seen, other.calls, protocol.of_its_own, vars(protocol).get("of_its_own")

    same_as_stock(program)


@pytest.mark.parametrize(
    "call",
    [
        lambda kind, loop: kind(),
        lambda kind, loop: kind(100),
        lambda kind, loop: kind(100, loop, 3),
        lambda kind, loop: kind(100, loop=loop, other=3),
        lambda kind, loop: kind(limit=100, loop=loop).connection_made(),
        lambda kind, loop: kind(100, loop).connection_made(None),
        lambda kind, loop: kind(100, loop).connection_made(object()),
        lambda kind, loop: kind(0, loop).connection_made(Transport(1)),
        lambda kind, loop: kind(None, loop).connection_made(Transport(1)),
        lambda kind, loop: kind(100, loop).connection_made(transport=Transport(1)),
        lambda kind, loop: kind(100, loop).pipe_data_received(1),
        lambda kind, loop: kind(100, loop).pipe_data_received(1, b"", 3),
        lambda kind, loop: kind(100, loop).pipe_data_received(fd=1, data=b""),
        lambda kind, loop: kind(100, loop).pipe_data_received("1", b""),
        lambda kind, loop: kind(100, loop).pipe_data_received(2**100, b""),
        lambda kind, loop: kind(100, loop).pipe_connection_lost(1),
        lambda kind, loop: kind(100, loop).pipe_connection_lost(exc=None, fd=1),
        lambda kind, loop: kind(100, loop).pipe_connection_lost("1", None),
        lambda kind, loop: kind(100, loop).pipe_connection_lost(0, "no exception"),
        lambda kind, loop: kind(100, loop).pipe_connection_lost(0, StopIteration()),
        lambda kind, loop: kind(100, loop).pipe_connection_lost(0, OSError),
        lambda kind, loop: kind(100, loop).pipe_connection_lost(False, None),
        lambda kind, loop: kind(100, loop).pipe_connection_lost(True, None),
        lambda kind, loop: kind(100, loop).process_exited(1),
        lambda kind, loop: kind(100, loop).process_exited(),
        lambda kind, loop: kind(100, loop)._get_close_waiter(),
        lambda kind, loop: kind(100, loop)._get_close_waiter(3),
        lambda kind, loop: kind.__new__(kind).process_exited(),
        lambda kind, loop: kind.__new__(kind).connection_made(Transport(1)),
        lambda kind, loop: kind.__new__(kind).pipe_connection_lost(1, None),
        lambda kind, loop: kind.__new__(kind).connection_lost(None),
        lambda kind, loop: kind.__new__(kind)._stdin_closed,
        lambda kind, loop: kind.__new__(kind)._pipe_fds,
        lambda kind, loop: kind(100, None)._loop is not loop,
    ],
)
def test_odd_calls(same_as_stock, call):
    """Odd calls return or raise what they do on asyncio."""

    async def program(module):
        try:
            return call(class_of(module), asyncio.get_running_loop())
        except Exception as exc:
            return type(exc)

    same_as_stock(program)


def test_class(impl):
    """It is the stock class for isinstance() and issubclass()."""
    kind = class_of(impl) if impl is not asyncio else sp.SubprocessStreamProtocol
    assert issubclass(kind, asyncio.SubprocessProtocol)
    assert kind.__name__ == "SubprocessStreamProtocol"


def test_cycle(impl, loop):
    """A protocol, its writer and its transport are collected together."""

    async def main():
        protocol, transport = make(impl, 0, 1, 2)
        transport.protocol = protocol
        protocol.stdin.close()
        protocol.me = protocol
        protocol._stdin_closed.add_done_callback(lambda future, p=protocol: p)
        return weakref.ref(protocol)

    dead = loop.run_until_complete(main())
    gc.collect()
    assert dead() is None
