"""Two coroutines, run in the four ways that asyncio has, and what that took.

An ordinary asyncio program: `python examples/four_ways.py` runs it on asyncio, and
`python -m pyaio examples/four_ways.py` on pyaio.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable


def full_name(kind: type) -> str:
    """The class's name with its module's."""
    return f"{kind.__module__}.{kind.__qualname__}"


async def worker(name: str, seconds: float) -> tuple[str, str]:
    """Sleep, then tell the worker's name and the type of the task it ran in."""
    await asyncio.sleep(seconds)
    return name, full_name(type(asyncio.current_task()))


async def awaited() -> list[tuple[str, str]]:
    """One after the other: the second starts when the first has ended."""
    return [await worker("A", 2), await worker("B", 1)]


async def tasks() -> list[tuple[str, str]]:
    """Both at once, each in a task of its own."""
    a = asyncio.create_task(worker("A", 2))
    b = asyncio.create_task(worker("B", 1))
    return [await a, await b]


async def gathered() -> list[tuple[str, str]]:
    """Both at once; gather makes the tasks and keeps the order of the results."""
    return list(await asyncio.gather(worker("A", 2), worker("B", 1)))


async def grouped() -> list[tuple[str, str]]:
    """Both at once, in a group that waits for all of its tasks."""
    async with asyncio.TaskGroup() as group:
        a = group.create_task(worker("A", 2))
        b = group.create_task(worker("B", 1))
    return [a.result(), b.result()]


async def failing() -> str:
    """A child that fails takes its siblings with it, and the group says so."""

    async def fail() -> None:
        raise ValueError("no luck")

    outcome = "nothing failed"
    try:
        async with asyncio.TaskGroup() as group:
            sibling = group.create_task(worker("A", 2))
            group.create_task(fail())
    except* ValueError as errors:
        outcome = f"{errors!r}, sibling cancelled: {sibling.cancelled()}"
    return outcome


async def main() -> None:
    """Run every way, and print results, types and seconds."""
    print(f"loop: {full_name(type(asyncio.get_running_loop()))}")
    ways: list[Callable[[], Awaitable[list[tuple[str, str]]]]] = [
        awaited,
        tasks,
        gathered,
        grouped,
    ]
    for way in ways:
        start = time.perf_counter()
        results = await way()
        seconds = time.perf_counter() - start
        names = ", ".join(name for name, _ in results)
        kinds = " and ".join(sorted({kind for _, kind in results}))
        print(f"{way.__name__:9}{seconds:6.2f} s  results {names}  in {kinds}")
    start = time.perf_counter()
    outcome = await failing()
    print(f"failing  {time.perf_counter() - start:6.2f} s  {outcome}")


asyncio.run(main())
