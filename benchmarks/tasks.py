"""Single tasks: created, awaited, sleeping, and waking one another through futures."""

import asyncio

from measure import row

SLEEPERS = 100
SLEEPS = 100
WORKERS = 10_000


async def noop() -> None:
    pass


@row(operations=1)
async def task_create_await(repeat: int) -> int:
    """`await create_task(noop())`."""
    awaited = 0
    for _ in range(repeat):
        await asyncio.create_task(noop())
        awaited += 1
    return awaited


@row(operations=1000)
async def task_spawn_1000(repeat: int) -> int:
    """1,000 tasks created, then each awaited; per task."""
    awaited = 0
    for _ in range(repeat):
        tasks = [asyncio.create_task(noop()) for _ in range(1000)]
        for task in tasks:
            await task
            awaited += 1
    return awaited


@row(operations=1000)
async def sleep0(repeat: int) -> int:
    """`await sleep(0)` in one task."""
    loop = asyncio.get_running_loop()
    slept = 0
    for _ in range(repeat):
        turns: list[None] = []
        loop.call_soon(turns.append, None)  # runs only if the task gives way
        for _ in range(1000):
            await asyncio.sleep(0)
        slept += 1000 * len(turns)
    return slept


@row(operations=SLEEPERS * SLEEPS)
async def sleep0_100_tasks(repeat: int) -> int:
    """100 tasks that each `await sleep(0)` 100 times; per sleep."""

    async def sleeper() -> int:
        for _ in range(SLEEPS):
            await asyncio.sleep(0)
        return SLEEPS

    slept = 0
    for _ in range(repeat):
        slept += sum(await asyncio.gather(*(sleeper() for _ in range(SLEEPERS))))
    return slept


@row(operations=WORKERS)
async def sleep_10k_workers(repeat: int) -> int:
    """10,000 workers in a TaskGroup that each sleep between 0.1 and 1 ms; per worker."""
    delays = [(1 + i % 10) * 1e-4 for i in range(WORKERS)]
    finished = 0

    async def worker(delay: float) -> None:
        nonlocal finished
        await asyncio.sleep(delay)
        finished += 1

    for _ in range(repeat):
        async with asyncio.TaskGroup() as group:
            for delay in delays:
                group.create_task(worker(delay))
    return finished


@row(operations=1)
async def future_ping_pong(repeat: int) -> int:
    """Two tasks wake each other through futures; per round trip."""
    loop = asyncio.get_running_loop()
    ping, pong = loop.create_future(), loop.create_future()

    async def answer() -> None:
        nonlocal ping
        for _ in range(repeat):
            value = await ping
            ping = loop.create_future()
            pong.set_result(value)

    async def ask() -> int:
        nonlocal pong
        answers = 0
        for _ in range(repeat):
            ping.set_result(1)
            answers += await pong
            pong = loop.create_future()
        return answers

    answers, _ = await asyncio.gather(ask(), answer())
    return answers
