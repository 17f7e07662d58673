"""Task: its life from creation to end, its context, names, attributes and reports."""

import asyncio
import collections.abc
import contextlib
import contextvars
import gc
import inspect
import sys
import types
import weakref

import pytest


async def nothing():
    pass


async def value(result):
    return result


async def fail(error):
    raise error


def test_a_task_runs_its_coroutine_to_the_result(impl, run):
    async def main():
        task = impl.create_task(value(3))
        assert not task.done()
        assert await task == 3
        assert task.done()
        assert not task.cancelled()
        assert task.result() == 3
        assert task.exception() is None

    run(main())


def test_a_task_carries_the_exception(impl, run):
    error = ValueError("why")

    async def main():
        task = impl.create_task(fail(error))
        with pytest.raises(ValueError) as caught:
            await task
        assert caught.value is error
        assert task.exception() is error
        assert not task.cancelled()

    run(main())


def test_awaiting_a_failed_task_twice_raises_twice(impl, run):
    async def main():
        task = impl.create_task(fail(ValueError()))
        for _ in range(2):
            with pytest.raises(ValueError):
                await task

    run(main())


def test_nothing_runs_before_the_next_iteration(impl, loop, turn):
    log = []

    async def body():
        log.append("ran")

    task = loop.create_task(body())
    assert log == []
    turn()
    assert log == ["ran"]
    assert task.done()


def test_tasks_start_in_the_order_of_creation(impl, loop, turn):
    log = []

    async def body(name):
        log.append(name)

    tasks = [loop.create_task(body(name)) for name in range(10)]
    turn()
    assert log == list(range(10))
    assert all(task.done() for task in tasks)


def test_tasks_and_callbacks_share_one_queue(impl, loop, turn):
    log = []

    async def body(name):
        log.append(name)
        await impl.sleep(0)
        log.append(name + "2")

    loop.call_soon(log.append, "before")
    tasks = [loop.create_task(body("a"))]
    loop.call_soon(log.append, "between")
    tasks.append(loop.create_task(body("b")))
    turn(2)
    assert log == ["before", "a", "between", "b", "a2", "b2"]


def test_a_bare_yield_gives_one_iteration(impl, loop, turn):
    @types.coroutine
    def bare():
        got = yield
        return got

    async def body():
        return await bare()

    task = loop.create_task(body())
    turn()
    assert not task.done()
    turn()
    assert task.result() is None


def test_an_awaiting_task_wakes_one_iteration_after_the_end(impl, loop, turn):
    log = []
    future = loop.create_future()

    async def body():
        await future
        log.append("woken")

    task = loop.create_task(body())
    turn()
    future.set_result(None)
    assert log == []
    turn()
    assert log == ["woken"]
    assert task.done()


def test_a_chain_of_tasks_ends_one_iteration_after_another(impl, loop, turn):
    log, tasks = [], {}

    async def link(n):
        if n:
            await tasks[n - 1]
        log.append(n)

    for n in reversed(range(5)):
        tasks[n] = loop.create_task(link(n))
    for n in range(5):
        turn()
        assert log == list(range(n + 1))


def test_coroutine_must_be_one(impl, loop):
    for bad in (nothing, 1, None, [], object()):
        with pytest.raises(TypeError, match="a coroutine was expected, got "):
            impl.Task(bad, loop=loop)
        with pytest.raises(TypeError, match="a coroutine was expected, got "):
            loop.create_task(bad)


def test_a_future_is_not_a_coroutine(impl, loop):
    with pytest.raises(TypeError, match="a coroutine was expected, got <Future pending>"):
        loop.create_task(loop.create_future())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="generators were coroutines up to 3.11")
def test_a_generator_is_not_a_coroutine(impl, loop):
    def generator():
        yield

    with pytest.raises(TypeError, match="a coroutine was expected, got <generator"):
        loop.create_task(generator())


def test_a_coroutine_like_object_is_accepted(impl, run):
    class Steps(collections.abc.Coroutine):
        def __init__(self):
            self.left = 3

        def send(self, value):
            self.left -= 1
            if self.left == 0:
                raise StopIteration("end")

        def throw(self, *error):
            raise error[0]

        def close(self):
            pass

        def __await__(self):
            return self

    async def main():
        steps = Steps()
        task = impl.create_task(steps)
        assert task.get_coro() is steps
        return await task

    assert run(main()) == "end"


def test_types_coroutine_generators_are_accepted(impl, run):
    @types.coroutine
    def generator():
        yield
        return 5

    async def main():
        return await generator()

    assert run(main()) == 5


def test_create_task_needs_a_running_loop(impl):
    coro = nothing()
    with pytest.raises(RuntimeError, match="no running event loop"):
        impl.create_task(coro)
    coro.close()


def test_a_task_without_a_loop_needs_a_running_one(impl, run):
    async def main():
        task = impl.Task(nothing())
        assert task.get_loop() is asyncio.get_running_loop()
        await task

    run(main())


def test_set_result_and_set_exception_are_refused(impl, run):
    async def main():
        task = impl.create_task(nothing())
        with pytest.raises(RuntimeError, match="Task does not support set_result operation"):
            task.set_result(1)
        with pytest.raises(RuntimeError, match="Task does not support set_exception operation"):
            task.set_exception(ValueError())
        await task

    run(main())


def test_names(impl, run):
    async def main():
        given = impl.create_task(nothing(), name="given")
        assert given.get_name() == "given"
        given.set_name("changed")
        assert given.get_name() == "changed"
        given.set_name(12)
        assert given.get_name() == "12"
        numbered = impl.create_task(nothing(), name=7)
        assert numbered.get_name() == "7"
        await given
        await numbered

    run(main())


def test_default_names_count_up(impl, run):
    async def main():
        first, second = impl.create_task(nothing()), impl.create_task(nothing())
        prefix, first_number = first.get_name().split("-")
        second_prefix, second_number = second.get_name().split("-")
        assert prefix == second_prefix == "Task"
        assert int(second_number) == int(first_number) + 1
        await first
        await second

    run(main())


def test_unused_names_do_not_leave_gaps_or_collide(impl, run):
    async def main():
        tasks = [impl.create_task(nothing()) for _ in range(50)]
        names = {task.get_name() for task in tasks}
        assert len(names) == 50
        for task in tasks:
            await task

    run(main())


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


def test_the_task_has_a_copy_of_the_creators_context(impl, run):
    variable = contextvars.ContextVar("variable", default="default")

    async def body():
        seen = variable.get()
        variable.set("child")
        return seen

    async def main():
        variable.set("parent")
        task = impl.create_task(body())
        variable.set("changed")
        assert await task == "parent"
        assert variable.get() == "changed"

    run(main())


def test_a_context_can_be_given(impl, run):
    variable = contextvars.ContextVar("variable", default="default")

    async def body():
        variable.set("inside")

    async def main():
        context = contextvars.copy_context()
        await impl.create_task(body(), context=context)
        assert context[variable] == "inside"
        assert variable.get() == "default"
        await impl.create_task(body(), context=contextvars.copy_context())
        assert variable.get() == "default"

    run(main())


def test_steps_run_in_the_tasks_context(impl, run):
    variable = contextvars.ContextVar("variable", default=0)

    async def count(n):
        for _ in range(n):
            variable.set(variable.get() + 1)
            await impl.sleep(0)
        return variable.get()

    async def main():
        tasks = [impl.create_task(count(n)) for n in (1, 5, 3)]
        return [await task for task in tasks], variable.get()

    assert run(main()) == ([1, 5, 3], 0)


def test_done_callbacks_of_a_task_run_in_the_adders_context(impl, run):
    variable = contextvars.ContextVar("variable", default="none")
    log = []

    async def body():
        variable.set("task")

    async def main():
        task = impl.create_task(body())
        variable.set("adder")
        task.add_done_callback(lambda t: log.append(variable.get()))
        await task
        await impl.sleep(0)

    run(main())
    assert log == ["adder"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="get_context came with 3.12")
def test_get_context(impl, run):
    async def main():
        context = contextvars.copy_context()
        task = impl.create_task(nothing(), context=context)
        assert task.get_context() is context
        other = impl.create_task(nothing())
        assert isinstance(other.get_context(), contextvars.Context)
        await task
        await other

    run(main())


def test_current_task(impl, run):
    async def child():
        return impl.current_task()

    async def main():
        me = impl.current_task()
        assert isinstance(me, impl.Task)
        task = impl.create_task(child())
        assert await task is task
        assert impl.current_task() is me
        assert asyncio.current_task() is me
        assert asyncio.current_task(asyncio.get_running_loop()) is me

    run(main())


def test_callbacks_have_no_current_task(impl, run):
    log = []

    async def main():
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: log.append(asyncio.current_task()))
        future = loop.create_future()
        future.add_done_callback(lambda f: log.append(asyncio.current_task()))
        future.set_result(None)
        await impl.sleep(0)

    run(main())
    assert log == [None, None]


def test_current_task_needs_a_loop(impl):
    with pytest.raises(RuntimeError, match="no running event loop"):
        impl.current_task()


def test_all_tasks(impl, run):
    async def main():
        me = impl.current_task()
        tasks = {impl.create_task(nothing()) for _ in range(3)}
        assert impl.all_tasks() == asyncio.all_tasks() == tasks | {me}
        for task in tasks:
            await task
        assert impl.all_tasks() == {me}

    run(main())


def test_all_tasks_of_another_loop(impl, loop, run):
    task = loop.create_task(nothing())

    async def main():
        assert impl.all_tasks(loop) == {task}
        assert task not in impl.all_tasks()

    run(main())
    loop.run_until_complete(task)
    assert impl.all_tasks(loop) == set()


def test_all_tasks_does_not_keep_tasks_alive(impl, loop, turn, reported):
    async def wait():
        await asyncio.get_running_loop().create_future()

    loop.create_task(wait())
    turn()
    assert len(impl.all_tasks(loop)) == 1
    gc.collect()
    assert len(reported) == 1
    reported.clear()
    gc.collect()
    assert impl.all_tasks(loop) == set()


def test_yielding_garbage_is_a_runtime_error(impl, run):
    class Garbage:
        def __await__(self):
            yield 42

    async def main():
        with pytest.raises(RuntimeError, match="Task got bad yield: 42"):
            await Garbage()

    run(main())


def test_yielding_a_future_without_yield_from_is_an_error(impl, run):
    class Direct:
        def __init__(self, future):
            self.future = future

        def __await__(self):
            yield self.future

    async def main():
        future = asyncio.get_running_loop().create_future()
        with pytest.raises(RuntimeError, match="yield was used instead of yield from"):
            await Direct(future)

    run(main())


def test_a_generator_yielded_is_an_error(impl, run):
    class Generator:
        def __await__(self):
            yield (x for x in ())

    async def main():
        with pytest.raises(RuntimeError, match="yield was used instead of yield from"):
            await Generator()

    run(main())


def test_awaiting_oneself_is_an_error(impl, run):
    async def main():
        with pytest.raises(RuntimeError, match="Task cannot await on itself"):
            await asyncio.current_task()

    run(main())


def test_a_future_of_another_loop_is_an_error(impl, loop, run):
    foreign = impl.Future(loop=loop)

    async def main():
        with pytest.raises(RuntimeError, match="attached to a different loop"):
            await foreign

    run(main())


def test_a_stop_iteration_from_a_coroutine_is_a_runtime_error(impl, run):
    async def main():
        task = impl.create_task(fail(StopIteration(1)))
        with pytest.raises(RuntimeError, match="coroutine raised StopIteration"):
            await task

    run(main())


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_an_exit_ends_the_task_and_leaves_the_loop(impl, loop, error):
    task = loop.create_task(fail(error("leave")))
    with pytest.raises(error):
        loop.run_until_complete(task)
    assert task.done()
    assert type(task.exception()) is error


def test_an_exception_of_any_base_ends_the_task(impl, run):
    class Odd(BaseException):
        pass

    async def main():
        with pytest.raises(Odd):
            await impl.create_task(fail(Odd()))

    run(main())


def test_generator_exit_ends_the_task(impl, run):
    async def main():
        task = impl.create_task(fail(GeneratorExit()))
        with pytest.raises(GeneratorExit):
            await task
        assert type(task.exception()) is GeneratorExit

    run(main())


def test_deep_awaits_work(impl, run):
    async def deep(n):
        return await deep(n - 1) + 1 if n else await value(0)

    assert run(deep(200)) == 200


def test_too_deep_awaits_are_a_recursion_error(impl, run):
    async def deep():
        await deep()

    async def main():
        task = impl.create_task(deep())
        with pytest.raises(RecursionError):
            await task

    run(main())


def test_a_chain_of_ten_thousand_tasks(impl, run):
    async def link(before):
        return await before + 1 if before else 0

    async def main():
        task = None
        for _ in range(10_000):
            task = impl.create_task(link(task))
        return await task

    assert run(main()) == 9_999


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
    task.add_done_callback(test_names)
    assert "cb=[test_names() at " in repr(task)
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
