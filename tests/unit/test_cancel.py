"""Cancellation: when it arrives, what may be done with it, cancelling and uncancel."""

import asyncio
import contextlib

import pytest


async def forever():
    await asyncio.get_running_loop().create_future()


def test_before_the_first_step_the_body_never_runs(impl, run):
    async def main():
        log = []

        async def body():
            log.append("never")

        task = impl.create_task(body())
        assert task.cancel() is True
        assert not task.cancelled()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        return log

    assert run(main()) == []


def test_while_waiting(impl, run):
    async def main():
        log = []

        async def body():
            try:
                await forever()
            except asyncio.CancelledError:
                log.append("cancelled")
                raise

        task = impl.create_task(body())
        await impl.sleep(0)
        task.cancel()
        assert log == []
        with pytest.raises(asyncio.CancelledError):
            await task
        return log

    assert run(main()) == ["cancelled"]


def test_iterations_from_cancel_to_the_body_and_to_the_waiter(same_as_stock):
    async def main(aio):
        loop, log = asyncio.get_running_loop(), []

        async def body():
            try:
                await forever()
            finally:
                log.append("body")

        async def waiter(task):
            with contextlib.suppress(asyncio.CancelledError):
                await task
            log.append("waiter")

        task = aio.create_task(body())
        waiting = aio.create_task(waiter(task))
        await aio.sleep(0)
        await aio.sleep(0)
        task.cancel()
        for number in range(5):
            loop.call_soon(log.append, number)
            await aio.sleep(0)
        await waiting
        return log

    same_as_stock(main)


def test_while_ready_to_run(same_as_stock):
    """The future has ended, the wake-up is queued: cancel comes between the two."""

    async def main(aio):
        log = []
        future = asyncio.get_running_loop().create_future()

        async def body():
            try:
                log.append(await future)
                await aio.sleep(0)
                log.append("not reached")
            except asyncio.CancelledError as error:
                log.append(error.args)
                raise

        task = aio.create_task(body())
        await aio.sleep(0)
        future.set_result("value")
        log.append(task.cancel("message"))
        try:
            await task
        except asyncio.CancelledError as error:
            log.append(error.args)
        return log

    same_as_stock(main)


def test_a_task_that_cancels_itself(same_as_stock):
    async def main(aio):
        log = []

        async def body():
            log.append(aio.current_task().cancel("self"))
            log.append("still running")
            try:
                await aio.sleep(0)
            except asyncio.CancelledError as error:
                log.append(error.args)
                raise

        task = aio.create_task(body())
        try:
            await task
        except asyncio.CancelledError as error:
            log.append(error.args)
        return log, task.cancelled()

    same_as_stock(main)


def test_a_task_that_cancels_itself_and_returns(same_as_stock):
    async def main(aio):
        async def body():
            aio.current_task().cancel("self")
            return 1

        task = aio.create_task(body())
        try:
            await task
        except asyncio.CancelledError as error:
            return task.cancelled(), error.args
        return task.result()

    same_as_stock(main)


def test_a_task_that_cancels_itself_and_fails(same_as_stock):
    async def main(aio):
        async def body():
            aio.current_task().cancel("self")
            raise ValueError("own")

        task = aio.create_task(body())
        try:
            await task
        except (asyncio.CancelledError, ValueError) as error:
            return type(error).__name__, error.args, task.cancelled()

    same_as_stock(main)


def test_a_task_that_cancels_itself_and_waits_on_a_done_future(same_as_stock):
    async def main(aio):
        log = []
        done = asyncio.get_running_loop().create_future()
        done.set_result("done")

        async def body():
            aio.current_task().cancel()
            log.append(await done)
            await aio.sleep(0)
            log.append("not reached")

        task = aio.create_task(body())
        with pytest.raises(asyncio.CancelledError):
            await task
        return log

    same_as_stock(main)


def test_a_swallowed_cancellation(impl, run):
    async def main():
        async def body():
            try:
                await forever()
            except asyncio.CancelledError:
                return "went on"

        task = impl.create_task(body())
        await impl.sleep(0)
        task.cancel()
        assert await task == "went on"
        return task.cancelled()

    assert run(main()) is False


def test_a_cancellation_turned_into_an_error(impl, run):
    async def main():
        async def body():
            try:
                await forever()
            except asyncio.CancelledError:
                raise ValueError("instead") from None

        task = impl.create_task(body())
        await impl.sleep(0)
        task.cancel()
        with pytest.raises(ValueError, match="instead"):
            await task

    run(main())


def test_a_raised_cancelled_error_cancels_the_task(impl, run):
    async def main():
        async def body():
            raise asyncio.CancelledError("raised")

        task = impl.create_task(body())
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        return task.cancelled(), caught.value.args

    assert run(main()) == (True, ("raised",))


def test_a_second_cancel_while_cleaning_up(impl, run):
    async def main():
        log = []

        async def body():
            try:
                await forever()
            except asyncio.CancelledError as error:
                log.append(error.args)
                try:
                    await forever()
                except asyncio.CancelledError as second:
                    log.append(second.args)
                    raise

        task = impl.create_task(body())
        await impl.sleep(0)
        task.cancel("first")
        await impl.sleep(0)
        task.cancel("second")
        with pytest.raises(asyncio.CancelledError):
            await task
        return log

    assert run(main()) == [("first",), ("second",)]


def test_two_cancels_at_once_count_as_two_requests(impl, run):
    async def main():
        log = []

        async def body():
            for _ in range(2):
                try:
                    await forever()
                except asyncio.CancelledError as error:
                    log.append(error.args)
            return "end"

        task = impl.create_task(body())
        await impl.sleep(0)
        assert task.cancel("first")
        assert task.cancel("second")
        assert task.cancelling() == 2
        await impl.sleep(0)
        await impl.sleep(0)
        task.cancel("third")
        await task
        return log

    assert len(run(main())) == 2


def test_a_done_task_cannot_be_cancelled(impl, run):
    async def main():
        task = impl.create_task(impl.sleep(0))
        await task
        assert task.cancel() is False
        return task.cancelled(), task.cancelling()

    assert run(main()) == (False, 0)


def test_cancel_goes_through_a_chain_of_tasks(impl, run):
    async def main():
        log = []

        async def link(before, name):
            try:
                await (before or asyncio.get_running_loop().create_future())
            except asyncio.CancelledError as error:
                log.append((name, error.args))
                raise

        chain = [impl.create_task(link(None, 0))]
        for name in range(1, 5):
            chain.append(impl.create_task(link(chain[-1], name)))
        await impl.sleep(0)
        chain[-1].cancel("message")
        with pytest.raises(asyncio.CancelledError):
            await chain[-1]
        assert all(task.cancelled() for task in chain)
        return log

    assert run(main()) == [(name, ("message",)) for name in range(5)]


def test_shield_keeps_the_inner_task(impl, run):
    async def main():
        future = asyncio.get_running_loop().create_future()

        async def inner():
            return await future

        inner_task = impl.create_task(inner())

        async def outer():
            await impl.shield(inner_task)

        task = impl.create_task(outer())
        await impl.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not inner_task.done()
        future.set_result("kept")
        return await inner_task

    assert run(main()) == "kept"


def test_cancelling_and_uncancel(impl, run):
    async def main():
        counts = []

        async def body():
            me = impl.current_task()
            for _ in range(2):
                try:
                    await forever()
                except asyncio.CancelledError:
                    counts.append(me.cancelling())
            counts.append(me.uncancel())
            counts.append(me.uncancel())
            counts.append(me.uncancel())
            await impl.sleep(0)
            return "survived"

        task = impl.create_task(body())
        assert task.cancelling() == 0
        await impl.sleep(0)
        task.cancel()
        await impl.sleep(0)
        task.cancel()
        assert await task == "survived"
        return counts

    assert run(main()) == [1, 2, 1, 0, 0]


def test_uncancel_before_the_cancellation_arrives(same_as_stock):
    """Since 3.13 an uncancel down to zero also takes back what has not been delivered."""

    async def main(aio):
        log = []

        async def body():
            me = aio.current_task()
            me.cancel()
            log.append(me.uncancel())
            try:
                await aio.sleep(0)
            except asyncio.CancelledError:
                log.append("cancelled")
            log.append(me._must_cancel)

        await aio.create_task(body())
        return log

    same_as_stock(main)


def test_cancel_calls_the_method_of_what_is_waited_for(impl, run):
    log = []

    class Noisy(impl.Future):
        def cancel(self, msg=None):
            log.append(msg)
            return super().cancel(msg=msg)

    async def main():
        future = Noisy(loop=asyncio.get_running_loop())

        async def body():
            await future

        task = impl.create_task(body())
        await impl.sleep(0)
        task.cancel("hello")
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert log == ["hello"]


def test_a_waiter_that_refuses_the_cancel(same_as_stock):
    async def main(aio):
        log = []

        class Stubborn(aio.Future):
            def cancel(self, msg=None):
                log.append("asked")
                return False

        future = Stubborn(loop=asyncio.get_running_loop())

        async def body():
            try:
                await future
            except asyncio.CancelledError:
                log.append("cancelled")
                raise

        task = aio.create_task(body())
        await aio.sleep(0)
        log.append(task.cancel())
        log.append(task._must_cancel)
        await aio.sleep(0)
        future.set_result(None)
        with pytest.raises(asyncio.CancelledError):
            await task
        return log

    same_as_stock(main)


def test_a_cancel_that_raises(same_as_stock):
    async def main(aio):
        class Broken(aio.Future):
            def cancel(self, msg=None):
                raise LookupError("broken")

        future = Broken(loop=asyncio.get_running_loop())

        async def body():
            await future

        task = aio.create_task(body())
        await aio.sleep(0)
        try:
            task.cancel()
        except LookupError as error:
            outcome = str(error)
        future.set_result(None)
        try:
            await task
        except asyncio.CancelledError:
            outcome += " and cancelled"
        return outcome

    same_as_stock(main)


def test_wait_for_and_timeout(impl, run):
    async def main():
        with pytest.raises(TimeoutError):
            await impl.wait_for(forever(), 0.001)
        with pytest.raises(TimeoutError):
            async with impl.timeout(0.001):
                await forever()
        assert impl.current_task().cancelling() == 0
        async with impl.timeout(1000) as timeout:
            await impl.sleep(0)
        assert not timeout.expired()

    run(main())


def test_a_cancelled_timeout_is_a_cancellation(impl, run):
    async def main():
        async def body():
            async with impl.timeout(1000):
                await forever()

        task = impl.create_task(body())
        await impl.sleep(0)
        await impl.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return task.cancelled()

    assert run(main()) is True


def test_cancelling_from_a_callback_and_from_another_task(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        by_callback, by_task = impl.create_task(forever()), impl.create_task(forever())

        async def canceller():
            by_task.cancel("task")

        await impl.sleep(0)
        loop.call_soon(by_callback.cancel, "callback")
        await impl.create_task(canceller())
        results = await impl.gather(by_callback, by_task, return_exceptions=True)
        return [type(result) for result in results]

    assert run(main()) == [asyncio.CancelledError] * 2


def test_cancel_during_an_await_in_finally(same_as_stock):
    async def main(aio):
        log = []

        async def body():
            try:
                log.append("body")
            finally:
                try:
                    await aio.sleep(0)
                    log.append("cleaned")
                except asyncio.CancelledError:
                    log.append("interrupted")
                    raise

        task = aio.create_task(body())
        await aio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return log

    assert same_as_stock(main) == ["body", "interrupted"]


def test_storm(impl, run):
    """Every one of many tasks is cancelled while it sleeps, waits or is about to run."""

    async def main():
        future = asyncio.get_running_loop().create_future()

        async def wait():
            await future

        tasks = [
            impl.create_task(body)
            for _ in range(300)
            for body in (impl.sleep(1000), wait(), impl.sleep(0), forever())
        ]
        await impl.sleep(0)
        tasks += [impl.create_task(forever()) for _ in range(300)]
        for task in tasks[::2] + tasks[1::2] + tasks[::3]:
            task.cancel()
        results = await impl.gather(*tasks, return_exceptions=True)
        assert future.cancelled()
        return {type(result) for result in results}, len(impl.all_tasks())

    assert run(main()) == ({asyncio.CancelledError}, 1)


def test_the_cancelled_error_keeps_its_traceback_and_context(same_as_stock):
    async def main(aio):
        async def inner():
            await forever()

        async def body():
            try:
                await inner()
            except asyncio.CancelledError as error:
                log.append(type(error.__context__).__name__)
                raise

        log = []
        task = aio.create_task(body())
        await aio.sleep(0)
        task.cancel("message")
        try:
            await task
        except asyncio.CancelledError as error:
            names, traceback = [], error.__traceback__
            while traceback:
                names.append(traceback.tb_frame.f_code.co_name)
                traceback = traceback.tb_next
            context = error
            while context is not None:
                log.append(context.args)
                context = context.__context__
        return log, names

    same_as_stock(main)


def test_run_until_complete_of_a_cancelled_task(impl, loop):
    task = loop.create_task(forever())
    loop.call_soon(task.cancel, "stop")
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)


def test_bad_arguments(impl, loop):
    task = loop.create_task(impl.sleep(0))
    for bad in ((1, 2), ()):
        if bad:
            with pytest.raises(TypeError):
                task.cancel(*bad)
    with pytest.raises(TypeError):
        task.cancel(unknown=1)
    with pytest.raises(TypeError):
        task.cancelling(1)
    with pytest.raises(TypeError):
        task.uncancel(1)
    loop.run_until_complete(task)
