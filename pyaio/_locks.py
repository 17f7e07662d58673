"""Lock, Event, Condition, the semaphores and Barrier: classes to derive from and to patch.

Each stands on a native class and extends the stock one, whose code does what is not native.
"""

from __future__ import annotations

from . import _core, _stock


class Lock(_core.Lock, _stock.Lock):
    """A lock that one task at a time holds; mirrors asyncio.Lock.

    Those who wait get it in the order in which they came.
    """


class Event(_core.Event, _stock.Event):
    """A flag that tasks can wait for; mirrors asyncio.Event."""


class Semaphore(_core.Semaphore, _stock.Semaphore):
    """A number of units, `value` at first, of which each acquire() takes one.

    ValueError where `value` is negative. Mirrors asyncio.Semaphore.
    """


class BoundedSemaphore(_core.BoundedSemaphore, Semaphore, _stock.BoundedSemaphore):
    """A Semaphore that never has more units than at first; mirrors asyncio.BoundedSemaphore."""


NATIVES = {
    _stock.Lock: Lock,
    _stock.Event: Event,
    _stock.Semaphore: Semaphore,
    _stock.BoundedSemaphore: BoundedSemaphore,
}

for _stock_class, _native_class in NATIVES.items():
    _native_class.__module__ = "pyaio"
    _core._stands_for(_native_class, _stock_class)
del _stock_class, _native_class
