"""TaskGroup: children, order of wake-ups, use before and after, what can be replaced."""

import asyncio
import contextvars
import gc
import inspect
import sys
import weakref

import pytest


async def value(result, turns=0):
    for _ in range(turns):
        await asyncio.sleep(0)
    return result


async def fail(error, turns=0):
    for _ in range(turns):
        await asyncio.sleep(0)
    raise error


async def forever():
    await asyncio.get_running_loop().create_future()


def test_children_are_awaited(impl, run):
    async def main():
        async with impl.TaskGroup() as group:
            tasks = [group.create_task(value(n, n)) for n in range(5)]
            assert not any(task.done() for task in tasks)
        assert all(task.done() for task in tasks)
        return [task.result() for task in tasks]

    assert run(main()) == [0, 1, 2, 3, 4]


def test_enter_gives_the_group(impl, run):
    async def main():
        group = impl.TaskGroup()
        async with group as entered:
            assert entered is group

    run(main())


def test_an_empty_group_does_not_suspend(impl, run):
    async def main():
        log, loop = [], asyncio.get_running_loop()
        loop.call_soon(log.append, "iteration")
        async with impl.TaskGroup():
            pass
        return list(log)

    assert run(main()) == []


def test_children_that_have_ended_do_not_suspend(impl, run):
    async def main():
        log, loop = [], asyncio.get_running_loop()
        async with impl.TaskGroup() as group:
            group.create_task(value(1))
            await impl.sleep(0)
            await impl.sleep(0)
            loop.call_soon(log.append, "iteration")
        return list(log)

    assert run(main()) == []


def test_create_task_returns_a_task_with_name_and_context(impl, run):
    variable = contextvars.ContextVar("variable", default="default")

    async def body():
        return variable.get()

    async def main():
        context = contextvars.copy_context()
        context.run(variable.set, "given")
        async with impl.TaskGroup() as group:
            task = group.create_task(body(), name="N", context=context)
            assert type(task) is impl.Task
            assert task.get_name() == "N"
        return task.result()

    assert run(main()) == "given"


def test_children_of_children(impl, run):
    async def main():
        log = []

        async def spawn(group, depth):
            log.append(depth)
            if depth:
                group.create_task(spawn(group, depth - 1))

        async with impl.TaskGroup() as group:
            group.create_task(spawn(group, 4))
        return log

    assert run(main()) == [4, 3, 2, 1, 0]


def test_order_of_starts_ends_and_the_parents_wake_up(impl, run):
    async def main():
        log = []

        async def child(name, turns):
            log.append(("start", name))
            for _ in range(turns):
                await impl.sleep(0)
            log.append(("end", name))

        async with impl.TaskGroup() as group:
            for name, turns in (("a", 2), ("b", 0), ("c", 1)):
                group.create_task(child(name, turns))
            log.append("body")
        log.append("after")
        return log

    assert run(main()) == [
        "body",
        ("start", "a"),
        ("start", "b"),
        ("end", "b"),
        ("start", "c"),
        ("end", "c"),
        ("end", "a"),
        "after",
    ]


@pytest.mark.parametrize("turns", [0, 1, 3])
def test_iterations_from_the_last_end_to_the_wake_up(impl, run, turns):
    async def main():
        loop, ticks, ended = asyncio.get_running_loop(), [], []

        def tick():
            ticks.append(None)
            ticker.append(loop.call_soon(tick))

        async def last():
            for _ in range(turns):
                await impl.sleep(0)
            ended.append(len(ticks))

        ticker = [loop.call_soon(tick)]
        async with impl.TaskGroup() as group:
            group.create_task(value(0))
            group.create_task(last())
        ticker[-1].cancel()
        return len(ticks) - ended[0]

    assert run(main()) == 2


def test_use_before_entering(impl, run):
    async def main():
        coro = value(1)
        with pytest.raises(RuntimeError, match="has not been entered"):
            impl.TaskGroup().create_task(coro)
        coro.close()

    run(main())


def test_use_after_the_end(impl, run):
    async def main():
        async with impl.TaskGroup() as group:
            pass
        coro = value(1)
        with pytest.raises(RuntimeError, match="is finished"):
            group.create_task(coro)
        coro.close()

    run(main())


def test_use_while_shutting_down(impl, run):
    async def main():
        log = []

        async def late(group):
            try:
                await forever()
            finally:
                coro = value(1)
                try:
                    group.create_task(coro)
                except RuntimeError as error:
                    log.append("is shutting down" in str(error))
                coro.close()

        with pytest.raises(ExceptionGroup):
            async with impl.TaskGroup() as group:
                group.create_task(late(group))
                group.create_task(fail(ValueError(), 1))
        return log

    assert run(main()) == [True]


def test_a_group_cannot_be_entered_twice(impl, run):
    async def main():
        group = impl.TaskGroup()
        async with group:
            with pytest.raises(RuntimeError, match="has already been entered"):
                async with group:
                    pass
        with pytest.raises(RuntimeError):
            async with group:
                pass

    run(main())


def test_entering_outside_a_task(impl):
    group = impl.TaskGroup()
    coro = group.__aenter__()
    with pytest.raises(RuntimeError):
        coro.send(None)


def test_only_coroutines_are_children(impl, run):
    async def main():
        async with impl.TaskGroup() as group:
            for bad in (1, None, value, [], asyncio.get_running_loop().create_future()):
                with pytest.raises(TypeError, match="a coroutine was expected, got"):
                    group.create_task(bad)

    run(main())


def test_children_use_the_loops_create_task(impl, loop):
    made = []

    def factory(loop, coro, **kwargs):
        task = impl.Task(coro, loop=loop, **kwargs)
        made.append(task)
        return task

    async def main():
        async with impl.TaskGroup() as group:
            return group.create_task(value(1)) in made

    loop.set_task_factory(factory)
    assert loop.run_until_complete(main()) is True


def test_repr(impl, run):
    async def main():
        group = impl.TaskGroup()
        texts = [repr(group)]
        async with group:
            texts.append(repr(group))
            group.create_task(value(1))
            texts.append(repr(group))
        return [*texts, repr(group)]

    new, entered, with_child, done = run(main())
    assert new == "<TaskGroup>"
    assert entered == "<TaskGroup entered>"
    assert with_child == "<TaskGroup tasks=1 entered>"
    assert done == "<TaskGroup entered>"


def test_create_task_can_be_replaced(impl, run):
    """Instrumentation libraries do so, on the class and on the instance."""
    log = []

    class Instrumented(impl.TaskGroup):
        def create_task(self, coro, **kwargs):
            log.append("subclass")
            return super().create_task(coro, **kwargs)

    async def main():
        async with Instrumented() as group:
            group.create_task(value(1))
        async with impl.TaskGroup() as group:
            original = group.create_task
            group.create_task = lambda coro: (log.append("instance"), original(coro))
            group.create_task(value(1))
        before = impl.TaskGroup.create_task
        impl.TaskGroup.create_task = lambda group, coro: (
            log.append("class"),
            before(group, coro),
        )
        try:
            async with impl.TaskGroup() as group:
                group.create_task(value(1))
        finally:
            impl.TaskGroup.create_task = before

    run(main())
    assert log == ["subclass", "instance", "class"]


def test_subclasses_that_extend_enter_and_exit(impl, run):
    log = []

    class Extended(impl.TaskGroup):
        async def __aenter__(self):
            log.append("enter")
            return await super().__aenter__()

        async def __aexit__(self, *exc_info):
            log.append(("exit", exc_info[0]))
            return await super().__aexit__(*exc_info)

    async def main():
        async with Extended() as group:
            group.create_task(value(1))
        with pytest.raises(ExceptionGroup):
            async with Extended():
                raise ValueError

    run(main())
    assert log == ["enter", ("exit", None), "enter", ("exit", ValueError)]


def test_what_exit_returns(same_as_stock):
    async def main(aio):
        group = aio.TaskGroup()
        await group.__aenter__()
        group.create_task(value(1))
        return await group.__aexit__(None, None, None)

    same_as_stock(main)


def test_a_thousand_children(impl, run):
    async def main():
        async with impl.TaskGroup() as group:
            tasks = [group.create_task(value(n, n % 5)) for n in range(1000)]
        return [task.result() for task in tasks]

    assert run(main()) == list(range(1000))


def test_children_are_freed_while_the_group_goes_on(impl, run):
    async def main():
        async with impl.TaskGroup() as group:
            task = group.create_task(value(1))
            reference = weakref.ref(task)
            await task
            del task
            await impl.sleep(0)
            await impl.sleep(0)
            gc.collect()
            return reference() is None

    assert run(main())


def test_attributes_libraries_read(impl, run):
    async def main():
        group = impl.TaskGroup()
        assert group._entered is False
        async with group:
            assert group._entered is True
            assert group._exiting is False
            assert group._aborting is False
            assert group._loop is asyncio.get_running_loop()
            assert group._parent_task is impl.current_task()
            task = group.create_task(value(1))
            assert task in group._tasks
            assert len(group._tasks) == 1
        assert not group._tasks

    run(main())


def test_signature_and_kind(impl):
    assert inspect.iscoroutinefunction(impl.TaskGroup.__aenter__)
    assert inspect.iscoroutinefunction(impl.TaskGroup.__aexit__)
    assert "coro" in inspect.signature(impl.TaskGroup.create_task).parameters


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
def test_children_that_finish_eagerly(impl, loop):
    async def main():
        loop.set_task_factory(impl.eager_task_factory)
        async with impl.TaskGroup() as group:
            eager = group.create_task(value(1))
            assert eager.done()
            late = group.create_task(value(2, 1))
            assert not late.done()
        return eager.result(), late.result()

    assert loop.run_until_complete(main()) == (1, 2)
