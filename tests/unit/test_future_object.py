"""Future as an object: recognition, reprs, attributes, reports, subclasses."""

import asyncio
import contextvars
import gc
import pickle
import sys
import weakref

import pytest


@pytest.fixture
def future(impl, loop):
    return impl.Future(loop=loop)


def test_a_future_is_recognised(future):
    assert asyncio.isfuture(future)
    assert isinstance(future, asyncio.Future)
    assert asyncio.ensure_future(future) is future


def test_isfuture_is_about_the_class_attribute(impl, loop):
    class Duck:
        _asyncio_future_blocking = False

    duck = Duck()
    assert impl.isfuture(duck)
    assert not impl.isfuture(object())
    duck = object()
    assert not impl.isfuture(duck)


def test_wrap_future_gives_a_future_of_the_running_kind(impl, run):
    from concurrent.futures import Future as ThreadFuture

    async def main():
        source = ThreadFuture()
        wrapped = impl.wrap_future(source)
        source.set_result("threaded")
        return await wrapped

    assert run(main()) == "threaded"


def test_create_future_gives_our_future(impl, loop):
    assert type(loop.create_future()) is impl.Future


def test_the_running_loop_is_the_default(impl, run):
    async def main():
        assert impl.Future().get_loop() is asyncio.get_running_loop()

    run(main())


def test_attributes_can_be_added(future):
    future.added = 1
    assert future.added == 1


def test_weak_references(impl, loop):
    future = impl.Future(loop=loop)
    reference = weakref.ref(future)
    assert reference() is future
    del future
    assert reference() is None


def test_cycles_through_callbacks_and_results_are_collected(impl, loop):
    future = impl.Future(loop=loop)
    future.add_done_callback(lambda f, future=future: None)
    other = impl.Future(loop=loop)
    other.set_result(other)
    references = weakref.ref(future), weakref.ref(other)
    del future, other
    gc.collect()
    assert [reference() for reference in references] == [None, None]


def test_generic_alias(impl):
    alias = impl.Future[int]
    assert alias.__origin__ is impl.Future
    assert alias.__args__ == (int,)


def test_pickling_fails_as_on_stock(future):
    with pytest.raises(TypeError):
        pickle.dumps(future)


def test_repr_in_every_state(impl, loop):
    future = impl.Future(loop=loop)
    assert repr(future) == "<Future pending>"
    future.add_done_callback(test_weak_references)
    assert repr(future).startswith("<Future pending cb=[test_weak_references() at ")
    future.remove_done_callback(test_weak_references)
    future.set_result([1])
    assert repr(future) == "<Future finished result=[1]>"
    cancelled = impl.Future(loop=loop)
    cancelled.cancel()
    assert repr(cancelled) == "<Future cancelled>"
    failed = impl.Future(loop=loop)
    failed.set_exception(ValueError(1))
    assert repr(failed) == "<Future finished exception=ValueError(1)>"
    failed.exception()


def test_repr_of_many_callbacks(future):
    for _ in range(4):
        future.add_done_callback(test_weak_references)
    assert "<2 more>" in repr(future)


def test_repr_names_the_subclass(impl, loop):
    class Named(impl.Future):
        pass

    assert repr(Named(loop=loop)) == "<Named pending>"


def test_an_exception_never_retrieved_is_reported(impl, loop, reported):
    future = impl.Future(loop=loop)
    error = RuntimeError("lost")
    future.set_exception(error)
    future_repr = repr(future)
    assert future._log_traceback is True
    del future
    gc.collect()
    (context,) = reported
    assert context["exception"] is error
    assert context["message"] == "Future exception was never retrieved"
    assert repr(context["future"]) == future_repr
    assert "source_traceback" not in context


@pytest.mark.parametrize("ask", ["exception", "result", "log_traceback", "await"])
def test_a_retrieved_exception_is_not_reported(impl, loop, reported, ask):
    future = impl.Future(loop=loop)
    future.set_exception(RuntimeError())
    if ask == "exception":
        future.exception()
    elif ask == "log_traceback":
        future._log_traceback = False
    elif ask == "result":
        with pytest.raises(RuntimeError):
            future.result()
    else:
        with pytest.raises(RuntimeError):
            next(iter(future))
    assert future._log_traceback is False
    del future
    gc.collect()
    assert reported == []


def test_log_traceback_cannot_be_set_to_true(future):
    with pytest.raises(ValueError, match="_log_traceback can only be set to False"):
        future._log_traceback = True


def test_debug_mode_keeps_the_place_of_creation(impl, loop, reported):
    loop.set_debug(True)
    future = impl.Future(loop=loop)
    assert future._source_traceback[-1].name == "test_debug_mode_keeps_the_place_of_creation"
    assert "created at" in repr(future)
    future.set_exception(ValueError())
    del future
    gc.collect()
    frames = [frame.name for frame in reported[0]["source_traceback"]]
    assert frames[-1] == "test_debug_mode_keeps_the_place_of_creation"


def test_outside_debug_mode_there_is_no_source_traceback(future):
    assert future._source_traceback is None


def test_no_init_is_an_error_and_no_crash(impl):
    class Careless(impl.Future):
        def __init__(self):
            pass

    future = Careless()
    uninitialised = [
        future.get_loop,
        future.result,
        future.exception,
        lambda: future.set_result(1),
        lambda: future.set_exception(ValueError()),
        lambda: future.add_done_callback(print),
        lambda: iter(future),
        lambda: next(future.__await__()),
    ]
    for use in uninitialised:
        with pytest.raises((RuntimeError, asyncio.InvalidStateError)):
            use()


def test_methods_called_unbound_on_a_future_never_initialised(impl, stock, outcome):
    for name in ("done", "cancelled", "cancel", "result", "exception", "get_loop"):
        ours, theirs = impl.Future.__new__(impl.Future), stock.Future.__new__(stock.Future)
        got, expected = outcome(getattr(ours, name)), outcome(getattr(theirs, name))
        assert got[:2] == expected[:2], name


def test_a_second_init_does_as_stock(impl, loop, stock, outcome):
    ours, theirs = impl.Future(loop=loop), stock.Future(loop=loop)
    ours.set_result(1)
    theirs.set_result(1)
    assert outcome(ours.__init__, loop=loop) == outcome(theirs.__init__, loop=loop)
    assert ours.done() == theirs.done()


def test_overridden_methods_are_called_by_the_task(impl, run):
    log = []

    class Noisy(impl.Future):
        def add_done_callback(self, callback, *, context=None):
            log.append("add_done_callback")
            super().add_done_callback(callback, context=context)

        def result(self):
            log.append("result")
            return super().result()

        def cancel(self, msg=None):
            log.append(("cancel", msg))
            return super().cancel(msg)

    async def main():
        future = Noisy(loop=asyncio.get_running_loop())

        async def wait():
            await future

        task = impl.create_task(wait())
        await impl.sleep(0)
        assert log == ["add_done_callback"]
        task.cancel("enough")
        assert log == ["add_done_callback", ("cancel", "enough")]
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


def test_an_overridden_result_is_asked_at_the_wake_up(impl, run):
    log = []

    class Logged(impl.Future):
        def result(self):
            log.append("result")
            return super().result()

    async def main():
        future = Logged(loop=asyncio.get_running_loop())
        asyncio.get_running_loop().call_soon(future.set_result, "set")
        return await future

    assert run(main()) == "set"
    assert log == ["result"]


def test_an_overridden_result_that_raises_is_thrown_into_the_waiter(impl, run):
    class Raising(impl.Future):
        def result(self):
            raise LookupError("overridden")

    async def main():
        future = Raising(loop=asyncio.get_running_loop())
        asyncio.get_running_loop().call_soon(future.set_result, "set")
        with pytest.raises(LookupError, match="overridden"):
            await future

    run(main())


def test_blocking_flag_accepts_only_booleans_like_stock(impl, loop, stock, outcome):
    ours, theirs = impl.Future(loop=loop), stock.Future(loop=loop)
    for value in (True, False, 0, 1, "", [], "x"):
        got = outcome(setattr, ours, "_asyncio_future_blocking", value)
        assert got == outcome(setattr, theirs, "_asyncio_future_blocking", value)
        assert ours._asyncio_future_blocking == theirs._asyncio_future_blocking


@pytest.mark.parametrize(
    "name", ["_state", "_result", "_exception", "_loop", "_callbacks", "_source_traceback"]
)
def test_readonly_attributes_are_readonly(future, name):
    with pytest.raises(AttributeError):
        setattr(future, name, None)


def test_cancelled_result_chains_the_original_error(impl, run):
    async def main():
        future = asyncio.get_running_loop().create_future()

        async def wait():
            await future

        task = impl.create_task(wait())
        await impl.sleep(0)
        future.cancel("inner")
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        return caught.value.args

    assert run(main()) == ("inner",)


def test_bad_arguments(impl, loop, future):
    with pytest.raises(TypeError):
        impl.Future(loop)
    with pytest.raises(TypeError):
        future.add_done_callback()
    with pytest.raises(TypeError):
        future.add_done_callback(print, contextvars.copy_context())
    with pytest.raises(TypeError):
        future.set_result()
    with pytest.raises(TypeError):
        future.cancel("a", "b")


@pytest.mark.skipif(sys.version_info < (3, 14), reason="_asyncio_awaited_by came with 3.14")
def test_awaited_by(impl, run):
    async def main():
        future = asyncio.get_running_loop().create_future()
        assert future._asyncio_awaited_by is None

        async def wait():
            await future

        tasks = {impl.create_task(wait()), impl.create_task(wait())}
        await impl.sleep(0)
        assert future._asyncio_awaited_by == tasks
        future.set_result(None)
        for task in tasks:
            await task
        assert not future._asyncio_awaited_by

    run(main())
