"""Task: names, contexts, the current task, all tasks."""

import asyncio
import contextvars
import gc
import sys

import pytest


async def nothing():
    pass


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
