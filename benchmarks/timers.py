"""Timers: scheduled and cancelled, and scheduled and fired."""

import asyncio

from callbacks import BETWEEN, Counter, noop
from measure import row

TIMERS = 100_000


@row(operations=TIMERS)
async def call_later_cancel(repeat: int) -> int:
    """`call_later(60, ...)` cancelled at once, 100,000 in a turn of the loop; per timer."""
    loop = asyncio.get_running_loop()
    cancelled = 0
    for _ in range(repeat):
        for _ in range(TIMERS):
            handle = loop.call_later(60, noop)
            handle.cancel()
        await asyncio.sleep(0)
        cancelled += TIMERS * handle.cancelled()
    return cancelled


@row(operations=TIMERS)
async def timers_fire(repeat: int) -> int:
    """100,000 timers due within 100 µs of their scheduling, then fired; per timer."""
    loop = asyncio.get_running_loop()
    delays = [(i * 7919 % BETWEEN) * 1e-7 for i in range(BETWEEN)]
    calls = 0
    for _ in range(repeat):
        counter = Counter(TIMERS // (BETWEEN + 1))
        for _ in range(counter.expected):
            for delay in delays:
                loop.call_later(delay, noop)
            loop.call_later(1e-4, counter)
        await counter.done
        calls += counter.calls
    return calls * (BETWEEN + 1)
