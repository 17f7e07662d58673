"""Several futures at once: `wait` and `as_completed`."""

import asyncio

from measure import row
from tasks import noop


@row(operations=1000)
async def wait_1000(repeat: int) -> int:
    """`wait` for 1,000 tasks; per task, its creation included."""
    finished = 0
    for _ in range(repeat):
        done, _ = await asyncio.wait([asyncio.create_task(noop()) for _ in range(1000)])
        finished += len(done)
    return finished


@row(operations=1)
async def wait_first(repeat: int) -> int:
    """`wait` with a timeout for the first of two futures."""
    loop = asyncio.get_running_loop()
    finished = 0
    for _ in range(repeat):
        futures = [loop.create_future(), loop.create_future()]
        loop.call_soon(futures[0].set_result, None)
        done, _ = await asyncio.wait(futures, timeout=1000, return_when=asyncio.FIRST_COMPLETED)
        finished += len(done)
    return finished


@row(operations=1000)
async def as_completed_1000(repeat: int) -> int:
    """`as_completed` of 1,000 coroutines; per coroutine."""
    finished = 0
    for _ in range(repeat):
        for coroutine in asyncio.as_completed([noop() for _ in range(1000)]):
            finished += await coroutine is None
    return finished
