"""Overridden loop methods, and callbacks that meddle with what is just running."""

import asyncio
import collections.abc
import gc

import pytest

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


async def nothing():
    pass


@pytest.mark.parametrize("result", [None, 1, "handle"])
def test_call_soon_that_returns_garbage(impl, stock, result):
    """Nobody needs the handle: a task runs on although `call_soon` returns something else."""

    class Odd(impl.SelectorEventLoop):
        def call_soon(self, callback, *args, context=None):
            super().call_soon(callback, *args, context=context)
            return result

    async def main():
        await impl.sleep(0)
        return await impl.gather(impl.sleep(0, 1), impl.sleep(0.001, 2))

    loop = Odd()
    assert loop.run_until_complete(main()) == [1, 2]
    loop.close()


def test_call_soon_that_raises(impl, stock, logged, turns):
    def outcomes(module):
        class Refusing(module.SelectorEventLoop):
            refusing = False

            def call_soon(self, callback, *args, context=None):
                if self.refusing:
                    raise LookupError("refused")
                return super().call_soon(callback, *args, context=context)

        loop, log = Refusing(), []
        future, ended = module.Future(loop=loop), module.Future(loop=loop)
        future.add_done_callback(log.append)
        ended.set_result(None)
        loop.refusing = True
        coro = nothing()
        for action in (
            lambda: future.set_result(1),
            lambda: ended.add_done_callback(print),
            lambda: module.Task(coro, loop=loop),
        ):
            try:
                action()
            except LookupError as error:
                log.append(str(error))
        coro.close()
        log.append(future.done())
        loop.refusing = False
        turns(loop)
        loop.close()
        return log

    assert outcomes(impl) == outcomes(stock)


def test_call_soon_that_runs_the_callback_at_once(impl, stock):
    """A loop may call at once what it should schedule: re-entrance, but no crash."""

    def outcome_of(module):
        class Eager(module.SelectorEventLoop):
            at_once = False

            def call_soon(self, callback, *args, context=None):
                if not self.at_once:
                    return super().call_soon(callback, *args, context=context)
                callback(*args)
                return super().call_soon(int)

        loop, log = Eager(), []

        async def main():
            future = loop.create_future()
            future.add_done_callback(lambda _: log.append("callback"))
            loop.at_once = True
            future.set_result(None)
            loop.at_once = False
            log.append("set")

        loop.run_until_complete(main())
        loop.close()
        return log

    assert outcome_of(impl) == outcome_of(stock) == ["callback", "set"]


def test_get_debug_that_raises(impl, stock):
    def outcomes(module):
        class Odd(module.SelectorEventLoop):
            broken = False

            def get_debug(self):
                if self.broken:
                    raise LookupError("get_debug")
                return False

        loop, log = Odd(), []
        loop.broken = True
        coro = nothing()
        for make in (lambda: module.Future(loop=loop), lambda: module.Task(coro, loop=loop)):
            try:
                make()
            except LookupError as error:
                log.append(str(error))
        coro.close()
        loop.broken = False
        loop.close()
        return log

    assert outcomes(impl) == outcomes(stock)


def test_cancel_inside_the_own_done_callback(same_as_stock):
    async def main(aio):
        log = []
        task = aio.create_task(nothing())
        task.add_done_callback(lambda t: log.append(t.cancel()))
        task.add_done_callback(lambda t: log.append(t.result()))
        await task
        await aio.sleep(0)
        return log

    assert same_as_stock(main) == [False, None]


def test_callbacks_that_add_and_remove_callbacks(same_as_stock):
    async def main(aio):
        log = []
        future = aio.Future()

        def first(f):
            log.append("first")
            f.add_done_callback(third)
            log.append(f.remove_done_callback(second))

        def second(f):
            log.append("second")

        def third(f):
            log.append("third")

        future.add_done_callback(first)
        future.add_done_callback(second)
        future.set_result(None)
        for _ in range(3):
            await aio.sleep(0)
        return log

    same_as_stock(main)


def test_a_coroutine_that_steps_itself(same_as_stock):
    async def main(aio):
        log, box = [], []

        async def body():
            try:
                box[0].send(None)
            except (ValueError, RuntimeError) as error:
                log.append(type(error))
            await aio.sleep(0)

        box.append(body())
        await aio.create_task(box[0])
        return log

    assert same_as_stock(main) == [ValueError]


def test_a_coroutine_driven_by_two_tasks(same_as_stock):
    async def main(aio):
        async def body():
            await aio.sleep(0)
            return 1

        coro = body()
        tasks = [aio.create_task(coro), aio.create_task(coro)]
        results = await aio.gather(*tasks, return_exceptions=True)
        return [result if result == 1 else type(result) for result in results]

    same_as_stock(main)


def test_a_coroutine_closed_under_its_task(same_as_stock):
    async def main(aio):
        async def body():
            await asyncio.get_running_loop().create_future()

        coro = body()
        task = aio.create_task(coro)
        await aio.sleep(0)
        coro.close()
        task.cancel()
        try:
            await task
        except (asyncio.CancelledError, RuntimeError) as error:
            return type(error)

    same_as_stock(main)


@pytest.mark.not_repeated("asyncio remembers the first hundred types of coroutines")
def test_a_send_that_cancels_awaits_and_raises(same_as_stock):
    """A coroutine-like object that changes its own task while it is being stepped."""

    class Meddling(collections.abc.Coroutine):
        task = None
        steps = 0

        def send(self, value):
            self.steps += 1
            if self.steps == 1:
                self.task.cancel("inside")
                self.task.add_done_callback(int.__instancecheck__)
                return
            raise StopIteration("end")

        def throw(self, *error):
            self.task.uncancel()
            raise StopIteration("thrown")

        def close(self):
            pass

        def __await__(self):
            return self

    async def main(aio):
        coro = Meddling()
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        coro.task = aio.create_task(coro)
        return await coro.task

    same_as_stock(main)


def test_stop_and_exit_from_within_a_task_step(impl, loop, still_works):
    async def body():
        loop.stop()
        await impl.sleep(0)
        return "went on"

    task = loop.create_task(body())
    loop.run_forever()
    assert not task.done()
    assert loop.run_until_complete(task) == "went on"


def test_close_within_a_callback_is_refused(loop, turns, still_works):
    log = []

    def close():
        try:
            loop.close()
        except RuntimeError as error:
            log.append(str(error))

    loop.call_soon(close)
    turns(loop)
    assert log == ["Cannot close a running event loop"]


def test_close_during_the_finalizer_of_a_dropped_callback(impl):
    """Closing drops what is queued; the finalizers close, schedule and stop again."""
    loop = impl.new_event_loop()
    log = []

    class Closing:
        def __del__(self):
            for action in (loop.close, loop.stop, lambda: loop.call_soon(print)):
                try:
                    action()
                except RuntimeError as error:
                    log.append(str(error))

    for _ in range(5):
        loop.call_soon(print, Closing())
        loop.call_later(1000, print, Closing())
    loop.close()
    gc.collect()
    assert loop.is_closed()
    assert set(log) == {"Event loop is closed"}


def test_cancelling_each_other_in_a_circle(impl, loop, still_works):
    """Every task cancels the next one when it is cancelled itself."""
    tasks = []

    async def body(number):
        try:
            await loop.create_future()
        finally:
            tasks[(number + 1) % len(tasks)].cancel()

    async def main():
        tasks.extend(impl.create_task(body(n)) for n in range(50))
        await impl.sleep(0)
        tasks[0].cancel()
        await impl.wait(tasks)
        return all(task.cancelled() for task in tasks)

    assert loop.run_until_complete(main()) is True
