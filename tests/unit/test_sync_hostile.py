"""Primitives under hostile use: no crash, and the loop goes on."""

import asyncio
import collections
import contextlib
import gc

import pytest

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]
NAMES = ["Lock", "Event", "Condition", "Semaphore", "BoundedSemaphore", "Barrier"]
names = pytest.mark.parametrize("name", NAMES)
METHODS = [
    *("acquire", "release", "locked", "wait", "wait_for", "set", "clear", "is_set", "notify"),
    *("notify_all", "reset", "abort", "__aenter__", "_get_loop", "_wake_up_first", "_notify"),
    *("_wake_up_next", "_block", "_release", "_wait", "_exit", "__repr__", "__getstate__"),
]
ATTRIBUTES = [
    *("_waiters", "_locked", "_value", "_bound_value", "_lock", "_loop", "_cond", "_state"),
    *("_count", "_parties", "locked", "acquire", "release"),
]
VALUES = [None, 0, -1, 10**40, "x", [], object(), collections.deque([1, None])]


def poke(primitive, arguments=()):
    """Call everything there is; drive what can be driven."""
    for name in METHODS:
        with contextlib.suppress(Exception):
            result = getattr(primitive, name)(*arguments)
            if asyncio.iscoroutine(result):
                for _ in range(3):
                    result.send(None)


@names
def test_uninitialised(impl, loop, still_works, name):
    async def main():
        primitive = getattr(impl, name).__new__(getattr(impl, name))
        poke(primitive)
        poke(primitive, (1,))
        for attribute in ATTRIBUTES:
            with contextlib.suppress(Exception):
                delattr(primitive, attribute)
        poke(primitive)
        gc.collect()

    loop.run_until_complete(main())


@names
def test_attributes_of_any_kind(impl, loop, still_works, name):
    def make():
        return getattr(impl, name)(2) if name == "Barrier" else getattr(impl, name)()

    async def main():
        for attribute in ATTRIBUTES:
            for value in VALUES:
                primitive = make()
                with contextlib.suppress(Exception):
                    setattr(primitive, attribute, value)
                poke(primitive)
                poke(primitive, (value,))
            primitive = make()
            poke(primitive)
            with contextlib.suppress(Exception):
                delattr(primitive, attribute)
            poke(primitive)

    loop.run_until_complete(main())
    gc.collect()


@names
def test_initialised_again_while_somebody_waits(impl, loop, turns, still_works, name):
    primitive = getattr(impl, name)(*[2] * (name == "Barrier"))

    async def wait():
        with contextlib.suppress(Exception):
            if name in ("Event", "Barrier"):
                await primitive.wait()
            else:
                async with primitive:
                    await impl.sleep(0)

    tasks = [loop.create_task(wait()) for _ in range(5)]
    turns(loop, 1)
    primitive.__init__(*[2] * (name == "Barrier"))
    turns(loop, 3)
    for task in tasks:
        task.cancel()
    turns(loop, 3)
    for task in tasks:
        task.cancel()
    turns(loop, 3)


@pytest.mark.parametrize("shown", [False, True])
def test_a_callback_of_the_loop_meddles(impl, loop, turns, still_works, logged, shown):
    """`call_soon` is overridden: setting a result runs code of others in the middle of set()."""
    event, lock = impl.Event(), impl.Lock()
    loop.run_until_complete(lock.acquire())
    tasks = [loop.create_task(event.wait()) for _ in range(6)]
    tasks += [loop.create_task(lock.acquire()) for _ in range(3)]
    turns(loop, 1)
    if shown:
        assert len(event._waiters) == 6
    calls, original = [], loop.call_soon

    def call_soon(callback, *args, **kwargs):
        if not calls:
            calls.append(1)
            tasks[3].cancel()
            tasks[7].cancel()
            list(event._waiters)
            event.__init__()
            lock._waiters = None
            gc.collect()
        return original(callback, *args, **kwargs)

    loop.call_soon = call_soon
    with contextlib.suppress(RuntimeError):  # a deque that changes while stock goes through it
        event.set()
    with contextlib.suppress(RuntimeError):
        lock.release()
    del loop.call_soon
    for task in tasks:
        task.cancel()
    turns(loop, 4)
    assert calls


def test_waiters_that_end_the_primitive(impl, loop, still_works):
    """done() and set_result() of a foreign waiter drop everything."""

    class Dropping:
        def __init__(self, primitive):
            self.primitive = primitive

        def done(self):
            self.primitive._waiters.clear()
            self.primitive.__dict__.clear()
            return False

        cancelled = done

        def set_result(self, result):
            self.primitive._waiters = None
            raise LookupError

    for name in ("Event", "Semaphore", "Lock"):
        primitive = getattr(impl, name)()
        for _ in range(2):
            primitive._waiters = collections.deque([Dropping(primitive)] * 3)
            poke(primitive)


@names
def test_while_garbage_is_collected_all_the_time(impl, run, collecting, name):
    async def main():
        primitive = getattr(impl, name)(*[3] * (name == "Barrier"))
        log = []

        async def wait(n):
            cycle = [primitive]
            cycle.append(cycle)
            if name in ("Event", "Barrier"):
                await primitive.wait()
            elif name == "Condition":
                async with primitive:
                    await primitive.wait()
            else:
                async with primitive:
                    await impl.sleep(0)
            log.append(n)

        tasks = [impl.create_task(wait(n)) for n in range(12)]
        for _ in range(4):
            await impl.sleep(0)
        tasks[5].cancel()
        if name == "Event":
            primitive.set()
        if name == "Condition":
            async with primitive:
                primitive.notify_all()
        for _ in range(60):
            await impl.sleep(0)
        for task in tasks:
            task.cancel()
        await impl.gather(*tasks, return_exceptions=True)
        return log

    assert len(run(main())) >= 3


@names
def test_a_waiter_whose_task_dies_in_a_cycle(impl, loop, turns, still_works, logged, name):
    """The collector takes primitive, waiter and task apart, in whatever order."""
    for shown in (False, True):
        primitive = getattr(impl, name)(*[2] * (name == "Barrier"))

        async def wait(primitive=primitive):
            keep = primitive
            if name in ("Event", "Barrier"):
                await keep.wait()
            else:
                async with keep, keep:
                    pass

        tasks = [loop.create_task(wait()) for _ in range(3)]
        primitive.tasks = tasks
        turns(loop, 3)
        if shown:
            getattr(primitive, "_waiters", None)
        del primitive, tasks, wait
        gc.collect()
    assert logged()


def test_threads_that_misuse(impl, loop, still_works):
    """A primitive of a loop that runs, asked from another thread."""
    import threading

    lock = impl.Lock()
    failures = []

    def other():
        try:
            coro = lock.acquire()
            coro.send(None)
        except (RuntimeError, AttributeError) as error:
            failures.append(error)
        finally:
            coro.close()

    async def main():
        await lock.acquire()
        waiting = impl.create_task(lock.acquire())
        await impl.sleep(0)
        thread = threading.Thread(target=other)
        thread.start()
        await asyncio.get_running_loop().run_in_executor(None, thread.join)
        waiting.cancel()
        lock.release()

    loop.run_until_complete(main())
    assert "is bound to a different event loop" in str(failures[0])
