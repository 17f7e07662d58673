"""Task as an object: reprs, attributes, reports, subclasses, factories."""

import asyncio
import collections.abc
import contextlib
import contextvars
import gc
import inspect
import sys
import weakref

import pytest


async def nothing():
    pass


async def value(result):
    return result


async def fail(error):
    raise error


def test_get_coro_and_get_stack(impl, run):
    async def body():
        await future

    async def main():
        nonlocal future
        future = asyncio.get_running_loop().create_future()
        coro = body()
        task = impl.create_task(coro)
        assert task.get_coro() is coro
        await impl.sleep(0)
        (frame,) = task.get_stack()
        assert frame.f_code is body.__code__
        future.set_result(None)
        await task
        assert task.get_stack() == []
        assert task.get_coro() is coro

    future = None
    run(main())


def test_the_stack_of_a_failed_task_is_its_traceback(impl, run):
    async def inner():
        raise ValueError("deep")

    async def main():
        task = impl.create_task(inner())
        with pytest.raises(ValueError):
            await task
        assert task.get_stack()[-1].f_code is inner.__code__

    run(main())


def test_print_stack(impl, run):
    import io

    async def main():
        task = asyncio.current_task()
        out = io.StringIO()
        task.print_stack(file=out)
        return out.getvalue()

    text = run(main())
    assert text.startswith("Stack for <Task pending")
    assert "in main" in text


def test_repr(impl, loop, turn):
    future = loop.create_future()

    async def body():
        await future

    task = loop.create_task(body(), name="T")
    assert repr(task).startswith(
        "<Task pending name='T' coro=<test_repr.<locals>.body() running at"
    )
    turn()
    assert "wait_for=<Future pending cb=[" in repr(task)
    task.add_done_callback(test_print_stack)
    assert "cb=[test_print_stack() at " in repr(task)
    future.set_result(None)
    turn()
    done = repr(task)
    assert done.startswith("<Task finished name='T' coro=<test_repr.<locals>.body() done, defined")
    assert done.endswith("result=None>")


def test_repr_when_cancelling_and_cancelled(impl, loop, turn):
    task = loop.create_task(nothing(), name="T")
    task.cancel()
    assert repr(task).startswith("<Task cancelling name='T' coro=<nothing() running at ")
    turn()
    assert repr(task).startswith("<Task cancelled name='T' coro=<nothing() done, defined at ")


def test_repr_names_the_subclass(impl, loop, turn):
    class Named(impl.Task):
        pass

    task = Named(nothing(), loop=loop)
    assert repr(task).startswith("<Named pending name='Task-")
    turn()


@pytest.mark.not_repeated("asyncio remembers the first hundred types of coroutines")
def test_repr_does_not_fail_on_odd_coroutines(impl, loop, turn):
    class Odd:
        def send(self, value):
            raise StopIteration

        def throw(self, *error):
            raise error[0]

        def close(self):
            pass

        def __await__(self):
            return self

    collections.abc.Coroutine.register(Odd)
    task = loop.create_task(Odd(), name="T")
    assert repr(task).startswith("<Task pending name='T' coro=<")
    turn()


def test_a_task_is_a_future(impl, loop, turn):
    task = loop.create_task(nothing())
    assert type(task) is impl.Task
    assert isinstance(task, (impl.Future, asyncio.Future, asyncio.Task))
    assert isinstance(task, impl.Future)
    assert isinstance(task, asyncio.Future)
    assert issubclass(impl.Task, impl.Future)
    assert asyncio.isfuture(task)
    turn()


def test_attributes_libraries_read(impl, loop, turn):
    future = loop.create_future()

    async def body():
        await future

    coro = body()
    task = loop.create_task(coro)
    assert task._coro is coro
    assert task._loop is loop
    assert task._fut_waiter is None
    assert task._must_cancel is False
    assert task._log_destroy_pending is True
    assert task._state == "PENDING"
    turn()
    assert task._fut_waiter is future
    task.added = "attribute"
    assert task.added == "attribute"
    future.set_result(None)
    turn()
    assert task._fut_waiter is None


def test_must_cancel_shows_before_the_first_step(impl, loop, turn):
    task = loop.create_task(nothing())
    task.cancel()
    assert task._must_cancel is True
    turn()
    assert task._must_cancel is False
    assert task.cancelled()


def test_generic_alias(impl):
    assert impl.Task[int].__origin__ is impl.Task


def test_a_pending_task_destroyed_is_reported(impl, loop, turn, reported):
    async def wait():
        await asyncio.get_running_loop().create_future()

    task = loop.create_task(wait())
    turn()
    task = None
    gc.collect()
    (context,) = reported
    assert context["message"] == "Task was destroyed but it is pending!"
    assert isinstance(context["task"], impl.Task)
    assert task is None


def test_log_destroy_pending_silences_the_report(impl, loop, turn, reported):
    async def wait():
        await asyncio.get_running_loop().create_future()

    task = loop.create_task(wait())
    task._log_destroy_pending = False
    turn()
    task = None
    gc.collect()
    assert reported == []
    assert task is None


def test_an_exception_never_retrieved_is_reported(impl, loop, turn, reported):
    error = ValueError("lost")
    loop.create_task(fail(error))
    turn()
    gc.collect()
    (context,) = reported
    assert context["message"] == "Task exception was never retrieved"
    assert context["exception"] is error
    assert repr(context["future"]).startswith("<Task finished name='Task-")


def test_debug_mode_keeps_the_place_of_creation(impl, loop, turn):
    loop.set_debug(True)
    task = loop.create_task(nothing())
    names = [frame.name for frame in task._source_traceback]
    assert names[-1] == "test_debug_mode_keeps_the_place_of_creation"
    assert "created at" in repr(task)
    turn()


def test_finished_tasks_are_freed(impl, loop, turn):
    task = loop.create_task(nothing())
    reference = weakref.ref(task)
    turn()
    del task
    assert reference() is None


def test_failed_tasks_are_freed_without_the_collector(impl, run):
    async def main():
        task = impl.create_task(fail(ValueError()))
        reference = weakref.ref(task)
        with contextlib.suppress(ValueError):
            await task
        del task
        await impl.sleep(0)
        return reference() is None

    gc.disable()
    try:
        assert run(main())
    finally:
        gc.enable()


def test_a_second_init_with_another_coroutine(impl, loop, stock, turn, outcome):
    ours, theirs = impl.Task(nothing(), loop=loop), stock.Task(nothing(), loop=loop)
    turn()
    first, second = nothing(), nothing()
    got = outcome(ours.__init__, first, loop=loop)
    assert got == outcome(theirs.__init__, second, loop=loop)
    turn()
    first.close()
    second.close()


@pytest.mark.skipif(sys.version_info < (3, 14), reason="stock may crash here before 3.14")
@pytest.mark.parametrize(
    "name", ["get_coro", "get_name", "cancel", "cancelling", "uncancel", "done", "result"]
)
def test_no_init_is_as_on_stock(impl, stock, outcome, name):
    def careless(base):
        return type("Careless", (base,), {"__init__": lambda self: None})()

    ours, theirs = careless(impl.Task), careless(stock.Task)
    assert outcome(getattr(ours, name)) == outcome(getattr(theirs, name))


def test_overridden_methods_are_honoured(impl, loop, turn):
    log = []

    class Noisy(impl.Task):
        def add_done_callback(self, callback, *, context=None):
            log.append("add_done_callback")
            super().add_done_callback(callback, context=context)

        def cancel(self, msg=None):
            log.append("cancel")
            return super().cancel(msg=msg)

    async def wait_forever():
        await asyncio.get_running_loop().create_future()

    async def outer(inner):
        await inner

    inner = Noisy(wait_forever(), loop=loop)
    task = loop.create_task(outer(inner))
    turn()
    assert log == ["add_done_callback"]
    task.cancel()
    assert log == ["add_done_callback", "cancel"]
    turn(3)
    assert inner.cancelled()
    assert task.cancelled()


def test_a_task_factory_makes_the_tasks(impl, loop, run):
    made = []

    def factory(loop, coro, **kwargs):
        made.append(coro)
        return impl.Task(coro, loop=loop, **kwargs)

    assert loop.get_task_factory() is None
    loop.set_task_factory(factory)
    assert loop.get_task_factory() is factory
    coro = value(4)
    assert loop.run_until_complete(coro) == 4
    assert made == [coro]
    loop.set_task_factory(None)
    assert loop.get_task_factory() is None
    with pytest.raises(TypeError, match="task factory must be a callable or None"):
        loop.set_task_factory(1)


def test_the_factory_gets_the_keywords_that_stock_hands_over(impl, stock, outcome):
    def keywords_of(loop, **given):
        seen = []

        def factory(loop, coro, **kwargs):
            seen.append(kwargs)
            return stock.Task(coro, loop=loop)

        loop.set_task_factory(factory)
        task = loop.create_task(nothing(), **given)
        loop.run_until_complete(task)
        loop.close()
        return seen, task.get_name().split("-")[0]

    context = contextvars.copy_context()
    for given in ({}, {"name": "N"}, {"context": context}, {"name": "N", "context": context}):
        assert keywords_of(impl.new_event_loop(), **given) == keywords_of(
            stock.SelectorEventLoop(), **given
        )


def test_an_unknown_keyword(impl, loop, stock, outcome):
    first, second = nothing(), nothing()
    stock_loop = stock.SelectorEventLoop()
    got = outcome(loop.create_task, first, unknown=1)
    expected = outcome(stock_loop.create_task, second, unknown=1)
    assert got[:2] == expected[:2]
    first.close()
    second.close()
    stock_loop.close()


def test_create_task_signature_works_for_tools(impl):
    parameters = inspect.signature(impl.create_task).parameters
    assert next(iter(parameters)) == "coro"


def test_iscoroutine_and_the_tasks_coroutine_state(impl, loop, turn):
    future = loop.create_future()

    async def body():
        await future

    task = loop.create_task(body())
    assert inspect.getcoroutinestate(task.get_coro()) == inspect.CORO_CREATED
    turn()
    assert inspect.getcoroutinestate(task.get_coro()) == inspect.CORO_SUSPENDED
    future.set_result(None)
    turn()
    assert inspect.getcoroutinestate(task.get_coro()) == inspect.CORO_CLOSED


def test_a_task_can_await_a_task_of_a_stock_class(impl, stock, run):
    async def main():
        task = stock.Task(value("stock"), loop=asyncio.get_running_loop())
        return await task

    assert run(main()) == "stock"


def test_results_survive_the_coroutines_locals(impl, run):
    class Big:
        pass

    async def body():
        local = Big()
        references.append(weakref.ref(local))
        return 1

    async def main():
        task = impl.create_task(body())
        await task
        return references[0]() is None

    references = []
    assert run(main())


@pytest.mark.skipif(sys.version_info < (3, 13), reason="stock may crash here before 3.13")
def test_eagerly_finished_tasks_keep_no_coroutine(impl, stock, loop):
    def coro_of(module):
        async def main():
            task = module.Task(value(1), loop=asyncio.get_running_loop(), eager_start=True)
            return task.get_coro(), task.done(), task.result()

        return main()

    assert loop.run_until_complete(coro_of(impl)) == (None, True, 1)
