"""gather: results and their order, failures, cancellation, wake-ups, what it accepts."""

import asyncio
import contextvars
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


def test_results_are_in_order_of_the_arguments(impl, run):
    async def main():
        return await impl.gather(value("a", 3), value("b", 1), value("c"), value("d", 2))

    assert run(main()) == ["a", "b", "c", "d"]


def test_the_result_is_a_list(impl, run):
    async def main():
        return type(await impl.gather(value(1)))

    assert run(main()) is list


def test_a_thousand_children(impl, run):
    async def main():
        return await impl.gather(*(value(n, n % 7) for n in range(1000)))

    assert run(main()) == list(range(1000))


def test_children_start_in_order_and_the_parent_wakes_last(impl, run):
    async def main():
        log = []

        async def child(name):
            log.append(("start", name))
            await impl.sleep(0)
            log.append(("end", name))

        await impl.gather(child(1), child(2), child(3))
        log.append("parent")
        return log

    assert run(main()) == [
        ("start", 1),
        ("start", 2),
        ("start", 3),
        ("end", 1),
        ("end", 2),
        ("end", 3),
        "parent",
    ]


@pytest.mark.parametrize("turns", [0, 1, 3])
def test_iterations_from_the_last_end_to_the_wake_up(impl, run, turns):
    """Other callbacks count the iterations: gather takes as many as on stock, two."""

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
        await impl.gather(value(0), last())
        ticker[-1].cancel()
        return len(ticks) - ended[0]

    assert run(main()) == 2


def test_wake_up_order_against_other_waiters(impl, run):
    async def main():
        log, loop = [], asyncio.get_running_loop()
        gate = loop.create_future()

        async def child():
            await gate

        async def direct(task, name):
            await task
            log.append(name)

        async def gathered(tasks, name):
            await impl.gather(*tasks)
            log.append(name)

        children = [impl.create_task(child()) for _ in range(2)]
        waiters = [
            impl.create_task(direct(children[1], "direct first")),
            impl.create_task(gathered(children, "gather")),
            impl.create_task(direct(children[1], "direct second")),
            impl.create_task(gathered(children[1:], "gather of one")),
        ]
        await impl.sleep(0)
        gate.set_result(None)
        for waiter in waiters:
            await waiter
        return log

    assert run(main()) == ["direct first", "direct second", "gather", "gather of one"]


def test_nothing_to_gather(impl, run):
    async def main():
        future = impl.gather()
        assert asyncio.isfuture(future)
        return await future

    assert run(main()) == []


@pytest.mark.skipif(sys.version_info < (3, 14), reason="it warned and made a loop before 3.14")
def test_gather_outside_a_loop(impl):
    first, second = value(1), value(2)
    with pytest.raises(RuntimeError):
        impl.gather(first, second)
    first.close()
    second.close()


def test_the_first_exception_is_raised(impl, run):
    async def main():
        with pytest.raises(ValueError, match="first"):
            await impl.gather(
                value(1), fail(KeyError("late"), 3), fail(ValueError("first"), 1), value(2, 2)
            )
        await impl.sleep(0)
        await impl.sleep(0)
        await impl.sleep(0)

    run(main())


def test_siblings_of_a_failed_child_go_on(impl, run):
    async def main():
        log = []

        async def sibling():
            for n in range(3):
                log.append(n)
                await impl.sleep(0)

        with pytest.raises(ValueError):
            await impl.gather(fail(ValueError()), sibling())
        for _ in range(4):
            await impl.sleep(0)
        return log

    assert run(main()) == [0, 1, 2]


def test_exceptions_of_late_children_count_as_retrieved(impl, loop, reported):
    async def main():
        with pytest.raises(ValueError):
            await impl.gather(fail(ValueError()), fail(KeyError(), 2))
        for _ in range(5):
            await impl.sleep(0)

    loop.run_until_complete(main())
    gc.collect()
    assert reported == []


def test_return_exceptions(impl, run):
    errors = ValueError("a"), KeyError("b")

    async def main():
        return await impl.gather(
            fail(errors[0], 2), value(1), fail(errors[1]), return_exceptions=True
        )

    assert run(main()) == [errors[0], 1, errors[1]]


@pytest.mark.parametrize("return_exceptions", [False, True])
def test_a_cancelled_child(same_as_stock, return_exceptions):
    async def main(aio):
        child = aio.create_task(forever())
        outer = aio.gather(child, value(1), return_exceptions=return_exceptions)
        await aio.sleep(0)
        child.cancel("message")
        try:
            result = await outer
        except asyncio.CancelledError as error:
            return error.args, outer.cancelled(), aio.current_task().cancelling()
        assert type(result[0]) is asyncio.CancelledError
        return result[0].args, result[1]

    same_as_stock(main)


def test_cancelling_the_outer_future_cancels_the_children(impl, run):
    async def main():
        children = [impl.create_task(forever()) for _ in range(3)]
        outer = impl.gather(*children)
        await impl.sleep(0)
        assert outer.cancel("stop") is True
        assert not outer.done()
        with pytest.raises(asyncio.CancelledError):
            await outer
        assert all(child.cancelled() for child in children)
        assert type(outer._exception) is asyncio.CancelledError

    run(main())


def test_cancelling_the_waiting_task_cancels_the_children(impl, run):
    async def main():
        log = []

        async def child(name):
            try:
                await forever()
            except asyncio.CancelledError as error:
                log.append((name, error.args))
                raise

        async def parent():
            await impl.gather(child(1), child(2), child(3))

        task = impl.create_task(parent())
        await impl.sleep(0)
        await impl.sleep(0)
        task.cancel("why")
        with pytest.raises(asyncio.CancelledError):
            await task
        return log

    assert run(main()) == [(1, ("why",)), (2, ("why",)), (3, ("why",))]


def test_children_that_swallow_the_cancellation(impl, run):
    """The outer future was asked to cancel: it raises although every child returned."""

    async def main():
        async def stubborn():
            try:
                await forever()
            except asyncio.CancelledError:
                return "survived"

        outer = impl.gather(stubborn(), stubborn())
        await impl.sleep(0)
        outer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outer

    run(main())


def test_cancel_with_return_exceptions(impl, run):
    async def main():
        outer = impl.gather(forever(), fail(ValueError()), return_exceptions=True)
        await impl.sleep(0)
        await impl.sleep(0)
        assert outer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outer

    run(main())


def test_cancel_of_an_ended_gather(impl, run):
    async def main():
        outer = impl.gather(value(1))
        await outer
        return outer.cancel()

    assert run(main()) is False


def test_cancel_when_all_children_have_ended_already(impl, run):
    async def main():
        child = impl.create_task(value(1))
        await child
        outer = impl.gather(child)
        requested = outer.cancel()
        return requested, await outer

    assert run(main()) == (False, [1])


def test_the_same_child_twice_runs_once(impl, run):
    async def main():
        runs = []

        async def child():
            runs.append(None)
            return "result"

        coro = child()
        results = await impl.gather(coro, value(1), coro, coro)
        return results, len(runs)

    assert run(main()) == (["result", 1, "result", "result"], 1)


def test_futures_tasks_and_awaitables_mix(impl, run):
    class Awaitable:
        def __await__(self):
            return value("awaitable").__await__()

    async def main():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_soon(future.set_result, "future")
        done = loop.create_future()
        done.set_result("done")
        task = impl.create_task(value("task", 2))
        return await impl.gather(future, task, Awaitable(), done, value("coroutine"))

    assert run(main()) == ["future", "task", "awaitable", "done", "coroutine"]


def test_gather_in_gather(impl, run):
    async def main():
        return await impl.gather(
            impl.gather(value(1), value(2)), impl.gather(impl.gather(value(3)), value(4))
        )

    assert run(main()) == [[1, 2], [[3], 4]]


def test_other_awaitables_are_refused(impl, run):
    async def main():
        with pytest.raises(TypeError):
            await impl.gather(5)
        with pytest.raises(TypeError):
            await impl.gather(None)

    run(main())


def test_futures_of_different_loops_are_refused(impl, loop, run):
    foreign = loop.create_future()

    async def main():
        own = asyncio.get_running_loop().create_future()
        with pytest.raises(ValueError, match="different loop"):
            impl.gather(own, foreign)

    run(main())


def test_an_exit_of_a_child(impl, loop):
    async def main():
        await impl.gather(fail(SystemExit(3)), value(1))

    task = loop.create_task(main())
    with pytest.raises(SystemExit):
        loop.run_until_complete(task)
    with pytest.raises(SystemExit):
        loop.run_until_complete(task)
    assert type(task.exception()) is SystemExit


def test_children_get_copies_of_the_context(impl, run):
    variable = contextvars.ContextVar("variable", default=0)

    async def child(n):
        seen = variable.get()
        variable.set(n)
        await impl.sleep(0)
        return seen, variable.get()

    async def main():
        variable.set(9)
        return await impl.gather(child(1), child(2)), variable.get()

    assert run(main()) == ([(9, 1), (9, 2)], 9)


def test_children_are_tasks_with_names(impl, run):
    async def child():
        task = impl.current_task()
        return type(task), task.get_name().startswith("Task-")

    async def main():
        return await impl.gather(child(), child())

    assert run(main()) == [(impl.Task, True)] * 2


def test_the_outer_object_is_a_gathering_future(impl, run):
    async def main():
        outer = impl.gather(value(1))
        assert isinstance(outer, asyncio.Future)
        assert asyncio.isfuture(outer)
        assert not isinstance(outer, asyncio.Task)
        assert outer.get_loop() is asyncio.get_running_loop()
        assert repr(outer).startswith("<_GatheringFuture pending")
        await outer
        return repr(outer)

    assert run(main()) == "<_GatheringFuture finished result=[1]>"


def test_callbacks_on_the_outer_future(impl, run):
    async def main():
        log = []
        outer = impl.gather(value(1), value(2))
        outer.add_done_callback(lambda f: log.append(f.result()))
        await outer
        await impl.sleep(0)
        return log

    assert run(main()) == [[1, 2]]


def test_the_children_run_even_when_the_outer_is_dropped(impl, run):
    async def main():
        log = []

        async def child(name):
            await impl.sleep(0)
            log.append(name)

        impl.gather(child(1), child(2))
        for _ in range(4):
            await impl.sleep(0)
        return log

    assert run(main()) == [1, 2]


def test_a_never_retrieved_outer_exception_is_reported(impl, loop, reported):
    async def main():
        impl.gather(fail(ValueError("lost")))
        for _ in range(4):
            await impl.sleep(0)

    loop.run_until_complete(main())
    gc.collect()
    (context,) = reported
    assert str(context["exception"]) == "lost"
    assert context["message"] == "_GatheringFuture exception was never retrieved"


def test_no_result_keeps_a_child_alive(impl, run):
    async def main():
        child = impl.create_task(value(1))
        reference = weakref.ref(child)
        await impl.gather(child, value(2))
        del child
        await impl.sleep(0)
        gc.collect()
        return reference() is None

    assert run(main())


def test_children_made_by_a_task_factory(impl, loop):
    made = []

    def factory(loop, coro, **kwargs):
        task = impl.Task(coro, loop=loop, **kwargs)
        made.append(task)
        return task

    async def main():
        return await impl.gather(value(1), value(2))

    loop.set_task_factory(factory)
    assert loop.run_until_complete(main()) == [1, 2]
    assert len(made) == 3


def test_children_of_overriding_subclasses(impl, run):
    log = []

    class Noisy(impl.Future):
        def add_done_callback(self, callback, *, context=None):
            log.append("add_done_callback")
            super().add_done_callback(callback, context=context)

        def cancel(self, msg=None):
            log.append(("cancel", msg))
            return super().cancel(msg=msg)

    async def main():
        loop = asyncio.get_running_loop()
        outer = impl.gather(Noisy(loop=loop), Noisy(loop=loop))
        outer.cancel("reason")
        with pytest.raises(asyncio.CancelledError):
            await outer

    run(main())
    assert log == ["add_done_callback"] * 2 + [("cancel", "reason")] * 2


def test_deeply_nested_gathers(impl, run):
    async def tree(depth):
        if depth == 0:
            return 1
        return sum(await impl.gather(*(tree(depth - 1) for _ in range(3))))

    async def main():
        return await tree(6)

    assert run(main()) == 3**6


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
def test_children_that_finish_eagerly(impl, loop):
    async def main():
        loop.set_task_factory(impl.eager_task_factory)
        eager = impl.gather(value(1), value(2))
        results = await eager
        mixed = await impl.gather(value(3), value(4, 1), value(5))
        return results, mixed

    assert loop.run_until_complete(main()) == ([1, 2], [3, 4, 5])


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
def test_a_child_that_fails_eagerly(impl, loop):
    async def main():
        loop.set_task_factory(impl.eager_task_factory)
        with pytest.raises(ValueError, match="eager"):
            await impl.gather(value(1), fail(ValueError("eager")), value(2, 1))
        await impl.sleep(0)

    loop.run_until_complete(main())
