"""Event loops in simulated time: stock asyncio's, and pyaio's.

Neither ever blocks. Where a loop would wait for a timer its clock moves on at once, by whole
milliseconds as epoll waits. A descriptor that is ready is seen before that.
"""

import asyncio
import errno
import itertools
import math
import re
import selectors
from collections.abc import Iterator
from typing import Any

StockSelectorEventLoop = asyncio.SelectorEventLoop


class SimulatedSelector(selectors.EpollSelector):
    """Looks at descriptors without waiting, and moves a clock on instead."""

    def __init__(self) -> None:
        super().__init__()
        self.milliseconds = 0

    def select(self, timeout: float | None = None) -> Any:
        """What is ready at once; where nothing is, the clock jumps over the timeout."""
        events = super().select(0)
        if not events and timeout is None:
            raise OSError(errno.EDEADLK, "Resource deadlock avoided")
        if not events and timeout is not None:
            self.milliseconds += max(0, math.ceil(timeout * 1000))
        return events


class Moment(float):
    """A deadline. Of two equal ones the one made first is less: heapq then keeps their order."""

    __slots__ = ("serial",)
    serial: int
    serials = itertools.count()

    def __new__(cls, when: float) -> "Moment":
        moment = super().__new__(cls, when)
        moment.serial = next(cls.serials)
        return moment

    def __lt__(self, other: float) -> bool:
        if isinstance(other, Moment) and float(self) == float(other):
            return self.serial < other.serial
        return float(self) < float(other)


class StockLoop(StockSelectorEventLoop):
    """Stock asyncio's loop in simulated time, with timers that keep their order."""

    def __init__(self) -> None:
        self.simulated = SimulatedSelector()
        super().__init__(self.simulated)

    def time(self) -> float:
        """The simulated clock, in seconds."""
        return self.simulated.milliseconds / 1000

    def advance(self, milliseconds: int) -> None:
        """Let time pass, as a callback that takes long does."""
        self.simulated.milliseconds += milliseconds

    def call_at(self, when: float, callback: Any, *args: Any, **keywords: Any) -> Any:
        """Schedule at a deadline that no other one equals."""
        return super().call_at(Moment(when), callback, *args, **keywords)


def simulate(loop: Any) -> Any:
    """Put a loop of pyaio's into simulated time; return it."""
    from pyaio import _core

    _core._simulate_time(loop, 0)
    loop.advance = lambda milliseconds: _core._simulate_time(loop, milliseconds)
    return loop


def name_key(task: Any) -> list[Any]:
    """A key that sorts tasks by name, numbers in it as numbers."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", task.get_name())]


class SortedSet(set[Any]):
    """A TaskGroup's tasks. A plain set would have them cancelled in the order of addresses."""

    def __iter__(self) -> Iterator[Any]:
        return iter(sorted(super().__iter__(), key=name_key))
