"""Subprocesses: children by the shortest way, their ends seen without a thread for each."""

from __future__ import annotations

import _posixsubprocess
import functools
import io
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from . import _core, _stock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PIPE, STDOUT, DEVNULL = subprocess.PIPE, subprocess.STDOUT, subprocess.DEVNULL
Popen: Any = subprocess.Popen
# What _spawn() knows of Popen's keywords; with any other the child is Popen's own.
SIMPLE = frozenset(("env", "cwd", "restore_signals", "start_new_session", "process_group"))
# The attributes of a Popen with a child, as far as they are the same for all of ours.
ATTRIBUTES = {
    "_child_created": True,
    "_closed_child_pipe_fds": True,
    "_communication_started": False,
    "_input": None,
    "_sigint_wait_secs": 0.25,
    "encoding": None,
    "errors": None,
    "pipesize": -1,
    "returncode": None,
    "text_mode": False,
    "stdin": None,
    "stdout": None,
    "stderr": None,
}
NOTHING = (-1, -1, -1)  # standard files as they are here
CHDIR, EXEC = 1, 2  # stages of _core._spawn()


def _entry_points() -> tuple[Any, ...]:
    """What a program may have replaced in order to be called for every child."""
    return (
        subprocess.Popen,
        Popen.__init__,
        Popen._get_handles,
        Popen._execute_child,
        getattr(subprocess, "_fork_exec", None),
        _posixsubprocess.fork_exec,
        os.posix_spawn,
        os.pipe,
        getattr(subprocess, "_USE_VFORK", True),
    )


_ORIGINAL = _entry_points()
_ORIGINAL_IS_USABLE = bool(_ORIGINAL[-1])
_knows_attributes: bool | None = None


def _attributes_are_known(proc: Any) -> bool:
    """Whether the running version's Popen, of which this is one, is as we make them."""
    names = vars(proc).keys() - {"_devnull"}
    if names != ATTRIBUTES.keys() | {"_waitpid_lock", "args", "pid"}:
        return False
    fixed = ATTRIBUTES.keys() - {"stdin", "stdout", "stderr"}
    return all(vars(proc)[name] == ATTRIBUTES[name] for name in fixed)


class _Unusual(Exception):  # noqa: N818  # nothing is wrong
    """The child is to be left to Popen."""


def _paths(executable: Any, env: Any) -> Iterable[Any]:
    """Where to look for the program, as Popen does."""
    name = os.fsencode(executable)
    if b"/" in name:
        return (name,)
    join = os.path.join
    return [join(os.fsencode(folder), name) for folder in os.get_exec_path(env)]


def _environment(env: Any) -> list[bytes] | None:
    """The environment as the system takes it."""
    if env is None:
        return None
    pairs = []
    for key, value in env.items():
        name = os.fsencode(key)
        if b"=" in name:
            raise _Unusual
        pairs.append(name + b"=" + os.fsencode(value))
    return pairs


class _Files:
    """The standard files of a child, and our ends of its pipes."""

    __slots__ = ("child", "devnull", "mine", "theirs")

    def __init__(self, stdin: Any, stdout: Any, stderr: Any) -> None:
        self.child = [-1, -1, -1]
        self.mine: list[int | None] = [None, None, None]
        self.theirs: list[int] = []  # closed once the child has them
        self.devnull: int | None = None
        try:
            if stdin is not None:
                self.child[0] = self._open(0, stdin)
            if stdout is not None:
                self.child[1] = self._open(1, stdout)
            if stderr is not None:
                self.child[2] = self._open(2, stderr)
        except BaseException:
            self.close()
            raise

    def _open(self, number: int, given: Any) -> int:
        if given == PIPE:
            reads, writes = os.pipe()
            mine, theirs = (writes, reads) if number == 0 else (reads, writes)
            self.mine[number] = mine
            self.theirs.append(theirs)
            if mine < 3 or theirs < 3:
                raise _Unusual
            return theirs
        if given == DEVNULL:
            if self.devnull is None:
                self.devnull = os.open(os.devnull, os.O_RDWR)
                self.theirs.append(self.devnull)
            return self.devnull
        if given == STDOUT:
            if number != 2:
                raise _Unusual
            return self.child[1] if self.child[1] != -1 else sys.__stdout__.fileno()  # type: ignore[union-attr]
        return given if isinstance(given, int) else given.fileno()

    def close_theirs(self) -> None:
        """Close what only the child needs."""
        for fd in self.theirs:
            os.close(fd)
        self.theirs.clear()

    def close(self) -> None:
        """Close everything: there is no child."""
        self.close_theirs()
        for fd in self.mine:
            if fd is not None:
                os.close(fd)


def _spawn(
    args: Any,
    shell: bool,
    stdin: Any,
    stdout: Any,
    stderr: Any,
    env: Any = None,
    cwd: Any = None,
    restore_signals: bool = True,
    start_new_session: bool = False,
    process_group: int | None = None,
) -> Any:
    """A Popen with a new child, without the detour through its constructor."""
    argv = [args] if isinstance(args, (str, bytes)) else list(args)
    if shell:
        argv = ["/bin/sh", "-c", *argv]
    executable = argv[0]
    paths, pairs = _paths(executable, env), _environment(env)
    sys.audit("subprocess.Popen", executable, argv, cwd, env)
    inherits = stdin is None and stdout is None and stderr is None
    files = None if inherits else _Files(stdin, stdout, stderr)
    try:
        child = _core._spawn(
            argv,
            paths,
            pairs,
            cwd,
            restore_signals,
            start_new_session,
            -1 if process_group is None else process_group,
            *(files.child if files else NOTHING),
        )
        if not isinstance(child, int):
            stage, number = child
            if stage not in (CHDIR, EXEC):
                raise _Unusual
            raise OSError(number, os.strerror(number), cwd if stage == CHDIR else executable)
        if files is not None:
            files.close_theirs()
    except BaseException:
        if files is not None:
            files.close()
        raise
    return _popen(args, child, files)


def _popen(args: Any, pid: int, files: _Files | None) -> Any:
    """The Popen of a child that was started already."""
    proc = Popen.__new__(Popen)
    proc.__dict__ = {**ATTRIBUTES, "args": args, "pid": pid, "_waitpid_lock": threading.Lock()}
    if files is None:
        return proc
    if files.devnull is not None:
        proc._devnull = files.devnull
    stdin, stdout, stderr = files.mine
    if stdin is not None:
        proc.stdin = io.FileIO(stdin, "wb")
    if stdout is not None:
        proc.stdout = io.FileIO(stdout, "rb")
    if stderr is not None:
        proc.stderr = io.FileIO(stderr, "rb")
    return proc


class _UnixSubprocessTransport(_stock.UnixSubprocessTransport):  # type: ignore[misc]
    """asyncio's transport of a subprocess, with children started by the shortest way."""

    def _start(
        self,
        args: Any,
        shell: bool,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        bufsize: int,
        **kwargs: Any,
    ) -> None:
        global _knows_attributes
        usual = _ORIGINAL_IS_USABLE and _entry_points() == _ORIGINAL
        if usual and _knows_attributes and SIMPLE.issuperset(kwargs):
            if subprocess._active:  # type: ignore[attr-defined]
                subprocess._cleanup()  # type: ignore[attr-defined]
            try:
                self._proc = _spawn(args, shell, stdin, stdout, stderr, **kwargs)
            except (_Unusual, TypeError, ValueError, AttributeError):
                pass  # Popen says what is wrong
            else:
                return
        super()._start(args, shell, stdin, stdout, stderr, bufsize, **kwargs)
        if usual and _knows_attributes is None:
            _knows_attributes = _attributes_are_known(self._proc)


class ChildWatcher(_stock.PidfdChildWatcher):  # type: ignore[misc]
    """Tells a loop of the ends of its children, through process descriptors.

    Where there are none, or none left, a thread waits for the child as in asyncio.
    """

    _threads: Any = None

    def add_child_handler(self, pid: int, callback: Callable[..., Any], *args: Any) -> None:
        """Have the running loop call callback(pid, returncode, *args)."""
        loop = _stock.events.get_running_loop()
        try:
            _core._watch_child(loop, pid, callback, args)
        except OSError:
            if self._threads is None:
                self._threads = _stock.ThreadedChildWatcher()
            self._threads.add_child_handler(pid, callback, *args)


def new_watcher() -> Any:
    """What watches the children of a loop unless the program has set something else."""
    can_use_pidfd = getattr(_stock.unix_events, "can_use_pidfd", None)
    if can_use_pidfd is None or can_use_pidfd():
        return ChildWatcher()
    return _stock.ThreadedChildWatcher()


_ORIGINAL_GET = getattr(_stock.events, "get_child_watcher", None)
_ORIGINAL_POLICY_GET = getattr(_stock.DefaultEventLoopPolicy, "get_child_watcher", None)


def program_watches() -> bool:
    """Whether the program has set a child watcher, which is then to be used."""
    if not _stock.HAS_CHILD_WATCHERS:
        return False  # they belong to the loops
    policy = _stock.events.get_event_loop_policy()
    return (
        _stock.events.get_child_watcher is not _ORIGINAL_GET
        or getattr(type(policy), "get_child_watcher", None) is not _ORIGINAL_POLICY_GET
        or policy._watcher is not None
    )


class Spawning(_stock.SelectorEventLoop):
    """The part of an event loop that starts children."""

    @functools.cached_property
    def _watcher(self) -> Any:
        return new_watcher()

    async def _make_subprocess_transport(
        self,
        protocol: Any,
        args: Any,
        shell: bool,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        bufsize: int,
        extra: Any = None,
        **kwargs: Any,
    ) -> Any:
        """A transport of a new child process."""
        files = (stdin, stdout, stderr, bufsize)
        if program_watches():
            return await super()._make_subprocess_transport(
                protocol, args, shell, *files, extra, **kwargs
            )
        waiter = self.create_future()
        transport = _UnixSubprocessTransport(
            self, protocol, args, shell, *files, waiter=waiter, extra=extra, **kwargs
        )
        self._watcher.add_child_handler(
            transport.get_pid(), self._child_watcher_callback, transport
        )
        try:
            await waiter
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            transport.close()
            await _core.shield(transport._wait())
            raise
        return transport
