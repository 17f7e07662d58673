"""Random programs of getters, putters and cancellations: the same log as stock's."""

import random
import sys

import pytest

SEEDS_A_TEST = 40
ACTIONS = [
    *("get", "get", "put", "put", "get_nowait", "put_nowait", "cancel", "cancel", "task_done"),
    *("join", "turn", "turn", "look", "expose", "cancel twice", "wake and cancel", "close"),
]
if sys.version_info >= (3, 13):
    ACTIONS += ["shutdown", "shutdown at once"]


class Program:
    def __init__(self, aio, seed):
        self.aio, self.rng, self.log = aio, random.Random(seed), []
        kind = self.rng.choice(["Queue", "PriorityQueue", "LifoQueue"])
        self.queue = getattr(aio, kind)(self.rng.choice([0, 1, 2, 5]))
        self.tasks, self.items = [], 0
        self.exposing = self.rng.random() < 0.3

    async def watched(self, name, method, *args):
        try:
            result = await method(*args)
        except BaseException as error:
            self.log.append((name, type(error).__name__, error.args))
            raise
        self.log.append((name, result))
        if self.rng.random() < 0.2:
            self.now("nested", lambda: self.queue.get_nowait())

    def spawn(self, *call):
        name = f"{call[0].__name__} {len(self.tasks)}"
        self.tasks.append(self.aio.create_task(self.watched(name, *call), name=name))

    def now(self, name, call):
        try:
            self.log.append((name, call()))
        except Exception as error:
            self.log.append((name, type(error).__name__, str(error)))

    def item(self):
        self.items += 1
        return self.rng.randrange(10), self.items

    async def act(self, action):
        queue, rng = self.queue, self.rng
        if action in ("get", "join"):
            self.spawn(getattr(queue, action))
        elif action == "put":
            self.spawn(queue.put, self.item())
        elif action == "put_nowait":
            self.now(action, lambda: queue.put_nowait(self.item()))
        elif action in ("get_nowait", "task_done"):
            self.now(action, getattr(queue, action))
        elif action == "turn":
            await self.aio.sleep(0)
        elif action == "look":
            self.now(action, lambda: (str(queue), queue.full(), queue.empty(), queue.qsize()))
        elif action == "expose" and self.exposing:
            self.now(action, lambda: (len(queue._getters), len(queue._putters)))
        elif action.startswith("shutdown") and rng.random() < 0.2:
            self.now(action, lambda: queue.shutdown(action != "shutdown"))
        elif action == "close":
            queue.get().close()
        elif self.tasks and "cancel" in action:
            if "wake" in action:
                self.now("put", lambda: queue.put_nowait(self.item()))
            for _ in range(2 if "twice" in action else 1):
                rng.choice(self.tasks).cancel(rng.choice([None, "message"]))

    async def main(self):
        for step in range(120):
            self.log.append(step)
            await self.act(self.rng.choice(ACTIONS))
        for _ in range(20):
            await self.aio.sleep(0)
        self.log.append(str(self.queue))
        for task in self.tasks:
            task.cancel("the end")
        await self.aio.gather(*self.tasks, return_exceptions=True)
        queue = self.queue
        return [*self.log, str(queue), len(queue._getters), len(queue._putters)]


@pytest.mark.parametrize("start", range(0, 400, SEEDS_A_TEST))
def test_random_programs(same_as_stock, start):
    for seed in range(start, start + SEEDS_A_TEST):

        async def program(aio, seed=seed):
            return await Program(aio, seed).main()

        same_as_stock(program)
