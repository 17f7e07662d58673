"""wait_for: what it waits for, its deadline, cancellation at every point."""

import asyncio
import inspect
import sys

import pytest


def describe(error):
    """An exception and what it came from."""
    return (
        type(error).__name__,
        error.args,
        type(error.__cause__).__name__,
        type(error.__context__).__name__,
    )


TIMEOUTS = [None, 100, 100.5, 0, -1, 1e-9]


@pytest.mark.parametrize("timeout", TIMEOUTS)
@pytest.mark.parametrize("what", ["coroutine", "task", "future", "done", "failed", "other"])
def test_what_it_waits_for(same_as_stock, timeout, what):
    async def main(aio):
        loop = asyncio.get_running_loop()

        async def body():
            await aio.sleep(0)
            return "result"

        class Other:
            def __await__(self):
                return body().__await__()

        future = loop.create_future()
        if what == "done":
            future.set_result("result")
        elif what == "failed":
            future.set_exception(LookupError("failed"))
        else:
            loop.call_later(0.001, lambda: future.done() or future.set_result("result"))
        makers = {
            "coroutine": body,
            "task": lambda: aio.create_task(body()),
            "other": Other,
        }
        if timeout == 1e-9:  # never ready first
            makers = dict.fromkeys(makers, lambda: aio.sleep(10))
        awaitable = makers.get(what, lambda: future)()
        try:
            return await aio.wait_for(awaitable, timeout)
        except BaseException as error:
            return describe(error)
        finally:
            if what == "failed":
                future.exception()

    same_as_stock(main)


@pytest.mark.parametrize("argument", [3, None, "text", object])
@pytest.mark.parametrize("timeout", [None, 1, 0])
def test_what_cannot_be_awaited(same_as_stock, argument, timeout):
    async def main(aio):
        try:
            await aio.wait_for(argument, timeout)
        except TypeError as error:
            return str(error)

    same_as_stock(main)


@pytest.mark.parametrize("timeout", ["text", object(), 1j, float("nan"), True, 10**400])
def test_timeouts_of_odd_kinds(same_as_stock, timeout):
    async def main(aio):
        waited = aio.create_task(aio.sleep(0, "result"))
        try:
            return await aio.wait_for(waited, timeout)
        except BaseException as error:
            return type(error)
        finally:
            await aio.gather(waited, return_exceptions=True)

    same_as_stock(main)


@pytest.mark.parametrize("call", ["keywords", "mixed", "missing", "unknown", "twice", "many"])
def test_arguments(same_as_stock, call):
    async def main(aio):
        future = asyncio.get_running_loop().create_future()
        future.set_result(1)
        calls = {
            "keywords": lambda: aio.wait_for(timeout=1, fut=future),
            "mixed": lambda: aio.wait_for(future, timeout=1),
            "missing": lambda: aio.wait_for(future),
            "unknown": lambda: aio.wait_for(future, time=1),
            "twice": lambda: aio.wait_for(future, 1, fut=future),
            "many": lambda: aio.wait_for(future, 1, 2),
        }
        try:
            return await calls[call]()
        except TypeError as error:
            return str(error)

    same_as_stock(main)


@pytest.mark.parametrize("cancel_at", range(6))
@pytest.mark.parametrize("timeout", TIMEOUTS)
@pytest.mark.parametrize("stubborn", [0, 1, 2])
@pytest.mark.parametrize("as_task", [False, True])
def test_cancelled_at_every_point(same_as_stock, logged, cancel_at, timeout, stubborn, as_task):
    async def main(aio):
        log = []

        async def body():
            left = stubborn
            for turn in range(4):
                try:
                    await aio.sleep(0)
                except asyncio.CancelledError as error:
                    log.append(("body", error.args))
                    if left == 0:
                        raise
                    left -= 1
                    if turn == 2:
                        raise LookupError("instead") from None
            return "result"

        async def wait():
            awaitable = aio.create_task(body()) if as_task else body()
            try:
                log.append(await aio.wait_for(awaitable, timeout))
            except BaseException as error:
                log.append(describe(error))
            log.append(aio.current_task().cancelling())

        task = aio.create_task(wait())
        for turn in range(12):
            if turn == cancel_at:
                log.append(task.cancel("message"))
            await aio.sleep(0)
        await aio.gather(task, return_exceptions=True)
        return log

    if timeout == 1e-9 and sys.version_info < (3, 12):
        pytest.skip("which of two turns the timer takes is a matter of microseconds")
    same_as_stock(main)


@pytest.mark.parametrize("swallow", ["no", "value", "error", "late"])
def test_the_deadline_passes(same_as_stock, swallow):
    async def main(aio):
        async def body():
            try:
                await aio.sleep(10)
            except asyncio.CancelledError:
                if swallow == "value":
                    return "value"
                if swallow == "error":
                    raise LookupError("error") from None
                if swallow == "late":
                    await aio.sleep(0)
                raise

        log = []
        for make in (body, lambda: aio.create_task(body())):
            try:
                log.append(await aio.wait_for(make(), 0.001))
            except BaseException as error:
                log.append(describe(error))
            log.append(aio.current_task().cancelling())
        return log

    same_as_stock(main)


def test_nested(same_as_stock):
    async def main(aio):
        log = []
        for inner, outer in [(0.001, None), (None, 0.001), (10, 0.001), (0.001, 10)]:
            try:
                await aio.wait_for(aio.wait_for(aio.sleep(10), inner), outer)
            except TimeoutError as error:
                log.append(describe(error))
        async with aio.timeout(10):
            try:
                await aio.wait_for(aio.sleep(10), 0.001)
            except TimeoutError as error:
                log.append(describe(error))
        return log

    same_as_stock(main)


def test_the_error_that_was_being_handled_stays(same_as_stock):
    async def main(aio):
        async def expire():
            await aio.wait_for(aio.sleep(10), 0.001)

        try:
            raise KeyError("outside")
        except KeyError:
            try:
                await expire()
            except TimeoutError as error:
                log = [describe(error)]
                inner = error.__cause__
                while inner is not None:
                    log.append(describe(inner))
                    inner = inner.__context__
            log.append(type(sys.exception()) if hasattr(sys, "exception") else None)
        try:
            raise ValueError
        except ValueError as error:
            log.append(describe(error))
        return log

    same_as_stock(main)


def test_it_stands_in_for_a_coroutine_function(impl, run):
    assert inspect.iscoroutinefunction(impl.wait_for)
    assert str(inspect.signature(impl.wait_for)) == "(fut, timeout)"

    async def main():
        waiting = impl.wait_for(impl.sleep(0, 3), 10)
        assert asyncio.iscoroutine(waiting)
        assert inspect.getcoroutinestate(waiting) == "CORO_CREATED"
        task = impl.create_task(waiting)
        await impl.sleep(0)
        assert inspect.getcoroutinestate(waiting) == "CORO_SUSPENDED"
        assert waiting.cr_await is not None
        assert waiting.cr_frame.f_code.co_name == "wait_for"
        assert await task == 3

    run(main())


def test_never_awaited(impl, run):
    async def main():
        future = asyncio.get_running_loop().create_future()
        with pytest.warns(RuntimeWarning, match="wait_for' was never awaited"):
            impl.wait_for(future, 1)

    run(main())


def test_closed_half_way(impl, loop):
    ended = []

    async def body():
        try:
            await loop.create_future()
        finally:
            ended.append(True)

    async def main():
        waiting = impl.wait_for(body(), 100)
        waiting.send(None)
        waiting.close()
        with pytest.raises(RuntimeError):
            waiting.send(None)
        await impl.sleep(0)

    if sys.version_info >= (3, 12):
        loop.run_until_complete(main())
        assert ended == [True]


def test_pending_when_the_loop_is_closed(impl, logged):
    loop = impl.new_event_loop()
    task = loop.create_task(impl.wait_for(loop.create_future(), 100))
    loop.run_until_complete(impl.sleep(0))
    loop.close()
    del task
    assert all("Task was destroyed" in message for message in logged())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="built on timeout() from 3.12 on")
def test_a_replaced_timeout_is_used(impl, run, monkeypatch):
    used = []
    original = asyncio.timeouts.timeout

    def spy(delay):
        used.append(delay)
        return original(delay)

    async def main():
        monkeypatch.setattr(asyncio.timeouts, "timeout", spy)
        return await impl.wait_for(impl.sleep(0, 5), 10)

    assert run(main()) == 5
    assert used == [10]


@pytest.mark.parametrize("loop_kind", ["stock", "debug"])
def test_other_loops(impl, stock, loop_kind):
    async def main():
        assert await impl.wait_for(impl.sleep(0, 1), 10) == 1
        with pytest.raises(TimeoutError):
            await impl.wait_for(impl.sleep(10), 0.001)

    loop = stock.SelectorEventLoop() if loop_kind == "stock" else impl.new_event_loop()
    loop.set_debug(loop_kind == "debug")
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


def test_in_a_task_of_stock(impl, loop, stock):
    async def main():
        assert await impl.wait_for(impl.sleep(0, 1), 10) == 1
        with pytest.raises(TimeoutError):
            await impl.wait_for(impl.sleep(10), 0.001)

    loop.run_until_complete(stock.tasks.Task(main(), loop=loop))


def test_nobody_is_left_in_the_callbacks(impl, run):
    async def main():
        future = asyncio.get_running_loop().create_future()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await impl.wait_for(impl.shield(future), 0.001)
        tasks = [impl.create_task(impl.wait_for(impl.shield(future), 9)) for _ in range(3)]
        await impl.sleep(0)
        for task in tasks:
            task.cancel()
        await impl.gather(*tasks, return_exceptions=True)
        await impl.sleep(0)
        names = [getattr(callback, "__name__", "?") for callback, _ in future._callbacks or ()]
        assert [name for name in names if name != "_log_on_exception"] == []

    run(main())
