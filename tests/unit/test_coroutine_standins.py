"""What native coroutine functions return stands in for a coroutine of `async def`."""

import asyncio
import collections.abc
import copy
import functools
import gc
import inspect
import pickle
import sys
import types
import warnings
import weakref
from unittest import mock

import pytest

MAKE = {
    "sleep": lambda impl: impl.sleep(1000),
    "sleep0": lambda impl: impl.sleep(0),
    "aenter": lambda impl: impl.TaskGroup().__aenter__(),
    "aexit": lambda impl: impl.TaskGroup().__aexit__(None, None, None),
    "exec": lambda impl: impl.create_subprocess_exec("/bin/true", stdin=None),
    "shell": lambda impl: impl.create_subprocess_shell("true", limit=1000),
}
NAMES = {
    "sleep": ("sleep", "sleep"),
    "sleep0": ("sleep", "sleep"),
    "aenter": ("__aenter__", "TaskGroup.__aenter__"),
    "aexit": ("__aexit__", "TaskGroup.__aexit__"),
    "exec": ("create_subprocess_exec", "create_subprocess_exec"),
    "shell": ("create_subprocess_shell", "create_subprocess_shell"),
}


@pytest.fixture(params=MAKE)
def kind(request):
    return request.param


@pytest.fixture
def coro(impl, kind):
    """A coroutine that nobody has sent anything to; closed afterwards."""
    coro = MAKE[kind](impl)
    yield coro
    coro.close()


def test_it_counts_as_a_coroutine(impl, coro):
    assert isinstance(coro, collections.abc.Coroutine)
    assert isinstance(coro, collections.abc.Awaitable)
    assert isinstance(coro, types.CoroutineType)
    assert not isinstance(coro, collections.abc.Generator)
    assert asyncio.iscoroutine(coro)
    assert impl.iscoroutine(coro)
    assert inspect.iscoroutine(coro)
    assert inspect.isawaitable(coro)
    assert not asyncio.isfuture(coro)
    assert not callable(coro)


def test_names(coro, kind):
    assert (coro.__name__, coro.__qualname__) == NAMES[kind]
    assert repr(coro).startswith(f"<coroutine object {NAMES[kind][1]} at 0x")


def test_attributes_of_a_new_one(coro, kind):
    assert coro.cr_await is None
    assert coro.cr_running is False
    assert coro.cr_suspended is False
    assert coro.cr_origin is None
    assert coro.cr_code.co_name == NAMES[kind][0]
    assert inspect.getcoroutinestate(coro) == inspect.CORO_CREATED


def test_names_can_be_set(coro):
    coro.__name__ = "renamed"
    coro.__qualname__ = "Quite.renamed"
    assert (coro.__name__, coro.__qualname__) == ("renamed", "Quite.renamed")
    with pytest.raises(TypeError):
        coro.__name__ = 1


def test_the_origin_is_tracked(impl):
    sys.set_coroutine_origin_tracking_depth(2)
    try:
        coro = impl.sleep(0)
    finally:
        sys.set_coroutine_origin_tracking_depth(0)
    assert coro.cr_origin[0][2] == "test_the_origin_is_tracked"
    coro.close()


def test_one_that_is_never_awaited_warns(impl, kind):
    with pytest.warns(RuntimeWarning, match=f"coroutine '{NAMES[kind][1]}' was never awaited"):
        MAKE[kind](impl)


def test_closing_before_the_start_is_silent(impl, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        coro = impl.sleep(0)
        assert coro.close() is None
        assert inspect.getcoroutinestate(coro) == inspect.CORO_CLOSED
        coro.close()
        del coro
        gc.collect()


def test_a_closed_one_cannot_be_awaited(coro):
    coro.close()
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        coro.send(None)
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        coro.throw(ValueError())


def test_only_none_starts_it(coro):
    with pytest.raises(TypeError, match="can't send non-None value to a just-started coroutine"):
        coro.send(1)


def test_throwing_before_the_start_ends_it(coro):
    with pytest.raises(ZeroDivisionError, match="thrown"):
        coro.throw(ZeroDivisionError("thrown"))
    assert inspect.getcoroutinestate(coro) == inspect.CORO_CLOSED
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        coro.send(None)


def test_what_can_be_thrown(coro):
    with pytest.raises(ZeroDivisionError):
        coro.throw(ZeroDivisionError)


@pytest.mark.parametrize("bad", [1, None, object(), int])
def test_what_cannot_be_thrown(coro, bad):
    with pytest.raises(TypeError):
        coro.throw(bad)


def test_sleep_step_by_step(impl, run):
    async def main():
        coro = impl.sleep(0, "result")
        assert coro.send(None) is None
        assert inspect.getcoroutinestate(coro) == inspect.CORO_SUSPENDED
        assert coro.cr_suspended is True
        with pytest.raises(StopIteration) as stop:
            coro.send(None)
        assert stop.value.value == "result"
        assert inspect.getcoroutinestate(coro) == inspect.CORO_CLOSED
        assert coro.cr_frame is None
        assert coro.cr_await is None
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            coro.send(None)

    run(main())


def test_a_timed_sleep_yields_a_future(impl, run):
    async def main():
        coro = impl.sleep(0.001, "result")
        future = coro.send(None)
        assert asyncio.isfuture(future)
        assert future._asyncio_future_blocking is True
        future._asyncio_future_blocking = False
        assert coro.cr_await is not None
        await future
        with pytest.raises(StopIteration) as stop:
            coro.send(None)
        assert stop.value.value == "result"

    run(main())


@pytest.mark.parametrize("delay", [0, 1000])
def test_closing_half_way(impl, loop, run, delay):
    async def main():
        coro = impl.sleep(delay)
        coro.send(None)
        coro.close()
        assert inspect.getcoroutinestate(coro) == inspect.CORO_CLOSED
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            coro.send(None)
        await impl.sleep(0)

    run(main())


@pytest.mark.parametrize("delay", [0, 1000])
def test_throwing_half_way(impl, run, delay):
    async def main():
        coro = impl.sleep(delay)
        coro.send(None)
        with pytest.raises(LookupError, match="thrown"):
            coro.throw(LookupError("thrown"))
        assert inspect.getcoroutinestate(coro) == inspect.CORO_CLOSED

    run(main())


@pytest.mark.parametrize("delay", [0, 1000])
def test_dropping_half_way(impl, run, delay):
    async def main():
        coro = impl.sleep(delay)
        coro.send(None)
        del coro
        gc.collect()
        await impl.sleep(0)

    run(main())


def test_dropping_a_started_one_does_not_warn(impl, run):
    async def main():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            impl.sleep(0).send(None)
            gc.collect()

    run(main())


def test_awaiting_twice(impl, run):
    async def main():
        coro = impl.sleep(0)
        await coro
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            await coro

    run(main())


def test_awaited_by_two_at_once(impl, run):
    async def main():
        coro = impl.sleep(0.001)

        async def wait():
            await coro

        first, second = impl.create_task(wait()), impl.create_task(wait())
        with pytest.raises(RuntimeError, match="coroutine is being awaited already"):
            await second
        await first

    run(main())


def test_the_wrapper_of_await(impl, run):
    async def main():
        wrapper = impl.sleep(0, "result").__await__()
        assert isinstance(wrapper, collections.abc.Iterator)
        assert iter(wrapper) is wrapper
        assert next(wrapper) is None
        with pytest.raises(StopIteration) as stop:
            wrapper.send(None)
        assert stop.value.value == "result"
        closed = impl.sleep(0).__await__()
        closed.close()
        thrown = impl.sleep(0).__await__()
        with pytest.raises(LookupError):
            thrown.throw(LookupError())

    run(main())


def test_a_wrapper_never_used_warns(impl):
    with pytest.warns(RuntimeWarning, match="coroutine 'sleep' was never awaited"):
        impl.sleep(0).__await__()


def test_yield_from_in_a_types_coroutine(impl, run):
    @types.coroutine
    def generator():
        return (yield from impl.sleep(0, "result"))

    async def main():
        return await generator()

    assert run(main()) == "result"


def test_weak_references(coro):
    assert weakref.ref(coro)() is coro


def test_no_pickling_and_no_copying(coro):
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            attempt(coro)


def test_no_new_attributes(coro):
    with pytest.raises(AttributeError):
        coro.added = 1


def test_everything_takes_it(impl, loop):
    async def main():
        assert await impl.create_task(impl.sleep(0, 1)) == 1
        assert await impl.ensure_future(impl.sleep(0, 2)) == 2
        assert await impl.gather(impl.sleep(0, 3), impl.sleep(0.001, 4)) == [3, 4]
        assert await impl.wait_for(impl.sleep(0, 5), 1000) == 5
        assert await impl.shield(impl.sleep(0, 6)) == 6
        async with impl.TaskGroup() as group:
            task = group.create_task(impl.sleep(0, 7))
        assert task.result() == 7
        assert [await first for first in impl.as_completed([impl.sleep(0, 8)])] == [8]
        thread = loop.run_in_executor(
            None, lambda: impl.run_coroutine_threadsafe(impl.sleep(0, 9), loop).result()
        )
        assert await thread == 9
        return "main"

    assert loop.run_until_complete(main()) == "main"
    loop.run_until_complete(loop.shutdown_default_executor())


def test_run_takes_it(impl):
    assert impl.run(impl.sleep(0, "ran")) == "ran"


def test_a_task_of_it(impl, loop, turn):
    task = loop.create_task(impl.sleep(0, "result"), name="T")
    coro = task.get_coro()
    assert inspect.iscoroutine(coro)
    assert repr(task).startswith("<Task pending name='T' coro=<sleep() ")
    assert inspect.getcoroutinestate(coro) == inspect.CORO_CREATED
    turn()
    assert inspect.getcoroutinestate(coro) == inspect.CORO_SUSPENDED
    turn()
    assert inspect.getcoroutinestate(coro) == inspect.CORO_CLOSED
    assert repr(task).startswith("<Task finished name='T' coro=<sleep() done, defined at ")


def test_a_stock_task_of_it(impl, stock, run):
    async def main():
        loop = asyncio.get_running_loop()
        task = stock.Task(impl.sleep(0.001, "slept"), loop=loop)
        assert await task == "slept"
        cancelled = stock.Task(impl.sleep(1000), loop=loop)
        await impl.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled

    run(main())


FUNCTIONS = {
    "sleep": lambda impl: impl.sleep,
    "aenter": lambda impl: impl.TaskGroup.__aenter__,
    "aexit": lambda impl: impl.TaskGroup.__aexit__,
    "exec": lambda impl: impl.create_subprocess_exec,
    "shell": lambda impl: impl.create_subprocess_shell,
}


@pytest.fixture(params=FUNCTIONS)
def function(impl, request):
    return FUNCTIONS[request.param](impl)


def test_the_function_is_a_coroutine_function(function):
    assert inspect.iscoroutinefunction(function)
    assert asyncio.coroutines.iscoroutine(function) is False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert asyncio.iscoroutinefunction(function)


def test_the_method_of_an_instance_is_a_coroutine_function(impl):
    group = impl.TaskGroup()
    assert inspect.iscoroutinefunction(group.__aenter__)
    assert inspect.iscoroutinefunction(group.__aexit__)


def test_the_signature(impl, stock):
    for name in ("sleep", "create_subprocess_exec", "create_subprocess_shell"):
        ours, theirs = getattr(impl, name), getattr(asyncio, name)
        assert str(inspect.signature(ours)) == str(inspect.signature(theirs))
    for name in ("__aenter__", "__aexit__"):
        ours, theirs = getattr(impl.TaskGroup, name), getattr(stock.TaskGroup, name)
        assert list(inspect.signature(ours).parameters) == list(
            inspect.signature(theirs).parameters
        )


def test_name_and_docstring(impl, function):
    assert function.__name__ in {name for name, _ in NAMES.values()}
    assert impl.sleep.__doc__
    assert impl.sleep.__qualname__ == "sleep"


def test_wrapping(impl, run):
    @functools.wraps(impl.sleep)
    async def wrapper(*args, **kwargs):
        return "wrapped", await impl.sleep(*args, **kwargs)

    assert wrapper.__name__ == "sleep"
    assert run(wrapper(0, result=1)) == ("wrapped", 1)
    partial = functools.partial(impl.sleep, 0)
    assert inspect.iscoroutinefunction(partial)
    assert run(partial("partial")) == "partial"


def test_mocking_with_autospec(impl, run):
    mocked = mock.create_autospec(impl.sleep, return_value="mocked")
    assert run(mocked(1000)) == "mocked"
    mocked.assert_awaited_once_with(1000)


def test_patching_the_module(impl, run, monkeypatch):
    async def no_sleep(delay, result=None):
        return "patched"

    async def main():
        return await impl.sleep(1000)

    monkeypatch.setattr(impl, "sleep", no_sleep)
    assert run(main()) == "patched"


def test_mocking_a_method_of_a_group(impl, run):
    async def main():
        with mock.patch.object(impl.TaskGroup, "__aenter__", autospec=True) as enter:
            enter.return_value = "entered"
            assert await impl.TaskGroup().__aenter__() == "entered"
            enter.assert_awaited_once()

    run(main())


def test_exit_of_a_group_step_by_step(impl, run):
    async def main():
        group = impl.TaskGroup()
        await group.__aenter__()
        future = asyncio.get_running_loop().create_future()

        async def child():
            await future

        task = group.create_task(child())
        await impl.sleep(0)
        leaving = group.__aexit__(None, None, None)
        waited_for = leaving.send(None)
        assert asyncio.isfuture(waited_for)
        assert inspect.getcoroutinestate(leaving) == inspect.CORO_SUSPENDED
        waited_for._asyncio_future_blocking = False
        future.set_result(None)
        await task
        await waited_for
        with pytest.raises(StopIteration):
            leaving.send(None)

    run(main())


def test_exit_of_a_group_closed_half_way(impl, run):
    async def main():
        group = impl.TaskGroup()
        await group.__aenter__()
        task = group.create_task(impl.sleep(1000))
        await impl.sleep(0)
        leaving = group.__aexit__(None, None, None)
        leaving.send(None)
        leaving.close()
        assert inspect.getcoroutinestate(leaving) == inspect.CORO_CLOSED
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
