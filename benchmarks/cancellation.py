"""Cancellation: many pending tasks at once, and the siblings of a task that fails."""

import asyncio

from measure import row

PENDING = 200


class ChildError(Exception):
    pass


@row(operations=PENDING)
async def cancel_storm(repeat: int) -> int:
    """200 tasks that wait for a future, cancelled and gathered; per task."""
    loop = asyncio.get_running_loop()
    cancelled = 0

    async def wait() -> None:
        await loop.create_future()

    for _ in range(repeat):
        tasks = [asyncio.create_task(wait()) for _ in range(PENDING)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        cancelled += [type(result) for result in results].count(asyncio.CancelledError)
    return cancelled


@row(operations=1)
async def taskgroup_failure(repeat: int) -> int:
    """One of ten children fails, the nine that sleep are cancelled; per TaskGroup."""
    failures = 0

    async def fail() -> None:
        raise ChildError

    for _ in range(repeat):
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(9):
                    group.create_task(asyncio.sleep(3600))
                group.create_task(fail())
        except* ChildError as caught:
            failures += len(caught.exceptions)
    return failures
