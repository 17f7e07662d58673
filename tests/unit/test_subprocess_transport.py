"""The transport of a subprocess: its attributes, and the methods that a program may replace."""

import asyncio
import asyncio.base_subprocess
import asyncio.subprocess as sp
import contextlib
import contextvars
import gc
import inspect
import os
import sys

import pytest

TRUE, CAT = "/bin/true", "/bin/cat"
FIELDS = (
    *("_closed", "_exit_waiters", "_finished", "_pending_calls", "_pid", "_pipes", "_proc"),
    *("_protocol", "_returncode", "_extra"),
)
NO_FILES = {"stdin": None, "stdout": None, "stderr": None}
variable = contextvars.ContextVar("variable", default="none")


class Protocol(asyncio.SubprocessProtocol):
    """Notes what it is told, and runs `at_start` with its transport."""

    def __init__(self, at_start=None):
        self.calls = []
        self.at_start = at_start
        self.ended = asyncio.get_running_loop().create_future()

    def note(self, *what):
        self.calls.append((*what, variable.get()))

    def connection_made(self, transport):
        self.note("made")
        if self.at_start is not None:
            self.at_start(transport)

    def pipe_data_received(self, fd, data):
        self.note("data", fd, data)

    def pipe_connection_lost(self, fd, exc):
        self.note("pipe lost", fd, exc)

    def process_exited(self):
        self.note("exited")

    def connection_lost(self, exc):
        self.note("lost", exc)
        self.ended.set_result(None)


async def start(at_start=None, *args, **kwargs):
    """A transport and its protocol, none of them the first."""
    loop = asyncio.get_running_loop()
    await (await asyncio.create_subprocess_exec(TRUE)).wait()
    return await loop.subprocess_exec(lambda: Protocol(at_start), *(args or [TRUE]), **kwargs)


@pytest.mark.parametrize("files", [NO_FILES, {}], ids=["no pipes", "pipes"])
def test_attributes(same_as_stock, files):
    """The same names and values, when it has started, and when the child has ended."""

    def look(transport):
        shown = {}
        for name in FIELDS:
            value = getattr(transport, name)
            plain = value is None or isinstance(value, (bool, int))
            shown[name] = value if plain and name != "_pid" else type(value).__name__
        pipes = [transport.get_pipe_transport(fd) is None for fd in range(4)]
        return shown, sorted(transport._pipes), pipes, type(transport).__name__

    async def program(module):
        seen = []
        transport, protocol = await start(
            lambda transport: seen.append(look(transport)), "/bin/sleep", "0.05", **files
        )
        assert transport.get_extra_info("subprocess").pid == transport.get_pid()
        with pytest.raises(TypeError):
            transport.get_pipe_transport([])
        stdin = transport.get_pipe_transport(0)
        if stdin is not None:
            stdin.close()
        await protocol.ended
        transport.close()
        proc = transport.get_extra_info("subprocess")
        await asyncio.sleep(0)
        assert transport._loop is None
        return seen, look(transport), proc.returncode, transport.get_returncode()

    same_as_stock(program)


def test_contexts(same_as_stock):
    """The protocol is called in the context of what starts the child."""

    async def program(module):
        variable.set("started")
        transport, protocol = await start(None, "/bin/echo", "word", stdin=None, stderr=None)
        variable.set("later")
        await protocol.ended
        transport.close()
        # Where a thread tells of the end, that has no context.
        return [call for call in protocol.calls if call[0] in ("made", "data", "pipe lost")]

    same_as_stock(program)


def test_task_factory(same_as_stock):
    """The program's task factory sees every task that asyncio makes."""

    async def program(module):
        names = []

        def factory(loop, coro, **kwargs):
            names.append(coro.__name__)
            return asyncio.Task(coro, loop=loop, **kwargs)

        asyncio.get_running_loop().set_task_factory(factory)
        transport, protocol = await start(**NO_FILES)
        await protocol.ended
        transport.close()
        return names[:]  # ending the loop takes tasks, too

    assert same_as_stock(program) == ["_connect_pipes"] * 2


class NeverMade(Protocol):
    connection_made = property()


@pytest.mark.skipif(sys.version_info < (3, 14), reason="asyncio waits for ever")
@pytest.mark.parametrize("files", [NO_FILES, {}], ids=["no pipes", "pipes"])
def test_protocol_without_a_method(same_as_stock, files):
    """What goes wrong with the protocol's first method is raised where the child is started."""

    async def program(module):
        loop = asyncio.get_running_loop()
        await (await asyncio.create_subprocess_exec(TRUE)).wait()
        with pytest.raises(AttributeError) as raised:
            await loop.subprocess_exec(NeverMade, TRUE, **files)
        return raised.type

    same_as_stock(program)


def test_told_twice(same_as_stock):
    """A child ends once."""

    async def program(module):
        transport, protocol = await start(**NO_FILES)
        await protocol.ended
        results = []
        for call in (transport._try_finish, lambda: transport._process_exited(3)):
            with pytest.raises((AssertionError, AttributeError)) as raised:
                call()
            results.append(raised.type)
        transport.close()
        return results, transport.get_returncode()

    same_as_stock(program)


METHODS = [
    "__init__",
    "_call",
    "_connect_pipes",
    "_pipe_data_received",
    "_pipe_connection_lost",
    "get_pipe_transport",
    "_try_finish",
    "_process_exited",
    "_call_connection_lost",
    "_wait",
]


@pytest.mark.parametrize("name", METHODS)
def test_replaced_on_the_class(same_as_stock, monkeypatch, name):
    """A method that a program puts into asyncio's class is called."""
    base = asyncio.base_subprocess.BaseSubprocessTransport
    original = getattr(base, name)
    calls = []

    def replacement(self, *args, **kwargs):
        calls.append(name)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(base, name, replacement)

    async def program(module):
        calls.clear()
        child = await asyncio.create_subprocess_exec(CAT, stdin=sp.PIPE, stdout=sp.PIPE)
        output, _ = await child.communicate(b"word")
        await asyncio.sleep(0.01)
        return output, child.returncode, bool(calls)

    assert same_as_stock(program) == (b"word", 0, True)


@pytest.mark.parametrize("name", ["_call", "_try_finish", "_call_connection_lost"])
def test_replaced_on_the_transport(same_as_stock, name):
    """As is one that it gives to a single transport."""

    async def program(module):
        calls = []

        def replace(transport):
            original = getattr(transport, name)

            def replacement(*args):
                calls.append(name)
                return original(*args)

            setattr(transport, name, replacement)

        transport, protocol = await start(replace, "/bin/sleep", "0.05", **NO_FILES)
        await protocol.ended
        transport.close()
        return calls

    assert len(same_as_stock(program)) >= 1


# --- pipes


@contextlib.contextmanager
def noting(loop, name):
    """A list of the calls of a loop's method, from now on to the end of the block."""
    calls = []
    original = getattr(loop, name)

    def replacement(*args, **kwargs):
        calls.append(name)
        return original(*args, **kwargs)

    setattr(loop, name, replacement)
    try:
        yield calls
    finally:
        delattr(loop, name)


LOOP_METHODS = [
    "connect_read_pipe",
    "connect_write_pipe",
    "_make_read_pipe_transport",
    "_make_write_pipe_transport",
    "create_future",
]


@pytest.mark.parametrize("name", LOOP_METHODS)
def test_loop_method_replaced(same_as_stock, name):
    """A loop's own methods connect the pipes, where it has some."""

    async def program(module):
        transport, protocol = await start()
        transport.get_pipe_transport(0).close()
        await protocol.ended
        transport.close()
        with noting(asyncio.get_running_loop(), name) as calls:
            transport, protocol = await start()
            transport.get_pipe_transport(0).close()
            await protocol.ended
        transport.close()
        return bool(calls)

    assert same_as_stock(program)


PROTOCOL_METHODS = ["connection_lost", "data_received"]


@pytest.mark.parametrize("name", [None, *PROTOCOL_METHODS])
def test_pipe_protocol_replaced(same_as_stock, monkeypatch, name):
    """As is a class of asyncio's for a pipe, or one of its methods."""
    stock = asyncio.base_subprocess.ReadSubprocessPipeProto
    calls = []

    class Replacement(stock):
        def connection_lost(self, exc):
            calls.append("connection_lost")
            super().connection_lost(exc)

    def replacement(self, *args):
        calls.append(name)
        return original(self, *args)

    if name is None:
        monkeypatch.setattr(asyncio.base_subprocess, stock.__name__, Replacement)
    else:
        original = getattr(stock, name)
        monkeypatch.setattr(stock, name, replacement)

    async def program(module):
        calls.clear()
        transport, protocol = await start(None, "/bin/echo", "word", stdin=None)
        await protocol.ended
        transport.close()
        return sorted(calls)

    assert len(same_as_stock(program)) >= 1


def test_pipe_protocol(same_as_stock):
    """Its class, and its attributes while the pipe is open and when it is lost."""
    stock = asyncio.base_subprocess

    def look(pipe):
        shown = repr(pipe).partition(" pipe=")[0]
        return shown, type(pipe).__name__, pipe.fd, pipe.disconnected, pipe.proc is None

    async def program(module):
        transport, protocol = await start(None, CAT, stderr=None)
        pipes = [transport._pipes[fd] for fd in (0, 1)]
        assert isinstance(pipes[0], stock.WriteSubprocessPipeProto)
        assert isinstance(pipes[1], stock.ReadSubprocessPipeProto)
        assert not isinstance(pipes[0], stock.ReadSubprocessPipeProto)
        assert [pipe.pipe for pipe in pipes] == [transport.get_pipe_transport(fd) for fd in (0, 1)]
        assert [pipe.pipe.get_protocol() for pipe in pipes] == pipes
        popen = transport.get_extra_info("subprocess")
        files = [pipe.pipe.get_extra_info("pipe") for pipe in pipes]
        assert files == [popen.stdin, popen.stdout]
        seen = [look(pipe) for pipe in pipes] + [file.mode for file in files]
        pipes[0].note = "kept"
        pipes[0].pipe.write(b"word")
        pipes[0].pipe.write_eof()
        await protocol.ended
        transport.close()
        seen += [look(pipe) for pipe in pipes] + [file.closed for file in files]
        return seen, pipes[0].note, [call for call in protocol.calls if call[0] == "data"]

    same_as_stock(program)


def test_popen_before_the_pipes_are_connected(same_as_stock):
    """Whoever looks at the Popen at once finds the same files in it as later."""

    async def program(module):
        loop = asyncio.get_running_loop()
        await (await asyncio.create_subprocess_exec(TRUE)).wait()
        protocol, found = Protocol(), []

        def look():
            for thing in gc.get_objects():
                is_transport = type(thing).__name__ == "_UnixSubprocessTransport"
                if is_transport and thing._protocol is protocol:
                    found.append(thing._proc.stdin)

        loop.call_soon(look)
        transport, _ = await loop.subprocess_exec(lambda: protocol, CAT)
        pipe = transport.get_pipe_transport(0)
        same = [file is pipe.get_extra_info("pipe") for file in found]
        pipe.close()
        await protocol.ended
        transport.close()
        return same

    assert same_as_stock(program) == [True]


# --- create_subprocess_exec() and create_subprocess_shell()

START_METHODS = [
    "subprocess_exec",
    "subprocess_shell",
    "_make_subprocess_transport",
    "create_future",
    "get_debug",
]


async def both_ways():
    """The outputs of a program and of a command, in this order."""
    outputs = []
    for start, given in (
        (asyncio.create_subprocess_exec, ("/bin/echo", "word")),
        (asyncio.create_subprocess_shell, ("echo word",)),
    ):
        child = await start(*given, stdout=sp.PIPE)
        outputs.append(await child.communicate())
    return outputs


@pytest.mark.parametrize("name", START_METHODS)
def test_loop_method_replaced_for_children(same_as_stock, name):
    """The functions call the loop's own methods, where it has some."""

    async def program(module):
        with noting(asyncio.get_running_loop(), name) as calls:
            outputs = await both_ways()
        return outputs, bool(calls)

    assert same_as_stock(program)[1]


def test_class_of_processes_replaced(same_as_stock, monkeypatch):
    """The functions return what asyncio.subprocess.Process is."""

    class Process(sp.Process):
        async def communicate(self, *args):
            return type(self).__name__, await super().communicate(*args)

    monkeypatch.setattr(sp, "Process", Process)

    async def program(module):
        return await both_ways()

    assert same_as_stock(program) == [("Process", (b"word\n", None))] * 2


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        ((None,), {}),
        ((["/bin/true"],), {}),
        (("/bin/true", None), {}),
        (("/bin/true", 3), {}),
        (("/bin/true",), {"limit": 0, "stdout": sp.PIPE}),
        (("/bin/true",), {"limit": None, "stdout": sp.PIPE}),
        (("/bin/true",), {"stdin": "word"}),
        (("/bin/true",), {"shell": True}),
        (("/bin/true",), {"unknown": 1}),
        (("/bin/true",), {"env": 3}),
        (("/bin/true",), {"cwd": "/nowhere"}),
        (("/bin/true",), {"cwd": "with\0nul"}),
        (("/bin/true",), {"process_group": "word"}),
    ],
)
@pytest.mark.parametrize("name", ["create_subprocess_exec", "create_subprocess_shell"])
def test_arguments_that_fail(same_as_stock, logged, name, args, kwargs):
    """Bad arguments raise what they raise on asyncio, called and awaited."""

    async def program(module):
        try:
            coro = getattr(module, name)(*args, **kwargs)
        except Exception as exc:
            return "call", type(exc)
        try:
            child = await coro
        except Exception as exc:
            return "await", type(exc)
        await child.wait()
        return "started", child.returncode

    same_as_stock(program)


def test_without_a_running_loop(impl):
    """RuntimeError, as of whatever needs a loop."""
    coro = impl.create_subprocess_exec("/bin/true")
    with pytest.raises(RuntimeError, match="no running event loop"):
        coro.send(None)


def test_child_waited_for_after_cancelling(same_as_stock):
    """Who gives up while the child is connected gets CancelledError when that has ended."""

    async def program(module):
        await (await asyncio.create_subprocess_exec(TRUE)).wait()
        task = asyncio.ensure_future(asyncio.create_subprocess_exec("/bin/sleep", "60"))
        await asyncio.sleep(0)
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError) as raised:
            await task
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        return raised.value.args

    same_as_stock(program)


# --- waiting for the end


def test_waiting(same_as_stock):
    """Several may wait, one of them in vain; later nobody has to."""

    async def program(module):
        child = await asyncio.create_subprocess_exec(CAT, stdin=sp.PIPE)
        other = await asyncio.create_subprocess_exec(CAT, stdin=sp.PIPE)
        seen = []
        for process in (child, other):
            transport = process._transport
            tasks = [asyncio.ensure_future(process.wait()) for _ in range(3)]
            tasks.append(asyncio.ensure_future(transport._wait()))
            await asyncio.sleep(0)
            waiters = transport._exit_waiters
            seen.append((len(waiters), type(waiters).__name__))
            tasks[1].cancel("enough")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            seen.append(len(transport._exit_waiters))
            process.stdin.close()
            seen.append(await asyncio.gather(*tasks, return_exceptions=True))
            seen[-1][1] = type(seen[-1][1]), seen[-1][1].args
            seen.append(await process.wait())
            await asyncio.sleep(0.01)
            seen.append((transport._exit_waiters, await transport._wait()))
        return seen

    same_as_stock(program)


def test_waiting_with_attributes_of_the_program(same_as_stock):
    """What cannot be waited with fails, in the same way."""

    async def program(module):
        transport, protocol = await start(None, "/bin/sleep", "0.05", **NO_FILES)
        seen = []
        for waiters in (None, (), [], set()):
            transport._exit_waiters = waiters
            try:
                seen.append(await asyncio.wait_for(transport._wait(), 0.01))
            except Exception as exc:
                seen.append(type(exc))
        transport._exit_waiters = set() if sys.version_info >= (3, 14) else []
        await protocol.ended
        transport.close()
        return seen, await transport._wait()

    same_as_stock(program)


def test_waiting_step_by_step(same_as_stock):
    """The coroutine of the method is one of asyncio's for those who look at it."""

    async def program(module):
        transport, protocol = await start(None, "/bin/sleep", "0.05", **NO_FILES)
        coro = transport._wait()
        future = coro.send(None)
        seen = [coro.__qualname__, asyncio.isfuture(future), len(transport._exit_waiters)]
        seen.append(coro.cr_code.co_name)
        coro.close()
        seen.append(len(transport._exit_waiters))
        await protocol.ended
        transport.close()
        return seen, inspect.iscoroutinefunction(transport._wait)

    same_as_stock(program)


def test_protocol_taken_away(run):
    """Whoever deletes its protocol hears of it; nothing crashes."""

    async def main():
        loop = asyncio.get_running_loop()
        transport, protocol = await start(None, "/bin/sleep", "0.05")
        reported = loop.create_future()
        loop.set_exception_handler(lambda loop, context: reported.set_result(context))

        def process_exited():
            del transport._protocol

        protocol.process_exited = process_exited
        context = await reported
        transport.close()
        return type(context["exception"])

    assert run(main()) is AttributeError
