"""Lock, and what all that `async with` guards with has in common."""

import asyncio
import copy
import gc
import inspect
import pickle
import sys
import types
import weakref

import pytest

GUARDS = ["Lock", "Condition", "Semaphore", "BoundedSemaphore"]
guards = pytest.mark.parametrize("name", GUARDS)


async def pass_through(guard, log, name, inside=()):
    async with guard:
        log.append(name)
        for step in inside:
            await step


@guards
def test_guards_let_in_one_after_the_other(impl, run, name):
    async def main():
        guard, log = getattr(impl, name)(), []

        async def worker(n):
            async with guard:
                log.append(f"{n} in")
                await impl.sleep(0)
                log.append(f"{n} out")

        await impl.gather(*[worker(n) for n in range(5)])
        assert not guard.locked()
        return log

    assert run(main()) == [f"{n} {what}" for n in range(5) for what in ("in", "out")]


@guards
def test_no_suspension_where_it_is_free(impl, run, name):
    async def main():
        guard, log = getattr(impl, name)(), []
        asyncio.get_running_loop().call_soon(log.append, "iteration")
        async with guard as entered:
            assert entered is None
            assert guard.locked()
        assert await guard.acquire() is True
        guard.release()
        return list(log)

    assert run(main()) == []


@guards
def test_nothing_is_made_to_pass_a_free_one(impl, run, name, stock):
    """No Python frame runs and no Future is made."""
    if issubclass(stock.Lock, impl.Lock):
        pytest.skip("stock's own code is in Python")

    async def main():
        guard = getattr(impl, name)()
        calls = []

        def profile(frame, event, _):
            if event == "call":
                calls.append(frame.f_code.co_qualname)

        def forbidden():
            raise AssertionError("a future was made")

        async with guard:
            pass
        asyncio.get_running_loop().create_future = forbidden
        sys.setprofile(profile)
        try:
            async with guard:
                pass
            await guard.acquire()
            guard.release()
        finally:
            sys.setprofile(None)
            del asyncio.get_running_loop().create_future
        return calls

    assert run(main()) == []


@guards
def test_the_exception_of_the_body_goes_on(impl, run, name):
    async def main():
        guard = getattr(impl, name)()
        with pytest.raises(ZeroDivisionError):
            async with guard:
                raise ZeroDivisionError
        assert not guard.locked()

    run(main())


@guards
def test_a_subclass_that_overrides_both_ends(impl, run, name):
    log = []

    class Logging(getattr(impl, name)):
        async def acquire(self):
            log.append("acquire")
            return await super().acquire()

        def release(self):
            log.append("release")
            return super().release()

    async def main():
        guard = Logging()
        async with guard:
            assert guard.locked()
        await impl.gather(*[pass_through(guard, log, n, [impl.sleep(0)]) for n in range(2)])

    run(main())
    if name == "Condition":  # the lock's methods stand in the instance
        assert log == [0, 1]
    else:
        assert log[:2] == ["acquire", "release"]
        assert sorted(map(str, log[2:])) == ["0", "1", *["acquire"] * 2, *["release"] * 2]


@guards
@pytest.mark.parametrize("where", ["class", "instance"])
def test_methods_that_are_replaced_are_called(impl, run, monkeypatch, name, where):
    cls, log = getattr(impl, name), []
    before = cls.acquire if where == "class" and name != "Condition" else None

    async def acquire(*self):
        log.append("acquire")
        return await before(*self) if before else True

    async def main():
        guard = cls()
        async with guard:
            pass
        if where == "instance":
            monkeypatch.setattr(guard, "acquire", acquire)
            monkeypatch.setattr(guard, "release", lambda: log.append("release"))
        elif name != "Condition":
            monkeypatch.setattr(cls, "acquire", acquire)
            monkeypatch.setattr(cls, "release", lambda self: log.append("release"))
        async with guard:
            pass
        monkeypatch.undo()
        async with cls():
            pass
        return log

    replaced = where == "instance" or name != "Condition"
    assert run(main()) == (["acquire", "release"] if replaced else [])


@guards
def test_a_guard_belongs_to_the_loop_that_it_first_waited_in(impl, run, name):
    guard = getattr(impl, name)()
    assert guard._loop is None

    async def contend():
        async with guard:
            waiting = impl.create_task(guard.acquire())
            await impl.sleep(0)
            cancelled = waiting.cancel()
            await impl.gather(waiting, return_exceptions=True)
            return cancelled, waiting.cancelled(), waiting

    async def bound():
        await contend()
        owner = guard._lock if name == "Condition" else guard
        assert owner._loop is asyncio.get_running_loop()

    run(bound())

    async def elsewhere():
        _, cancelled, waiting = await contend()
        assert not cancelled
        with pytest.raises(RuntimeError, match=r"is bound to a different event loop$"):
            waiting.result()

    run(elsewhere())


@guards
def test_an_object_that_was_never_initialised(impl, run, name):
    cls = getattr(impl, name)

    class Careless(cls):
        def __init__(self):
            pass

    async def main():
        guard = Careless()
        for use in (guard.acquire, guard.release, guard.locked):
            with pytest.raises(AttributeError):
                result = use()
                await result
        with pytest.raises(AttributeError):
            repr(guard)
        with pytest.raises(AttributeError):
            async with guard:
                pass

    if name == "Condition":
        with pytest.raises(AttributeError):
            Careless().locked()
    else:
        run(main())


@guards
def test_unknown_arguments(impl, name):
    cls = getattr(impl, name)
    pattern = rf"{name}\.__init__\(\) got an unexpected keyword argument 'loop'"
    with pytest.raises(TypeError, match=pattern):
        cls(loop=None)
    with pytest.raises(TypeError):
        cls(1, 2, 3)


@guards
def test_it_cannot_be_awaited(impl, run, name):
    async def main():
        with pytest.raises(TypeError, match=rf"{name}.*can't be"):
            await getattr(impl, name)()

    run(main())


@guards
def test_what_it_looks_like(impl, run, name):
    async def main():
        guard = getattr(impl, name)()
        free = repr(guard)
        await guard.acquire()
        tasks = [impl.create_task(guard.acquire()) for _ in range(2)]
        await impl.sleep(0)
        busy = repr(guard)
        guard.release()
        for task in tasks:
            await task
            guard.release()
        return free, busy

    value = ", value:1" if "Semaphore" in name else ""
    waiters = "" if name == "Condition" else ", waiters:2"
    free, busy = run(main())
    assert free.startswith(f"<{getattr(impl, name).__module__}.{name} object at 0x")
    assert free.endswith(f" [unlocked{value}]>")
    assert busy.endswith(f" [locked{waiters}]>")


@guards
def test_it_is_a_class_like_any_other(impl, name, stock):
    cls = getattr(impl, name)
    guard = cls()
    guard.note = "kept"
    assert guard.note == "kept"
    assert vars(guard)["note"] == "kept"
    assert weakref.ref(guard)() is guard
    assert issubclass(cls, getattr(stock, name))
    assert isinstance(guard, getattr(stock, name))
    assert isinstance(getattr(stock, name)(), cls)
    assert issubclass(impl.BoundedSemaphore, impl.Semaphore)
    for method in (cls.acquire, cls.__aenter__, cls.__aexit__) if name != "Condition" else ():
        assert inspect.iscoroutinefunction(method)
        assert isinstance(method, types.FunctionType)
    assert "acquire" not in vars(guard) or name == "Condition"
    assert cls.__name__ == name == cls.__qualname__
    assert cls.__doc__


@pytest.mark.parametrize("name", [*GUARDS, "Event"])
def test_copies(impl, name):
    cls = getattr(impl, name)
    guard = cls()
    guard.note = [1]
    for other in (copy.copy(guard), copy.deepcopy(guard), pickle.loads(pickle.dumps(guard))):
        assert type(other) is cls
        assert other is not guard
        assert other.note == [1]
        assert repr(other).split("[")[1] == repr(guard).split("[")[1]


def test_release_of_a_free_lock(impl):
    lock = impl.Lock()
    with pytest.raises(RuntimeError, match=r"^Lock is not acquired\.$"):
        lock.release()


def test_exit_of_a_lock_that_was_released_inside(impl, run):
    async def main():
        lock = impl.Lock()
        with pytest.raises(RuntimeError, match="not acquired"):
            async with lock:
                lock.release()

    run(main())


def test_nobody_overtakes_who_waits(impl, run):
    """A lock that was released while somebody waits is free, but not for others."""

    async def main():
        lock, log = impl.Lock(), []
        await lock.acquire()
        first = impl.create_task(pass_through(lock, log, "first"))
        await impl.sleep(0)
        lock.release()
        assert not lock.locked()
        await pass_through(lock, log, "second")
        await first
        return log

    assert run(main()) == ["first", "second"]


def test_a_queue_of_cancelled_tasks_is_overtaken(impl, run):
    async def main():
        lock = impl.Lock()
        await lock.acquire()
        tasks = [impl.create_task(lock.acquire()) for _ in range(3)]
        await impl.sleep(0)
        for task in tasks:
            task.cancel()
        lock.release()
        overtaken = impl.create_task(lock.acquire())
        await impl.sleep(0)
        assert overtaken.done()
        assert lock.locked()
        results = await impl.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [asyncio.CancelledError] * 3
        assert len(lock._waiters) == 0

    run(main())


@pytest.mark.parametrize("released", [False, True])
def test_cancelled_when_it_was_woken_already(impl, run, released):
    async def main():
        lock, log = impl.Lock(), []
        await lock.acquire()
        first = impl.create_task(pass_through(lock, log, "first"))
        second = impl.create_task(pass_through(lock, log, "second"))
        await impl.sleep(0)
        if released:
            lock.release()
        first.cancel()
        if not released:
            lock.release()
        with pytest.raises(asyncio.CancelledError):
            await first
        await second
        assert not lock.locked()
        return log

    assert run(main()) == ["second"]


def test_wake_up_first_of_a_subclass(impl, run):
    log = []

    class Logging(impl.Lock):
        def _wake_up_first(self):
            log.append("wake")
            super()._wake_up_first()

    async def main():
        lock = Logging()
        await lock.acquire()
        tasks = [impl.create_task(lock.acquire()) for _ in range(2)]
        await impl.sleep(0)
        lock.release()
        tasks[0].cancel()
        await impl.gather(*tasks, return_exceptions=True)
        lock.release()

    run(main())
    assert log == ["wake"] * 3


def test_get_loop_of_a_subclass(impl, run):
    class Elsewhere(impl.Lock):
        def _get_loop(self):
            raise LookupError("no loop")

    async def main():
        lock = Elsewhere()
        await lock.acquire()
        with pytest.raises(LookupError):
            await lock.acquire()

    run(main())


def test_a_coroutine_that_is_closed_half_way(impl, run):
    async def main():
        lock = impl.Lock()
        await lock.acquire()
        waiting = lock.acquire()
        future = waiting.send(None)
        assert isinstance(future, impl.Future)
        assert waiting.cr_suspended
        assert waiting.cr_frame is not None
        assert waiting.cr_await is not None
        waiting.close()
        assert len(lock._waiters) == 0
        lock.release()
        assert await lock.acquire() is True

    run(main())


def test_an_acquisition_that_is_never_awaited(impl):
    lock = impl.Lock()
    with pytest.warns(RuntimeWarning, match=r"coroutine 'Lock\.acquire' was never awaited"):
        lock.acquire()
    assert not lock.locked()


def test_a_coroutine_refuses_wrong_use(impl, run):
    async def main():
        lock = impl.Lock()
        coro = lock.acquire()
        assert inspect.iscoroutine(coro)
        assert coro.__qualname__ == "Lock.acquire"
        with pytest.raises(TypeError):
            coro.send(1)
        assert await coro is True
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            await coro

    run(main())


def test_a_lock_keeps_who_waits_for_it_alive(impl, loop, turns):
    lock, log = impl.Lock(), []
    loop.run_until_complete(lock.acquire())
    loop.create_task(pass_through(lock, log, "woken"))
    turns(loop, 2)
    gc.collect()
    loop.call_soon(lock.release)
    turns(loop, 4)
    assert log == ["woken"]


def test_a_lock_that_nobody_knows_takes_its_waiters_along(impl, loop, turns, logged):
    lock = impl.Lock()
    loop.run_until_complete(lock.acquire())
    task = loop.create_task(lock.acquire())
    turns(loop, 2)
    known = [weakref.ref(lock), weakref.ref(task)]
    del lock, task
    gc.collect()
    assert [ref() for ref in known] == [None, None]
    assert "Task was destroyed but it is pending!" in logged()[0]
