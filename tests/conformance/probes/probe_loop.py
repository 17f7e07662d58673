"""Mode loop: every way to a loop gives the implementation's; the names of the types are stock."""

import _asyncio
import asyncio
import asyncio.unix_events
import selectors
from collections.abc import Callable

import pytest

WAYS: list[Callable[[], asyncio.AbstractEventLoop]] = [
    asyncio.new_event_loop,
    asyncio.SelectorEventLoop,
    asyncio.unix_events.SelectorEventLoop,
    getattr(asyncio, "EventLoop", asyncio.new_event_loop),
    lambda: asyncio.SelectorEventLoop(selectors.SelectSelector()),
    lambda: asyncio.Runner().get_loop(),
]


@pytest.mark.parametrize("way", WAYS)
def probe_way_to_a_loop(way: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """The loop is not stock's own class, but counts as a selector loop, and runs."""
    loop = way()
    assert type(loop) is not asyncio.unix_events._UnixSelectorEventLoop
    assert "asyncio" not in type(loop).__module__.split(".")
    assert isinstance(loop, asyncio.SelectorEventLoop)

    async def main() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert loop.run_until_complete(main()) is loop
    assert loop.run_until_complete(asyncio.Task(main(), loop=loop)) is loop
    loop.close()


def probe_run() -> None:
    """asyncio.run() runs on the implementation's loop."""

    async def main() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert type(asyncio.run(main())) is not asyncio.unix_events._UnixSelectorEventLoop


def probe_types_are_stock() -> None:
    """The suite's tasks and futures are stock's, unless it asks the loop for them."""
    assert asyncio.Task is asyncio.tasks._CTask is _asyncio.Task
    assert asyncio.Future is asyncio.futures._CFuture is _asyncio.Future


def probe_subclass_is_stock() -> None:
    """A subclass made by a test is a stock loop with what the test overrides."""

    class Own(asyncio.SelectorEventLoop):
        """As white-box tests make them."""

    loop = Own()
    loop.close()
    assert type(loop) is Own
    assert isinstance(loop, asyncio.unix_events._UnixSelectorEventLoop)
    assert type(asyncio.BaseEventLoop()) is asyncio.BaseEventLoop
