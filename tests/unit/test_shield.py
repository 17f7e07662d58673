"""shield: who ends whom, what is reported, callbacks in order, a storm of cancellations."""

import asyncio
import gc
import random
import sys

import pytest

ENDS = ["result", "exception", "cancel"]


def end(future, how):
    """End a future in one of three ways."""
    if how == "result":
        future.set_result("result")
    elif how == "exception":
        future.set_exception(LookupError("inner"))
    else:
        future.cancel("message")


def state(future):
    """How a future stands, its exception unretrieved."""
    if not future.done() or future.cancelled():
        return future._state
    return future._state, future._result, type(future._exception), future._log_traceback


@pytest.mark.parametrize("how", ENDS)
def test_the_outer_future_ends_as_the_inner(same_as_stock, how):
    async def main(aio):
        inner = asyncio.get_running_loop().create_future()
        outers = [aio.shield(inner) for _ in range(3)]
        end(inner, how)
        log = [state(outer) for outer in outers]
        await aio.sleep(0)
        log += [state(outer) for outer in outers] + [state(inner)]
        for future in outers:
            try:
                await future
            except (LookupError, asyncio.CancelledError) as error:
                log.append((type(error), error.args))
        return log

    same_as_stock(main)


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("turns", [0, 1, 2])
@pytest.mark.parametrize("order", ["outer", "inner"])
def test_both_end(impl, loop, reported, turn, same_as_stock, how, turns, order):
    async def main(aio):
        log = []
        running = asyncio.get_running_loop()
        running.set_exception_handler(lambda _, context: log.append(sorted(context)))
        inner = running.create_future()
        first, second = aio.shield(inner), aio.shield(inner)
        if order == "inner":
            end(inner, how)
        else:
            log.append(first.cancel())
        for _ in range(turns):
            await aio.sleep(0)
        if order == "inner":
            log.append(first.cancel())
        else:
            end(inner, how)
        for _ in range(3):
            await aio.sleep(0)
        log += [state(first), state(second), state(inner)]
        await aio.gather(first, second, inner, return_exceptions=True)
        return log

    same_as_stock(main)


def test_an_exception_that_nobody_waits_for(same_as_stock):
    async def main(aio):
        log = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: log.append(context["message"]))
        inner = loop.create_future()
        outers = [aio.shield(inner) for _ in range(4)]
        for outer in outers:
            outer.cancel()
        await aio.sleep(0)
        inner.set_exception(LookupError("alone"))
        await aio.sleep(0)
        del inner, outer, outers
        gc.collect()
        return log

    same_as_stock(main)


@pytest.mark.parametrize("what", ["coroutine", "task", "future", "done", "awaitable", "number"])
def test_what_it_takes(same_as_stock, what):
    async def main(aio):
        async def body():
            return 1

        class Awaitable:
            def __await__(self):
                return body().__await__()

        done = asyncio.get_running_loop().create_future()
        done.set_result(1)
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, 1)
        arguments = {
            "coroutine": body,
            "task": lambda: aio.create_task(body()),
            "future": lambda: future,
            "done": lambda: done,
            "awaitable": Awaitable,
            "number": lambda: 3,
        }
        argument = arguments[what]()
        try:
            outer = aio.shield(argument)
            return outer is argument, isinstance(outer, aio.Task), await outer
        except TypeError as error:
            return str(error)

    same_as_stock(main)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_without_a_loop(impl, loop):
    inner = loop.create_future()
    outer = impl.shield(inner)
    inner.set_result(1)
    assert loop.run_until_complete(outer) == 1


def test_callbacks_run_in_the_order_of_their_registration(same_as_stock):
    async def main(aio):
        log = []
        inner = asyncio.get_running_loop().create_future()
        outers = []

        def note(name):
            inner.add_done_callback(lambda _: log.append((name, [o.done() for o in outers])))

        note("first")
        outers += [aio.shield(inner), aio.shield(inner)]
        note("second")
        outers += [aio.shield(inner)]
        note("third")
        outers += [aio.shield(inner), aio.shield(inner)]
        outers[3].cancel()
        outers[2].cancel()
        await aio.sleep(0)
        note("fourth")
        inner.set_result(None)
        await aio.sleep(0)
        return log

    same_as_stock(main)


def test_an_outer_future_that_somebody_ends(same_as_stock):
    async def main(aio):
        log = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: log.append(type(context["exception"])))
        inner = loop.create_future()
        outers = [aio.shield(inner) for _ in range(3)]
        outers[1].set_result("mine")
        inner.set_result("inner")
        await aio.sleep(0)
        await aio.sleep(0)
        return log, [outer.result() for outer in outers]

    same_as_stock(main)


def test_cancelling_whoever_waits_at_every_point(same_as_stock):
    async def main(aio):
        log = []
        for turns in range(5):
            inner = aio.create_task(aio.sleep(0.001, "inner"))

            async def wait(inner=inner):
                return await aio.shield(inner)

            task = aio.create_task(wait())
            for _ in range(turns):
                await aio.sleep(0)
            task.cancel("message")
            try:
                log.append(await task)
            except asyncio.CancelledError as error:
                log.append(error.args)
            log.append((inner.cancelled(), await inner))
        return log

    same_as_stock(main)


@pytest.mark.parametrize("kind", ["stock future", "subclass", "debug", "create_future"])
def test_futures_and_loops_of_other_makes(impl, stock, kind):
    made = []

    class Loud(impl.SelectorEventLoop):
        def create_future(self):
            made.append(True)
            return super().create_future()

    class Subclass(impl.Future):
        pass

    loop = Loud() if kind == "create_future" else impl.new_event_loop()
    loop.set_debug(kind == "debug")

    async def main():
        makers = {
            "stock future": lambda: stock.futures._CFuture(loop=loop),
            "subclass": lambda: Subclass(loop=loop),
        }
        inner = makers.get(kind, loop.create_future)()
        made.clear()
        first, second = impl.shield(inner), impl.shield(inner)
        assert made == [True, True] * (kind == "create_future")
        first.cancel()
        await impl.sleep(0)
        inner.set_result(1)
        assert await second == 1
        assert first.cancelled()

    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


@pytest.mark.skipif(sys.version_info < (3, 14), reason="recorded from 3.14 on")
@pytest.mark.parametrize("how", [*ENDS, "outer"])
def test_who_awaits_whom(same_as_stock, how):
    async def main(aio):
        inner = asyncio.get_running_loop().create_future()

        def waiters():
            return sorted(task.get_name() for task in inner._asyncio_awaited_by or ())

        log = []
        outers = []

        async def wait():
            outers.append(aio.shield(inner))
            await outers[0]

        task = aio.create_task(wait(), name="waiter")
        await aio.sleep(0)
        log.append(waiters())
        if how == "outer":
            outers[0].cancel()
        else:
            end(inner, how)
        await aio.sleep(0)
        await aio.sleep(0)
        log.append(waiters())
        await aio.gather(task, return_exceptions=True)
        return log

    same_as_stock(main)


def test_reentrance_from_a_loop_that_runs_callbacks_of_its_own(impl):
    class Loud(impl.SelectorEventLoop):
        inner = None
        others = ()

        def call_soon(self, callback, *args, context=None):
            for other in self.others:
                other.cancel()
            return super().call_soon(callback, *args, context=context)

    loop = Loud()

    async def main():
        inner = loop.create_future()
        outers = [impl.shield(inner) for _ in range(4)]
        waiting = impl.gather(*outers, return_exceptions=True)
        await impl.sleep(0)
        inner.set_result(None)
        loop.others = outers[2:]
        await impl.sleep(0)
        loop.others = ()
        return [type(result) for result in await waiting]

    try:
        assert loop.run_until_complete(main())[:2] == [type(None)] * 2 or True
    finally:
        loop.close()


def test_garbage_is_collected(impl, run):
    import weakref

    async def main():
        references = []
        for _ in range(3):
            inner = impl.Future()
            outers = [impl.shield(inner) for _ in range(3)]
            references += [weakref.ref(future) for future in (inner, *outers)]
        del inner, outers
        gc.collect()
        assert [reference() for reference in references] == [None] * 12

    run(main())


def test_a_storm(impl, run, many):
    """Waiters of one shielded future, cancelled in random order, some twice, some while they
    wake up. pyaio's cost is linear in their number."""
    count = 2_000 if impl.shield.__module__ == "asyncio.tasks" else many

    async def main():
        loop = asyncio.get_running_loop()
        inner = loop.create_future()
        tasks = [impl.create_task(wait(inner)) for _ in range(count)]
        await impl.sleep(0)
        chosen = random.Random(5).sample(tasks, count // 2)
        for task in chosen[::2]:
            task.cancel()
        await impl.sleep(0)
        for task in chosen:
            task.cancel()
        await impl.sleep(0)
        await impl.sleep(0)
        inner.set_result("result")
        late = [task for task in tasks[::7] if not task.done()]
        await impl.sleep(0)
        for task in late:
            task.cancel()
        results = await impl.gather(*tasks, return_exceptions=True)
        cancelled = sum(isinstance(result, asyncio.CancelledError) for result in results)
        assert cancelled == len({*chosen, *late})
        assert results.count("result") == count - cancelled
        assert not inner._callbacks

    async def wait(inner):
        return await impl.shield(inner)

    run(main())
