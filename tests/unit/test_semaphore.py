"""Semaphore and BoundedSemaphore: units, order, cancellation, odd numbers."""

import asyncio
import collections
import fractions

import pytest

both = pytest.mark.parametrize("name", ["Semaphore", "BoundedSemaphore"])


@both
def test_as_many_as_there_are_units(impl, run, name):
    async def main():
        semaphore, inside, most = getattr(impl, name)(3), 0, 0

        async def worker():
            nonlocal inside, most
            async with semaphore:
                inside += 1
                most = max(most, inside)
                await impl.sleep(0)
                inside -= 1

        await impl.gather(*[worker() for _ in range(20)])
        return most, inside, semaphore._value, semaphore.locked()

    assert run(main()) == (3, 0, 3, False)


@both
def test_order_is_that_of_arrival(impl, run, name):
    async def main():
        semaphore, log = getattr(impl, name)(2), []

        async def worker(n):
            async with semaphore:
                log.append(n)
                await impl.sleep(0)

        await impl.gather(*[worker(n) for n in range(9)])
        return log

    assert run(main()) == list(range(9))


@both
def test_initial_value(impl, name):
    cls = getattr(impl, name)
    assert cls()._value == 1
    assert cls(value=5)._value == 5
    assert cls(0).locked()
    with pytest.raises(ValueError, match=r"^Semaphore initial value must be >= 0$"):
        cls(-1)
    with pytest.raises(TypeError):
        cls("one")


def test_release_beyond_the_bound(impl):
    semaphore = impl.BoundedSemaphore(2)
    with pytest.raises(ValueError, match=r"^BoundedSemaphore released too many times$"):
        semaphore.release()
    assert semaphore._value == 2 == semaphore._bound_value
    semaphore._bound_value = 3
    semaphore.release()
    assert semaphore._value == 3


def test_release_beyond_the_initial_value(impl, run):
    async def main():
        semaphore = impl.Semaphore(0)
        for _ in range(3):
            semaphore.release()
        for _ in range(3):
            await semaphore.acquire()
        assert semaphore.locked()

    run(main())


def test_release_of_the_base_class_knows_no_bound(impl):
    semaphore = impl.BoundedSemaphore(1)
    impl.Semaphore.release(semaphore)
    assert semaphore._value == 2


@both
@pytest.mark.parametrize(
    "value", [True, 1.5, fractions.Fraction(3, 2), 2**80, pytest.param(2**63 - 1, id="max")]
)
def test_numbers_that_are_not_small_ints(same_as_stock, name, value):
    async def program(aio):
        semaphore = getattr(aio, name)(value)
        log = [semaphore._value, repr(semaphore).split("[")[1]]
        for _ in range(2):
            if semaphore.locked() or semaphore._value < 0:
                break
            await semaphore.acquire()
            log.append((type(semaphore._value), semaphore._value))
        semaphore.release()
        log.append((type(semaphore._value), semaphore._value))
        if name == "Semaphore":
            semaphore.release()
            semaphore.release()
        return [*log, semaphore._value, semaphore.locked()]

    same_as_stock(program)


def test_a_value_that_a_program_sets(impl, run):
    async def main():
        semaphore = impl.Semaphore(1)
        semaphore._value = 0
        waiting = impl.create_task(semaphore.acquire())
        await impl.sleep(0)
        assert not waiting.done()
        semaphore._value = 2
        semaphore.release()
        await waiting
        return semaphore._value

    assert run(main()) == 2


@both
def test_cancelled_while_it_waits(impl, run, name):
    async def main():
        semaphore = getattr(impl, name)(1)
        await semaphore.acquire()
        tasks = [impl.create_task(semaphore.acquire()) for _ in range(3)]
        await impl.sleep(0)
        tasks[0].cancel()
        semaphore.release()
        tasks[1].cancel()
        results = await impl.gather(*tasks, return_exceptions=True)
        assert [type(r) for r in results] == [asyncio.CancelledError] * 2 + [bool]
        assert semaphore._value == 0
        assert not semaphore._waiters

    run(main())


def test_two_are_woken_and_one_is_cancelled(same_as_stock):
    async def program(aio, cancelled):
        semaphore, log = aio.Semaphore(0), []

        async def worker(n):
            await semaphore.acquire()
            log.append(n)

        tasks = [aio.create_task(worker(n)) for n in range(4)]
        await aio.sleep(0)
        semaphore.release()
        semaphore.release()
        tasks[cancelled].cancel()
        for _ in range(4):
            log.append((semaphore._value, semaphore.locked()))
            await aio.sleep(0)
        semaphore.release()
        results = await aio.wait(tasks, timeout=0)
        for task in tasks:
            task.cancel()
        await aio.gather(*tasks, return_exceptions=True)
        return log, len(results[0]), semaphore._value

    for cancelled in range(4):
        same_as_stock(program, cancelled)


def test_methods_of_a_subclass(same_as_stock):
    async def program(aio):
        log = []

        class Logging(aio.Semaphore):
            def locked(self):
                log.append("locked")
                return super().locked()

            def _wake_up_next(self):
                log.append("wake")
                return super()._wake_up_next()

        semaphore = Logging(2)

        async def worker(n):
            async with semaphore:
                log.append(n)
                await aio.sleep(0)

        await aio.gather(*[worker(n) for n in range(5)])
        log.append(repr(semaphore).split("[")[1])
        return log

    same_as_stock(program)


def test_a_limit_made_by_overriding(impl, run):
    """What libraries do: a semaphore that refuses."""

    class Refusing(impl.Semaphore):
        async def acquire(self):
            if self.locked():
                raise LookupError("full")
            return await super().acquire()

    async def main():
        semaphore = Refusing(1)
        async with semaphore:
            with pytest.raises(LookupError):
                async with semaphore:
                    pass
        assert semaphore._value == 1

    run(main())


def test_waiters_that_others_put_in(impl, run):
    class Waiter:
        def __init__(self, done):
            self.log, self._done = [], done

        def done(self):
            return self._done

        def cancelled(self):
            return False

        def set_result(self, result):
            self.log.append(result)
            self._done = True

    async def main():
        semaphore = impl.Semaphore(0)
        assert semaphore._waiters is None
        finished, pending = Waiter(done=True), Waiter(done=False)
        semaphore._waiters = collections.deque([finished])
        semaphore._waiters.append(pending)
        assert semaphore.locked()
        task = impl.create_task(semaphore.acquire())
        await impl.sleep(0)
        assert len(semaphore._waiters) == 3
        semaphore.release()
        assert (finished.log, pending.log) == ([], [True])
        semaphore.release()
        assert await task is True
        return list(semaphore._waiters) == [finished, pending], semaphore._value

    assert run(main()) == (True, 0)
