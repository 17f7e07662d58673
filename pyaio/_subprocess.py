"""Subprocesses: children by the shortest way, their ends seen without a thread for each."""

from __future__ import annotations

import _posixsubprocess
import functools
import os
import subprocess
import threading
from typing import TYPE_CHECKING, Any

from . import _core, _stock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Popen: Any = subprocess.Popen
Base: Any = _stock.UnixSubprocessTransport.__base__
WritePipe: Any = _stock.base_subprocess.WriteSubprocessPipeProto
ReadPipe: Any = _stock.base_subprocess.ReadSubprocessPipeProto
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
    "text_mode": False,
    "stdin": None,
    "stdout": None,
    "stderr": None,
}


def _methods(*classes: Any) -> list[str]:
    """The names of what is callable in the classes themselves."""
    return [name for owner in classes for name in vars(owner) if callable(getattr(owner, name))]


def _entries(places: Iterable[tuple[Any, Iterable[str]]]) -> Iterable[tuple[Any, str, Any]]:
    for owner, names in places:
        for name in names:
            if hasattr(owner, name):
                yield owner, name, getattr(owner, name)


def _originals() -> tuple[tuple[Any, ...], ...]:
    """What a program may replace in order to be called for every child.

    Classes, the methods of these, and functions, the latter two with their owners and names.
    """
    pipes = (WritePipe, ReadPipe)
    methods = {
        Popen: ("__init__", "_get_handles", "_execute_child"),
        _stock.UnixSubprocessTransport: ("_start",),
        Base: _methods(Base),
        **dict.fromkeys(pipes, _methods(*pipes)),
    }
    functions = [
        (subprocess, ("Popen", "_fork_exec", "_USE_VFORK")),
        (_posixsubprocess, ("fork_exec",)),
        (os, ("posix_spawn", "pipe")),
        (_stock.base_subprocess, [pipe.__name__ for pipe in pipes]),
    ]
    return tuple(methods), tuple(_entries(methods.items())), tuple(_entries(functions))


ORIGINALS = _originals()
USES_VFORK = bool(getattr(subprocess, "_USE_VFORK", True))


def _attributes_are_known(proc: Any) -> bool:
    """Whether the running version's Popen, of which this is one, is as we make them."""
    names = vars(proc).keys() - {"_devnull"}
    if names != ATTRIBUTES.keys() | {"_waitpid_lock", "args", "pid", "returncode"}:
        return False
    fixed = ATTRIBUTES.keys() - {"stdin", "stdout", "stderr"}
    return all(vars(proc)[name] == ATTRIBUTES[name] for name in fixed)


class WriteSubprocessPipeProto(
    _core._WriteSubprocessPipe,
    WritePipe,  # type: ignore[misc]
):
    """The protocol of the pipe that is a child's standard input."""


class ReadSubprocessPipeProto(
    _core._ReadSubprocessPipe,
    WriteSubprocessPipeProto,
    ReadPipe,  # type: ignore[misc]
):
    """The protocol of a pipe that is a child's standard output or error."""


class _UnixSubprocessTransport(
    _core._SubprocessTransport,
    _stock.UnixSubprocessTransport,  # type: ignore[misc]
):
    """asyncio's transport of a subprocess, with children started by the shortest way."""

    # Without it the child is Popen's own: until one of those was seen.
    _originals: tuple[Any, ...] | None = None
    _pipe_protocols = (WriteSubprocessPipeProto, ReadSubprocessPipeProto)
    # What holds the futures of those in wait().
    _new_exit_waiters = set if "add" in Base._wait.__code__.co_names else list
    _wakes_early = "_exit_waiters" in Base._process_exited.__code__.co_names

    def _start(self, *args: Any, **kwargs: Any) -> None:
        super()._start(*args, **kwargs)
        if USES_VFORK and type(self._proc) is Popen and _attributes_are_known(self._proc):
            _UnixSubprocessTransport._originals = ORIGINALS

    @staticmethod
    def _paths(name: bytes, env: Any) -> Iterable[bytes]:
        """Where to look for the program, as Popen does."""
        join = os.path.join
        return [join(os.fsencode(folder), name) for folder in os.get_exec_path(env)]

    @staticmethod
    def _environment(env: Any) -> list[bytes]:
        """The environment as the system takes it; of what is unusual Popen knows more."""
        if type(env) not in (dict, type(os.environ)) or not all(env):
            raise ValueError("no usual environment")
        pairs = []
        for key, value in env.items():
            name = os.fsencode(key)
            if b"=" in name:
                raise ValueError("illegal environment variable name")
            pairs.append(name + b"=" + os.fsencode(value))
        return pairs

    @staticmethod
    def _popen(args: Any, pid: int, returncode: Any, devnull: int, *pipes: Any) -> Any:
        """The Popen of a child that was started already, and our ends of its pipes."""
        proc = Popen.__new__(Popen)
        proc.__dict__ = {**ATTRIBUTES, "args": args, "pid": pid, "returncode": returncode}
        proc._waitpid_lock = threading.Lock()
        if devnull >= 0:
            proc._devnull = devnull
        proc.stdin, proc.stdout, proc.stderr = pipes
        return proc


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


async def end_child(transport: Any, exc: BaseException) -> None:
    """Raise what kept a child from being connected, once that has ended."""
    transport.close()
    await _core.shield(transport._wait())
    raise exc


class Spawning(_stock.SelectorEventLoop):
    """The part of an event loop that starts children."""

    @functools.cached_property
    def _watcher(self) -> Any:
        return new_watcher()

    def _watch_child(self, transport: Any) -> None:
        """Have the transport told of the end of its child."""
        watcher, pid = self._watcher, transport.get_pid()
        if type(watcher) is ChildWatcher:
            try:
                _core._watch_child(self, pid, transport, ())
            except OSError:
                pass  # a thread has to wait
            else:
                return
        watcher.add_child_handler(pid, self._child_watcher_callback, transport)

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
        self._watch_child(transport)
        try:
            await waiter
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            await end_child(transport, exc)
        return transport
