"""Synchronisation: queues, locks, semaphores, events and timeouts."""

import asyncio

from measure import row


@row(operations=1)
async def queue_ping_pong(repeat: int) -> int:
    """Two tasks and two queues of size 1; per round trip."""
    requests: asyncio.Queue[int] = asyncio.Queue(1)
    replies: asyncio.Queue[int] = asyncio.Queue(1)

    async def answer() -> None:
        for _ in range(repeat):
            await replies.put(await requests.get())

    async def ask() -> int:
        answers = 0
        for _ in range(repeat):
            await requests.put(1)
            answers += await replies.get()
        return answers

    answers, _ = await asyncio.gather(ask(), answer())
    return answers


@row(operations=1000)
async def queue_fan_in(repeat: int) -> int:
    """Ten producers of 100 items each and one consumer, on an unbounded queue; per item."""
    queue: asyncio.Queue[int] = asyncio.Queue()

    async def produce() -> None:
        for _ in range(100):
            await queue.put(1)

    async def consume() -> int:
        received = 0
        for _ in range(1000):
            received += await queue.get()
        return received

    received = 0
    for _ in range(repeat):
        counts = await asyncio.gather(consume(), *[produce() for _ in range(10)])
        received += counts[0]
    return received


async def contend(guard: asyncio.Lock | asyncio.Semaphore, tasks: int, times: int) -> int:
    """Let `tasks` tasks pass `guard` `times` times each, giving way to the others inside;
    returns how often it was passed."""

    async def enter() -> int:
        for _ in range(times):
            async with guard:
                await asyncio.sleep(0)
        return times

    return sum(await asyncio.gather(*[enter() for _ in range(tasks)]))


@row(operations=1000)
async def lock(repeat: int) -> int:
    """20 tasks pass a lock 50 times each, with `sleep(0)` inside; per pass."""
    return sum([await contend(asyncio.Lock(), 20, 50) for _ in range(repeat)])


@row(operations=1000)
async def semaphore(repeat: int) -> int:
    """100 tasks pass a semaphore of 10 ten times each, with `sleep(0)` inside; per pass."""
    return sum([await contend(asyncio.Semaphore(10), 100, 10) for _ in range(repeat)])


@row(operations=200)
async def event(repeat: int) -> int:
    """200 tasks woken by an event; per task."""
    woken = 0
    for _ in range(repeat):
        happened = asyncio.Event()
        waiters = [asyncio.create_task(happened.wait()) for _ in range(200)]
        await asyncio.sleep(0)
        happened.set()
        woken += (await asyncio.gather(*waiters)).count(True)
    return woken


@row(operations=1)
async def timeout_block(repeat: int) -> int:
    """`async with timeout(10)` around `sleep(0)`."""
    passed = 0
    for _ in range(repeat):
        async with asyncio.timeout(10) as block:
            await asyncio.sleep(0)
        passed += not block.expired()
    return passed


@row(operations=1)
async def wait_for(repeat: int) -> int:
    """`wait_for(sleep(0, 1), 10)`."""
    slept = 0
    for _ in range(repeat):
        slept += await asyncio.wait_for(asyncio.sleep(0, 1), 10)
    return slept
