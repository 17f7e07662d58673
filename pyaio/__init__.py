"""asyncio with its core in C: every name of asyncio, the native ones in place of the stock ones.

`import pyaio as asyncio` is enough for a program of one's own; install() or `python -m pyaio`
makes one native whose modules import asyncio.
"""

import asyncio as _asyncio
import warnings as _warnings
from asyncio import *  # noqa: F403
from typing import Any as _Any

from . import _adopt as _adopt
from ._as_completed import as_completed
from ._core import (
    Future,
    Handle,
    Task,
    TimerHandle,
    create_task,
    current_task,
    ensure_future,
    gather,
    shield,
    sleep,
    timeout,
    timeout_at,
    wait,
    wait_for,
)
from ._install import install, uninstall
from ._locks import Barrier, BoundedSemaphore, Condition, Event, Lock, Semaphore
from ._loop import EventLoop
from ._modules import ours as _ours
from ._policy import SelectorEventLoop, get_event_loop, new_event_loop
from ._process_streams import create_subprocess_exec, create_subprocess_shell
from ._queues import LifoQueue, PriorityQueue, Queue
from ._runners import Runner, run
from ._streams import (
    StreamReader,
    StreamReaderProtocol,
    StreamWriter,
    open_connection,
    open_unix_connection,
    start_server,
    start_unix_server,
)
from ._taskgroup import TaskGroup
from ._timeout import Timeout

__version__ = "0.1.0"

__all__ = [
    "Barrier",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "EventLoop",
    "Future",
    "Handle",
    "LifoQueue",
    "Lock",
    "PriorityQueue",
    "Queue",
    "Runner",
    "SelectorEventLoop",
    "Semaphore",
    "StreamReader",
    "StreamReaderProtocol",
    "StreamWriter",
    "Task",
    "TaskGroup",
    "Timeout",
    "TimerHandle",
    "as_completed",
    "create_subprocess_exec",
    "create_subprocess_shell",
    "create_task",
    "current_task",
    "ensure_future",
    "gather",
    "get_event_loop",
    "install",
    "new_event_loop",
    "open_connection",
    "open_unix_connection",
    "run",
    "shield",
    "sleep",
    "start_server",
    "start_unix_server",
    "timeout",
    "timeout_at",
    "uninstall",
    "wait",
    "wait_for",
]
__all__ += _asyncio.__all__

try:
    from ._policy import EventLoopPolicy
except ImportError:  # 3.16 has no policies
    pass
else:
    __all__ += ["EventLoopPolicy"]

# Submodules, what asyncio itself imports, and natives that only stand for a stock name.
for _name, _value in list(vars(_asyncio).items()):
    if not _name.startswith("_") and globals().get(_name, _value) is _value:
        globals()[_name] = _ours(_value)
del _name, _value


def __getattr__(name: str) -> _Any:
    """What asyncio's own __getattr__ serves, with its warnings, and submodules loaded later."""
    with _warnings.catch_warnings(record=True) as caught:
        _warnings.simplefilter("always")
        try:
            value = getattr(_asyncio, name)
        except AttributeError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    for warning in caught:
        _warnings.warn(warning.message, stacklevel=2)
    return _ours(value)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_asyncio)})
