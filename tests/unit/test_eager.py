"""Eager tasks: factories, eager_start, contexts, the current task, failures and cancellation."""

import asyncio
import contextvars
import gc
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")


async def value(result, turns=0):
    for _ in range(turns):
        await asyncio.sleep(0)
    return result


async def fail(error, turns=0):
    for _ in range(turns):
        await asyncio.sleep(0)
    raise error


@pytest.fixture
def eager_run(impl, loop):
    """Run a coroutine on a loop whose factory starts tasks eagerly."""

    def eager_run(main):
        async def set_factory_then_run():
            loop.set_task_factory(impl.eager_task_factory)
            return await main

        return loop.run_until_complete(set_factory_then_run())

    return eager_run


def test_a_task_that_does_not_block_is_done_at_once(impl, eager_run):
    async def main():
        task = impl.create_task(value(3))
        assert task.done()
        assert isinstance(task, impl.Task)
        assert not task.cancelled()
        assert task.result() == 3
        assert task.exception() is None
        return await task

    assert eager_run(main()) == 3


def test_the_first_step_runs_inside_create_task(impl, eager_run):
    async def main():
        log = []

        async def child():
            log.append("first step")
            await impl.sleep(0)
            log.append("second step")

        task = impl.create_task(child())
        log.append("created")
        await task
        return log

    assert eager_run(main()) == ["first step", "created", "second step"]


def test_a_failure_at_once(impl, eager_run):
    error = ValueError("eager")

    async def main():
        task = impl.create_task(fail(error))
        assert task.done()
        assert task.exception() is error
        with pytest.raises(ValueError, match="eager"):
            await task

    eager_run(main())


def test_the_current_task(impl, eager_run):
    async def main():
        log = []
        me = impl.current_task()

        async def child():
            log.append(impl.current_task())
            await impl.sleep(0)
            log.append(impl.current_task())

        task = impl.create_task(child())
        assert impl.current_task() is me
        await task
        assert log == [task, task]

    eager_run(main())


def test_the_current_task_while_finishing_at_once(impl, eager_run):
    async def main():
        log = []

        async def child():
            log.append(impl.current_task())

        task = impl.create_task(child())
        assert log == [task]
        assert impl.current_task() is not task

    eager_run(main())


def test_nested_eager_tasks(impl, eager_run):
    async def main():
        log = []

        async def nest(depth):
            me = impl.current_task()
            log.append(depth)
            if depth:
                task = impl.create_task(nest(depth - 1))
                assert task.done()
            assert impl.current_task() is me

        impl.create_task(nest(5))
        return log

    assert eager_run(main()) == [5, 4, 3, 2, 1, 0]


def test_blocked_eager_tasks_show_in_all_tasks(impl, eager_run):
    async def main():
        me = impl.current_task()
        done = impl.create_task(value(1))
        blocked = impl.create_task(value(2, 1))
        assert impl.all_tasks() == {me, blocked}
        assert done.done()
        await blocked
        assert impl.all_tasks() == {me}

    eager_run(main())


def test_an_eager_task_sees_itself_in_all_tasks(impl, eager_run):
    async def child():
        return impl.current_task() in impl.all_tasks()

    async def main():
        return impl.create_task(child()).result()

    assert eager_run(main()) is True


def test_the_context_of_an_eager_step(impl, eager_run):
    variable = contextvars.ContextVar("variable", default="default")

    async def child():
        seen = variable.get()
        variable.set("child")
        return seen

    async def main():
        variable.set("parent")
        task = impl.create_task(child())
        return task.result(), variable.get()

    assert eager_run(main()) == ("parent", "parent")


def test_a_given_context(impl, eager_run):
    variable = contextvars.ContextVar("variable", default="default")
    context = contextvars.copy_context()

    async def child(turns):
        variable.set(turns)
        for _ in range(turns):
            await asyncio.sleep(0)
        return variable.get()

    async def main():
        assert impl.create_task(child(0), context=context).result() == 0
        assert context[variable] == 0
        await impl.create_task(child(2), context=context)
        assert context[variable] == 2
        return variable.get()

    assert eager_run(main()) == "default"


def test_names(same_as_stock):
    """Up to 3.13 the name comes only after the first step."""

    async def main(aio):
        asyncio.get_running_loop().set_task_factory(aio.eager_task_factory)

        async def child():
            return aio.current_task().get_name() == "given"

        task = aio.create_task(child(), name="given")
        return task.result(), task.get_name()

    same_as_stock(main)


def test_callbacks_of_a_task_that_is_done_at_once(impl, eager_run):
    async def main():
        log = []
        task = impl.create_task(value(1))
        task.add_done_callback(lambda t: log.append(t.result()))
        assert log == []
        await impl.sleep(0)
        return log

    assert eager_run(main()) == [1]


def test_cancelling_a_blocked_eager_task(impl, eager_run):
    async def main():
        log = []

        async def child():
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError as error:
                log.append(error.args)
                raise

        task = impl.create_task(child())
        assert task.cancel("message")
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        return log

    assert eager_run(main()) == [("message",)]


def test_a_task_that_cancels_itself_in_its_eager_step(impl, same_as_stock):
    async def main(aio):
        asyncio.get_running_loop().set_task_factory(aio.eager_task_factory)
        log = []

        async def child():
            log.append(aio.current_task().cancel("self"))
            try:
                await aio.sleep(0)
            except asyncio.CancelledError as error:
                log.append(error.args)
                raise

        task = aio.create_task(child())
        log.append(task.done())
        with pytest.raises(asyncio.CancelledError):
            await task
        log.append(task.cancelled())
        return log

    same_as_stock(main)


def test_a_task_that_cancels_itself_and_returns(same_as_stock):
    async def main(aio):
        asyncio.get_running_loop().set_task_factory(aio.eager_task_factory)

        async def child():
            aio.current_task().cancel("self")
            return 1

        task = aio.create_task(child())
        return task.done(), task.cancelled()

    same_as_stock(main)


def test_an_eager_task_that_raises_cancelled_error(impl, eager_run):
    async def main():
        task = impl.create_task(fail(asyncio.CancelledError("raised")))
        return task.done(), task.cancelled()

    assert eager_run(main()) == (True, True)


def test_an_eager_task_blocked_on_a_done_future(impl, eager_run):
    async def main():
        done = asyncio.get_running_loop().create_future()
        done.set_result("done")

        async def child():
            return await done

        return impl.create_task(child()).result()

    assert eager_run(main()) == "done"


def test_a_bad_yield_in_the_eager_step(impl, eager_run):
    class Garbage:
        def __await__(self):
            yield 42

    async def child():
        await Garbage()

    async def main():
        task = impl.create_task(child())
        with pytest.raises(RuntimeError, match="Task got bad yield: 42"):
            await task

    eager_run(main())


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_an_exit_in_the_eager_step(impl, loop, reported, error):
    tasks = []

    async def main():
        loop.set_task_factory(impl.eager_task_factory)
        tasks.append(impl.current_task())
        impl.create_task(fail(error("leave")))

    with pytest.raises(error):
        loop.run_until_complete(main())
    assert type(tasks[0].exception()) is error


def test_order_of_wake_ups(same_as_stock):
    async def main(aio):
        asyncio.get_running_loop().set_task_factory(aio.eager_task_factory)
        log = []

        async def child(name, turns):
            for turn in range(turns):
                log.append((name, turn))
                await aio.sleep(0)
            log.append((name, "end"))
            return name

        results = await aio.gather(child("a", 2), child("b", 0), child("c", 1))
        async with aio.TaskGroup() as group:
            group.create_task(child("d", 1))
            group.create_task(child("e", 0))
            log.append("body")
        return results, log

    same_as_stock(main)


def test_create_eager_task_factory_uses_the_given_constructor(impl, loop):
    made = []

    class Custom(impl.Task):
        def __init__(self, *args, **kwargs):
            made.append(kwargs.get("eager_start"))
            super().__init__(*args, **kwargs)

    async def main():
        loop.set_task_factory(impl.create_eager_task_factory(Custom))
        task = impl.create_task(value(1))
        return type(task) is Custom, task.done()

    assert loop.run_until_complete(main()) == (True, True)
    assert made == [True]


def test_eager_start_of_the_type_itself(impl, loop):
    async def main():
        eager = impl.Task(value(1), loop=loop, eager_start=True)
        lazy = impl.Task(value(2), loop=loop, eager_start=False)
        return eager.done(), lazy.done(), await lazy

    assert loop.run_until_complete(main()) == (True, False, 2)


def test_eager_start_on_a_loop_that_does_not_run_waits_for_it(impl, loop):
    task = impl.Task(value(1), loop=loop, eager_start=True)
    assert not task.done()
    assert loop.run_until_complete(task) == 1


@pytest.mark.skipif(sys.version_info < (3, 14), reason="the keyword came with 3.14")
def test_eager_start_by_keyword(impl, loop):
    async def main():
        eager = impl.create_task(value(1), eager_start=True)
        lazy = impl.create_task(value(2), eager_start=False)
        assert not lazy.done()
        assert loop.create_task(value(3), eager_start=True).done()
        async with impl.TaskGroup() as group:
            assert group.create_task(value(4), eager_start=True).done()
        return eager.done(), await lazy

    assert loop.run_until_complete(main()) == (True, 2)


@pytest.mark.skipif(sys.version_info < (3, 14), reason="the keyword came with 3.14")
def test_eager_start_can_be_turned_off_per_task(impl, eager_run):
    async def main():
        lazy = impl.create_task(value(2), eager_start=False)
        assert not lazy.done()
        return await lazy

    assert eager_run(main()) == 2


def test_blocked_and_dropped_eager_tasks_are_reported(impl, loop, reported):
    async def child():
        await asyncio.get_running_loop().create_future()

    async def main():
        loop.set_task_factory(impl.eager_task_factory)
        impl.create_task(child())
        await impl.sleep(0)
        gc.collect()

    loop.run_until_complete(main())
    assert [context["message"] for context in reported] == [
        "Task was destroyed but it is pending!"
    ]


def test_a_thousand_eager_children(impl, eager_run):
    async def main():
        results = await impl.gather(*(value(n, n % 3) for n in range(1000)))
        async with impl.TaskGroup() as group:
            tasks = [group.create_task(value(n, n % 2)) for n in range(1000)]
        return results == [task.result() for task in tasks] == list(range(1000))

    assert eager_run(main())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_deep_eager_recursion_is_an_error_not_a_crash(impl, eager_run):
    async def nest():
        task = impl.create_task(nest())
        await task

    async def main():
        with pytest.raises(RecursionError):
            await impl.create_task(nest())

    eager_run(main())
