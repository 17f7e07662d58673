"""Queues among hostile items, finalizers and collections: no crash, and what stock does."""

import asyncio
import gc
import random
import sys
import weakref

import pytest


def test_an_item_that_cannot_be_compared(same_as_stock):
    async def program(aio):
        queue, log = aio.PriorityQueue(), []
        await queue.put(1)
        for item in (None, "text", 3):
            try:
                await queue.put(item)
            except TypeError as error:
                log.append(str(error))
        log.append((queue._unfinished_tasks, queue.qsize()))
        return log

    same_as_stock(program)


def test_a_comparison_that_raises_at_any_call(same_as_stock):
    async def program(aio):
        log = []
        for fatal in range(12):
            calls = [0]

            class Item:
                def __init__(self, value):
                    self.value = value

                def __lt__(self, other, fatal=fatal, calls=calls):
                    calls[0] += 1
                    if calls[0] == fatal:
                        raise ZeroDivisionError
                    return self.value < other.value

            queue = aio.PriorityQueue()
            for value in (4, 2, 5, 1, 3):
                try:
                    await queue.put(Item(value))
                except ZeroDivisionError:
                    log.append("put")
            while not queue.empty():
                try:
                    log.append((await queue.get()).value)
                except ZeroDivisionError:
                    log.append("get")
            log.append((queue.qsize(), queue._unfinished_tasks))
        return log

    same_as_stock(program)


@pytest.mark.parametrize("action", ["get", "put", "clear", "replace", "init", "shutdown"])
def test_a_comparison_that_uses_the_queue(same_as_stock, action):
    async def program(aio):
        queue, log, depth = aio.PriorityQueue(), [], [0]

        class Item:
            def __init__(self, value):
                self.value = value

            def __lt__(self, other):
                if depth[0] == 0 and queue.qsize() > 3:
                    depth[0] += 1
                    try:
                        act()
                    except Exception as error:
                        log.append(type(error).__name__)
                    depth[0] -= 1
                return self.value < other.value

        def act():
            if action == "get":
                queue.get_nowait()
            elif action == "put":
                queue.put_nowait(Item(7))
            elif action == "clear":
                queue._queue.clear()
            elif action == "replace":
                queue._queue = []
            elif action == "init":
                queue.__init__()
            else:
                getattr(queue, "shutdown", int)()

        for value in (5, 3, 4, 1, 2, 0, 6):
            try:
                queue.put_nowait(Item(value))
            except Exception as error:
                log.append(type(error).__name__)
            if queue.qsize() > 30:
                break
        for _ in range(40):
            try:
                log.append(queue.get_nowait().value)
            except Exception as error:
                log.append(type(error).__name__)
        return log

    same_as_stock(program)


@pytest.mark.parametrize("kind", ["Queue", "LifoQueue"])
def test_items_whose_end_uses_the_queue(impl, run, kind):
    async def main():
        queue = getattr(impl, kind)()
        left = [200]

        class Item:
            def __del__(self):
                left[0] -= 1
                if left[0] > 0:
                    queue.put_nowait(Item())

        queue.put_nowait(Item())
        while not queue.empty():
            queue.get_nowait()
        return left[0]

    assert run(main()) == 0


@pytest.mark.skipif(sys.version_info < (3, 13), reason="3.13 added shutdown()")
def test_items_whose_end_uses_the_queue_that_shuts_down(same_as_stock):
    async def program(aio):
        queue, log = aio.Queue(), []

        class Item:
            def __del__(self):
                try:
                    queue.put_nowait(1)
                except Exception as error:
                    log.append(type(error).__name__)
                log.append(queue._unfinished_tasks)
                if queue.qsize() == 3:
                    queue._getters = []
                    queue._putters.clear()

        for _ in range(5):
            queue.put_nowait(Item())
        queue.shutdown(immediate=True)
        return [*log, str(queue)]

    same_as_stock(program)


def test_a_container_that_uses_the_queue_while_it_is_asked(impl, run):
    async def main():
        queue = impl.Queue(3)

        class Container(list):
            def __bool__(self):
                queue._queue = Container()
                return True

            def __len__(self):
                queue._queue = Container()
                return 1

            def append(self, item):
                queue._queue = Container()

            def popleft(self):
                queue._queue = Container()
                return "popped"

        for call in (
            queue.qsize,
            queue.full,
            queue.empty,
            lambda: queue.put_nowait(1),
            queue.get_nowait,
            lambda: str(queue),
        ):
            queue._queue = Container()
            call()
        queue._queue = Container()
        assert await queue.get() == "popped"
        queue._queue = []

    run(main())


def test_waiters_that_use_the_queue_while_they_are_taken(impl, run):
    async def main():
        queue = impl.Queue()

        class Deque(list):
            def __bool__(self):
                queue._getters = []
                return True

            def popleft(self):
                queue._getters = []
                return asyncio.get_running_loop().create_future()

            def remove(self, item):
                queue._getters = []

            def append(self, item):
                queue._getters = []

        queue._getters = Deque()
        queue.put_nowait(1)
        queue.get_nowait()
        queue._getters = Deque()
        getter = impl.create_task(queue.get())
        await impl.sleep(0)
        queue._getters = Deque()
        getter.cancel()
        await impl.gather(getter, return_exceptions=True)
        return getter.cancelled()

    assert run(main())


def test_done_callbacks_that_use_the_queue(impl, run):
    """What runs when a waiter is cancelled may do anything to the queue."""

    async def main():
        queue, log = impl.Queue(), []
        tasks = [impl.create_task(queue.get()) for _ in range(10)]
        await impl.sleep(0)

        def act(task):
            if not task.cancelled():
                return
            queue.put_nowait("again")
            for other in tasks[:5]:
                other.cancel()

        for task in tasks:
            task.add_done_callback(act)
        tasks[3].cancel()
        for _ in range(6):
            await impl.sleep(0)
        log += [task.result() for task in tasks[5:] if task.done()]
        assert all(task.cancelled() for task in tasks[:5])
        return log, queue.qsize()

    assert run(main()) == (["again"] * 5, 0)


def test_collections_at_every_allocation(impl, run, collecting):
    async def main():
        for name in ("Queue", "PriorityQueue", "LifoQueue"):
            queue = getattr(impl, name)(1)
            getters = [impl.create_task(queue.get()) for _ in range(3)]
            await impl.sleep(0)
            getters[1].cancel()
            putters = [impl.create_task(queue.put(n)) for n in range(4)]
            await impl.sleep(0)
            putters[3].cancel()
            _ = queue._getters, queue._putters, queue._finished, str(queue)
            await impl.gather(*getters, *putters, return_exceptions=True)
            while not queue.empty():
                queue.get_nowait()
            while queue._unfinished_tasks:
                queue.task_done()
            await queue.join()

    run(main())


def test_a_queue_keeps_who_waits_for_it_alive(impl, run):
    """As nothing else may refer to a task but the future that it waits for."""

    async def main():
        queue, log = impl.Queue(), []

        async def take():
            log.append(await queue.get())

        for _ in range(20):
            impl.create_task(take())
        await impl.sleep(0)
        gc.collect()
        for item in range(20):
            queue.put_nowait(item)
        await impl.sleep(0)
        return log

    assert run(main()) == list(range(20))


def test_what_is_unreachable_is_collected(impl, loop, turn, logged):
    """A queue, and the tasks that wait for it, and an item that refers to it."""
    queue = impl.Queue(1)
    queue.put_nowait([queue])
    queue.attribute = queue

    async def take(queue):
        await queue.put(2)

    loop.create_task(take(queue))
    turn(2)
    gone = weakref.ref(queue)
    del queue
    gc.collect()
    assert gone() is None
    assert len(logged()) == 1


@pytest.mark.parametrize("name", ["get", "put", "join"])
def test_coroutines_that_nobody_awaits(impl, name):
    queue = impl.Queue()
    arguments = [1] if name == "put" else []
    with pytest.warns(RuntimeWarning, match=f"coroutine 'Queue.{name}' was never awaited"):
        getattr(queue, name)(*arguments)
    assert queue.empty()


def test_references_stay_flat(impl, run):
    """Over all ways that a wait can go; 200 for each object that were left behind once."""

    async def once(queue, rng):
        getters = [impl.create_task(queue.get()) for _ in range(3)]
        await impl.sleep(0)
        getters[rng.randrange(3)].cancel()
        if rng.random() < 0.5:
            _ = queue._getters
        putters = [impl.create_task(queue.put((1, 2))) for _ in range(4)]
        putters[rng.randrange(4)].cancel()
        await impl.sleep(0)
        getters[rng.randrange(3)].cancel()
        await impl.sleep(0)
        for task in (*getters, *putters):
            task.cancel()
        await impl.gather(*getters, *putters, return_exceptions=True)
        while not queue.empty():
            await queue.get()
        while queue._unfinished_tasks:
            queue.task_done()
        await queue.join()
        _ = repr(queue), queue.__getstate__() if hasattr(queue, "__getstate__") else None

    async def main():
        rng = random.Random(1)
        count = getattr(sys, "gettotalrefcount", sys.getallocatedblocks)
        counts = []
        for name in ("Queue", "PriorityQueue", "LifoQueue") * 3:
            queue = getattr(impl, name)(2)
            for _ in range(200):
                await once(queue, rng)
            del queue
            gc.collect()
            counts.append(count())
        return counts

    counts = run(main())
    assert max(counts[6:]) - max(counts[3:6]) < 190, counts
