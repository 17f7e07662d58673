"""Queues: cancellation at every point, before, during and after the wake-up, in any number."""

import asyncio
import random

import pytest


async def settle(impl, turns=3):
    for _ in range(turns):
        await impl.sleep(0)


async def start(impl, coroutines):
    tasks = [impl.create_task(coro) for coro in coroutines]
    await impl.sleep(0)
    return tasks


def test_cancelled_before_it_began(impl, run):
    async def main():
        queue = impl.Queue(1)
        tasks = [impl.create_task(queue.get()), impl.create_task(queue.put(1))]
        for task in tasks:
            task.cancel()
        await impl.gather(*tasks, return_exceptions=True)
        return queue.empty(), len(queue._getters), len(queue._putters)

    assert run(main()) == (True, 0, 0)


@pytest.mark.parametrize("which", range(3))
def test_cancelled_while_waiting(impl, run, which):
    async def main():
        queue = impl.Queue()
        getters = await start(impl, [queue.get() for _ in range(3)])
        getters[which].cancel("message")
        with pytest.raises(asyncio.CancelledError) as raised:
            await getters[which]
        queue.put_nowait("a")
        queue.put_nowait("b")
        await settle(impl)
        got = [task.result() for task in getters if not task.cancelled()]
        return raised.value.args, got, len(queue._getters)

    assert run(main()) == (("message",), ["a", "b"], 0)


@pytest.mark.parametrize("which", range(3))
def test_a_putter_cancelled_while_waiting(impl, run, which):
    async def main():
        queue = impl.Queue(1)
        queue.put_nowait("first")
        putters = await start(impl, [queue.put(n) for n in range(3)])
        putters[which].cancel()
        await settle(impl)
        got = [await queue.get() for _ in range(3)]
        return got, queue.empty(), len(queue._putters), [task.cancelled() for task in putters]

    left = [n for n in range(3) if n != which]
    assert run(main()) == (["first", *left], True, 0, [n == which for n in range(3)])


def test_a_woken_getter_that_is_cancelled_hands_on(impl, run):
    async def main():
        queue = impl.Queue()
        first, second = await start(impl, [queue.get(), queue.get()])
        queue.put_nowait("item")
        first.cancel()
        await settle(impl)
        return first.cancelled(), second.result()

    assert run(main()) == (True, "item")


def test_a_woken_putter_that_is_cancelled_hands_on(impl, run):
    async def main():
        queue = impl.Queue(1)
        queue.put_nowait("first")
        first, second = await start(impl, [queue.put("lost"), queue.put("kept")])
        queue.get_nowait()
        first.cancel()
        await settle(impl)
        return first.cancelled(), second.done(), queue.get_nowait(), queue.empty()

    assert run(main()) == (True, True, "kept", True)


def test_cancelled_first_and_woken_then(impl, run):
    """The wake-up passes over the one that is cancelled but has not run yet."""

    async def main():
        queue = impl.Queue()
        first, second = await start(impl, [queue.get(), queue.get()])
        first.cancel()
        queue.put_nowait("item")
        await settle(impl)
        return first.cancelled(), second.result(), queue.empty()

    assert run(main()) == (True, "item", True)


def test_cancelled_twice(impl, run):
    async def main():
        queue = impl.Queue()
        first, second = await start(impl, [queue.get(), queue.get()])
        first.cancel()
        first.cancel()
        queue.put_nowait("item")
        first.cancel()
        await settle(impl)
        assert first.cancelled()
        return second.result()

    assert run(main()) == "item"


def test_every_getter_but_the_last_is_cancelled_while_woken(impl, run):
    async def main():
        queue = impl.Queue()
        getters = await start(impl, [queue.get() for _ in range(50)])
        queue.put_nowait("item")
        for getter in getters[:-1]:
            getter.cancel()
        await settle(impl, 60)
        assert all(getter.cancelled() for getter in getters[:-1])
        return getters[-1].result()

    assert run(main()) == "item"


def test_an_error_thrown_in(impl, run):
    """Any exception leaves the line and hands on, not cancellation alone."""

    async def main():
        queue = impl.Queue()
        coro = queue.get()
        future = coro.send(None)
        future._asyncio_future_blocking = False
        other = impl.create_task(queue.get())
        await impl.sleep(0)
        assert len(queue._getters) == 2
        queue.put_nowait("item")
        with pytest.raises(ZeroDivisionError):
            coro.throw(ZeroDivisionError())
        assert future.done()
        return await other

    assert run(main()) == "item"


def test_closed_while_waiting(impl, run):
    async def main():
        queue = impl.Queue(1)
        queue.put_nowait(1)
        for coro, waiting in ((queue.put(2), "_putters"), (impl.Queue().get(), None)):
            coro.send(None)._asyncio_future_blocking = False
            if waiting:
                assert len(getattr(queue, waiting)) == 1
            coro.close()
            if waiting:
                assert len(getattr(queue, waiting)) == 0
        other = queue.put(3)
        other.send(None)._asyncio_future_blocking = False
        del other
        return str(queue)

    assert run(main()) == "<Queue maxsize=1 _queue=[1] tasks=1>"


def test_catching_the_cancellation_and_waiting_again(impl, run):
    async def main():
        queue = impl.Queue()

        async def stubborn():
            while True:
                try:
                    return await queue.get()
                except asyncio.CancelledError:
                    asyncio.current_task().uncancel()

        task = impl.create_task(stubborn())
        for _ in range(20):
            await impl.sleep(0)
            task.cancel()
        await settle(impl)
        assert len(queue._getters) == 1
        queue.put_nowait("item")
        return await task

    assert run(main()) == "item"


def test_a_timeout_at_the_moment_of_the_item(impl, run):
    """Either it is gotten or it stays: never lost."""

    async def main():
        queue, got = impl.Queue(), 0
        for _ in range(200):
            getter = impl.create_task(impl.wait_for(queue.get(), 0.0001))
            await impl.sleep(random.choice([0, 0.0001]))
            queue.put_nowait("item")
            try:
                got += await getter == "item"
            except TimeoutError:
                queue.get_nowait()
                got += 1
            assert queue.empty()
        return got

    assert run(main()) == 200


# --- storms --------------------------------------------------------------------------------------


def storm(impl, run, waiters, side):
    """So many wait on `side`, and are cancelled in random order, while others are woken."""

    async def main():
        rng = random.Random(waiters)
        getting = side == "get"
        queue = impl.Queue(0 if getting else 1)
        if not getting:
            queue.put_nowait("first")
        tasks = [
            impl.create_task(queue.get() if getting else queue.put(n)) for n in range(waiters)
        ]
        await impl.sleep(0)
        order = rng.sample(range(waiters), waiters - waiters // 10)
        puts = taken = 0
        for step, which in enumerate(order):
            tasks[which].cancel()
            if not step % 7:
                tasks[which].cancel()
            if not step % 11:
                if getting:
                    queue.put_nowait(step)
                    puts += 1
                elif not queue.empty():
                    queue.get_nowait()
                    taken += 1
            if not step % 5000:
                await impl.sleep(0)
        await settle(impl, 20)
        if getting:
            served = [task for task in tasks if task.done() and not task.cancelled()]
            assert len(served) + queue.qsize() == puts
            assert not queue.qsize() or all(task.done() for task in tasks)
        else:
            while not queue.empty():
                queue.get_nowait()
                taken += 1
                await impl.sleep(0)
            assert all(task.done() for task in tasks)
            served = [task for task in tasks if not task.cancelled()]
            assert len(served) + 1 == taken + queue.qsize()
        for task in tasks:
            task.cancel()
        await impl.gather(*tasks, return_exceptions=True)
        assert str(queue).count("ters[") == 0
        assert len(queue._getters) == len(queue._putters) == 0

    run(main())


@pytest.mark.parametrize("side", ["get", "put"])
def test_storm(impl, run, side):
    """Nothing is lost and nobody is left, whatever is cancelled when."""
    storm(impl, run, 3000, side)


@pytest.mark.parametrize("side", ["get", "put"])
def test_great_storm(side, many):
    """Of very many, where stock's search through its deque takes minutes."""
    import pyaio

    loop = pyaio.new_event_loop()
    storm(pyaio, loop.run_until_complete, many, side)
    loop.close()
