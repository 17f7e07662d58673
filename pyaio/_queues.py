"""Queue, PriorityQueue, LifoQueue: classes to derive from, to patch, to copy and to pickle.

They stand on one native class and extend the stock ones, whose methods say by which rule items
come out.
"""

from __future__ import annotations

from typing import Any

from . import _core, _stock
from ._locks import Event

STATE = tuple(vars(_stock.Queue()))


class Queue(_core.Queue, _stock.Queue[Any]):
    """A queue for coroutines, first in, first out; mirrors asyncio.Queue.

    While `maxsize` items are in it, if that is more than 0, put() waits; get() waits while there
    is none.
    """

    def __getstate__(self) -> dict[str, Any]:
        state = {name: getattr(self, name) for name in STATE if hasattr(self, name)}
        if "_finished" in state:
            state["_finished"] = state["_finished"].is_set()
        return state | vars(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        if "_finished" in state:
            self._finished = Event()
            if state.pop("_finished"):
                self._finished.set()
        for name, value in state.items():
            setattr(self, name, value)


class PriorityQueue(Queue, _stock.PriorityQueue[Any]):
    """A Queue whose least item comes out first; mirrors asyncio.PriorityQueue."""


class LifoQueue(Queue, _stock.LifoQueue[Any]):
    """A Queue whose newest item comes out first; mirrors asyncio.LifoQueue."""


NATIVES = {
    _stock.Queue: Queue,
    _stock.PriorityQueue: PriorityQueue,
    _stock.LifoQueue: LifoQueue,
}

for _stock_class, _native_class in NATIVES.items():
    _native_class.__module__ = "pyaio"
    _core._stands_for(_native_class, _stock_class)
del _stock_class, _native_class
