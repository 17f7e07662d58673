"""as_completed() as the running version has it, and the function of its coroutines."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

from . import _core, _stock

if TYPE_CHECKING:
    from collections.abc import Callable

as_completed: Callable[..., Any]
wait_for_one: Any
"""What stock's coroutines for the next result come from."""

if sys.version_info >= (3, 13):
    wait_for_one = _stock.tasks._AsCompletedIterator._wait_for_one
    as_completed = _core.as_completed
else:

    def _inner_function(function: Any, name: str) -> types.FunctionType:
        """The function `name` inside another one; it can be called, its coroutine not awaited."""
        for code in function.__code__.co_consts:
            if isinstance(code, types.CodeType) and code.co_name == name:
                cells = tuple(types.CellType() for _ in code.co_freevars)
                return types.FunctionType(code, vars(_stock.tasks), name, None, cells)
        raise ImportError(f"asyncio.{function.__name__}() has no {name}()")

    wait_for_one = _inner_function(_stock.tasks.as_completed, "_wait_for_one")

    def _as_completed(fs: Any, *, timeout: float | None = None) -> Any:
        """Generate coroutines for the results of awaitables, in the order of their ends.

        After `timeout` seconds the rest of them raises TimeoutError. Mirrors asyncio.as_completed.
        """
        yield from _core.as_completed(fs, timeout=timeout)

    _as_completed.__module__ = "pyaio"
    _as_completed.__name__ = _as_completed.__qualname__ = "as_completed"
    as_completed = _as_completed
