"""sleep: its result, its order among other wake-ups, cancellation, delays it accepts."""

import asyncio
import time

import pytest


def test_the_result(impl, run):
    marker = object()

    async def main():
        assert await impl.sleep(0) is None
        assert await impl.sleep(0, marker) is marker
        assert await impl.sleep(0.001) is None
        assert await impl.sleep(0.001, result=marker) is marker
        assert await impl.sleep(delay=0, result=marker) is marker

    run(main())


@pytest.mark.parametrize("result", [None, (), (1, 2), StopIteration(1), ValueError, 0])
@pytest.mark.parametrize("delay", [0, 1e-9])
def test_any_result_passes_through(impl, run, delay, result):
    async def main():
        return await impl.sleep(delay, result)

    assert run(main()) is result


@pytest.mark.parametrize("delay", [0, -1, -0.0, False, float("-inf")])
def test_no_delay_takes_exactly_one_iteration(impl, loop, turn, delay):
    log = []

    async def body():
        log.append("before")
        await impl.sleep(delay)
        log.append("after")

    task = loop.create_task(body())
    turn()
    assert log == ["before"]
    turn()
    assert log == ["before", "after"]
    assert task.done()


def test_sleepers_take_turns(impl, run):
    async def main():
        log = []

        async def body(name):
            for n in range(3):
                log.append((name, n))
                await impl.sleep(0)

        tasks = [impl.create_task(body(name)) for name in "ab"]
        for task in tasks:
            await task
        return log

    assert run(main()) == [("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)]


def test_callbacks_run_between_two_sleeps(impl, run):
    async def main():
        log, loop = [], asyncio.get_running_loop()
        for n in range(3):
            loop.call_soon(log.append, n)
            await impl.sleep(0)
            log.append("awake")
        return log

    assert run(main()) == [0, "awake", 1, "awake", 2, "awake"]


def test_it_never_wakes_early(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        for delay in (0.0005, 0.001, 0.0015, 0.003):
            before = loop.time()
            await impl.sleep(delay)
            assert loop.time() - before >= delay

    run(main())


def test_it_gives_way_while_sleeping(impl, run):
    async def main():
        log = []

        async def other():
            for n in range(100):
                log.append(n)
                await impl.sleep(0)

        task = impl.create_task(other())
        await impl.sleep(0.02)
        log.append("slept")
        await task
        return log[:3]

    assert run(main()) == [0, 1, 2]


def test_shorter_sleeps_wake_first(impl, run):
    async def main():
        log = []

        async def body(delay):
            await impl.sleep(delay)
            log.append(delay)

        delays = [0.09, 0.03, 0.06, 0, 0.12]
        tasks = [impl.create_task(body(delay)) for delay in delays]
        for task in tasks:
            await task
        return log

    assert run(main()) == [0, 0.03, 0.06, 0.09, 0.12]


def test_cancelled_before_it_began(impl, run):
    async def main():
        task = impl.create_task(impl.sleep(1000))
        task.cancel("message")
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert task.cancelled()
        return caught.value.args

    assert run(main()) == ("message",)


@pytest.mark.parametrize("delay", [0, 1000])
def test_cancelled_half_way(impl, run, delay):
    async def main():
        task = impl.create_task(impl.sleep(delay))
        await impl.sleep(0)
        assert task.cancel("message") is True
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        return caught.value.args

    assert run(main()) == ("message",)


def test_a_cancelled_sleep_leaves_no_timer(impl, loop):
    async def main():
        task = impl.create_task(impl.sleep(1000))
        await impl.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    before = time.monotonic()
    loop.run_until_complete(main())
    loop.call_later(0.01, loop.stop)
    loop.run_forever()
    assert time.monotonic() - before < 500


def test_cancellation_caught_and_slept_again(impl, run):
    async def main():
        async def body():
            try:
                await impl.sleep(1000)
            except asyncio.CancelledError:
                return await impl.sleep(0.001, "slept again")

        task = impl.create_task(body())
        await impl.sleep(0)
        task.cancel()
        return await task

    assert run(main()) == "slept again"


def test_it_works_as_a_task_and_as_a_gather_child(impl, run):
    async def main():
        task = impl.create_task(impl.sleep(0.001, "task"))
        gathered = await impl.gather(impl.sleep(0, 1), impl.sleep(0.002, 2), impl.sleep(0.001, 3))
        return await task, gathered

    assert run(main()) == ("task", [1, 2, 3])


def test_it_is_run_by_the_loop_itself(impl, loop):
    assert loop.run_until_complete(impl.sleep(0, "zero")) == "zero"
    assert loop.run_until_complete(impl.sleep(0.001, "timer")) == "timer"


def test_wait_for_and_shield_take_it(impl, run):
    async def main():
        assert await impl.wait_for(impl.sleep(0, 1), 1000) == 1
        assert await impl.shield(impl.sleep(0.001, 2)) == 2
        with pytest.raises(TimeoutError):
            await impl.wait_for(impl.sleep(1000), 0.001)
        done, pending = await impl.wait([impl.create_task(impl.sleep(0, 3))])
        assert [task.result() for task in done] == [3]
        assert not pending

    run(main())


@pytest.mark.parametrize("delay", ["1", None, [], object()])
def test_bad_delays(impl, run, delay, stock, outcome):
    async def main():
        with pytest.raises(TypeError):
            await impl.sleep(delay)

    run(main())


def test_not_a_number_is_refused_as_on_stock(impl, stock):
    def failure(module, loop):
        async def main():
            try:
                return await module.wait_for(module.sleep(float("nan")), 0.01)
            except (ValueError, TimeoutError) as error:
                return type(error)

        try:
            return loop.run_until_complete(main())
        finally:
            loop.close()

    ours = failure(impl, impl.new_event_loop())
    assert ours == failure(stock, stock.SelectorEventLoop())


@pytest.mark.parametrize("delay", [float("inf"), 1e300, 10**12])
def test_huge_delays_sleep_until_cancelled(impl, run, delay):
    async def main():
        task = impl.create_task(impl.sleep(delay))
        await impl.sleep(0.01)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


def test_integers_and_number_like_delays(impl, run):
    from decimal import Decimal
    from fractions import Fraction

    async def main():
        assert await impl.sleep(Fraction(0), "fraction") == "fraction"
        assert await impl.sleep(Fraction(1, 1000), "fraction") == "fraction"
        assert await impl.sleep(Decimal(0), "decimal") == "decimal"

    run(main())


def test_bad_arguments(impl):
    with pytest.raises(TypeError):
        impl.sleep()
    with pytest.raises(TypeError):
        impl.sleep(1, 2, 3)
    with pytest.raises(TypeError):
        impl.sleep(1, unknown=2)


def test_sleeping_needs_a_running_loop(impl):
    coro = impl.sleep(1)
    with pytest.raises(RuntimeError, match="no running event loop"):
        coro.send(None)


def test_ten_thousand_sleepers(impl, run):
    async def main():
        count = 0

        async def body(n):
            nonlocal count
            await impl.sleep(n % 10 / 1000)
            count += 1

        await impl.gather(*(body(n) for n in range(10_000)))
        return count

    assert run(main()) == 10_000


def test_an_overridden_call_later_is_honoured(impl):
    log = []

    class Loop(impl.SelectorEventLoop):
        def call_later(self, delay, callback, *args, context=None):
            log.append(delay)
            return super().call_later(0, callback, *args, context=context)

    loop = Loop()
    assert loop.run_until_complete(impl.sleep(1000, "at once")) == "at once"
    loop.close()
    assert log == [1000]
