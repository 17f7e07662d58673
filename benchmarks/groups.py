"""Groups of coroutines: `gather` and `TaskGroup`."""

import asyncio

from measure import row
from tasks import noop


async def gather(repeat: int, size: int) -> int:
    """`repeat` gathers of `size` coroutines; returns how many results came."""
    finished = 0
    for _ in range(repeat):
        finished += len(await asyncio.gather(*[noop() for _ in range(size)]))
    return finished


async def taskgroup(repeat: int, size: int) -> int:
    """`repeat` TaskGroups of `size` coroutines; returns how many were done at the end."""
    finished = 0
    for _ in range(repeat):
        async with asyncio.TaskGroup() as group:
            for _ in range(size):
                task = group.create_task(noop())
        finished += size * task.done()
    return finished


@row(operations=1000)
async def gather_1000(repeat: int) -> int:
    """`gather` of 1,000 no-op coroutines; per coroutine."""
    return await gather(repeat, 1000)


@row(operations=2)
async def gather_2(repeat: int) -> int:
    """`gather` of two no-op coroutines; per coroutine."""
    return await gather(repeat, 2)


@row(operations=1000)
async def taskgroup_1000(repeat: int) -> int:
    """A TaskGroup of 1,000 no-op coroutines; per coroutine."""
    return await taskgroup(repeat, 1000)


@row(operations=2)
async def taskgroup_2(repeat: int) -> int:
    """A TaskGroup of two no-op coroutines; per coroutine."""
    return await taskgroup(repeat, 2)
