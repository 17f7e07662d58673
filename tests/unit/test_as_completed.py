"""as_completed: the order of its items, its timeout, cancellation, both kinds of iteration."""

import asyncio
import random
import sys
import warnings

import pytest

two_way = pytest.mark.skipif(sys.version_info < (3, 13), reason="two-way from 3.13 on")


def futures(count):
    loop = asyncio.get_running_loop()
    return [loop.create_future() for _ in range(count)]


async def turns(impl, count):
    for _ in range(count):
        await impl.sleep(0)


async def value(impl, result, count):
    await turns(impl, count)
    return result


def test_results_come_in_the_order_of_the_ends(impl, run):
    async def main():
        children = [value(impl, n, count) for n, count in enumerate([5, 1, 3, 7])]
        return [await coroutine for coroutine in impl.as_completed(children)]

    assert run(main()) == [1, 2, 0, 3]


@two_way
def test_futures_come_in_the_order_of_the_ends(impl, run):
    async def main():
        tasks = [impl.create_task(value(impl, n, c)) for n, c in enumerate([5, 1, 3, 7])]
        return [tasks.index(task) async for task in impl.as_completed(tasks)]

    assert run(main()) == [1, 2, 0, 3]


@two_way
def test_coroutines_come_as_tasks(impl, run):
    async def main():
        async for task in impl.as_completed([value(impl, 1, 1)]):
            assert isinstance(task, asyncio.Task)
            assert task.done()
            assert await task == 1

    run(main())


@two_way
def test_both_kinds_of_iteration_of_one_iterator(impl, run):
    async def main():
        fs = futures(3)
        for n, future in enumerate(fs):
            future.set_result(n)
        iterator = impl.as_completed(fs)
        assert iter(iterator) is iterator
        assert aiter(iterator) is iterator
        first, second = await next(iterator), await anext(iterator)
        third = await next(iterator)
        assert sorted([first, second.result(), third]) == [0, 1, 2]
        assert next(iterator, "over") == "over"
        with pytest.raises(StopAsyncIteration):
            await anext(iterator)

    run(main())


def test_exceptions_and_cancellations(impl, run):
    async def main():
        fs = futures(3)
        fs[0].set_exception(OSError("one"))
        fs[1].cancel("two")
        fs[2].set_result("three")
        log = []
        for coroutine in impl.as_completed(fs):
            try:
                log.append(await coroutine)
            except (OSError, asyncio.CancelledError) as error:
                log.append((type(error), error.args))
        return set(log)

    assert run(main()) == {
        "three",
        (asyncio.CancelledError, ("two",)),
        (OSError, ("one",)),
    }


def test_the_timeout(impl, run):
    async def main():
        fs = futures(4)
        asyncio.get_running_loop().call_soon(fs[2].set_result, "in time")
        log = []
        for coroutine in impl.as_completed(fs, timeout=0.01):
            try:
                log.append(await coroutine)
            except TimeoutError:
                log.append("late")
        assert not any(future._callbacks for future in fs)
        return log

    assert run(main()) == ["in time", "late", "late", "late"]


@two_way
def test_the_timeout_of_asynchronous_iteration(impl, run):
    async def main():
        fs = futures(2)
        fs[1].set_result(None)
        iterator = impl.as_completed(fs, timeout=0.01)
        assert await anext(iterator) is fs[1]
        with pytest.raises(TimeoutError):
            await anext(iterator)

    run(main())


def test_a_timer_that_is_left_is_cancelled(impl, run):
    async def main():
        fs = futures(1)
        fs[0].set_result(None)
        for coroutine in impl.as_completed(fs, timeout=1000):
            await coroutine
        loop = asyncio.get_running_loop()
        return [handle for handle in loop._scheduled if not handle.cancelled()]

    assert run(main()) == []


def test_duplicates_count_once(impl, run):
    async def main():
        coroutine, (future,) = value(impl, "coroutine", 2), futures(1)
        future.set_result("future")
        arguments = [coroutine, future, coroutine, future]
        return [await one for one in impl.as_completed(arguments)]

    assert run(main()) == ["future", "coroutine"]


@pytest.mark.parametrize("arguments", [[], (), set(), iter([])])
def test_nothing_to_wait_for(impl, run, arguments):
    async def main():
        return list(impl.as_completed(arguments, timeout=1000))

    assert run(main()) == []


@pytest.mark.parametrize("argument", [None, 42, [42], [None, 1], "future", "coroutine"])
def test_wrong_arguments(impl, run, same_as_stock, argument):
    async def program(aio):
        one = argument
        if argument == "future":
            one = asyncio.get_running_loop().create_future()
        elif argument == "coroutine":
            one = value(aio, 0, 0)
        try:
            return len(list(aio.as_completed(one)))
        except Exception as error:
            return type(error), str(error)
        finally:
            if argument == "coroutine":
                one.close()

    same_as_stock(program)


def test_wrong_calls(impl, run):
    async def main():
        for arguments, keywords in [((), {}), (([], 1), {}), (([],), {"x": 1})]:
            with pytest.raises(TypeError):
                impl.as_completed(*arguments, **keywords)

    run(main())


def test_without_a_running_loop(impl, loop):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        asyncio.set_event_loop(loop)
        future = loop.create_future()
        future.set_result(1)
        try:
            if sys.version_info >= (3, 14):
                with pytest.raises(RuntimeError, match="no running event loop"):
                    list(impl.as_completed([future]))
            else:
                (coroutine,) = impl.as_completed([future])
                assert loop.run_until_complete(coroutine) == 1
        finally:
            asyncio.set_event_loop(None)


def test_when_futures_are_registered(impl, run, same_as_stock):
    """A generator before 3.13 does nothing before the first item is asked for."""

    async def program(aio):
        (future,) = futures(1)
        iterator = aio.as_completed([future], timeout=1000)
        log = [len(future._callbacks or ())]
        coroutine = next(iterator)
        log.append(len(future._callbacks or ()))
        future.set_result(None)
        await coroutine
        log.append(type(iterator).__name__ == "generator")
        return log

    same_as_stock(program)


@pytest.mark.parametrize("end", ["result", "exception"])
@pytest.mark.parametrize("turn", range(5))
@pytest.mark.parametrize("ending", range(4))
def test_a_consumer_cancelled_at_every_turn(impl, run, same_as_stock, end, turn, ending):
    """Another consumer gets what the cancelled one was about to."""

    async def program(aio):
        fs = futures(2)
        consumers = [aio.create_task(one) for one in aio.as_completed(fs)]
        log = []
        for n in range(8):
            if n == turn:
                log.append(consumers[0].cancel("enough"))
            if n == ending:
                fs[0].set_result(0) if end == "result" else fs[0].set_exception(OSError())
            await turns(aio, 1)
            log.append([consumer.done() for consumer in consumers])
        fs[1].set_result(1)
        outcomes = await aio.gather(*consumers, return_exceptions=True)
        return log, [(type(one), str(one)) for one in outcomes]

    same_as_stock(program)


@pytest.mark.parametrize("how", ["close", "throw"])
def test_a_consumer_ended_half_way(impl, run, how):
    async def main():
        fs = futures(2)
        iterator = iter(impl.as_completed(fs))
        first, second = next(iterator), next(iterator)
        first.send(None)._asyncio_future_blocking = False
        task = impl.create_task(second)
        await impl.sleep(0)
        fs[0].set_result("first")
        await impl.sleep(0)
        if how == "close":
            first.close()
        else:
            with pytest.raises(ZeroDivisionError):
                first.throw(ZeroDivisionError())
        assert await task == "first"

    run(main())


def test_a_consumer_on_another_loop(impl, run):
    async def main():
        fs = futures(2)
        iterator = iter(impl.as_completed(fs))
        waiting = impl.create_task(next(iterator))
        await impl.sleep(0)
        return fs, iterator, waiting

    async def other(coroutine):
        with pytest.raises(RuntimeError, match="is bound to a different event loop"):
            await coroutine

    loop = impl.new_event_loop()
    fs, iterator, waiting = loop.run_until_complete(main())
    run(other(next(iterator)))
    fs[0].set_result("it goes on")
    assert loop.run_until_complete(waiting) == "it goes on"
    loop.close()


def test_a_coroutine_that_nobody_awaits(impl, run):
    async def main():
        (future,) = futures(1)
        coroutines = list(impl.as_completed([future]))
        with pytest.warns(RuntimeWarning, match="_wait_for_one' was never awaited"):
            coroutines.clear()

    run(main())


def test_its_coroutines_look_like_stocks(impl, run, same_as_stock):
    async def program(aio):
        (future,) = futures(1)
        (coroutine,) = aio.as_completed([future])
        task = aio.create_task(coroutine)
        names = [coroutine.__name__, coroutine.__qualname__, coroutine.cr_code.co_name]
        names.append(coroutine.cr_frame.f_code.co_name)
        await aio.sleep(0)
        names.append(coroutine.cr_frame.f_code.co_name)
        future.set_result(None)
        await task
        return names, coroutine.cr_frame

    same_as_stock(program)


def test_foreign_futures(impl, run, same_as_stock):
    class Foreign:
        _asyncio_future_blocking = False

        def __init__(self, loop):
            self._loop, self.callbacks = loop, []

        def get_loop(self):
            return self._loop

        def add_done_callback(self, callback, *, context=None):
            self.callbacks.append(callback)

        def remove_done_callback(self, callback):
            self.callbacks.remove(callback)

        def result(self):
            return "foreign"

    async def program(aio):
        loop = asyncio.get_running_loop()
        fs = [Foreign(loop), Foreign(loop)]
        loop.call_soon(lambda: fs[0].callbacks[0](fs[0]))
        log = []
        for coroutine in aio.as_completed(fs, timeout=0.01):
            try:
                log.append(await coroutine)
            except TimeoutError:
                log.append("late")
        return log, len(fs[1].callbacks)

    same_as_stock(program)


@pytest.mark.skipif(sys.version_info < (3, 14), reason="call graphs came with 3.14")
def test_the_call_graph(impl, run):
    async def main():
        fs = futures(3)

        async def consume():
            for coroutine in impl.as_completed(fs, timeout=0.05):
                try:
                    await coroutine
                except TimeoutError:
                    break

        task = impl.create_task(consume())
        await impl.sleep(0)
        for future in fs:
            (by,) = asyncio.capture_call_graph(future).awaited_by
            assert by.future is task
        fs[0].set_result(None)
        await turns(impl, 1)
        assert asyncio.capture_call_graph(fs[0]).awaited_by == ()
        await task
        assert asyncio.capture_call_graph(fs[1]).awaited_by == ()

    run(main())


def test_reference_counts_are_flat(impl, stays_flat):
    async def once():
        fs = futures(4)
        fs[0].set_result(None)
        asyncio.get_running_loop().call_soon(fs[1].cancel)
        tasks = [impl.create_task(one) for one in impl.as_completed(fs)]
        tasks += [impl.create_task(one) for one in impl.as_completed(fs, timeout=0)]
        await turns(impl, 5)
        for task in tasks:
            task.cancel()
        await impl.gather(*tasks, return_exceptions=True)

    stays_flat(once)


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.parametrize("seed", range(60))
def test_random_programs(impl, run, same_as_stock, seed):
    async def program(aio):
        rng, log = random.Random(seed), []
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: log.append(context["message"])
        )
        fs = futures(8)
        iterators, tasks = [], []

        async def consume(name, awaitable):
            try:
                result = await awaitable
                log.append((name, fs.index(result) if result in fs else repr(result)))
            except (Exception, asyncio.CancelledError) as error:
                log.append((name, repr(error)))

        for step in range(40):
            match rng.randrange(7):
                case 0:
                    timeout = rng.choice([None, None, 1000, 0])
                    # Of several that are done already, the order is that of a set.
                    chosen = [f for f in rng.sample(fs, rng.randint(0, 6)) if not f.done()]
                    iterator = iter(aio.as_completed(chosen, timeout=timeout))
                    if (first := next(iterator, None)) is not None:
                        tasks.append(aio.create_task(consume(step, first)))
                        iterators.append(iterator)
                case 1 | 2 if iterators:
                    iterator = rng.choice(iterators)
                    both = sys.version_info >= (3, 13)
                    if both and rng.random() < 0.5:
                        coroutine = anext(iterator)
                    else:
                        coroutine = next(iterator, None)
                    if coroutine is not None:
                        tasks.append(aio.create_task(consume(step, coroutine)))
                case 3:
                    future = rng.choice(fs)
                    if not future.done():
                        end = rng.choice([future.set_result, future.set_exception, future.cancel])
                        end(OSError(step))
                case 4 if tasks:
                    rng.choice(tasks).cancel(step)
                case _:
                    await aio.sleep(0)
            log.append([task.done() for task in tasks])
        for task in tasks:
            task.cancel()
        await turns(aio, 4)
        for future in fs:
            future.done() and not future.cancelled() and future.exception()
        return [*log, [len(future._callbacks or ()) for future in fs]]

    same_as_stock(program)


def test_very_many_futures(impl, run, many):
    async def main():
        fs = futures(many)
        consumers = [impl.create_task(one) for one in impl.as_completed(fs)]
        await impl.sleep(0)
        order = fs.copy()
        random.Random(1).shuffle(order)
        for n, future in enumerate(order):
            future.cancel()
            if n % 3 == 0:
                future.cancel()
            if n % 1000 == 0:
                await impl.sleep(0)
        outcomes = await impl.gather(*consumers, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {asyncio.CancelledError}

    run(main())
