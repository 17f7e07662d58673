"""Subprocesses: how children start, what they get, and how their ends are told."""

import asyncio
import asyncio.subprocess as sp
import contextlib
import gc
import os
import signal
import stat
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

TRUE, CAT, SH = "/bin/true", "/bin/cat", "/bin/sh"
BOTH = {"stdin": sp.PIPE, "stdout": sp.PIPE}


async def output(*args, **kwargs):
    """What a program writes to its standard output, and its exit code."""
    child = await asyncio.create_subprocess_exec(*args, stdout=sp.PIPE, **kwargs)
    out, _ = await child.communicate()
    return out, child.returncode


async def sh(script, **kwargs):
    return await output(SH, "-c", script, **kwargs)


def skip_stock(loop):
    """Leave out what asyncio's loops do not promise."""
    if "pyaio" not in type(loop).__module__:
        pytest.skip("descriptors and warnings are left by asyncio")


pytestmark = pytest.mark.usefixtures("nothing_left")


# --- starting


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_exit_code(same_as_stock, code):
    """The exit code of the program, from wait() and as an attribute."""

    async def program(module):
        child = await asyncio.create_subprocess_exec(SH, "-c", f"exit {code}")
        return await child.wait(), await child.wait(), child.returncode

    assert same_as_stock(program) == (code, code, code)


@pytest.mark.parametrize("how", ["terminate", "kill", "send_signal"])
def test_killed(same_as_stock, how):
    """A signal that ends a child is its negative exit code; later ones have nothing to end."""

    async def program(module):
        child = await asyncio.create_subprocess_exec(CAT, stdin=sp.PIPE)
        arguments = [signal.SIGUSR1] if how == "send_signal" else []
        getattr(child, how)(*arguments)
        code = await child.wait()
        child.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        return code

    same_as_stock(program)


def test_communicate(same_as_stock):
    """Input goes in, output and errors come out."""

    async def program(module):
        child = await asyncio.create_subprocess_shell(
            "cat; echo wrong >&2", stdin=sp.PIPE, stdout=sp.PIPE, stderr=sp.PIPE
        )
        return await child.communicate(b"input"), child.returncode

    assert same_as_stock(program) == ((b"input", b"wrong\n"), 0)


def test_much_data(same_as_stock):
    """A megabyte through a child, which both sides write and read at once."""
    data = bytes(range(256)) * 4096

    async def program(module):
        child = await asyncio.create_subprocess_exec(CAT, stdin=sp.PIPE, stdout=sp.PIPE)
        out, _ = await child.communicate(data)
        return out == data

    assert same_as_stock(program)


def test_streams(same_as_stock):
    """Lines back and forth."""

    async def program(module):
        child = await asyncio.create_subprocess_exec(CAT, stdin=sp.PIPE, stdout=sp.PIPE)
        lines = []
        for n in range(20):
            child.stdin.write(b"line %d\n" % n)
            await child.stdin.drain()
            lines.append(await child.stdout.readline())
        child.stdin.close()
        await child.stdin.wait_closed()
        return lines, await child.stdout.read(), await child.wait()

    same_as_stock(program)


def test_input_that_nobody_reads(same_as_stock):
    """communicate() does not mind a child that ends without reading."""

    async def program(module):
        child = await asyncio.create_subprocess_exec(TRUE, stdin=sp.PIPE)
        return await child.communicate(b"x" * 1_000_000), child.returncode

    same_as_stock(program)


SCRIPTS = {
    "plain": ("echo $0", {}),
    "env": ("echo $WHERE; env | wc -l", {"env": {"WHERE": "here", b"PATH": b"/bin:/usr/bin"}}),
    "no_env": ("echo -$HOME-", {"env": {}}),
    "cwd": ("pwd", {"cwd": "/usr"}),
    "cwd_path": ("pwd", {"cwd": Path("/usr")}),
    "cwd_bytes": ("pwd", {"cwd": b"/usr"}),
    "umask": ("umask", {"umask": 0o027}),
    "user": ("id -u", {"user": os.getuid()}),
    "group": ("id -g", {"group": os.getgid()}),
    "executable": ("echo $0", {"executable": "/bin/sh"}),
    "shell_false": ("echo $0", {"shell": False}),
    "close_fds": ("echo $0", {"close_fds": True}),
    "pipesize": ("echo $0", {"pipesize": 8192}),
    "preexec_fn": ("umask", {"preexec_fn": lambda: os.umask(0o011)}),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_keywords(same_as_stock, name):
    """The child sees what every keyword of Popen asks for."""
    script, kwargs = SCRIPTS[name]

    async def program(module):
        return [await sh(script, **kwargs) for _ in range(2)]

    same_as_stock(program)


@pytest.mark.parametrize("kwargs", [{}, {"restore_signals": False}], ids=repr)
def test_signals_of_the_child(same_as_stock, kwargs):
    """What is pending, blocked, ignored and caught there, of signals that are not the C library's
    own."""

    async def program(module):
        results = []
        for _ in range(2):
            out, _ = await sh("grep Sig /proc/self/status", **kwargs)
            lines = [line.split() for line in out.decode().splitlines()]
            results.append({n: int(v, 16) & ~(3 << 31) for n, v in lines if n != "SigQ:"})
        return results

    same_as_stock(program)


@pytest.mark.parametrize(
    "kwargs", [{}, {"start_new_session": True}, {"process_group": 0}], ids=repr
)
def test_session_and_group(same_as_stock, kwargs):
    """Children are in this process' session and group, or lead their own."""

    async def program(module):
        await sh("true")
        child = await asyncio.create_subprocess_exec(CAT, stdin=sp.PIPE, **kwargs)
        seen = os.getsid(child.pid) == child.pid, os.getpgid(child.pid) == child.pid
        child.stdin.close()
        await child.wait()
        return seen

    expected = ("start_new_session" in kwargs, bool(kwargs))
    assert same_as_stock(program) == expected


@pytest.mark.parametrize("shell", [False, True])
def test_names_and_arguments(same_as_stock, shell):
    """Programs are found in the PATH; arguments may be bytes and paths."""

    async def program(module):
        if shell:
            child = await asyncio.create_subprocess_shell(b"echo one $0", stdout=sp.PIPE)
            return await child.communicate()
        results = [await output("echo", "one", b"two", Path("three")) for _ in range(2)]
        results.append(await output(b"echo", "one", env={"PATH": "/nowhere:/bin"}))
        results.append(await output(Path("/bin/echo"), "\udcff"))
        return results

    same_as_stock(program)


def test_pass_fds(same_as_stock):
    """Only descriptors that are passed on are open in the child."""

    async def program(module):
        await sh("true")
        reads, writes = os.pipe()
        os.set_inheritable(reads, True)
        script = f"[ -e /proc/self/fd/{reads} ] && echo yes || echo no"
        results = [
            await sh(script),
            await sh(script, pass_fds=[reads]),
            await sh(script, close_fds=False),
        ]
        os.close(reads)
        os.close(writes)
        return results

    assert [out for out, _ in same_as_stock(program)] == [b"no\n", b"yes\n", b"yes\n"]


def test_standard_files(same_as_stock, tmp_path):
    """Nothing, files, descriptors, and errors that go where output goes."""
    path = tmp_path / "out"
    both = "echo out; echo wrong >&2; cat"

    async def program(module):
        await sh("true")
        results = [await sh(both, stdin=sp.DEVNULL, stderr=sp.STDOUT)]
        path.write_bytes(b"from a file\n")
        with path.open("rb") as file:
            results.append(await sh(both, stdin=file, stderr=sp.DEVNULL))
        with path.open("wb") as file:
            child = await asyncio.create_subprocess_exec(
                SH, "-c", both, stdin=sp.DEVNULL, stdout=file.fileno(), stderr=file
            )
            await child.wait()
        results.append(path.read_bytes())
        child = await asyncio.create_subprocess_exec(
            SH, "-c", both, stdin=sp.DEVNULL, stdout=sp.DEVNULL, stderr=sp.PIPE
        )
        results.append(await child.communicate())
        return results

    same_as_stock(program)


def test_files_that_change_places(same_as_stock, python, tmp_path, impl):
    """Output to standard error and errors to standard output."""
    script = tmp_path / "script.py"
    script.write_text(f"""\
import asyncio
{"import pyaio; pyaio.install()" if impl is not asyncio else ""}
async def main():
    for _ in range(2):
        child = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", "echo out; echo wrong >&2", stdout=2, stderr=1
        )
        await child.wait()
asyncio.run(main())
""")
    result = python(script)
    assert (result.stdout, result.stderr) == ("wrong\n" * 2, "out\n" * 2)


def test_pipes_are_pipes(run):
    """A program may open its standard files again by name."""

    async def main():
        await sh("true")
        child = await asyncio.create_subprocess_shell(
            "cat < /proc/self/fd/0 > /proc/self/fd/1; echo wrong > /proc/self/fd/2",
            **dict.fromkeys(("stdin", "stdout", "stderr"), sp.PIPE),
        )
        pipes = [child._transport.get_pipe_transport(n).get_extra_info("pipe") for n in range(3)]
        assert all(stat.S_ISFIFO(os.fstat(pipe.fileno()).st_mode) for pipe in pipes)
        assert await child.communicate(b"through") == (b"through", b"wrong\n")

    run(main())


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (["/nowhere/program"], {}),
        (["no-such-program"], {}),
        (["/usr"], {}),
        ([TRUE], {"cwd": "/nowhere"}),
        (["/nowhere/program"], {"cwd": "/usr", "start_new_session": True}),
        ([TRUE, "null\0byte"], {}),
        ([TRUE, 5], {}),
        ([TRUE], {"env": {"a=b": "c"}}),
        ([TRUE], {"env": {"a": 5}}),
        ([TRUE], {"stdout": sp.STDOUT}),
        ([TRUE], {"stdout": "text"}),
        ([Path("/nowhere/program")], {"stdin": None, "stderr": None}),
        ([Path("no-such-program")], {}),
        ([TRUE], {"stdin": 9999}),
        ([TRUE], {"stdin": 1 << 70}),
        ([TRUE], {"stdout": -(1 << 70)}),
        ([TRUE], {"process_group": 999_999}),
        ([TRUE], {"bufsize": 1}),
        ([TRUE], {"text": True}),
        ([TRUE], {"user": "nobody-of-this-name"}),
        ([TRUE], {"unknown": 1}),
    ],
    ids=repr,
)
def test_errors(same_as_stock, args, kwargs):
    """What cannot be started raises as in asyncio, and leaves nothing."""

    async def program(module):
        await sh("true")
        try:
            await asyncio.create_subprocess_exec(
                *args, **{"stdin": sp.PIPE, "stderr": sp.PIPE, **kwargs}
            )
        except Exception as error:
            return type(error), str(error), getattr(error, "filename", None)

    assert same_as_stock(program)


class Mapping(dict):
    """An environment whose ways of listing it differ."""

    def items(self):
        return {"FROM": "items"}.items()


@pytest.mark.parametrize(
    "kwargs",
    [
        {"env": {"": "empty"}},
        {"env": {}},
        {"env": Mapping({"FROM": "keys"})},
        {"env": {b"FROM": b"bytes"}},
        {"restore_signals": None},
        {"restore_signals": "text"},
        {"restore_signals": 1 << 40},
        {"process_group": 1 << 32},
        {"process_group": -(1 << 33)},
        {"start_new_session": 1},
        {"start_new_session": []},
        {"stdin": True},
        {"stderr": sp.STDOUT, "stdout": None},
    ],
    ids=repr,
)
def test_odd_values(same_as_stock, kwargs):
    """What is no error in every version, or one of the interpreter's own."""

    async def program(module):
        await sh("true")
        arguments = {"stdout": sp.PIPE, "stdin": sp.DEVNULL, **kwargs}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                child = await asyncio.create_subprocess_exec("/usr/bin/env", **arguments)
        except Exception as error:
            return type(error), str(error)
        return await child.communicate(), child.returncode

    same_as_stock(program)


def test_no_hooks_of_fork(python, tmp_path):
    """Children do not run what the program registered for forks."""
    script = tmp_path / "script.py"
    script.write_text("""\
import asyncio, os, pyaio
for name in ("before", "after_in_parent", "after_in_child"):
    os.register_at_fork(**{name: lambda: print("called")})
async def main():
    for _ in range(3):
        await (await asyncio.create_subprocess_exec("/bin/true")).wait()
pyaio.run(main())
""")
    assert python(script).stdout == ""


@pytest.mark.not_repeated("audit hooks stay")
def test_audit(same_as_stock):
    """Hooks of sys.addaudithook() see every child."""
    seen = []
    active = True

    def hook(name, args):
        if active and name == "subprocess.Popen":
            seen.append(args)

    sys.addaudithook(hook)

    async def program(module):
        seen.clear()
        await sh("true")
        await sh("true", cwd="/", env={"PATH": "/bin"})
        await output(TRUE, stderr=sp.STDOUT)
        with contextlib.suppress(AttributeError):
            await output(TRUE, stdin="text")
        with contextlib.suppress(OSError):
            await output("/nowhere/program")
        return list(seen)

    same_as_stock(program)
    active = False


@pytest.mark.parametrize("kwargs", [{}, {"stdout": sp.PIPE}, BOTH], ids=repr)
def test_no_child_is_forgotten(python, tmp_path, kwargs):
    """A child that outlives the run that started it is reaped by who starts the next."""
    script = tmp_path / "script.py"
    script.write_text(f"""\
import asyncio, gc, os, pyaio, subprocess, sys, warnings

async def start(program, *arguments, wait=False):
    child = await asyncio.create_subprocess_exec(program, *arguments, **{kwargs})
    if wait:
        await child.communicate(*([b""] if child.stdin else []))

warnings.simplefilter("ignore")
sys.unraisablehook = lambda unraisable: None  # that a loop is closed
asyncio.run(start("/bin/true", wait=True))
pyaio.install()
asyncio.run(start("/bin/true", wait=True))
for _ in range(3):
    asyncio.run(start("/bin/sleep", "0.05"))
    gc.collect()
subprocess.run(["/bin/sleep", "0.3"])
asyncio.run(start("/bin/true", wait=True))
try:
    print(os.waitpid(-1, os.WNOHANG))
except ChildProcessError:
    print("none")
""")
    assert python(script).stdout.splitlines()[-1] == "none"


# --- Popen


def test_popen(same_as_stock):
    """A real Popen stands behind the transport."""

    async def program(module):
        results = []
        for _ in range(2):
            child = await asyncio.create_subprocess_exec(
                CAT, "-", stdin=sp.PIPE, stdout=sp.PIPE, stderr=sp.DEVNULL
            )
            popen = child._transport.get_extra_info("subprocess")
            attributes = vars(popen)
            shown = {name: type(value).__name__ for name, value in attributes.items()}
            plain = {k: v for k, v in attributes.items() if type(v) in (int, bool, float)}
            for name in ("pid", "_devnull"):
                del plain[name]
            results.append((type(popen), shown, plain, popen.args, popen.pid == child.pid))
            results.append([popen.poll(), popen.stdin.mode, popen.stdout.mode])
            child.stdin.close()
            await child.wait()
            results.append([popen.returncode, popen.poll(), popen.wait()])
        return results

    same_as_stock(program)


@pytest.mark.parametrize("where", ["subprocess.Popen", "subprocess.Popen.__init__"])
def test_replaced_popen(run, monkeypatch, where):
    """A Popen that the program put into the place of subprocess' is called."""
    calls = []
    original, init = subprocess.Popen, subprocess.Popen.__init__

    class Replaced(original):
        def __init__(self, *args, **kwargs):
            calls.append(args)
            super().__init__(*args, **kwargs)

    def replaced(self, *args, **kwargs):
        calls.append(args)
        init(self, *args, **kwargs)

    async def main():
        await sh("true")
        monkeypatch.setattr(where, Replaced if where.endswith("Popen") else replaced)
        assert await sh("echo hello") == (b"hello\n", 0)
        assert calls

    run(main())


# --- the end


class Log(asyncio.SubprocessProtocol):
    """Notes every call."""

    def __init__(self):
        self.calls = []
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        self.calls.append("made")

    def pipe_data_received(self, fd, data):
        self.calls.append((fd, data))

    def pipe_connection_lost(self, fd, error):
        self.calls.append(("pipe", fd, type(error)))

    def process_exited(self):
        self.calls.append(("exited", self.transport.get_returncode()))

    def connection_lost(self, error):
        self.calls.append(("lost", error))
        self.lost.set_result(None)


def test_protocol(same_as_stock):
    """A protocol is told of everything; of the connection first, of its loss last."""

    async def program(module):
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(Log, SH, "-c", "read x; echo $x; exit 3")
        seen = [transport.get_returncode(), transport.get_pid() > 0, transport.is_closing()]
        seen += [type(transport.get_pipe_transport(n)).__name__ for n in range(4)]
        stdin = transport.get_pipe_transport(0)
        stdin.write(b"line\n")
        await protocol.lost
        calls = protocol.calls
        transport.close()
        return seen, calls[0], calls[-1], sorted(map(str, calls)), transport.is_closing()

    same_as_stock(program)


def test_exit_before_pipes_end(same_as_stock):
    """A grandchild keeps the pipes: the exit is told at once, the loss when they end."""

    async def program(module):
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(
            Log, SH, "-c", "sleep 0.2 & exit 5", stdin=None, stderr=None
        )
        while transport.get_returncode() is None:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)
        first = list(protocol.calls)
        await protocol.lost
        transport.close()
        return first, protocol.calls

    same_as_stock(program)


def test_closed_while_it_runs(same_as_stock):
    """Closing the transport kills the child."""

    async def program(module):
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.subprocess_exec(Log, CAT, stderr=None)
        transport.close()
        transport.close()
        await protocol.lost
        return transport.get_returncode(), protocol.calls[-1], repr(transport).split()[0]

    same_as_stock(program)


@pytest.mark.skipif(
    sys.version_info < (3, 14), reason="asyncio fails to close pipes once its loop is closed"
)
def test_never_closed(impl, loop):
    """A forgotten transport warns, and kills its child."""
    skip_stock(loop)

    async def main():
        child = await asyncio.create_subprocess_exec(CAT, stdin=sp.PIPE)
        return child.pid

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        pid = loop.run_until_complete(main())
        loop.close()
        gc.collect()
        said = [str(warning.message) for warning in caught]
        caught.clear()  # they hold the transport
        gc.collect()
    assert any("unclosed transport" in text for text in said)
    subprocess._active.clear()
    with contextlib.suppress(ChildProcessError, ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio's thread may be faster")
def test_reaped_by_somebody_else(same_as_stock, logged):
    """A child that another waited for has an unknown exit code."""

    async def program(module):
        child = await asyncio.create_subprocess_exec(CAT, stdin=sp.PIPE)
        child.kill()
        os.waitpid(child.pid, 0)
        child.stdin.close()
        return await child.wait()

    assert same_as_stock(program) == 255
    assert any("255" in text for text in logged())


def test_waitpid_of_the_program(impl, loop, monkeypatch, reported):
    """An os.waitpid() that the program replaced is called, and may fail."""
    if "pyaio" not in type(loop).__module__ and sys.version_info < (3, 15):
        pytest.skip("asyncio leaves a descriptor, or has a thread call it")
    original, calls = os.waitpid, []

    def waitpid(pid, options):
        calls.append(pid)
        raise OSError("unexpected")

    async def main():
        child = await asyncio.create_subprocess_exec(CAT, stdin=sp.PIPE)
        monkeypatch.setattr(os, "waitpid", waitpid)
        child.stdin.close()
        while not calls:
            await asyncio.sleep(0)
        assert set(calls) == {original(child.pid, 0)[0]}
        child._transport._process_exited(0)
        await child.wait()

    loop.run_until_complete(main())
    monkeypatch.undo()
    assert str(reported[0]["exception"]) == "unexpected"


def test_other_children_stay(run):
    """Children that are not the loop's are left to who started them."""

    async def main():
        other = subprocess.Popen([TRUE])
        for _ in range(3):
            await sh("true")
        await asyncio.sleep(0.05)
        assert os.waitpid(other.pid, 0)[0] == other.pid
        other.returncode = 0

    run(main())


def test_sigchld_is_the_programs(impl, loop):
    """A handler for SIGCHLD is called, and subprocesses go on working."""
    calls = []

    async def main():
        loop.add_signal_handler(signal.SIGCHLD, calls.append, 1)
        try:
            assert await sh("exit 4") == (b"", 4)
            await asyncio.sleep(0.01)
        finally:
            loop.remove_signal_handler(signal.SIGCHLD)
        assert calls

    loop.run_until_complete(main())


def test_cancelled_at_any_turn(impl, loop):
    """Whoever gives up while a child is being started leaves neither child nor descriptor."""
    skip_stock(loop)

    started = []

    async def start():
        started.append(await asyncio.create_subprocess_exec(CAT, stdin=sp.PIPE, stdout=sp.PIPE))

    async def main():
        for turns in range(12):
            task = asyncio.ensure_future(start())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for child in started:
            await child.communicate(b"")

    loop.run_until_complete(main())
    loop.run_until_complete(asyncio.sleep(0.05))
    assert 0 < len(started) < 12


# asyncio silences warnings of its own, before 3.14 in a way in which threads disturb each other.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_threads(impl):
    """Loops of several threads start children at the same time."""
    results = {}

    async def main(name):
        outputs = await asyncio.gather(*[sh(f"echo {name} {n}; exit {n}") for n in range(5)])
        results[name] = outputs

    def work(name):
        loop = impl.new_event_loop()
        try:
            loop.run_until_complete(main(name))
        finally:
            loop.close()

    if sys.version_info < (3, 12) and impl is asyncio:
        asyncio.get_event_loop_policy().get_child_watcher()
    threads = [threading.Thread(target=work, args=[name]) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {name: [(f"{name} {n}\n".encode(), n) for n in range(5)] for name in "abc"}


def test_no_process_descriptors(impl, loop, monkeypatch):
    """Where the system has none, threads wait for the children."""
    if impl is not asyncio:
        import pyaio._core

        def refuse(*args):
            raise OSError(38, "Function not implemented")

        monkeypatch.setattr(pyaio._core, "_watch_child", refuse)

    async def main():
        return await asyncio.gather(*[sh(f"exit {n}") for n in range(5)])

    assert [code for _, code in loop.run_until_complete(main())] == list(range(5))


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="there are no watchers any more")
def test_watcher_of_the_program(impl, loop):
    """A child watcher that the program has set is used."""
    used = []

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)

        class Watcher(asyncio.ThreadedChildWatcher):
            def add_child_handler(self, pid, callback, *args):
                used.append(pid)
                super().add_child_handler(pid, callback, *args)

        asyncio.set_child_watcher(Watcher())
        try:
            assert loop.run_until_complete(sh("exit 6")) == (b"", 6)
        finally:
            asyncio.set_child_watcher(None)
    assert len(used) == 1
