"""TaskGroup: failures of children and of the body, cancellation from inside and outside."""

import asyncio
import contextlib
import gc
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


@pytest.mark.skipif(sys.version_info < (3, 14), reason="asyncio's group and ours are in a cycle")
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


@pytest.mark.parametrize("end", ["close", "throw"])
def test_a_coroutine_ended_from_outside_wakes_its_task_with_the_last_child(impl, run, end):
    async def parent(gate):
        async with impl.TaskGroup() as group:
            group.create_task(gate.wait())
            group.create_task(gate.wait())

    async def main():
        gate = impl.Event()
        coroutine = parent(gate)
        task = impl.ensure_future(coroutine)
        for _ in range(3):
            await asyncio.sleep(0)
        if end == "close":
            coroutine.close()
        else:
            with pytest.raises(LookupError):
                coroutine.throw(LookupError())
        assert not task.done()
        gate.set()
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            await asyncio.wait_for(task, 10)

    run(main())
