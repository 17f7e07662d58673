"""Random programs over the synchronisation primitives: what happens, and in which iteration of
the loop, is what happens on stock."""

import asyncio
import random

import pytest

SEEDS_A_TEST = 25
WORKERS, STEPS, TURNS = 7, 6, 60
KINDS = [
    *("lock", "lock", "semaphore", "bounded", "condition wait", "condition wait_for"),
    *("notify", "notify_all", "event", "set", "clear", "barrier", "barrier", "reset", "abort"),
    *("sleep", "cancel", "cancel", "cancel twice", "release", "close", "rotate"),
]


class Program:
    """What workers do with the primitives of one implementation; the log says when and how."""

    def __init__(self, aio, seed):
        self.aio, self.rng, self.seed = aio, random.Random(seed), seed
        self.log, self.turn, self.flag = [], 0, 0
        self.locks = [aio.Lock(), aio.Lock()]
        self.semaphore = aio.Semaphore(self.rng.randint(0, 2))
        self.bounded = aio.BoundedSemaphore(self.rng.randint(1, 2))
        self.event = aio.Event()
        self.condition = aio.Condition(self.locks[1] if seed % 2 else None)
        self.barrier = aio.Barrier(self.rng.randint(1, 3))
        self.scripts = [
            [(self.rng.choice(KINDS), self.rng.randint(0, 5)) for _ in range(STEPS)]
            for _ in range(WORKERS)
        ]

    async def main(self):
        self.tasks = [self.aio.create_task(self.work(n)) for n in range(WORKERS)]
        for self.turn in range(TURNS):
            self.look()
            await self.aio.sleep(0)
        for _ in range(20):
            for task in self.tasks:
                task.cancel("the end")
            self.note("the end", self.release_all)
            await self.aio.sleep(0)
        self.log += [(task.done(), task.done() and task.cancelled()) for task in self.tasks]
        self.look()
        return self.log

    def look(self):
        """Note the state, in every third program by looking at the waiters themselves."""
        state = [self.turn, self.semaphore._value, self.bounded._value, self.barrier._count]
        for primitive in (*self.locks, self.semaphore, self.bounded, self.event, self.condition):
            if self.seed % 3:
                state.append(repr(primitive).split(" [")[1])
            else:
                state.append([waiter.done() for waiter in primitive._waiters or ()])
        self.log.append((*state, repr(self.barrier).split(" [")[1]))

    def release_all(self):
        for primitive in (*self.locks, self.condition):
            if primitive.locked():
                primitive.release()
        self.semaphore.release()

    def note(self, what, function, *args):
        try:
            self.log.append((self.turn, what, function(*args)))
        except Exception as error:
            self.log.append((self.turn, what, type(error), str(error).split("[")[-1]))

    async def work(self, n):
        for kind, number in self.scripts[n]:
            try:
                result = await getattr(self, "do_" + kind.replace(" ", "_"))(n, number)
                self.log.append((self.turn, n, kind, result))
            except (Exception, asyncio.CancelledError) as error:
                self.log.append((self.turn, n, kind, type(error), error.args))

    async def rest(self, turns):
        for _ in range(turns):
            await self.aio.sleep(0)

    async def do_sleep(self, n, number):
        await self.rest(number)

    async def do_lock(self, n, number):
        async with self.locks[number % 2]:
            self.log.append((self.turn, n, "has the lock"))
            await self.rest(number)

    async def do_semaphore(self, n, number):
        await self.semaphore.acquire()
        await self.rest(number)
        if number % 3:
            self.semaphore.release()

    async def do_bounded(self, n, number):
        async with self.bounded:
            await self.rest(number)

    async def do_condition_wait(self, n, number):
        async with self.condition:
            return await self.condition.wait()

    async def do_condition_wait_for(self, n, number):
        async with self.condition:
            return await self.condition.wait_for(lambda: self.flag > number and self.flag)

    async def do_notify(self, n, number):
        self.flag += 1
        async with self.condition:
            self.condition.notify(number % 3)
            await self.rest(number % 2)

    async def do_notify_all(self, n, number):
        self.flag += 1
        async with self.condition:
            self.condition.notify_all()

    async def do_event(self, n, number):
        return await self.event.wait()

    async def do_set(self, n, number):
        self.event.set()

    async def do_clear(self, n, number):
        self.event.clear()

    async def do_barrier(self, n, number):
        if number % 2:
            return await self.barrier.wait()
        async with self.barrier as index:
            await self.rest(number)
            return index

    async def do_reset(self, n, number):
        await self.barrier.reset()

    async def do_abort(self, n, number):
        if number == 0:
            await self.barrier.abort()

    async def do_cancel(self, n, number):
        return self.tasks[number % WORKERS].cancel(f"by {n}")

    async def do_cancel_twice(self, n, number):
        self.tasks[number % WORKERS].cancel(f"by {n}")
        await self.aio.sleep(0)
        return self.tasks[number % WORKERS].cancel(f"by {n} again")

    async def do_release(self, n, number):
        guard = [self.semaphore, self.bounded, *self.locks][number % 4]
        guard.release()

    async def do_close(self, n, number):
        """A coroutine that waits, or passes, and is closed there."""
        coro = [self.event.wait, self.semaphore.acquire, self.locks[0].acquire][number % 3]()
        try:
            yielded = coro.send(None)
        except StopIteration as stop:
            return stop.value
        coro.close()
        return yielded.done()

    async def do_rotate(self, n, number):
        """A look at the waiters, perhaps to change their order."""
        waiters = self.locks[0]._waiters
        if number == 0 and waiters:
            waiters.rotate(1)
        return len(waiters or ())


@pytest.mark.parametrize("first", range(0, 500, SEEDS_A_TEST))
def test_logs_are_equal(same_as_stock, first):
    async def main(aio, seed):
        return await Program(aio, seed).main()

    for seed in range(first, first + SEEDS_A_TEST):
        assert len(same_as_stock(main, seed)) > TURNS
