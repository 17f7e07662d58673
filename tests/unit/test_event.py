"""Event: who is woken when, cancellation, what stands in `_waiters`."""

import asyncio
import gc
import weakref

import pytest


def test_the_flag(impl, run):
    async def main():
        event = impl.Event()
        log = [event.is_set(), event.set(), event.is_set(), await event.wait()]
        event.clear()
        return [*log, event.is_set(), event._value]

    assert run(main()) == [False, None, True, True, False, False]


def test_all_are_woken_in_order(impl, run):
    async def main():
        event, log = impl.Event(), []

        async def worker(n):
            assert await event.wait() is True
            log.append(n)

        tasks = [impl.create_task(worker(n)) for n in range(10)]
        await impl.sleep(0)
        assert len(event._waiters) == 10
        event.set()
        event.clear()
        await impl.gather(*tasks)
        assert len(event._waiters) == 0
        return log

    assert run(main()) == list(range(10))


def test_who_comes_after_clear_waits(impl, run):
    async def main():
        event = impl.Event()
        first = impl.create_task(event.wait())
        await impl.sleep(0)
        event.set()
        event.clear()
        second = impl.create_task(event.wait())
        await first
        await impl.sleep(0)
        assert not second.done()
        event.set()
        await second

    run(main())


def test_no_suspension_where_it_is_set(impl, run):
    async def main():
        event, log = impl.Event(), []
        event.set()
        asyncio.get_running_loop().call_soon(log.append, "iteration")
        await event.wait()
        return list(log)

    assert run(main()) == []


@pytest.mark.parametrize("order", ["set first", "cancel first"])
def test_cancelled_in_the_turn_in_which_it_is_set(impl, run, order):
    async def main():
        event = impl.Event()
        tasks = [impl.create_task(event.wait()) for _ in range(3)]
        await impl.sleep(0)
        if order == "set first":
            event.set()
            tasks[1].cancel()
        else:
            tasks[1].cancel()
            event.set()
        results = await impl.gather(*tasks, return_exceptions=True)
        assert not event._waiters
        return [isinstance(result, asyncio.CancelledError) for result in results]

    assert run(main()) == [False, True, False]


def test_what_it_looks_like(impl, run):
    async def main():
        event = impl.Event()
        looks = [repr(event)]
        tasks = [impl.create_task(event.wait()) for _ in range(2)]
        await impl.sleep(0)
        looks.append(repr(event))
        event.set()
        await impl.gather(*tasks)
        return [*looks, repr(event)]

    assert [look.split(" [")[1] for look in run(main())] == [
        "unset]>",
        "unset, waiters:2]>",
        "set]>",
    ]


def test_a_waiter_that_others_put_in(impl, run):
    async def main():
        event, loop = impl.Event(), asyncio.get_running_loop()
        done, pending = loop.create_future(), loop.create_future()
        done.set_result(1)
        event._waiters.append(done)
        task = impl.create_task(event.wait())
        await impl.sleep(0)
        event._waiters.append(pending)
        event.set()
        assert pending.result() is True
        assert await task is True
        assert list(event._waiters) == [done, pending]

    run(main())


def test_a_waiter_that_others_take_out(same_as_stock, outcome):
    async def program(aio):
        event = aio.Event()
        task = aio.create_task(event.wait())
        await aio.sleep(0)
        event._waiters.popleft().set_result(None)
        (result,) = await aio.gather(task, return_exceptions=True)
        return type(result)

    assert same_as_stock(program) is ValueError


def test_the_deque_stays_the_same_while_somebody_holds_it(impl, run):
    async def main():
        event = impl.Event()
        shown = event._waiters
        task = impl.create_task(event.wait())
        await impl.sleep(0)
        assert shown is event._waiters
        assert len(shown) == 1
        event.set()
        await task
        assert len(shown) == 0
        assert event._waiters is shown

    run(main())


def test_futures_of_another_make(impl, run):
    class Odd(asyncio.Future):
        """Exactly no future of anybody's."""

    async def main():
        loop, event = asyncio.get_running_loop(), impl.Event()
        loop.create_future = lambda: Odd(loop=loop)
        tasks = [impl.create_task(event.wait()) for _ in range(3)]
        await impl.sleep(0)
        assert [type(waiter) for waiter in event._waiters] == [Odd] * 3
        tasks[0].cancel()
        del loop.create_future
        tasks.append(impl.create_task(event.wait()))
        await impl.sleep(0)
        event.set()
        results = await impl.gather(*tasks, return_exceptions=True)
        assert [result is True for result in results] == [False, True, True, True]
        assert len(event._waiters) == 0

    run(main())


def test_a_loop_that_refuses_to_schedule(impl, run, logged):
    async def main():
        loop, event = asyncio.get_running_loop(), impl.Event()
        tasks = [impl.create_task(event.wait()) for _ in range(2)]
        await impl.sleep(0)

        def call_soon(*args, **kwargs):
            raise LookupError("not now")

        loop.call_soon = call_soon
        try:
            with pytest.raises(LookupError):
                event.set()
        finally:
            del loop.call_soon
        assert event.is_set()
        for task in tasks:
            task.cancel()
        done, _pending = await impl.wait(tasks, timeout=0.01)
        assert len(done) == 1
        return [waiter.done() for waiter in event._waiters]

    assert run(main()) == [True]


def test_wait_outside_a_loop(impl):
    event = impl.Event()
    coro = event.wait()
    with pytest.raises((AttributeError, RuntimeError)):
        coro.send(None)
    event.set()
    with pytest.raises(StopIteration) as stop:
        event.wait().send(None)
    assert stop.value.value is True


def test_everything_goes_with_the_last_reference(impl, loop, turns, logged):
    event = impl.Event()
    task = loop.create_task(event.wait())
    turns(loop, 2)
    known = [weakref.ref(event), weakref.ref(task)]
    del event, task
    gc.collect()
    assert [ref() for ref in known] == [None, None]
    assert "Task was destroyed but it is pending!" in logged()[0]
