"""Random programs made from a seed: every step is logged, and the log equals stock's."""

import asyncio
import contextvars
import random

import pytest

SEEDS_A_TEST = 25
TURNS_BEFORE_THE_END = 60
variable = contextvars.ContextVar("variable", default=0)

LEAVES = ["sleep", "wait", "set", "fail", "cancel", "uncancel", "raise", "soon", "variable"]
BRANCHES = ["spawn", "await", "gather", "group", "shield", "catch", "finally", "await_new"]
BRANCHES += ["timeout", "timeout", "wait_for"]
DEADLINES = [0, None, 1e6]  # over, none and far away: what happens depends on turns alone


def make_body(rng, depth):
    """A list of steps; each is a tuple of a kind and what it needs."""
    return [make_step(rng, depth) for _ in range(rng.randint(1, 4))]


def make_step(rng, depth):
    kind = rng.choice(LEAVES + (BRANCHES if depth else []))
    number = rng.randint(0, 5)
    if kind == "gather":
        bodies = [make_body(rng, depth - 1) for _ in range(rng.randint(1, 3))]
        return kind, number, bodies
    if kind == "finally":
        return kind, number, [make_body(rng, depth - 1), make_body(rng, 0)]
    if kind in BRANCHES:
        return kind, number, [make_body(rng, depth - 1)]
    return kind, number, []


class Program:
    """Runs the steps of a program on one implementation, and logs what happens."""

    def __init__(self, aio, seed):
        self.aio, self.body = aio, make_body(random.Random(seed), 4)
        self.log, self.tasks = [], []
        self.loop = asyncio.get_running_loop()
        self.futures = [self.loop.create_future() for _ in range(3)]
        self.loop.set_exception_handler(lambda _, context: None)

    async def main(self):
        self.spawn(self.body, "root")
        for _ in range(TURNS_BEFORE_THE_END):
            await self.aio.sleep(0)
        while left := [task for task in self.tasks if not task.done()]:
            for task in left:
                task.cancel("the end")
            await self.aio.sleep(0)
        for task in self.tasks:
            self.log.append((task.get_name(), task.cancelled(), task.cancelling()))
            task.cancelled() or self.note_error("end", task.exception())
        for future in self.futures:
            future.done() and not future.cancelled() and future.exception()
        return self.log

    def spawn(self, body, name):
        task = self.aio.create_task(self.run(body, name), name=name)
        self.tasks.append(task)
        return task

    def note_error(self, name, error):
        if isinstance(error, BaseExceptionGroup):
            self.log.append((name, error.message))
            for inner in error.exceptions:
                self.note_error(name, inner)
        else:
            self.log.append((name, type(error).__name__, getattr(error, "args", None)))

    async def run(self, body, name):
        for number, step in enumerate(body):
            here = f"{name}.{number}"
            self.log.append((here, step[0], self.aio.current_task().cancelling()))
            try:
                result = await getattr(self, f"do_{step[0]}")(here, *step[1:])
            except BaseException as error:
                self.note_error(here, error)
                raise
            self.log.append((here, "result", result))
        return name

    async def do_sleep(self, here, number, _):
        for _ in range(number):
            await self.aio.sleep(0)

    async def do_wait(self, here, number, _):
        return await self.futures[number % 3]

    async def do_set(self, here, number, _):
        future = self.futures[number % 3]
        if not future.done():
            future.set_result(here)

    async def do_fail(self, here, number, _):
        future = self.futures[number % 3]
        if number > 3 and not future.done():
            future.set_exception(LookupError(here))

    async def do_cancel(self, here, number, _):
        task = self.tasks[number % len(self.tasks)]
        return task.cancel(here if number % 2 else None)

    async def do_uncancel(self, here, number, _):
        return self.aio.current_task().uncancel()

    async def do_variable(self, here, number, _):
        before = variable.get()
        variable.set(number)
        return before

    async def do_soon(self, here, number, _):
        context = contextvars.copy_context() if number % 2 else None
        self.loop.call_soon(lambda: self.log.append((here, variable.get())), context=context)

    async def do_await_new(self, here, number, bodies):
        return await self.spawn(bodies[0], here)

    async def do_gather(self, here, number, bodies):
        children = [self.spawn(body, f"{here}/{n}") for n, body in enumerate(bodies)]
        outer = self.aio.gather(*children, return_exceptions=number % 2 == 0)
        outer.add_done_callback(lambda f: f.cancelled() or f.exception())
        results = await outer
        return [result if isinstance(result, str) else type(result) for result in results]

    async def do_group(self, here, number, bodies):
        """One child: stock cancels several in the order of their addresses."""
        async with self.aio.TaskGroup() as group:
            self.tasks.append(group.create_task(self.run(bodies[0], f"{here}/"), name=here))
            for _ in range(number - 2):
                await self.aio.sleep(0)

    async def do_shield(self, here, number, bodies):
        return await self.aio.shield(self.spawn(bodies[0], here))

    async def do_timeout(self, here, number, bodies):
        timeout = self.aio.timeout(DEADLINES[number % 3])
        try:
            async with timeout:
                if number > 2:
                    timeout.reschedule(DEADLINES[number % 2])
                return await self.run(bodies[0], here)
        finally:
            self.log.append((here, repr(timeout), self.aio.current_task().cancelling()))

    async def do_wait_for(self, here, number, bodies):
        body = self.run(bodies[0], here)
        awaitable = self.aio.create_task(body, name=here) if number > 2 else body
        return await self.aio.wait_for(awaitable, DEADLINES[number % 3])

    async def do_catch(self, here, number, bodies):
        try:
            return await self.run(bodies[0], here)
        except (asyncio.CancelledError, Exception) as error:
            self.note_error(here, error)

    async def do_finally(self, here, number, bodies):
        try:
            return await self.run(bodies[0], here)
        finally:
            await self.run(bodies[1], here + "!")

    async def do_raise(self, here, number, _):
        if number > 2:
            raise [ValueError, KeyError, asyncio.CancelledError][number - 3](here)

    async def do_spawn(self, here, number, bodies):
        task = self.spawn(bodies[0], here)
        task.add_done_callback(lambda t: self.log.append((here, "done", t.cancelled())))

    async def do_await(self, here, number, bodies):
        """Await a child of one's own, perhaps after it has ended."""
        task = self.spawn(bodies[0], here)
        for _ in range(number):
            await self.aio.sleep(0)
        return await task


@pytest.mark.parametrize("first", range(0, 500, SEEDS_A_TEST))
def test_logs_are_equal(same_as_stock, first):
    async def main(aio, seed):
        return await Program(aio, seed).main()

    for seed in range(first, first + SEEDS_A_TEST):
        assert len(same_as_stock(main, seed)) > 2
