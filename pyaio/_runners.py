"""run() and Runner, on native loops unless a loop_factory says otherwise."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from . import _stock
from ._policy import new_event_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


class Runner(asyncio.Runner):  # type: ignore[misc]  # final, its author says
    """asyncio.Runner whose default loop is native, whatever the policy in force.

    debug: True or False sets the loop's debug mode, None leaves it as it is.
    loop_factory: a callable that returns a new loop.
    """

    _state: Any
    _loop: asyncio.AbstractEventLoop
    _set_event_loop: bool

    def __init__(
        self,
        *,
        debug: bool | None = None,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        super().__init__(debug=debug, loop_factory=loop_factory or new_event_loop)
        self._is_default = loop_factory is None

    def _lazy_init(self) -> None:
        fresh = self._state is _stock.runners._State.CREATED
        _stock.runners.Runner._lazy_init(self)
        if fresh and self._is_default:
            # As without a loop_factory: close() takes it back.
            _stock.events.set_event_loop(self._loop)
            self._set_event_loop = True


def run(
    main: Coroutine[Any, Any, T],
    *,
    debug: bool | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> T:
    """Run the coroutine on a new loop, close the loop and return the coroutine's result.

    debug and loop_factory are Runner's. RuntimeError while another loop runs in this thread.
    """
    if _stock.events._get_running_loop() is not None:
        raise RuntimeError("asyncio.run() cannot be called from a running event loop")
    with Runner(debug=debug, loop_factory=loop_factory) as runner:
        return runner.run(main)
