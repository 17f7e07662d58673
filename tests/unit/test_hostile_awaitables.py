"""Hostile awaitables and exceptions: garbage, lies and errors where asyncio asks them."""

import asyncio

import pytest

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


async def nothing():
    pass


@pytest.mark.parametrize("returned", [None, 1, "text", [], object(), "iterator"])
def test_await_returns_garbage(same_as_stock, returned):
    class Odd:
        def __await__(self):
            return iter([None, 42]) if returned == "iterator" else returned

    async def main(aio):
        log = []
        for use in (aio.ensure_future, aio.gather, lambda odd: odd):
            try:
                log.append(await use(Odd()))
            except (TypeError, RuntimeError) as error:
                log.append(type(error))
        return log

    same_as_stock(main)


def test_await_raises(same_as_stock):
    class Odd:
        def __await__(self):
            raise LookupError("__await__")

    async def main(aio):
        log = []
        for use in (aio.ensure_future, aio.gather, lambda odd: odd):
            try:
                await use(Odd())
            except LookupError as error:
                log.append(str(error))
        return log

    assert same_as_stock(main) == ["__await__"] * 3


class Ducks:
    """Objects that claim to be futures, each lying in a way of its own."""

    class Base:
        _asyncio_future_blocking = True

        def __init__(self, loop):
            self.loop = loop

        def get_loop(self):
            return self.loop

        def add_done_callback(self, callback, *, context=None):
            self.loop.call_soon(callback, self, context=context)

        def result(self):
            return "result"

        def cancel(self, msg=None):
            return True

        def __await__(self):
            self._asyncio_future_blocking = True
            yield self
            return "awaited"

    class Honest(Base):
        pass

    class NoCallback(Base):
        add_done_callback = None

    class CallbackRaises(Base):
        def add_done_callback(self, callback, *, context=None):
            raise LookupError("add_done_callback")

    class ResultRaises(Base):
        def result(self):
            raise LookupError("result")

    class CallsAtOnce(Base):
        """Wakes the task while the task still runs."""

        def add_done_callback(self, callback, *, context=None):
            callback(self)

    class CallsTwice(Base):
        def add_done_callback(self, callback, *, context=None):
            self.loop.call_soon(callback, self, context=context)
            self.loop.call_soon(callback, self, context=context)

    class LoopRaises(Base):
        def get_loop(self):
            raise LookupError("get_loop")

    class NoLoop(Base):
        def get_loop(self):
            return None

    class BlockingRaises(Base):
        @property
        def _asyncio_future_blocking(self):
            raise LookupError("blocking")

        @_asyncio_future_blocking.setter
        def _asyncio_future_blocking(self, value):
            pass

    class NotBlocking(Base):
        @property
        def _asyncio_future_blocking(self):
            return False

        @_asyncio_future_blocking.setter
        def _asyncio_future_blocking(self, value):
            pass


@pytest.mark.parametrize("kind", [name for name in vars(Ducks) if name[0].isupper()])
def test_awaiting_a_lying_future(same_as_stock, kind):
    async def main(aio):
        async def body():
            return await getattr(Ducks, kind)(asyncio.get_running_loop())

        reports = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: reports.append(type(context.get("exception")))
        )
        task = aio.create_task(body())
        for _ in range(6):
            await aio.sleep(0)
        if not task.done():
            task._log_destroy_pending = False
            return "pending", reports
        if task.cancelled():
            return "cancelled", reports
        error = task.exception()
        return (type(error) if error else task.result()), reports

    same_as_stock(main)


def test_a_future_that_ends_inside_add_done_callback(same_as_stock):
    async def main(aio):
        class Ending(aio.Future):
            def add_done_callback(self, callback, *, context=None):
                super().add_done_callback(callback, context=context)
                if not self.done():
                    self.set_result("ended inside")

        return await Ending(loop=asyncio.get_running_loop())

    assert same_as_stock(main) == "ended inside"


def test_an_exception_whose_init_raises(same_as_stock):
    class Broken(Exception):
        def __init__(self, *args):
            raise LookupError("__init__")

    class NeedsArguments(Exception):
        def __init__(self, a, b):
            super().__init__(a, b)

    async def main(aio):
        log = []
        for kind in (Broken, NeedsArguments):
            future = aio.Future()
            try:
                future.set_exception(kind)
            except (LookupError, TypeError) as error:
                log.append(type(error))
            log.append(future.done())
        return log

    same_as_stock(main)


def test_an_exception_class_that_makes_something_else(same_as_stock):
    class Odd(Exception):
        def __new__(cls):
            return 42

    async def main(aio):
        future = aio.Future()
        try:
            future.set_exception(Odd)
        except TypeError:
            return "refused", future.done()

    same_as_stock(main)


def test_an_exception_that_cannot_take_a_traceback(impl, loop, still_works):
    class Stubborn(Exception):
        def with_traceback(self, traceback):
            raise LookupError("with_traceback")

    future = impl.Future(loop=loop)
    future.set_exception(Stubborn())
    for _ in range(2):
        with pytest.raises((Stubborn, LookupError)):
            future.result()


def test_one_exception_in_many_futures(same_as_stock):
    async def main(aio):
        error, log = ValueError("shared"), []

        async def fail():
            raise error

        results = await aio.gather(*(fail() for _ in range(5)), return_exceptions=True)
        log.append([result is error for result in results])
        try:
            async with aio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(fail())
        except* ValueError as errors:
            log.append([e is error for e in errors.exceptions])
        return log

    same_as_stock(main)


def test_cancelled_error_subclasses(same_as_stock):
    class Own(asyncio.CancelledError):
        pass

    async def main(aio):
        async def fail():
            raise Own("own")

        task = aio.create_task(fail())
        try:
            await task
        except asyncio.CancelledError as error:
            return task.cancelled(), type(error) is Own, error.args

    same_as_stock(main)
