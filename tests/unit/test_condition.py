"""Condition: waiting, notifying, cancellation at every point, foreign locks."""

import asyncio
import gc
import weakref

import pytest


async def wait_in(condition, log, name):
    async with condition:
        log.append((name, "waits"))
        result = await condition.wait()
        log.append((name, result))


async def start(impl, condition, log, count, turns=3):
    tasks = [impl.create_task(wait_in(condition, log, n)) for n in range(count)]
    for _ in range(turns):
        await impl.sleep(0)
    return tasks


@pytest.mark.parametrize("notify", ["one", "two", "all", "more", "none"])
def test_notified_in_order(impl, run, notify):
    async def main():
        condition, log = impl.Condition(), []
        tasks = await start(impl, condition, log, 4, 8)
        del log[:]
        async with condition:
            numbers = {"one": 1, "two": 2, "more": 10, "none": 0}
            if notify == "all":
                condition.notify_all()
            else:
                condition.notify(numbers[notify])
            assert log == []
        for _ in range(12):
            await impl.sleep(0)
        woken = list(log)
        for task in tasks:
            task.cancel()
        await impl.gather(*tasks, return_exceptions=True)
        assert not condition.locked()
        assert len(condition._waiters) == 0
        return woken

    count = {"one": 1, "two": 2, "all": 4, "more": 4, "none": 0}[notify]
    assert run(main()) == [(n, True) for n in range(count)]


@pytest.mark.parametrize("n", [1.5, True, -1, 10**30, float("inf")])
def test_odd_numbers_to_notify(same_as_stock, n):
    async def program(aio):
        condition, log = aio.Condition(), []
        tasks = await start(aio, condition, log, 4, 8)
        async with condition:
            condition.notify(n)
        for _ in range(12):
            await aio.sleep(0)
        for task in tasks:
            task.cancel()
        await aio.gather(*tasks, return_exceptions=True)
        return log

    same_as_stock(program)


def test_the_number_by_keyword(impl, run):
    async def main():
        condition, log = impl.Condition(), []
        tasks = await start(impl, condition, log, 2, 4)
        async with condition:
            condition.notify(n=2)
        await impl.gather(*tasks)
        with pytest.raises(TypeError):
            condition.notify(1, 2)

    run(main())


def test_without_the_lock(impl, run):
    async def main():
        condition = impl.Condition()
        with pytest.raises(RuntimeError, match="^cannot wait on un-acquired lock$"):
            await condition.wait()
        for notify in (condition.notify, condition.notify_all):
            with pytest.raises(RuntimeError, match="^cannot notify on un-acquired lock$"):
                notify()

    run(main())


def test_wait_for(impl, run):
    async def main():
        condition, value, asked = impl.Condition(), 0, []

        def predicate():
            asked.append(value)
            return value > 1 and f"value {value}"

        async def wait():
            async with condition:
                return await condition.wait_for(predicate)

        task = impl.create_task(wait())
        await impl.sleep(0)
        for value in (1, 2):  # noqa: B007
            async with condition:
                condition.notify()
            await impl.sleep(0)
        assert await task == "value 2"
        return asked

    assert run(main()) == [0, 1, 2]


def test_a_predicate_that_fails(impl, run):
    async def main():
        condition = impl.Condition()
        async with condition:
            with pytest.raises(ZeroDivisionError):
                await condition.wait_for(lambda: 1 // 0)
            assert condition.locked()
            assert await condition.wait_for(lambda: "at once") == "at once"

    run(main())


@pytest.mark.parametrize("turns", range(8))
@pytest.mark.parametrize("again", [None, 0, 1, 2])
def test_cancelled_at_every_point(same_as_stock, turns, again):
    """While it waits, when it is notified, while it takes the lock again; once or twice."""

    async def program(aio):
        condition, log = aio.Condition(), []
        tasks = await start(aio, condition, log, 3, 6)

        async def notify():
            async with condition:
                condition.notify(2)
                await aio.sleep(0)
                await aio.sleep(0)

        notifier = aio.create_task(notify())
        for _ in range(turns):
            await aio.sleep(0)
        tasks[0].cancel("first")
        for _ in range(again or 0):
            await aio.sleep(0)
        if again is not None:
            tasks[0].cancel("second")
        for _ in range(12):
            log.append((condition.locked(), len(condition._waiters)))
            await aio.sleep(0)
        await notifier
        async with condition:
            condition.notify_all()
        for result in await aio.gather(*tasks, return_exceptions=True):
            log.append((type(result), getattr(result, "args", None)))
        assert not condition.locked()
        return log

    same_as_stock(program)


def test_close_takes_the_lock_again(impl, run):
    async def main():
        condition = impl.Condition()
        await condition.acquire()
        waiting = condition.wait()
        waiting.send(None)
        assert not condition.locked()
        waiting.close()
        assert condition.locked()
        assert len(condition._waiters) == 0

    run(main())


def test_close_while_another_holds_the_lock(impl, run):
    async def main():
        condition = impl.Condition()
        await condition.acquire()
        waiting = condition.wait()
        waiting.send(None)
        await condition.acquire()
        with pytest.raises(RuntimeError, match="coroutine ignored GeneratorExit"):
            waiting.close()
        with pytest.raises(ZeroDivisionError):
            waiting.throw(ZeroDivisionError)
        condition.release()

    run(main())


def test_a_lock_of_ones_own(impl, run):
    async def main():
        lock = impl.Lock()
        conditions = [impl.Condition(lock) for _ in range(2)]
        assert all(condition._lock is lock for condition in conditions)
        async with conditions[0]:
            assert lock.locked()
            assert conditions[1].locked()
            impl.Condition(lock=lock).notify()
        assert not lock.locked()

    run(main())


def test_a_lock_of_another_make(impl, run):
    log = []

    class Foreign:
        held = False

        def locked(self):
            return self.held

        async def acquire(self):
            log.append("acquire")
            self.held = True
            return "acquired"

        def release(self):
            log.append("release")
            self.held = False

    async def main():
        condition = impl.Condition(Foreign())
        assert await condition.acquire() == "acquired"
        condition.release()

        async def notify():
            async with condition:
                condition.notify()

        async with condition:
            log.append("wait")
            task = impl.create_task(notify())
            await condition.wait()
        await task
        assert repr(condition).endswith("[unlocked]>")
        return log

    expected = ["acquire", "release", "acquire", "wait", "release"]
    expected += ["acquire", "release", "acquire", "release"]
    assert run(main()) == expected


def test_a_lock_that_fails(impl, run):
    class Failing(impl.Lock):
        broken = False

        async def acquire(self):
            if self.broken:
                raise LookupError("broken")
            return await super().acquire()

    async def main():
        condition = impl.Condition(Failing())
        log = []
        (task,) = await start(impl, condition, log, 1)
        condition._lock.broken = True
        condition._lock._locked = True
        condition.notify()
        condition._lock._locked = False
        with pytest.raises(RuntimeError):
            await task  # its __aexit__() releases a lock that it could not take

    run(main())


def test_what_is_no_lock(impl):
    with pytest.raises(AttributeError):
        impl.Condition(object())


def test_methods_of_a_subclass(same_as_stock):
    async def program(aio):
        log = []

        class Logging(aio.Condition):
            async def wait(self):
                log.append("wait")
                return await super().wait()

            def notify(self, n=1):
                log.append(f"notify {n}")
                super().notify(n)

        condition = Logging()
        flag = []

        async def worker():
            async with condition:
                await condition.wait_for(lambda: flag)

        tasks = [aio.create_task(worker()) for _ in range(2)]
        for _ in range(4):
            await aio.sleep(0)
        async with condition:
            flag.append(1)
            condition.notify_all()
        await aio.gather(*tasks)
        return log

    assert same_as_stock(program) == ["wait", "wait", "notify 2"]


def test_what_it_looks_like(impl, run):
    async def main():
        condition, log = impl.Condition(), []
        tasks = await start(impl, condition, log, 2, 4)
        looks = [repr(condition)]
        async with condition:
            looks.append(repr(condition))
            condition.notify_all()
        await impl.gather(*tasks)
        return [*looks, repr(condition)]

    looks = [look.split(" [")[1] for look in run(main())]
    assert looks == ["unlocked, waiters:2]>", "locked, waiters:2]>", "unlocked]>"]


def test_everything_goes_with_the_last_reference(impl, loop, turns, logged):
    condition, log = impl.Condition(), []
    task = loop.create_task(wait_in(condition, log, 0))
    turns(loop, 3)
    known = [weakref.ref(condition), weakref.ref(task)]
    del condition, task
    gc.collect()
    assert [ref() for ref in known] == [None, None]
    assert "Task was destroyed but it is pending!" in logged()[0]


def test_bound_to_another_loop(impl, loop, run):
    condition = impl.Condition()
    condition._loop = loop

    async def main():
        async with condition:
            with pytest.raises(RuntimeError, match="is bound to a different event loop"):
                await condition.wait()
            assert condition.locked()

    run(main())


def test_a_coroutine_of_wait_for(impl, run):
    async def main():
        condition = impl.Condition()
        coro = condition.wait_for(lambda: False)
        assert asyncio.iscoroutine(coro)
        assert coro.__qualname__ == "Condition.wait_for"
        await condition.acquire()
        coro.send(None)
        assert coro.cr_frame is not None
        assert coro.cr_await is not None
        coro.close()
        with pytest.raises(TypeError):
            condition.wait_for()

    run(main())
