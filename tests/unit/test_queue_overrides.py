"""Queues: subclasses, patched classes and instances, the deques of waiters in others' hands."""

import asyncio
import collections
import heapq
import sys

import pytest

# What stock's methods call on the queue itself.
METHODS = ["qsize", "empty", "full", "get_nowait", "put_nowait", "_wakeup_next", "_get_loop"]
CONTAINER = ["_init", "_put", "_get"]


async def exercise(aio, queue, log):
    """Both sides wait, one of each is cancelled, everything is gotten; what happens is logged."""

    async def take(name):
        try:
            log.append((name, await queue.get()))
        except BaseException as error:
            log.append((name, type(error).__name__))
            raise

    async def give(item):
        try:
            log.append((item, await queue.put(item)))
        except BaseException as error:
            log.append((item, type(error).__name__))
            raise

    takers = [aio.create_task(take(f"taker {n}")) for n in range(3)]
    await aio.sleep(0)
    takers[1].cancel()
    await aio.sleep(0)
    givers = [aio.create_task(give(n)) for n in range(6)]
    for turn in range(8):
        await aio.sleep(0)
        log.append(turn)
        if turn == 2:
            givers[4].cancel()
    takers += [aio.create_task(take(f"late taker {n}")) for n in range(3)]
    await aio.gather(*takers, *givers, return_exceptions=True)
    log.append((queue.qsize(), queue.empty(), queue.full(), str(queue)))
    for _ in range(5):
        queue.task_done()
    await queue.join()
    return log


def logging(method, log):
    """The method, with a note of each call and what came of it."""

    def logged(self, *args):
        log.append(("call", method.__name__, len(args)))
        result = method(self, *args)
        log.append(("return", method.__name__, result if isinstance(result, (int, str)) else None))
        return result

    return logged


@pytest.mark.parametrize("kind", ["Queue", "PriorityQueue", "LifoQueue"])
@pytest.mark.parametrize("name", METHODS + CONTAINER)
def test_a_subclass_overrides_a_method(same_as_stock, kind, name):
    async def program(aio):
        log, cls = [], getattr(aio, kind)
        derived = type("Derived", (cls,), {name: logging(getattr(cls, name), log)})
        return await exercise(aio, derived(2), log)

    log = same_as_stock(program)
    assert any(isinstance(entry, tuple) and entry[0] == "call" for entry in log)


@pytest.mark.parametrize("name", METHODS + CONTAINER[1:])
def test_an_instance_overrides_a_method(same_as_stock, name):
    async def program(aio):
        log, queue = [], aio.Queue(2)
        method = logging(getattr(type(queue), name), log)
        setattr(queue, name, lambda *args: method(queue, *args))
        log = await exercise(aio, queue, log)
        delattr(queue, name)
        calls = len(log)
        queue.put_nowait(1)
        return log, len(log) - calls, await queue.get()

    same_as_stock(program)


@pytest.mark.parametrize("name", METHODS + CONTAINER)
def test_the_class_is_patched(same_as_stock, monkeypatch, name):
    async def program(aio):
        log = []
        used_before = aio.Queue(2)
        used_before.put_nowait(0)
        with monkeypatch.context() as patch:
            patch.setattr(aio.Queue, name, logging(getattr(aio.Queue, name), log))
            log.append(used_before.get_nowait())
            await exercise(aio, aio.Queue(2), log)
        calls = len(log)
        used_before.put_nowait(1)
        return log, len(log) - calls, await used_before.get()

    same_as_stock(program)


@pytest.mark.parametrize("name", ["get", "put", "join", "task_done"])
def test_outer_methods_call_super(same_as_stock, name):
    async def program(aio):
        log = []

        class Derived(aio.Queue):
            async def get(self):
                log.append("get")
                return await super().get()

            async def put(self, item):
                log.append("put")
                return await super().put(item)

            async def join(self):
                log.append("join")
                return await super().join()

            def task_done(self):
                log.append("task_done")
                return super().task_done()

        return await exercise(aio, Derived(2), log)

    same_as_stock(program)


def test_patched_while_somebody_waits(same_as_stock):
    async def program(aio):
        log, queue = [], aio.Queue()
        getter = aio.create_task(queue.get())
        await aio.sleep(0)
        queue.get_nowait = lambda: "from elsewhere"
        queue.put_nowait(1)
        log.append(await getter)
        log.append(queue.qsize())
        del queue.get_nowait
        return [*log, await queue.get()]

    assert same_as_stock(program) == ["from elsewhere", 1, 1]


def test_a_set_as_container(same_as_stock):
    async def program(aio):
        class Unique(aio.Queue):
            def _init(self, maxsize):
                self._queue = set()

            def _put(self, item):
                self._queue.add(item)

            def _get(self):
                return self._queue.pop()

        queue, log = Unique(2), []
        for item in (1, 1, 1):
            await queue.put(item)
        log += [queue.qsize(), await queue.get(), queue.empty(), queue._unfinished_tasks]
        return log

    assert same_as_stock(program) == [1, 1, True, 3]


def test_a_heap_of_ones_own(same_as_stock):
    async def program(aio):
        class Largest(aio.Queue):
            def _init(self, maxsize):
                self._queue = []
                self.puts = 0

            def _put(self, item):
                self.puts += 1
                heapq.heappush(self._queue, (-item, self.puts))

            def _get(self):
                return -heapq.heappop(self._queue)[0]

        queue = Largest()
        for item in (2, 9, 4):
            await queue.put(item)
        return [await queue.get() for _ in range(3)], queue.puts

    assert same_as_stock(program) == ([9, 4, 2], 3)


def test_super_of_the_container_methods(same_as_stock):
    async def program(aio):
        results = []
        for base in (aio.Queue, aio.PriorityQueue, aio.LifoQueue):

            class Doubling(base):
                def _init(self, maxsize):
                    super()._init(maxsize)
                    self._queue.append(0)

                def _put(self, item):
                    super()._put(item)
                    super()._put(item)

                def _get(self):
                    return super()._get(), self.qsize()

            queue = Doubling()
            await queue.put(1)
            results += [await queue.get(), await queue.get(), await queue.get(), queue.empty()]
        return results

    same_as_stock(program)


def test_methods_of_one_class_in_another(same_as_stock):
    async def program(aio):
        class Mixed(aio.Queue):
            _init = aio.PriorityQueue._init
            _put = aio.PriorityQueue._put
            _get = aio.LifoQueue._get

        queue = Mixed()
        for item in (5, 1, 3):
            await queue.put(item)
        return [await queue.get() for _ in range(3)], aio.PriorityQueue._put(queue, 1)

    same_as_stock(program)


def test_prefilled_by_init(same_as_stock):
    async def program(aio):
        class Prefilled(aio.Queue):
            def _init(self, maxsize):
                super()._init(maxsize)
                self.put_nowait("early")

        try:
            return await Prefilled().get()
        except AttributeError as error:
            return str(error)

    assert same_as_stock(program) == (
        "'Prefilled' object has no attribute '_is_shutdown'"
        if sys.version_info >= (3, 13)
        else "early"
    )


def test_a_subclass_that_sets_everything_itself(same_as_stock):
    async def program(aio):
        class Own(aio.Queue):
            def __init__(self):
                self._maxsize = 1
                self._getters = collections.deque()
                self._putters = collections.deque()
                self._unfinished_tasks = 0
                self._finished = aio.Event()
                self._is_shutdown = False
                self._queue = collections.deque()

        return await exercise(aio, Own(), [])

    same_as_stock(program)


def test_without_init(same_as_stock, outcome):
    async def program(aio):
        log = []
        calls = {
            "put_nowait": lambda queue: queue.put_nowait(1),
            "get_nowait": lambda queue: queue.get_nowait(),
            "put": lambda queue: queue.put(1).send(None),
            "get": lambda queue: queue.get().send(None),
            "join": lambda queue: queue.join().send(None),
            "task_done": lambda queue: queue.task_done(),
            "full": lambda queue: queue.full(),
            "empty": lambda queue: queue.empty(),
            "qsize": lambda queue: queue.qsize(),
            "maxsize": lambda queue: queue.maxsize,
            "str": str,
            "_getters": lambda queue: queue._getters,
            "_finished": lambda queue: queue._finished,
            "_loop": lambda queue: queue._loop,
        }
        if hasattr(aio.Queue, "shutdown"):
            calls["shutdown"] = lambda queue: queue.shutdown()
            calls["shutdown at once"] = lambda queue: queue.shutdown(True)
        for name, call in calls.items():
            log.append((name, *outcome(call, aio.Queue.__new__(aio.Queue))))
        return log

    same_as_stock(program)


def test_the_deque_of_waiters_in_use(same_as_stock):
    """Once a program has it, it is what the queue works with."""

    async def program(aio):
        queue, log = aio.Queue(), []
        before = aio.create_task(queue.get())
        await aio.sleep(0)
        getters = queue._getters
        after = [aio.create_task(queue.get()) for _ in range(4)]
        await aio.sleep(0)
        log += [len(getters), [future.done() for future in getters]]
        getters.rotate(1)
        queue.put_nowait("for the last")
        await aio.sleep(0)
        log += [task.done() for task in (before, *after)]
        getters.popleft()
        after[0].cancel()
        after[1].cancel()
        await aio.sleep(0)
        log.append(len(getters))
        queue.put_nowait("for the third")
        await aio.sleep(0)
        log += [task.done() for task in (before, *after)]
        getters.append(asyncio.get_running_loop().create_future())
        queue.put_nowait("for nobody")
        log += [len(getters), queue.qsize(), queue._getters is getters, str(queue)]
        before.cancel()
        results = await aio.gather(before, *after, return_exceptions=True)
        return log + [str(result) for result in results]

    same_as_stock(program)


def test_the_deque_of_waiters_replaced(same_as_stock):
    async def program(aio):
        queue = aio.Queue(1)
        queue.put_nowait(1)

        class Newest(collections.deque):
            def popleft(self):
                return self.pop()

        queue._putters = Newest()
        putters = [aio.create_task(queue.put(name)) for name in "abc"]
        await aio.sleep(0)
        got = []
        for _ in range(4):
            got.append(await queue.get())
            await aio.sleep(0)
            await aio.sleep(0)
        await aio.gather(*putters)
        return got

    same_as_stock(program)


def test_woken_by_hand(same_as_stock):
    """Setting a waiter's result from outside is as good as any wake-up."""

    async def program(aio):
        queue = aio.Queue()
        getter = aio.create_task(queue.get())
        await aio.sleep(0)
        for _ in range(3):
            getter._fut_waiter.set_result(None)
            await aio.sleep(0)
            assert not getter.done()
        queue._queue.append("by hand")
        getter._fut_waiter.set_result(None)
        return await getter

    assert same_as_stock(program) == "by hand"


def test_a_waiter_fails_by_hand(same_as_stock):
    """As libraries do that end a queue in their own way."""

    async def program(aio):
        queue = aio.Queue()
        getters = [aio.create_task(queue.get()) for _ in range(2)]
        await aio.sleep(0)
        while queue._getters:
            queue._getters.popleft().set_exception(EOFError("closed"))
        return [repr(e) for e in await aio.gather(*getters, return_exceptions=True)]

    assert same_as_stock(program) == ["EOFError('closed')"] * 2


def test_a_loop_with_futures_of_its_own(impl):
    class Future(asyncio.Future):
        made = 0

        def __init__(self, **kwargs):
            Future.made += 1
            super().__init__(**kwargs)

    loop = impl.new_event_loop()
    loop.create_future = lambda: Future(loop=loop)

    async def main():
        return await exercise(impl, impl.Queue(1), [])

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()
    assert Future.made > 5


def test_errors_from_overridden_methods(same_as_stock):
    """Wherever one raises, the error comes out of get() or put(), and the queue goes on."""

    async def program(aio):
        log = []
        for name in METHODS + CONTAINER[1:]:
            for calls in range(4):
                queue = aio.Queue(1)
                left = [calls]

                def failing(*args, name=name, queue=queue, left=left):
                    left[0] -= 1
                    if left[0] < 0:
                        raise ZeroDivisionError(name)
                    return getattr(type(queue), name)(queue, *args)

                setattr(queue, name, failing)
                tasks = [
                    aio.create_task(coro) for coro in (queue.get(), queue.put(1), queue.put(2))
                ]
                await aio.sleep(0)
                tasks[2].cancel()
                for _ in range(4):
                    await aio.sleep(0)
                for task in tasks:
                    task.cancel()
                results = await aio.gather(*tasks, return_exceptions=True)
                delattr(queue, name)
                log.append((name, calls, [repr(result) for result in results], str(queue)))
        return log

    same_as_stock(program)


def test_the_error_in_the_handler_has_the_first_as_its_context(impl, run):
    async def main():
        queue = impl.Queue()
        getter = impl.create_task(queue.get())
        await impl.sleep(0)
        queue.empty = lambda: 1 / 0
        getter.cancel()
        with pytest.raises(ZeroDivisionError) as raised:
            await getter
        return type(raised.value.__context__)

    assert run(main()) is asyncio.CancelledError
