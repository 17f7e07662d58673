"""Process: a child with its streams, and what communicate() and wait() make of them."""

import asyncio
import asyncio.subprocess as sp
import gc
import inspect
import io
import os
import types
import warnings
import weakref
from unittest import mock

import pytest

CAT, SH, TRUE = "/bin/cat", "/bin/sh", "/bin/true"
BOTH = {"stdin": sp.PIPE, "stdout": sp.PIPE}

pytestmark = pytest.mark.usefixtures("nothing_left")


async def cat(module):
    return await module.create_subprocess_exec(CAT, **BOTH)


async def outcome_of(awaitable):
    """What comes of awaiting, to be compared."""
    try:
        return "returned", await awaitable
    except (Exception, asyncio.CancelledError) as error:
        return "raised", type(error), str(error)


def stand_in(loop):
    """A transport and a protocol that are only said to be such."""
    transport = mock.Mock(spec=asyncio.SubprocessTransport)
    transport.get_pid.return_value = 42
    transport.get_returncode.return_value = 7
    return transport, types.SimpleNamespace(stdin="in", stdout="out", stderr=None)


# --- the object


def test_attributes(same_as_stock):
    """What a Process has, which can be set and deleted like any attribute."""

    async def program(module):
        loop = asyncio.get_running_loop()
        transport, protocol = stand_in(loop)
        process = module.subprocess.Process(transport, protocol, loop=loop)
        found = [
            getattr(process, name) for name in ("pid", "stdin", "stdout", "stderr", "returncode")
        ]
        own = process._transport is transport, process._protocol is protocol
        process.stdout = "replaced"
        process.extra = "more"
        del process.stderr
        missing = [hasattr(process, name) for name in ("stdout", "stderr", "extra")]
        process.send_signal(9)
        process.terminate()
        process.kill()
        return found, own, missing, transport.mock_calls, repr(process)

    same_as_stock(program)


@pytest.mark.parametrize("arguments", [(), (1,), (1, 2), (1, 2, 3, 4)])
def test_wrong_arguments(same_as_stock, arguments):
    """As many as the constructor takes."""

    async def program(module):
        with pytest.raises(TypeError):
            module.subprocess.Process(*arguments)

    same_as_stock(program)


def test_without_constructor(same_as_stock):
    """A subclass that forgot to call the constructor has no attributes, and does not crash."""

    async def program(module):
        class Forgetful(module.subprocess.Process):
            def __init__(self):
                pass

        process = Forgetful()
        waited = (await outcome_of(process.wait()))[:2]
        return waited, [hasattr(process, name) for name in ("stdin", "pid", "_transport")]

    assert same_as_stock(program)[0] == ("raised", AttributeError)


def test_without_streams(same_as_stock):
    """The same with communicate(), on whose way 3.11 forgets a coroutine."""

    async def program(module):
        class Forgetful(module.subprocess.Process):
            def __init__(self):
                self._loop = asyncio.get_running_loop()

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return (await outcome_of(Forgetful().communicate()))[:2]

    assert same_as_stock(program) == ("raised", AttributeError)


def test_isinstance():
    """Of each other's class, in both directions."""
    import pyaio._process_streams as ours
    import pyaio._stock as stock

    native, original = ours.Process, stock.subprocess.Process
    assert issubclass(native, original)
    assert isinstance(original.__new__(original), native)
    assert isinstance(native.__new__(native), original)
    assert not isinstance(1, native)


def test_the_coroutines(same_as_stock):
    """What is looked at in coroutines and in the functions that make them."""

    async def program(module):
        process = await module.create_subprocess_exec(TRUE)
        found = []
        for coro in (process.wait(), process.communicate()):
            found.append((coro.__name__, coro.__qualname__, inspect.iscoroutine(coro)))
            found.append(coro.cr_code.co_name)
            coro.close()
        for function in (module.subprocess.Process.wait, module.subprocess.Process.communicate):
            found.append((inspect.iscoroutinefunction(function), str(inspect.signature(function))))
        await process.wait()
        return found

    same_as_stock(program)


def test_cr_await(run, impl):
    """Whoever looks sees for what communicate() and wait() wait."""

    async def program(module):
        process = await cat(module)
        waiting = asyncio.create_task(process.wait())
        talking = asyncio.create_task(process.communicate(b"x"))
        await asyncio.sleep(0)
        awaited = waiting.get_coro().cr_await
        assert inspect.iscoroutine(awaited)
        assert awaited.__name__ == "_wait"
        assert talking.get_coro().cr_await is not None
        assert await talking == (b"x", None)
        assert await waiting == 0

    run(program(impl))


# --- communicate()


@pytest.mark.parametrize("size", [0, 1, 10_000, 65_536, 65_537, 200_000, 3_000_000])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_input_and_output(same_as_stock, size, kind):
    """Everything that goes in comes out, whether the pipe takes it at once or not."""
    data = bytes(i % 251 for i in range(size))

    async def program(module):
        process = await cat(module)
        out, err = await process.communicate(kind(data))
        return out == data, err, process.returncode, process.stdin.is_closing()

    assert same_as_stock(program) == (True, None, 0, True)


@pytest.mark.parametrize("streams", ["", "i", "o", "e", "io", "ie", "oe", "ioe"])
@pytest.mark.parametrize("data", [None, b"", b"data"])
def test_any_pipes(same_as_stock, streams, data):
    """With any set of pipes, and input where there is a pipe for it and where not."""
    names = {"i": "stdin", "o": "stdout", "e": "stderr"}
    pipes = {names[letter]: sp.PIPE for letter in streams}

    async def program(module):
        options = {"stdin": sp.DEVNULL, "stdout": sp.DEVNULL, "stderr": sp.DEVNULL, **pipes}
        script = "exec 3<&0; echo out; echo err >&2"
        process = await module.create_subprocess_shell(script, **options)
        result = await outcome_of(process.communicate(data))
        if process.stdin is not None:
            process.stdin.close()
        for number in (1, 2):
            pipe = process._transport.get_pipe_transport(number)
            if pipe is not None:
                pipe.close()
        code = await process.wait()  # of who writes to a pipe that was given up: any
        return result, code if result[0] == "returned" else None

    same_as_stock(program)


@pytest.mark.parametrize("data", ["text", 1, [b"x"]])
def test_no_input(same_as_stock, data):
    """What cannot be written is refused."""

    async def program(module):
        process = await cat(module)
        kind = (await outcome_of(process.communicate(data)))[:2]
        process.stdin.close()
        await process.wait()
        return kind

    same_as_stock(program)


def test_by_keyword(same_as_stock):
    async def program(module):
        process = await cat(module)
        return await process.communicate(input=b"named")

    assert same_as_stock(program) == (b"named", None)


@pytest.mark.parametrize(
    ("args", "kwargs"), [((b"", b""), {}), ((), {"data": b""}), ((b"",), {"input": b""})]
)
def test_wrong_calls(same_as_stock, args, kwargs):
    async def program(module):
        process = await cat(module)
        with pytest.raises(TypeError):
            await process.communicate(*args, **kwargs)
        return await process.communicate(b"right")

    same_as_stock(program)


def test_twice(same_as_stock):
    """The second time nothing is left to come."""

    async def program(module):
        process = await cat(module)
        return await process.communicate(b"once"), await outcome_of(process.communicate(b"again"))

    same_as_stock(program)


def test_while_another_reads(same_as_stock):
    """Only one may wait at a stream: the other is told so, and the child goes on."""

    async def program(module):
        process = await cat(module)
        reading = asyncio.create_task(process.stdout.read())
        await asyncio.sleep(0)
        second = await outcome_of(process.communicate(b"x"))
        return second, await reading, await process.wait()

    same_as_stock(program)


def test_cancelled(same_as_stock):
    """Cancelled while it reads; the child lives, and can be spoken to again."""

    async def program(module):
        process = await module.create_subprocess_exec(CAT, stdout=sp.PIPE, stdin=sp.PIPE)
        process.stdin.write(b"early ")
        reader = asyncio.create_task(process.stdout.read(6))
        assert await reader == b"early "
        task = asyncio.create_task(process.stdout.read())
        await asyncio.sleep(0)
        task.cancel()
        first = await outcome_of(task)
        return first, await process.communicate(b"late")

    same_as_stock(program)


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_timeout(same_as_stock, size):
    """A child that never ends, with wait_for() around."""

    async def program(module):
        process = await module.create_subprocess_exec("/bin/sleep", "60", **BOTH)
        result = await outcome_of(asyncio.wait_for(process.communicate(b"x" * size), 0.05))
        process.kill()
        return result[:2], await process.stdout.read(), await process.wait()

    same_as_stock(program)


def test_input_already_waits(same_as_stock):
    """More than the pipe takes was written before; the rest is added behind it."""

    async def program(module):
        process = await module.create_subprocess_shell("sleep 0.05; cat", **BOTH)
        process.stdin.write(b"a" * 300_000)
        out, _ = await process.communicate(b"b" * 10)
        return len(out), out[-11:]

    assert same_as_stock(program) == (300_010, b"a" + b"b" * 10)


def test_child_that_does_not_read(same_as_stock):
    async def program(module):
        process = await module.create_subprocess_shell("exec <&-; echo done", **BOTH)
        return await process.communicate(b"x" * 500_000)

    assert same_as_stock(program) == (b"done\n", None)


def test_closed_input(same_as_stock):
    """Somebody has closed standard input before."""

    async def program(module):
        process = await cat(module)
        process.stdin.write(b"before")
        process.stdin.close()
        return await process.communicate(b"after")

    same_as_stock(program)


@pytest.mark.parametrize("name", ["_transport", "stdout", "stdin", "_protocol"])
def test_attributes_deleted_meanwhile(same_as_stock, name):
    """What communicate() needs later is missing by then: an error, or none."""

    async def program(module):
        process = await module.create_subprocess_shell("sleep 0.05; cat", **BOTH)
        transport = process._transport
        task = asyncio.create_task(process.communicate(b"x"))
        for _ in range(3):
            await asyncio.sleep(0)
        delattr(process, name)
        result = (await outcome_of(task))[:2]
        return result, await transport._wait()

    same_as_stock(program)


def test_debug_mode(same_as_stock, caplog):
    async def program(module):
        asyncio.get_running_loop().set_debug(True)
        process = await cat(module)
        return await process.communicate(b"x")

    assert same_as_stock(program) == (b"x", None)


# --- what a program replaces


@pytest.mark.parametrize("name", ["_feed_stdin", "_read_stream", "wait"])
@pytest.mark.parametrize("where", ["class", "instance"])
def test_replaced_methods(same_as_stock, monkeypatch, name, where):
    """communicate() calls the methods that a program puts in the place of stock's."""

    async def program(module):
        calls = []
        original = getattr(module.subprocess.Process, name)

        async def replaced(process, *args):
            calls.append(args)
            return await original(process, *args)

        with monkeypatch.context() as patch:
            if where == "class":
                patch.setattr(module.subprocess.Process, name, replaced)
            process = await cat(module)
            if where == "instance":
                patch.setattr(process, name, types.MethodType(replaced, process))
            result = await process.communicate(b"x")
        return result, len(calls), await (await cat(module)).communicate(b"y")

    got = same_as_stock(program)
    assert got == ((b"x", None), 1, (b"y", None))


@pytest.mark.parametrize("name", ["write", "drain", "close"])
@pytest.mark.parametrize("where", ["class", "instance"])
def test_replaced_writer(same_as_stock, monkeypatch, name, where):
    """The same of the writer's methods."""

    async def program(module):
        calls = []
        original = getattr(module.StreamWriter, name)

        def replaced(writer, *args):
            calls.append(args)
            return original(writer, *args)

        with monkeypatch.context() as patch:
            if where == "class":
                patch.setattr(module.StreamWriter, name, replaced)
            process = await cat(module)
            if where == "instance":
                patch.setattr(process.stdin, name, types.MethodType(replaced, process.stdin))
            result = await process.communicate(b"x")
            called = bool(calls)
        return result, called, await (await cat(module)).communicate(b"y")

    assert same_as_stock(program) == ((b"x", None), True, (b"y", None))


def test_replaced_reader(same_as_stock, monkeypatch):
    async def program(module):
        process = await cat(module)

        async def read():
            return b"replaced"

        process.stdout.read = read
        process.stdin.close()
        result = await process.communicate()
        return result, process.returncode

    same_as_stock(program)


def test_streams_of_another_kind(same_as_stock):
    """Streams that a program put in the place of those that the protocol has."""

    async def program(module):
        process = await cat(module)
        real = process.stdin
        process.stdin = mock.Mock(wraps=real)
        process.stdin.drain = real.drain
        result = await process.communicate(b"x")
        return result, process.stdin.write.call_args_list, process.stdin.close.called

    assert same_as_stock(program) == ((b"x", None), [mock.call(b"x")], True)


def test_task_factory(same_as_stock):
    """A task factory is asked for the tasks that stock makes."""

    async def program(module):
        names = []

        def factory(loop, coro, **kwargs):
            names.append(coro.__name__)
            return asyncio.Task(coro, loop=loop, **kwargs)

        process = await cat(module)
        asyncio.get_running_loop().set_task_factory(factory)
        result = await process.communicate(b"x")
        return result, names.copy()

    same_as_stock(program)


def test_class_of_ones_own(same_as_stock, monkeypatch):
    """The class in asyncio.subprocess is the one that is made."""

    async def program(module):
        class Own(module.subprocess.Process):
            pass

        with monkeypatch.context() as patch:
            patch.setattr(sp, "Process", Own)
            process = await module.create_subprocess_exec(TRUE)
        return type(process) is Own, await process.wait()

    same_as_stock(program)


def test_replaced_waitpid(same_as_stock, monkeypatch):
    """os.waitpid() is called where somebody put something there."""

    async def program(module):
        calls = []
        original = os.waitpid

        def waitpid(pid, options):
            calls.append(options)
            return original(pid, options)

        loop = asyncio.get_running_loop()
        if "pyaio" not in type(loop).__module__:
            return 0, True  # before 3.14 stock's policy may have a thread wait
        with monkeypatch.context() as patch:
            patch.setattr(os, "waitpid", waitpid)
            process = await module.create_subprocess_exec(TRUE)
            code = await process.wait()
        return code, bool(calls)

    assert same_as_stock(program) == (0, True)


# --- the ends of the pipes


def test_the_pipe_itself(same_as_stock):
    """The file of a pipe, open and closed, by every way that leads to it."""

    async def program(module):
        process = await cat(module)
        pipes = [process._transport.get_pipe_transport(number) for number in (0, 1)]
        files = [pipe.get_extra_info("pipe") for pipe in pipes]
        kinds = [isinstance(file, io.IOBase) for file in files]
        modes = [(file.readable(), file.writable(), file.closed) for file in files]
        same = [
            pipe.get_extra_info("pipe") is file
            and pipe._pipe is file
            and pipe._extra["pipe"] is file
            and pipe._fileno == file.fileno()
            for pipe, file in zip(pipes, files, strict=True)
        ]
        popen = process._transport.get_extra_info("subprocess")
        same += [popen.stdin is files[0], popen.stdout is files[1]]
        result = await process.communicate(b"x")
        return kinds, modes, same, result, [file.closed for file in files]

    assert same_as_stock(program)[-1] == [True, True]


def test_the_pipe_afterwards(same_as_stock):
    """Whoever asks for it once it is closed gets a closed file."""

    async def program(module):
        process = await cat(module)
        pipes = [process._transport.get_pipe_transport(number) for number in (0, 1)]
        popen_asked_for_later = process._transport
        result = await process.communicate(b"x")
        files = [pipe.get_extra_info("pipe") for pipe in pipes]
        closed = [isinstance(file, io.IOBase) and file.closed for file in files]
        none = [pipe._pipe for pipe in pipes]
        missing = [pipe.get_extra_info("nothing", "default") for pipe in pipes]
        return result, closed, none, missing, popen_asked_for_later.get_returncode()

    assert same_as_stock(program) == ((b"x", None), [True, True], [None, None], ["default"] * 2, 0)


def test_popen_between(same_as_stock):
    """A Popen that is asked for while the pipes are used has them."""

    async def program(module):
        process = await cat(module)
        process.stdin.write(b"first")
        first = await process.stdout.readexactly(5)
        popen = process._transport.get_extra_info("subprocess")
        os.write(popen.stdin.fileno(), b"second")
        second = await process.stdout.readexactly(6)
        return first, second, await process.communicate(b"third"), popen.stdin.closed

    assert same_as_stock(program) == (b"first", b"second", (b"third", None), True)


def test_extra_can_be_set(same_as_stock):
    async def program(module):
        process = await cat(module)
        pipe = process._transport.get_pipe_transport(0)
        pipe._extra["more"] = 1
        pipe._extra = {**pipe._extra, "most": 2}
        result = await process.communicate(b"x")
        return result, [pipe.get_extra_info(name) for name in ("more", "most")]

    same_as_stock(program)


# --- what is left


def test_nothing_waits_for_the_collector(run, impl):
    """A child that has ended leaves no cycle behind. This is pyaio's own: stock's does."""
    if impl.subprocess.Process.__module__ != "pyaio":
        pytest.skip("asyncio's own Process leaves one")

    async def program(module):
        process = await cat(module)
        assert await process.communicate(b"x") == (b"x", None)
        await asyncio.sleep(0)
        return [weakref.ref(op) for op in (process.stdin, process.stdout, process._protocol)]

    gc.collect()
    gc.disable()
    try:
        assert [ref() for ref in run(program(impl))] == [None] * 3
    finally:
        gc.enable()


def test_streams_outlive_their_process(same_as_stock):
    """Streams that somebody keeps stay whole when the Process goes."""

    async def program(module):
        process = await cat(module)
        stdin, stdout, protocol = process.stdin, process.stdout, process._protocol
        transport = process._transport
        del process
        gc.collect()
        stdin.write(b"on")
        await stdin.drain()
        got = await stdout.readexactly(2)
        stdin.close()
        same = protocol.stdin is stdin, protocol.stdout is stdout
        await stdin.wait_closed()
        return got, same, await transport._wait()

    assert same_as_stock(program) == (b"on", (True, True), 0)
