"""Lock, Event, Condition, the semaphores and Barrier: classes to derive from and to patch.

Each stands on a native class and extends the stock one, whose code does what is not native.
"""

from __future__ import annotations

from typing import Any

from . import _core, _stock

PRIVATE = (
    *("_loop", "_waiters", "_locked", "_value", "_bound_value"),
    *("_lock", "_cond", "_parties", "_state", "_count"),
)


def _getstate(self: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a copy or a pickle takes along: what stands in the instance's dictionary on stock."""
    private = {name: getattr(self, name) for name in PRIVATE if hasattr(self, name)}
    return vars(self), private


class Lock(_core.Lock, _stock.Lock):
    """A lock that one task at a time holds; mirrors asyncio.Lock.

    Those who wait get it in the order in which they came.
    """


class Event(_core.Event, _stock.Event):
    """A flag that tasks can wait for; mirrors asyncio.Event."""


class Condition(_core.Condition, _stock.Condition):
    """A lock and those who wait until what it guards has changed; mirrors asyncio.Condition.

    `lock` is what acquire(), release() and locked() are taken from: a new Lock unless told.
    """

    def __init__(self, lock: _stock.Lock | None = None) -> None:
        super().__init__(Lock() if lock is None else lock)


class Semaphore(_core.Semaphore, _stock.Semaphore):
    """A number of units, `value` at first, of which each acquire() takes one.

    ValueError where `value` is negative. Mirrors asyncio.Semaphore.
    """


class BoundedSemaphore(_core.BoundedSemaphore, Semaphore, _stock.BoundedSemaphore):
    """A Semaphore that never has more units than at first; mirrors asyncio.BoundedSemaphore."""


class Barrier(_core.Barrier, _stock.Barrier):
    """Lets tasks pass when `parties` of them have come; mirrors asyncio.Barrier.

    ValueError where `parties` is less than 1.
    """

    def __init__(self, parties: int) -> None:
        super().__init__(parties)
        self._cond = Condition()


NATIVES: dict[Any, Any] = {
    _stock.Lock: Lock,
    _stock.Event: Event,
    _stock.Condition: Condition,
    _stock.Semaphore: Semaphore,
    _stock.BoundedSemaphore: BoundedSemaphore,
    _stock.Barrier: Barrier,
}

for _stock_class, _native_class in NATIVES.items():
    _native_class.__module__ = "pyaio"
    _native_class.__getstate__ = _getstate
    _core._stands_for(_native_class, _stock_class)
del _stock_class, _native_class
