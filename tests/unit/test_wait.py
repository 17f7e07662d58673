"""wait: when it returns, what it leaves behind, what it accepts; random programs against stock."""

import asyncio
import gc
import random
import sys
import weakref

import pytest

MODES = ["ALL_COMPLETED", "FIRST_COMPLETED", "FIRST_EXCEPTION"]


def futures(count):
    loop = asyncio.get_running_loop()
    return [loop.create_future() for _ in range(count)]


async def turns(impl, count):
    for _ in range(count):
        await impl.sleep(0)


def names(all_futures, some):
    return sorted(all_futures.index(future) for future in some)


class Foreign:
    """A future by its attributes only."""

    _asyncio_future_blocking = False

    def __init__(self, loop):
        self._loop, self.callbacks, self.state, self.error = loop, [], "pending", None

    def get_loop(self):
        return self._loop

    def add_done_callback(self, callback, *, context=None):
        self.callbacks.append(callback)

    def remove_done_callback(self, callback):
        kept = [one for one in self.callbacks if one is not callback]
        removed, self.callbacks = len(self.callbacks) - len(kept), kept
        return removed

    def done(self):
        return self.state != "pending"

    def cancelled(self):
        return self.state == "cancelled"

    def exception(self):
        return self.error

    def result(self):
        return "foreign result"

    def finish(self, state="finished", error=None):
        self.state, self.error = state, error
        for callback in self.callbacks:
            self._loop.call_soon(callback, self)
        self.callbacks = []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("end", ["result", "exception", "cancel"])
def test_when_it_returns(impl, run, same_as_stock, mode, end):
    async def program(aio):
        loop = asyncio.get_running_loop()
        fs = [loop.create_future() for _ in range(3)]
        waiting = aio.create_task(aio.wait(fs, return_when=mode))
        log = []
        for n, future in enumerate(fs):
            await turns(aio, 1)
            if n != 1 or end == "result":
                future.set_result(n)
            elif end == "exception":
                future.set_exception(ValueError(n))
            else:
                future.cancel()
            for _ in range(4):
                log.append((n, waiting.done(), len(future._callbacks or ())))
                await turns(aio, 1)
        done, pending = waiting.result()
        if end == "exception":
            fs[1].exception()
        return log, names(fs, done), names(fs, pending), type(done), type(pending)

    same_as_stock(program)


@pytest.mark.parametrize("mode", MODES)
def test_futures_that_have_ended_before(impl, run, mode):
    async def main():
        fs = futures(3)
        fs[1].set_result(1)
        done, pending = await impl.wait(fs[1:2], return_when=mode)
        assert (done, pending) == ({fs[1]}, set())
        if mode == "FIRST_COMPLETED":
            done, pending = await impl.wait(fs, return_when=mode)
            assert (done, pending) == ({fs[1]}, {fs[0], fs[2]})
            assert not any(future._callbacks for future in fs)

    run(main())


@pytest.mark.parametrize("make", [list, tuple, set, iter, dict.fromkeys, lambda fs: (*fs, *fs)])
def test_collections_it_accepts(impl, run, make):
    async def main():
        fs = futures(3)
        for future in fs:
            future.set_result(None)
        assert await impl.wait(make(fs)) == (set(fs), set())

    run(main())


def test_the_timeout(impl, run):
    async def main():
        fs = futures(2)
        fs[0].set_result(None)
        started = asyncio.get_running_loop().time()
        assert await impl.wait(fs, timeout=0.01) == ({fs[0]}, {fs[1]})
        assert asyncio.get_running_loop().time() >= started + 0.01
        assert not fs[1]._callbacks

    run(main())


@pytest.mark.parametrize("timeout", [0, -1, 0.0, True, 10**6])
def test_odd_timeouts(impl, run, timeout):
    async def main():
        fs = futures(2)
        asyncio.get_running_loop().call_later(0.005, fs[0].set_result, None)
        done, pending = await impl.wait(fs, timeout=timeout, return_when=impl.FIRST_COMPLETED)
        assert done == ({fs[0]} if timeout > 0 else set())
        assert done | pending == set(fs)

    run(main())


def test_a_timer_that_is_left_is_cancelled(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        fs = futures(1)
        fs[0].set_result(None)
        for _ in range(300):
            await impl.wait(fs, timeout=1000)
        return len([handle for handle in loop._scheduled if not handle.cancelled()])

    assert run(main()) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ([],),
        (set(),),
        ((n for n in ()),),
        (42,),
        (None,),
        ([42],),
        ([None],),
        ([[]],),
        (),
    ],
)
@pytest.mark.parametrize("keywords", [{}, {"return_when": "?"}, {"timeout": "soon"}, {"x": 1}])
def test_wrong_arguments(impl, run, same_as_stock, outcome, arguments, keywords):
    async def program(aio):
        try:
            return "returned", await aio.wait(*arguments, **keywords)
        except Exception as error:
            return type(error), str(error)

    same_as_stock(program)


@pytest.mark.parametrize("kind", ["future", "coroutine", "task", "foreign"])
def test_one_awaitable_in_the_place_of_several(impl, run, kind):
    async def main():
        loop = asyncio.get_running_loop()
        one = {
            "future": loop.create_future,
            "coroutine": lambda: impl.sleep(0),
            "task": lambda: impl.create_task(impl.sleep(0)),
            "foreign": lambda: Foreign(loop),
        }[kind]()
        with pytest.raises(TypeError, match="expect a list of futures, not"):
            await impl.wait(one)
        if kind == "coroutine":
            one.close()
        elif kind == "task":
            await one

    run(main())


def test_coroutines_are_forbidden(impl, run):
    async def main():
        coroutine, future = impl.sleep(0), asyncio.get_running_loop().create_future()
        with pytest.raises(TypeError, match="Passing coroutines is forbidden, use tasks"):
            await impl.wait([future, coroutine])
        coroutine.close()
        assert not future._callbacks

    run(main())


def test_without_a_running_loop(impl, loop):
    with pytest.raises(RuntimeError, match="no running event loop"):
        impl.wait([loop.create_future()]).send(None)


def test_nothing_happens_before_it_is_awaited(impl, loop):
    future = loop.create_future()
    waiting = impl.wait([future])
    assert not future._callbacks
    waiting.close()
    waiting = impl.wait([future])
    with pytest.warns(RuntimeWarning, match="coroutine 'wait' was never awaited"):
        waiting = None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("turn", range(5))
@pytest.mark.parametrize("ending", [0, 1, 2, 3])
def test_cancelled_at_every_turn(impl, run, same_as_stock, mode, turn, ending):
    async def program(aio):
        loop = asyncio.get_running_loop()
        fs = [loop.create_future() for _ in range(2)]
        waiting = aio.create_task(aio.wait(fs, timeout=1000, return_when=mode))
        log = []
        for n in range(6):
            if n == turn:
                log.append(waiting.cancel("enough"))
            if n == ending:
                fs[0].set_result(None)
            await turns(aio, 1)
            log.append((waiting.done(), *(len(future._callbacks or ()) for future in fs)))
        if not waiting.done():
            fs[1].set_result(None)
        try:
            done, pending = await waiting
        except asyncio.CancelledError as error:
            return log, error.args
        return log, names(fs, done), names(fs, pending)

    same_as_stock(program)


@pytest.mark.parametrize("how", ["close", "throw", "drop"])
def test_ended_half_way(impl, run, how):
    async def main():
        fs = futures(3)
        waiting = impl.wait(fs, timeout=1000)
        waiting.send(None)._asyncio_future_blocking = False
        assert all(len(future._callbacks) == 1 for future in fs)
        if how == "close":
            waiting.close()
        elif how == "throw":
            with pytest.raises(ZeroDivisionError):
                waiting.throw(ZeroDivisionError())
        else:
            fs[0].remove_done_callback(fs[0]._callbacks[0][0])
            del waiting
            for future in fs:
                future.cancel()
            await turns(impl, 2)
            gc.collect()
        assert not any(future._callbacks for future in fs)

    run(main())


@pytest.mark.parametrize("mode", MODES)
def test_foreign_futures(impl, run, same_as_stock, mode):
    async def program(aio):
        loop = asyncio.get_running_loop()
        fs = [Foreign(loop), loop.create_future(), Foreign(loop)]
        waiting = aio.create_task(aio.wait(fs, return_when=mode))
        log = []
        await turns(aio, 1)
        for future, arguments in ((fs[0], ("cancelled",)), (fs[2], ("finished", OSError()))):
            future.finish(*arguments)
            await turns(aio, 3)
            log.append((waiting.done(), [len(f.callbacks) for f in fs if f is not fs[1]]))
        fs[1].set_result(None)
        done, pending = await waiting
        return log, names(fs, done), names(fs, pending), len(fs[2].callbacks)

    same_as_stock(program)


def test_a_subclass_that_overrides_its_methods(impl, run):
    calls = []

    class Loud(impl.Future):
        def add_done_callback(self, callback, *, context=None):
            calls.append("add")
            super().add_done_callback(callback, context=context)

        def remove_done_callback(self, callback):
            calls.append("remove")
            return super().remove_done_callback(callback)

        def done(self):
            calls.append("done")
            return super().done()

    async def main():
        future = Loud()
        future.set_result(None)
        assert await impl.wait([future]) == ({future}, set())

    run(main())
    assert calls == ["add", "remove", "done"]


@pytest.mark.parametrize("method", ["add_done_callback", "remove_done_callback", "done"])
def test_a_future_whose_methods_raise(impl, run, same_as_stock, method):
    async def program(aio):
        loop = asyncio.get_running_loop()
        future = Foreign(loop)
        loop.call_soon(future.finish)
        loop.call_later(0.01, future.finish)

        def fail(*arguments, **keywords):
            raise ZeroDivisionError(method)

        setattr(future, method, fail)
        try:
            await aio.wait([future])
        except ZeroDivisionError as error:
            return str(error), type(error.__context__)

    same_as_stock(program)


def test_futures_with_an_equality_of_their_own(impl, run, same_as_stock):
    class Equal(Foreign):
        def __eq__(self, other):
            return isinstance(other, Equal)

        def __hash__(self):
            return 1

    async def program(aio):
        loop = asyncio.get_running_loop()
        fs = [Equal(loop), Equal(loop), loop.create_future()]
        for future in fs[:2]:
            loop.call_soon(future.finish)
        loop.call_soon(fs[2].set_result, None)
        done, pending = await aio.wait(fs)
        return len(done), len(pending)

    assert same_as_stock(program) == (2, 0)


@pytest.mark.parametrize("method", ["__hash__", "__eq__"])
def test_futures_that_cannot_be_collected_in_a_set(impl, run, method):
    def fail(*arguments):
        raise ZeroDivisionError(method)

    class Bad(Foreign):
        def __hash__(self):
            return 1

    setattr(Bad, method, fail)

    async def main():
        loop = asyncio.get_running_loop()
        with pytest.raises(ZeroDivisionError):
            await impl.wait([Bad(loop), Bad(loop)])

    run(main())


def test_it_returns_to_the_loop_at_least_once(impl, run):
    async def main():
        log = []
        asyncio.get_running_loop().call_soon(log.append, "between")
        fs = futures(1)
        fs[0].set_result(None)
        await impl.wait(fs)
        return log

    assert run(main()) == ["between"]


def test_the_exception_counts_as_retrieved_only_where_it_is_asked_for(impl, loop, reported):
    async def main(mode):
        future = asyncio.get_running_loop().create_future()
        future.set_exception(ValueError())
        await impl.wait([future, asyncio.get_running_loop().create_future()], return_when=mode)

    loop.run_until_complete(main("FIRST_EXCEPTION"))
    gc.collect()
    assert reported == []
    loop.run_until_complete(main("FIRST_COMPLETED"))
    gc.collect()
    assert [context["message"] for context in reported] == ["Future exception was never retrieved"]


def test_no_reference_is_left(impl, loop):
    async def main():
        fs = futures(3)
        for future in fs[:2]:
            loop.call_soon(future.set_result, None)
        await impl.wait(fs, timeout=1000, return_when="FIRST_COMPLETED")
        waiting = impl.create_task(impl.wait(fs[2:], timeout=1000))
        await impl.sleep(0)
        waiting.cancel()
        await turns(impl, 2)
        return weakref.ref(fs[0]), weakref.ref(fs[2]), weakref.ref(waiting)

    refs = loop.run_until_complete(main())
    assert all(ref() is None for ref in refs) or (gc.collect(), [ref() for ref in refs])[1] == [
        None,
        None,
        None,
    ]


def test_a_wait_that_nobody_can_end_is_collected(impl, loop, reported):
    async def main():
        future = asyncio.get_running_loop().create_future()
        impl.create_task(impl.wait([future]))
        await impl.sleep(0)

    loop.run_until_complete(main())
    gc.collect()
    assert [context["message"] for context in reported] == [
        "Task was destroyed but it is pending!"
    ]


@pytest.mark.parametrize("mode", MODES)
def test_reference_counts_are_flat(impl, stays_flat, mode):
    async def once():
        fs = futures(3)
        for future in fs[:2]:
            future.set_result(None)
        await impl.wait(fs, timeout=0, return_when=mode)
        waiting = impl.create_task(impl.wait(fs, return_when="ALL_COMPLETED"))
        await impl.sleep(0)
        waiting.cancel()
        await turns(impl, 2)

    stays_flat(once)


@pytest.mark.skipif(sys.version_info < (3, 14), reason="call graphs came with 3.14")
def test_the_call_graph(impl, run):
    async def main():
        fs = futures(2)
        waiting = impl.create_task(impl.wait(fs))
        await impl.sleep(0)
        for future in fs:
            (by,) = asyncio.capture_call_graph(future).awaited_by
            assert by.future is waiting
        fs[0].set_result(None)
        await turns(impl, 1)
        assert asyncio.capture_call_graph(fs[0]).awaited_by == ()
        waiting.cancel()
        await turns(impl, 2)
        assert asyncio.capture_call_graph(fs[1]).awaited_by == ()

    run(main())


def test_it_looks_like_a_coroutine_of_stock(impl, run, stock):
    async def main():
        fs = futures(1)
        waiting = impl.wait(fs)
        assert impl.iscoroutine(waiting)
        assert waiting.__qualname__ == stock.wait.__qualname__
        assert waiting.cr_code is stock.wait.__code__
        assert waiting.cr_frame.f_code is stock.wait.__code__
        task = impl.create_task(waiting)
        await impl.sleep(0)
        assert waiting.cr_frame.f_code is stock.wait.__code__
        assert waiting.cr_await is not None
        fs[0].set_result(None)
        await task
        assert waiting.cr_frame is None

    run(main())


@pytest.mark.parametrize("seed", range(60))
def test_random_programs(impl, run, same_as_stock, seed):
    async def program(aio):
        rng, log = random.Random(seed), []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: log.append(context["message"]))
        fs = [Foreign(loop) if rng.random() < 0.2 else loop.create_future() for _ in range(6)]

        async def waiter(name, chosen, mode, timeout):
            try:
                done, pending = await aio.wait(chosen, return_when=mode, timeout=timeout)
                log.append((name, names(fs, done), names(fs, pending)))
            except asyncio.CancelledError as error:
                log.append((name, "cancelled", error.args))
                raise

        tasks = []
        for step in range(30):
            match rng.randrange(6):
                case 0:
                    chosen = rng.sample(fs, rng.randint(1, 4))
                    timeout = rng.choice([None, None, 1000, 0])
                    body = waiter(step, chosen, rng.choice(MODES), timeout)
                    tasks.append(aio.create_task(body))
                case 1 | 2:
                    future, end = rng.choice(fs), rng.randrange(3)
                    if future.done():
                        pass
                    elif isinstance(future, Foreign):
                        future.finish(
                            *[("finished",), ("cancelled",), ("finished", OSError())][end]
                        )
                    elif end == 0:
                        future.set_result(step)
                    elif end == 1:
                        future.cancel()
                    else:
                        future.set_exception(OSError())
                case 3:
                    if tasks:
                        rng.choice(tasks).cancel(step)
                case _:
                    await aio.sleep(0)
            log.append([task.done() for task in tasks])
        for task in tasks:
            task.cancel()
        await turns(aio, 4)
        for future in fs:
            future.done() and not future.cancelled() and future.exception()
        log.append(
            [len(f.callbacks if isinstance(f, Foreign) else f._callbacks or ()) for f in fs]
        )
        return log

    same_as_stock(program)


def test_very_many_futures(impl, run, many):
    async def main():
        fs = futures(many)
        waiting = impl.create_task(impl.wait(fs, return_when="ALL_COMPLETED"))
        await impl.sleep(0)
        order = fs.copy()
        random.Random(1).shuffle(order)
        for n, future in enumerate(order):
            future.cancel()
            if n % 3 == 0:
                future.cancel()
            if n % 1000 == 0:
                await impl.sleep(0)
        done, pending = await waiting
        assert (len(done), len(pending)) == (len(fs), 0)

    run(main())
