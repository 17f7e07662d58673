"""Our loop or another one, our Task or a stock one: every combination gives the same log."""

import asyncio
import collections.abc
import selectors
import sys
import threading
import typing

import pytest


async def program(aio):
    """A bit of everything whose log depends on the order of wake-ups only."""
    log, loop = [], asyncio.get_running_loop()

    async def worker(name, turns, error=None):
        for turn in range(turns):
            log.append((name, turn))
            await aio.sleep(0)
        if error:
            raise error
        return name

    async def forever(name):
        try:
            await loop.create_future()
        except asyncio.CancelledError as error:
            log.append((name, error.args))
            raise

    log.append(await aio.create_task(worker("task", 2)))
    log.append(await aio.gather(worker("a", 2), worker("b", 0), worker("c", 1)))
    async with aio.TaskGroup() as group:
        grouped = [group.create_task(worker(name, 2)) for name in "de"]
    log.append([task.result() for task in grouped])
    try:
        async with aio.TaskGroup() as group:
            group.create_task(forever("f"))
            group.create_task(worker("g", 1, ValueError("g")))
    except* ValueError as errors:
        log.append(str(errors.exceptions))
    victim = aio.create_task(forever("h"))
    await aio.sleep(0)
    victim.cancel("why")
    results = await aio.gather(victim, worker("i", 1), return_exceptions=True)
    log.append([type(result).__name__ for result in results])
    future = loop.create_future()
    waiters = [aio.create_task(forever_on(future, log, n)) for n in range(3)]
    await aio.sleep(0)
    future.set_result("set")
    log.append(await aio.gather(*waiters))
    log.append(await aio.wait_for(worker("j", 1), 1000))
    log.append(await aio.shield(worker("k", 1)))
    done, pending = await aio.wait([aio.create_task(worker("l", 1))])
    log.append((len(done), len(pending)))
    lock, queue = asyncio.Lock(), asyncio.Queue(1)

    async def producer():
        for n in range(3):
            async with lock:
                await queue.put(n)

    async def consumer():
        return [await queue.get() for _ in range(3)]

    log.append(await aio.gather(producer(), consumer()))
    log.append(await loop.run_in_executor(None, lambda: "thread"))
    return log


async def forever_on(future, log, name):
    log.append(("woken", name, await future))


LOOPS = ["ours", "stock", "stock with a selector", "uvloop"]
TASKS = ["ours", "stock", "python"]
# Since 3.14 stock's own current_task does not know the tasks of the Python implementation.
KNOWN_TASKS = TASKS if sys.version_info < (3, 14) else TASKS[:2]


def make_loop(impl, stock, which):
    if which == "ours":
        return impl.new_event_loop()
    if which == "stock":
        return stock.SelectorEventLoop()
    if which == "uvloop":
        return pytest.importorskip("uvloop").new_event_loop()
    return stock.SelectorEventLoop(selectors.SelectSelector())


def task_class(impl, stock, which):
    return {"ours": impl.Task, "stock": stock.Task, "python": asyncio.tasks._PyTask}[which]


@pytest.fixture(params=LOOPS)
def any_loop(impl, stock, request):
    loop = make_loop(impl, stock, request.param)
    yield loop
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


@pytest.fixture(params=KNOWN_TASKS)
def any_task(impl, stock, request):
    return task_class(impl, stock, request.param)


@pytest.mark.parametrize("names", ["impl", "stock"])
def test_every_combination_gives_the_same_log(impl, stock, any_loop, any_task, names):
    expected_loop = stock.SelectorEventLoop()
    expected = expected_loop.run_until_complete(program(stock))
    expected_loop.run_until_complete(expected_loop.shutdown_default_executor())
    expected_loop.close()
    any_loop.set_task_factory(lambda loop, coro, **kw: any_task(coro, loop=loop, **kw))
    assert any_loop.run_until_complete(program({"impl": impl, "stock": stock}[names])) == expected


def test_current_task_and_all_tasks_agree(impl, stock, any_loop, any_task):
    """The stock functions are right, also those that a library imported before."""

    async def main():
        me = asyncio.current_task()
        assert type(me) is any_task
        others = {asyncio.ensure_future(asyncio.sleep(0)) for _ in range(3)}
        for module in (impl, stock, asyncio, asyncio.tasks):
            assert module.current_task() is me
            assert module.current_task(any_loop) is me
            assert module.all_tasks() == others | {me}
            assert module.all_tasks(any_loop) == others | {me}
        for task in others:
            assert await task is None
        assert impl.all_tasks() == stock.all_tasks() == {me}
        seen = []
        any_loop.call_soon(lambda: seen.append((stock.current_task(), impl.current_task())))
        await impl.sleep(0)
        assert seen == [(None, None)]
        assert stock.current_task() is me

    any_loop.set_task_factory(lambda loop, coro, **kw: any_task(coro, loop=loop, **kw))
    any_loop.run_until_complete(main())


def test_current_task_of_nested_runs(impl, stock):
    """A task of a loop that runs in another thread does not disturb this one's."""

    async def inner():
        assert stock.current_task() is impl.current_task()
        return len(stock.all_tasks())

    def in_thread(results):
        loop = impl.new_event_loop()
        results.append(loop.run_until_complete(inner()))
        loop.close()

    async def outer():
        me, results = impl.current_task(), []
        thread = threading.Thread(target=in_thread, args=(results,))
        thread.start()
        thread.join()
        assert results == [1]
        assert stock.current_task() is me
        assert stock.all_tasks() == {me}

    loop = impl.new_event_loop()
    loop.run_until_complete(outer())
    loop.close()


def test_tasks_await_each_other(impl, stock, any_loop):
    """A chain of every kind of task and future, in both directions."""

    async def link(awaitable):
        return await awaitable

    async def main():
        futures = [impl.Future(loop=any_loop), stock.Future(loop=any_loop)]
        futures.append(asyncio.futures._PyFuture(loop=any_loop))
        kinds = [task_class(impl, stock, which) for which in TASKS]
        ends = []
        for future in futures:
            for first in kinds:
                for second in kinds:
                    ends.append(second(link(first(link(future), loop=any_loop)), loop=any_loop))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for number, future in enumerate(futures):
            future.set_result(number)
        return [await end for end in ends]

    assert any_loop.run_until_complete(main()) == [0] * 9 + [1] * 9 + [2] * 9


def test_cancelling_through_every_kind_of_task(impl, stock, any_loop):
    async def link(awaitable):
        await awaitable

    async def main():
        kinds = [task_class(impl, stock, which) for which in TASKS]
        for future_class in (impl.Future, stock.Future, asyncio.futures._PyFuture):
            for first in kinds:
                for second in kinds:
                    future = future_class(loop=any_loop)
                    inner = first(link(future), loop=any_loop)
                    outer = second(link(inner), loop=any_loop)
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                    outer.cancel("message")
                    with pytest.raises(asyncio.CancelledError):
                        await outer
                    assert future.cancelled()
                    assert inner.cancelled()
                    assert outer.cancelled()

    any_loop.run_until_complete(main())


def test_gather_of_every_kind_of_child(impl, stock, any_loop):
    async def value(n):
        await asyncio.sleep(0)
        return n

    async def main():
        children = [
            task_class(impl, stock, which)(value(n), loop=any_loop)
            for n, which in enumerate(TASKS)
        ]
        futures = [impl.Future(loop=any_loop), stock.Future(loop=any_loop)]
        for future in futures:
            any_loop.call_soon(future.set_result, "future")
        return await impl.gather(*children, *futures)

    assert any_loop.run_until_complete(main()) == [0, 1, 2, "future", "future"]


def test_our_future_on_any_loop_schedules_there(impl, any_loop):
    log = []
    future = impl.Future(loop=any_loop)
    future.add_done_callback(log.append)
    future.set_result(None)
    any_loop.call_soon(any_loop.stop)
    any_loop.run_forever()
    assert log == [future]


def test_isfuture(impl, stock, any_loop):
    for future in (impl.Future(loop=any_loop), stock.Future(loop=any_loop)):
        for module in (impl, stock, asyncio, asyncio.futures):
            assert module.isfuture(future)


PAIRS = ["Future", "Task", "Handle", "TimerHandle", "TaskGroup"]


@pytest.mark.parametrize("name", PAIRS)
def test_our_classes_count_as_the_stock_ones(impl, stock, name):
    assert issubclass(getattr(impl, name), getattr(stock, name))
    assert issubclass(getattr(impl, name), getattr(asyncio, name))
    assert issubclass(getattr(stock, name), getattr(asyncio, name))
    assert not issubclass(int, getattr(impl, name))
    assert not isinstance(1, getattr(impl, name))


def test_our_task_counts_as_our_future(impl, stock):
    for module in (impl, stock):
        assert issubclass(module.Task, impl.Future) or module is stock
        assert issubclass(module.Task, asyncio.Future)
        assert not issubclass(module.Future, impl.Task)
    assert issubclass(impl.TimerHandle, impl.Handle)
    assert not issubclass(impl.Handle, impl.TimerHandle)


def test_instances_count_as_the_stock_ones(impl, stock, loop):
    future = impl.Future(loop=loop)
    handle, timer = loop.call_soon(int), loop.call_later(0, int)

    async def main():
        task = asyncio.current_task()
        assert isinstance(task, stock.Task)
        assert isinstance(task, stock.Future)
        assert isinstance(task, impl.Future)
        assert isinstance(task, asyncio.Future)
        assert isinstance(impl.TaskGroup(), stock.TaskGroup)

    assert isinstance(future, stock.Future)
    assert not isinstance(future, stock.Task)
    assert not isinstance(future, impl.Task)
    assert isinstance(handle, stock.Handle)
    assert not isinstance(handle, stock.TimerHandle)
    assert isinstance(timer, stock.TimerHandle)
    assert isinstance(timer, stock.Handle)
    loop.run_until_complete(main())
    assert isinstance(loop, stock.AbstractEventLoop)
    assert isinstance(loop, stock.SelectorEventLoop)


def test_instances_of_libraries_subclasses_count(impl, stock, loop):
    """A library that imported the names before `install()` subclassed the stock classes."""

    class LibraryFuture(stock.Future):
        pass

    class LibraryTask(stock.Task):
        pass

    async def main():
        task = LibraryTask(asyncio.sleep(0), loop=loop)
        assert isinstance(task, asyncio.Task)
        assert isinstance(task, asyncio.Future)
        await task

    assert isinstance(LibraryFuture(loop=loop), asyncio.Future)
    assert not isinstance(LibraryFuture(loop=loop), asyncio.Task)
    assert isinstance(stock.Handle(int, (), loop), asyncio.Handle)
    assert isinstance(stock.TimerHandle(1, int, (), loop), asyncio.TimerHandle)
    assert isinstance(stock.TaskGroup(), asyncio.TaskGroup)
    assert issubclass(LibraryFuture, asyncio.Future)
    assert issubclass(LibraryTask, (asyncio.Task, asyncio.Future))
    loop.run_until_complete(main())


@pytest.mark.not_repeated("typing remembers what it made of generic classes, as stock's")
def test_our_types_mix_with_abstract_and_generic_bases(impl, loop):
    parameter = typing.TypeVar("parameter")

    class Mixed(impl.Future, collections.abc.Awaitable):
        pass

    class Generic(impl.Future, typing.Generic[parameter]):
        pass

    class Plain:
        def hello(self):
            return "hello"

    class Both(Plain, impl.Task):
        pass

    assert isinstance(Mixed(loop=loop), impl.Future)
    assert isinstance(Generic[int](loop=loop), impl.Future)
    task = Both(asyncio.sleep(0, 3), loop=loop)
    assert task.hello() == "hello"
    assert loop.run_until_complete(task) == 3


def test_our_classes_can_be_patched(impl, loop, monkeypatch):
    """They are as open as Python classes: instrumentation sets methods and attributes."""
    log = []
    for cls in (impl.Future, impl.Task, impl.TaskGroup):
        try:
            monkeypatch.setattr(cls, "added_by_test", lambda self: "added", raising=False)
        except TypeError:
            log.append(cls)
    assert set(log) <= {asyncio.Future, asyncio.Task}


def test_subclasses_of_our_loop(impl):
    log = []

    class Logging(impl.SelectorEventLoop):
        def __init__(self):
            super().__init__()
            log.append("init")

        def call_soon(self, callback, *args, context=None):
            log.append("call_soon")
            return super().call_soon(callback, *args, context=context)

        def create_future(self):
            log.append("create_future")
            return super().create_future()

        def call_later(self, delay, callback, *args, context=None):
            log.append("call_later")
            return super().call_later(delay, callback, *args, context=context)

        def stop(self):
            log.append("stop")
            super().stop()

        def close(self):
            log.append("close")
            super().close()

    async def main():
        await impl.sleep(0.001)
        await asyncio.get_running_loop().create_future()

    loop = Logging()
    task = loop.create_task(main())
    loop.call_later(0.01, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()
    assert log[0] == "init"
    assert log[-1] == "close"
    assert {"call_soon", "create_future", "call_later"} <= set(log)


def test_a_loop_with_an_own_time(impl):
    """Simulated time: the loop's `time` decides when timers are due."""

    class Simulated(impl.SelectorEventLoop):
        now = 0.0

        def time(self):
            return self.now

    loop = Simulated()
    log = []
    loop.call_later(1000, log.append, "due")
    for _ in range(3):
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert log == []
    loop.now = 1001.0
    for _ in range(3):
        loop.call_soon(loop.stop)
        loop.run_forever()
    loop.close()
    assert log == ["due"]


def test_a_minimal_foreign_loop_runs_our_task(impl):
    """A loop in pure Python with nothing but what a task needs."""

    class Minimal:
        def __init__(self):
            self.ready = []

        def call_soon(self, callback, *args, context=None):
            self.ready.append((callback, args, context))

        def get_debug(self):
            return False

        def call_exception_handler(self, context):
            raise AssertionError(context)

        def is_running(self):
            return True

        def create_future(self):
            return impl.Future(loop=self)

        def run(self):
            asyncio._set_running_loop(self)
            try:
                while self.ready:
                    callback, args, context = self.ready.pop(0)
                    context.run(callback, *args) if context else callback(*args)
            finally:
                asyncio._set_running_loop(None)

    async def main():
        await impl.sleep(0)
        future = loop.create_future()
        loop.call_soon(future.set_result, 1)
        results = await impl.gather(future, impl.sleep(0, 2))
        assert impl.current_task(loop) is task
        return results

    loop = Minimal()
    loop.create_task = lambda coro, **kwargs: impl.Task(coro, loop=loop)
    task = impl.Task(main(), loop=loop)
    loop.run()
    assert task.result() == [1, 2]
