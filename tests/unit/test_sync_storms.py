"""Very many waiters, cancelled in random order, some twice, some when they were woken already.

No wake-up is lost, nobody is left behind, and the cost is linear: where it is not, these take
minutes. Stock searches its deque for each who leaves, so there are fewer on stock.
"""

import random

import pytest

COUNT_ON_STOCK = 2_000


@pytest.fixture
def count(request, many):
    return COUNT_ON_STOCK if request.node.callspec.params["impl"] == "asyncio" else many


def cancel_some(rng, tasks, share):
    """Cancel a share of the tasks in random order, every third of them twice."""
    victims = rng.sample(tasks, int(len(tasks) * share))
    for n, task in enumerate(victims):
        task.cancel()
        if n % 3 == 0:
            task.cancel()
    return set(victims)


async def outcomes(impl, tasks):
    """Wait for all; return those that were cancelled."""
    await impl.gather(*tasks, return_exceptions=True)
    return {task for task in tasks if task.cancelled()}


@pytest.mark.parametrize("name", ["Lock", "Semaphore", "BoundedSemaphore"])
def test_guards(impl, run, count, name):
    async def main():
        rng, guard, entered = random.Random(1), getattr(impl, name)(), []

        async def worker(n):
            async with guard:
                entered.append(n)

        await guard.acquire()
        tasks = [impl.create_task(worker(n)) for n in range(count)]
        await impl.sleep(0)
        cancelled = cancel_some(rng, tasks, 0.4)
        await impl.sleep(0)
        assert not entered
        guard.release()
        for _ in range(count // 20):
            # Whoever is woken by now, and others with it.
            cancelled |= cancel_some(rng, tasks[len(entered) : len(entered) + 20], 0.2)
            await impl.sleep(0)
        left = [task for task in tasks if not task.done()]
        cancelled |= cancel_some(rng, left, 0.5)
        really = await outcomes(impl, tasks)
        assert really <= cancelled
        assert entered == [n for n, task in enumerate(tasks) if task not in really]
        assert not guard.locked()
        assert not guard._waiters
        await guard.acquire()

    run(main())


def test_the_one_that_was_woken_is_always_cancelled(impl, run, count):
    """The lock goes from hand to hand and nobody gets it."""

    async def main():
        lock = impl.Lock()
        await lock.acquire()
        tasks = [impl.create_task(lock.acquire()) for _ in range(count)]
        await impl.sleep(0)
        lock.release()
        for task in tasks[:-1]:
            task.cancel()
        assert len(await outcomes(impl, tasks)) == count - 1
        assert tasks[-1].result() is True
        assert lock.locked()

    run(main())


@pytest.mark.parametrize("share", [0, 0.01])
def test_units_are_neither_lost_nor_made(impl, run, count, share):
    async def main():
        units = int(share * count) or 1
        rng, semaphore = random.Random(2), impl.Semaphore(0)
        tasks = [impl.create_task(semaphore.acquire()) for _ in range(count)]
        await impl.sleep(0)
        for _ in range(10):
            for _ in range(units):
                semaphore.release()
            cancel_some(rng, [task for task in tasks if not task.done()], 0.2)
            await impl.sleep(0)
            await impl.sleep(0)
        taken = sum(task.done() and not task.cancelled() for task in tasks)
        waiting = sum(not task.done() for task in tasks)
        assert waiting
        assert (taken, semaphore._value) == (units * 10, 0)
        cancel_some(rng, tasks, 1)
        await outcomes(impl, tasks)
        assert not semaphore._waiters
        assert semaphore._value == 0

    run(main())


def test_event(impl, run, count):
    async def main():
        rng, event = random.Random(3), impl.Event()
        tasks = [impl.create_task(event.wait()) for _ in range(count)]
        await impl.sleep(0)
        cancelled = cancel_some(rng, tasks, 0.5)
        await impl.sleep(0)
        event.set()
        event.clear()
        cancelled |= cancel_some(rng, tasks, 0.1)
        late = impl.create_task(event.wait())
        really = await outcomes(impl, tasks)
        assert really == cancelled
        assert not late.done()
        event.set()
        assert await late is True
        assert len(event._waiters) == 0

    run(main())


def test_condition(impl, run, count):
    async def main():
        rng, condition, passed = random.Random(4), impl.Condition(), []

        async def worker(n):
            async with condition:
                await condition.wait()
                passed.append(n)

        tasks = [impl.create_task(worker(n)) for n in range(count)]
        while f"waiters:{count}]" not in repr(condition):  # a look at _waiters would cost
            await impl.sleep(0)
        cancelled = cancel_some(rng, tasks, 0.4)
        async with condition:
            condition.notify(count // 2)
            cancelled |= cancel_some(rng, tasks, 0.2)
        await impl.sleep(0)
        async with condition:
            condition.notify_all()
        really = await outcomes(impl, tasks)
        assert really <= cancelled
        assert sorted(passed) == [n for n, task in enumerate(tasks) if task not in really]
        assert not condition.locked()
        assert len(condition._waiters) == 0

    run(main())


def test_barrier(impl, run, count):
    async def main():
        rng, barrier = random.Random(5), impl.Barrier(count)
        tasks = [impl.create_task(barrier.wait()) for _ in range(count - 1)]
        while barrier.n_waiting < count - 1:
            await impl.sleep(0)
        cancelled = cancel_some(rng, tasks, 0.3)
        while barrier.n_waiting > count - 1 - len(cancelled):
            await impl.sleep(0)
        more = [impl.create_task(barrier.wait()) for _ in range(len(cancelled) + 1)]
        assert await outcomes(impl, tasks + more) == cancelled
        indices = [task.result() for task in tasks + more if task not in cancelled]
        assert len(indices) == count
        assert (barrier.n_waiting, barrier.broken, barrier._count) == (0, False, 0)

    run(main())
