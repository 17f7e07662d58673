"""TaskGroup: children, failures, cancellation from inside and outside, order of wake-ups."""

import asyncio
import contextlib
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


def errors_of(group):
    return [(type(error), str(error)) for error in group.exceptions]


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


def test_a_failing_child_cancels_its_siblings(impl, run):
    async def main():
        log = []

        async def sibling(name):
            try:
                await forever()
            except asyncio.CancelledError:
                log.append(name)
                raise

        with pytest.raises(BaseExceptionGroup) as caught:
            async with impl.TaskGroup() as group:
                tasks = [group.create_task(sibling(n)) for n in range(3)]
                group.create_task(fail(ValueError("why"), 1))
        assert type(caught.value) is ExceptionGroup
        assert caught.value.message == "unhandled errors in a TaskGroup"
        assert errors_of(caught.value) == [(ValueError, "why")]
        assert all(task.cancelled() for task in tasks)
        return sorted(log)

    assert run(main()) == [0, 1, 2]


def test_many_errors_come_in_order(impl, run):
    async def main():
        with pytest.raises(ExceptionGroup) as caught:
            async with impl.TaskGroup() as group:
                for error in (ValueError("a"), KeyError("b"), TypeError("c")):
                    group.create_task(fail(error))
        return errors_of(caught.value)

    assert run(main()) == [(ValueError, "a"), (KeyError, "'b'"), (TypeError, "c")]


def test_an_error_raised_while_being_cancelled_is_added(impl, run):
    async def main():
        async def grumble():
            try:
                await forever()
            finally:
                raise LookupError("grumble")

        with pytest.raises(ExceptionGroup) as caught:
            async with impl.TaskGroup() as group:
                group.create_task(grumble())
                group.create_task(fail(ValueError("first"), 1))
        return errors_of(caught.value)

    assert run(main()) == [(ValueError, "first"), (LookupError, "grumble")]


def test_the_bodys_own_error(impl, run):
    async def main():
        with pytest.raises(ExceptionGroup) as caught:
            async with impl.TaskGroup() as group:
                task = group.create_task(forever())
                await impl.sleep(0)
                raise ValueError("body")
        assert task.cancelled()
        return errors_of(caught.value)

    assert run(main()) == [(ValueError, "body")]


def test_the_body_and_a_child_fail(impl, run):
    async def main():
        async def grumble():
            try:
                await forever()
            finally:
                raise LookupError("child")

        with pytest.raises(ExceptionGroup) as caught:
            async with impl.TaskGroup() as group:
                group.create_task(grumble())
                await impl.sleep(0)
                raise ValueError("body")
        return errors_of(caught.value)

    assert sorted(run(main()), key=str) == [(LookupError, "child"), (ValueError, "body")]


def test_a_failing_child_interrupts_the_body(impl, run):
    async def main():
        log = []
        with pytest.raises(ExceptionGroup):
            async with impl.TaskGroup() as group:
                group.create_task(fail(ValueError()))
                try:
                    await forever()
                except asyncio.CancelledError:
                    log.append("interrupted")
                    raise
        return log, impl.current_task().cancelling()

    assert run(main()) == (["interrupted"], 0)


def test_a_body_that_swallows_the_interruption(impl, run):
    async def main():
        with pytest.raises(ExceptionGroup) as caught:
            async with impl.TaskGroup() as group:
                group.create_task(fail(ValueError("child")))
                with contextlib.suppress(asyncio.CancelledError):
                    await forever()
        return errors_of(caught.value)

    assert run(main()) == [(ValueError, "child")]


def test_a_childs_own_cancellation_is_no_failure(impl, run):
    async def main():
        async with impl.TaskGroup() as group:
            task = group.create_task(forever())
            other = group.create_task(value(1, 3))
            await impl.sleep(0)
            task.cancel()
        return task.cancelled(), other.result()

    assert run(main()) == (True, 1)


def test_cancelling_the_parent_in_the_body(impl, run):
    async def main():
        log = []

        async def child():
            try:
                await forever()
            except asyncio.CancelledError:
                log.append("child")
                raise

        async def parent():
            async with impl.TaskGroup() as group:
                group.create_task(child())
                await forever()

        task = impl.create_task(parent())
        await impl.sleep(0)
        await impl.sleep(0)
        task.cancel("message")
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        return log, caught.value.args, task.cancelling()

    assert run(main()) == (["child"], ("message",), 1)


def test_cancelling_the_parent_at_the_exit(impl, run):
    async def main():
        log = []

        async def child():
            try:
                await forever()
            except asyncio.CancelledError:
                log.append("child")
                raise

        async def parent():
            async with impl.TaskGroup() as group:
                group.create_task(child())

        task = impl.create_task(parent())
        await impl.sleep(0)
        await impl.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return log, task.cancelled()

    assert run(main()) == (["child"], True)


def test_cancelling_the_parent_while_a_child_fails(impl, run):
    async def main():
        async def grumble():
            try:
                await forever()
            finally:
                raise ValueError("grumble")

        async def parent():
            async with impl.TaskGroup() as group:
                group.create_task(grumble())
                await forever()

        task = impl.create_task(parent())
        await impl.sleep(0)
        await impl.sleep(0)
        task.cancel()
        with pytest.raises(ExceptionGroup) as caught:
            await task
        return errors_of(caught.value)

    assert run(main()) == [(ValueError, "grumble")]


def test_a_child_that_ignores_one_cancellation(impl, run):
    async def main():
        async def stubborn():
            try:
                await forever()
            except asyncio.CancelledError:
                await impl.sleep(0)
                return "stayed"

        with pytest.raises(ExceptionGroup):
            async with impl.TaskGroup() as group:
                task = group.create_task(stubborn())
                group.create_task(fail(ValueError(), 1))
        return task.result()

    assert run(main()) == "stayed"


def test_nested_groups(impl, run):
    async def main():
        with pytest.raises(ExceptionGroup) as caught:
            async with impl.TaskGroup() as outer:
                outer_task = outer.create_task(forever())
                async with impl.TaskGroup() as inner:
                    inner.create_task(fail(ValueError("inner")))
        assert outer_task.cancelled()
        (nested,) = caught.value.exceptions
        return errors_of(nested)

    assert run(main()) == [(ValueError, "inner")]


def test_an_outer_failure_cancels_an_inner_group(impl, run):
    async def main():
        with pytest.raises(ExceptionGroup) as caught:
            async with impl.TaskGroup() as outer:
                outer.create_task(fail(ValueError("outer"), 2))
                async with impl.TaskGroup() as inner:
                    inner_task = inner.create_task(forever())
        assert inner_task.cancelled()
        return errors_of(caught.value), impl.current_task().cancelling()

    assert run(main()) == ([(ValueError, "outer")], 0)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_an_exit_of_a_child_leaves_the_loop(impl, loop, reported, error):
    async def main():
        async with impl.TaskGroup() as group:
            group.create_task(forever())
            group.create_task(fail(error("leave")))

    task = loop.create_task(main())
    with pytest.raises(error):
        loop.run_until_complete(task)
    with pytest.raises(error):
        loop.run_until_complete(task)
    assert type(task.exception()) is error


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_an_exit_of_the_body_goes_out_bare(impl, loop, error):
    async def main():
        async with impl.TaskGroup() as group:
            group.create_task(forever())
            await impl.sleep(0)
            raise error("body")

    with pytest.raises(error, match="body"):
        loop.run_until_complete(main())


def test_base_exceptions_come_in_a_base_group(impl, run):
    class Odd(BaseException):
        pass

    async def main():
        with pytest.raises(BaseExceptionGroup) as caught:
            async with impl.TaskGroup() as group:
                group.create_task(fail(Odd("odd")))
        return type(caught.value), errors_of(caught.value)

    assert run(main()) == (BaseExceptionGroup, [(Odd, "odd")])


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


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("body", ["ends", "waits", "swallows", "fails"])
def test_cancellation_counts(same_as_stock, turns, body):
    """How often the parent is left cancelled differs between versions: mirror the running one."""

    async def main(aio):
        log = []

        async def parent():
            try:
                async with aio.TaskGroup() as outer:
                    outer.create_task(forever())
                    async with aio.TaskGroup() as group:
                        group.create_task(fail(ValueError("child"), turns))
                        if body == "fails":
                            raise LookupError("body")
                        if body == "swallows":
                            with contextlib.suppress(asyncio.CancelledError):
                                await forever()
                        if body == "waits":
                            await forever()
            except BaseExceptionGroup as group:
                log.append(str(group.exceptions))
            except BaseException as error:
                log.append(repr(error))
            log.append(aio.current_task().cancelling())
            await aio.sleep(0)
            log.append("went on")

        for cancel_at in range(6):
            task = aio.create_task(parent())
            for _ in range(cancel_at):
                await aio.sleep(0)
            log.append(task.cancel(f"at {cancel_at}"))
            try:
                await task
            except asyncio.CancelledError as error:
                log.append(error.args)
            log.append(task.cancelling())
        return log

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


@pytest.mark.skipif(sys.version_info < (3, 14), reason="stock leaves cycles before 3.14")
def test_the_raised_group_leaves_no_cycle(impl, run):
    class Error(Exception):
        pass

    async def raise_new():
        raise Error

    async def main():
        try:
            async with impl.TaskGroup() as group:
                group.create_task(raise_new())
        except ExceptionGroup as caught:
            reference = weakref.ref(caught.exceptions[0])
        await impl.sleep(0)
        return reference() is None

    gc.disable()
    try:
        assert run(main())
    finally:
        gc.enable()


def test_uncancelled_parents_go_on(impl, run):
    async def main():
        for _ in range(3):
            try:
                async with impl.TaskGroup() as group:
                    group.create_task(fail(ValueError()))
                    await forever()
            except* ValueError:
                pass
            await impl.sleep(0)
        return impl.current_task().cancelling()

    assert run(main()) == 0


def test_timeout_around_a_group(impl, run):
    async def main():
        with pytest.raises(TimeoutError):
            async with impl.timeout(0.001), impl.TaskGroup() as group:
                task = group.create_task(forever())
        return task.cancelled(), impl.current_task().cancelling()

    assert run(main()) == (True, 0)


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


@pytest.mark.skipif(sys.version_info < (3, 13), reason="stock loses such failures up to 3.12")
def test_a_child_that_fails_eagerly(impl, loop):
    async def main():
        loop.set_task_factory(impl.eager_task_factory)
        with pytest.raises(ExceptionGroup) as caught:
            async with impl.TaskGroup() as group:
                group.create_task(fail(ValueError("eager")))
        return errors_of(caught.value)

    assert loop.run_until_complete(main()) == [(ValueError, "eager")]


@pytest.mark.skipif(sys.version_info < (3, 15), reason="TaskGroup.cancel came with 3.15")
def test_cancel_ends_the_group_without_an_error(impl, run):
    async def main():
        log = []
        async with impl.TaskGroup() as group:
            task = group.create_task(forever())
            await impl.sleep(0)
            group.cancel()
            try:
                await impl.sleep(0)
                await impl.sleep(0)
            except asyncio.CancelledError:
                log.append("body cancelled")
                raise
        return task.cancelled(), log, impl.current_task().cancelling()

    assert run(main()) == (True, ["body cancelled"], 0)


@pytest.mark.skipif(sys.version_info < (3, 15), reason="TaskGroup.cancel came with 3.15")
def test_cancel_by_a_child_and_twice(impl, run):
    async def main():
        async with impl.TaskGroup() as group:

            async def child():
                group.cancel()
                group.cancel()

            sibling = group.create_task(forever())
            group.create_task(child())
        group.cancel()
        return sibling.cancelled(), impl.current_task().cancelling()

    assert run(main()) == (True, 0)


@pytest.mark.skipif(sys.version_info < (3, 15), reason="TaskGroup.cancel came with 3.15")
def test_cancel_keeps_the_errors_of_children(impl, run):
    async def main():
        async def grumble():
            try:
                await forever()
            finally:
                raise ValueError("grumble")

        with pytest.raises(ExceptionGroup) as caught:
            async with impl.TaskGroup() as group:
                group.create_task(grumble())
                await impl.sleep(0)
                group.cancel()
        return errors_of(caught.value)

    assert run(main()) == [(ValueError, "grumble")]


@pytest.mark.skipif(sys.version_info < (3, 15), reason="TaskGroup.cancel came with 3.15")
def test_cancel_before_entering(same_as_stock):
    async def main(aio):
        group, log = aio.TaskGroup(), []
        group.cancel()
        async with group:
            log.append("body")
            await aio.sleep(0)
            log.append("went on")
        return log, aio.current_task().cancelling()

    same_as_stock(main)
