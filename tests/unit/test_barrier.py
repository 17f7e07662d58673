"""Barrier: filling, draining, reset, abort, cancellation."""

import asyncio

import pytest


def test_all_pass_together(impl, run):
    async def main():
        barrier, log = impl.Barrier(3), []

        async def worker(n):
            log.append(("comes", n))
            index = await barrier.wait()
            log.append(("passes", n))
            return index

        indices = await impl.gather(*[worker(n) for n in range(3)])
        assert barrier.n_waiting == 0
        return log, sorted(indices)

    log, indices = run(main())
    assert [what for what, _ in log] == ["comes"] * 3 + ["passes"] * 3
    assert indices == [0, 1, 2]


def test_one_round_after_the_other(same_as_stock):
    async def program(aio):
        barrier, log = aio.Barrier(3), []

        async def worker(n):
            for turn in range(3):
                async with barrier as index:
                    log.append((turn, n, index, barrier.n_waiting, barrier._count))

        await aio.gather(*[worker(n) for n in range(9)])
        return log

    assert len(same_as_stock(program)) == 27


def test_what_it_says(impl, run):
    async def main():
        barrier = impl.Barrier(2)
        looks = [repr(barrier)]
        task = impl.create_task(barrier.wait())
        for _ in range(3):
            await impl.sleep(0)
        looks.append(repr(barrier))
        assert (barrier.parties, barrier.n_waiting, barrier.broken) == (2, 1, False)
        await barrier.abort()
        looks.append(repr(barrier))
        with pytest.raises(impl.BrokenBarrierError, match="^Abort or reset of barrier$"):
            await task
        with pytest.raises(impl.BrokenBarrierError, match="^Barrier aborted$"):
            await barrier.wait()
        await barrier.reset()
        return [*looks, repr(barrier)]

    looks = [look.split(" [")[1] for look in run(main())]
    assert looks == ["filling, waiters:0/2]>", "filling, waiters:1/2]>", "broken]>", looks[0]]


@pytest.mark.parametrize("parties", [0, -3, "two", None])
def test_parties_that_cannot_be(impl, parties):
    with pytest.raises((ValueError, TypeError)):
        impl.Barrier(parties)
    with pytest.raises(TypeError):
        impl.Barrier()


@pytest.mark.parametrize("turns", range(10))
@pytest.mark.parametrize("what", ["cancel 0", "cancel 2", "reset", "abort", "reset then abort"])
def test_disturbed_at_every_point(same_as_stock, turns, what):
    async def program(aio):
        barrier, log = aio.Barrier(3), []

        async def worker(n):
            await aio.sleep(0)
            for _ in range(2):
                try:
                    index = await barrier.wait()
                    log.append((n, index))
                except asyncio.CancelledError as error:
                    log.append((n, "cancelled", error.args))
                except aio.BrokenBarrierError as error:
                    log.append((n, "broken", str(error)))

        tasks = [aio.create_task(worker(n)) for n in range(5)]
        for _ in range(turns):
            await aio.sleep(0)
        if what.startswith("cancel"):
            tasks[int(what[-1])].cancel("message")
        if "reset" in what:
            await barrier.reset()
        if "abort" in what:
            await barrier.abort()
        for _ in range(20):
            log.append((barrier.n_waiting, barrier.broken, barrier._count, barrier._state.value))
            await aio.sleep(0)
        for task in tasks:
            task.cancel()
            await aio.sleep(0)
            task.cancel()
        await aio.gather(*tasks, return_exceptions=True)
        return [*log, barrier._count]

    same_as_stock(program)


def test_parts_of_a_subclass(same_as_stock):
    async def program(aio):
        log = []

        class Logging(aio.Barrier):
            async def _wait(self):
                log.append("wait")
                await super()._wait()

            def _exit(self):
                log.append("exit")
                super()._exit()

        barrier = Logging(2)
        await aio.gather(barrier.wait(), barrier.wait())
        return log

    assert same_as_stock(program) == ["wait", "exit", "exit"]


def test_wait_of_a_subclass(impl, run):
    class Logging(impl.Barrier):
        async def wait(self):
            return "index", await super().wait()

    async def main():
        async with Logging(1) as index:
            return index

    assert run(main()) == ("index", 0)


def test_a_condition_that_somebody_put_in(impl, run, stock):
    async def main():
        barrier = impl.Barrier(2)
        barrier._cond = stock.Condition()
        return await impl.gather(barrier.wait(), barrier.wait())

    assert sorted(run(main())) == [0, 1]


def test_a_barrier_that_was_never_initialised(impl, run):
    class Careless(impl.Barrier):
        def __init__(self):
            pass

    async def main():
        for use in (Careless().wait, Careless().abort):
            with pytest.raises(AttributeError):
                await use()

    run(main())
