"""What debuggers, profilers and libraries look at: reprs, stacks, call graphs, awaited_by."""

import asyncio
import contextlib
import contextvars
import io
import re
import sys

import pytest

SINCE_3_14 = pytest.mark.skipif(sys.version_info < (3, 14), reason="it came with 3.14")


def without_numbers(text):
    """A repr with addresses, line numbers and task numbers taken out, to be compared."""
    text = re.sub(r"0x[0-9a-f]+", "0x", text)
    text = re.sub(r"\.py:\d+", ".py:", text)
    return re.sub(r"Task-\d+", "Task-", text)


def test_reprs_at_every_step(same_as_stock):
    async def main(aio):
        log, loop = [], asyncio.get_running_loop()
        future = loop.create_future()

        async def child():
            await future
            await aio.sleep(0)
            return "result"

        async def failing():
            raise ValueError("why")

        def note(*objects):
            log.extend(without_numbers(repr(item)) for item in objects)

        def callback(finished):
            pass

        task, bad = aio.create_task(child(), name="child"), aio.create_task(failing())
        note(task, bad, future)
        await aio.sleep(0)
        note(future, bad)
        task.add_done_callback(callback)
        note(task)
        future.set_result(None)
        note(future)
        await aio.sleep(0)
        task.cancel("message")
        note(task)
        try:
            await task
        except asyncio.CancelledError:
            note(task)
        with pytest.raises(ValueError):
            await bad
        note(bad)
        outer = aio.gather(aio.sleep(0), aio.sleep(0))
        await outer
        note(outer)
        group = aio.TaskGroup()
        note(group)
        async with group:
            note(group)
        handles = [loop.call_soon(callback, 1), loop.call_at(5.5, callback)]
        note(*handles)
        for handle in handles:
            handle.cancel()
        note(*handles)
        return [line.replace("[Task.task_wakeup()]", "[wakeup]") for line in log]

    same_as_stock(main)


def test_repr_of_recursive_objects(impl, loop):
    future = impl.Future(loop=loop)
    future.set_result([future])
    assert repr(future) == "<Future finished result=[...]>"
    other = impl.Future(loop=loop)
    other.add_done_callback(other.set_result)
    assert repr(other).startswith("<Future pending cb=[")


def test_repr_of_odd_callbacks(impl, stock, loop, outcome):
    class Odd:
        def __call__(self, *args):
            pass

        def __repr__(self):
            return "odd"

    import functools

    for callback in (
        Odd(),
        functools.partial(Odd(), 1),
        print,
        lambda f: f,
        [].append,
        Odd().__call__,
    ):
        ours, theirs = impl.Future(loop=loop), stock.Future(loop=loop)
        ours.add_done_callback(callback)
        theirs.add_done_callback(callback)
        assert repr(ours) == repr(theirs)
        ours, theirs = (
            impl.Handle(callback, (1, "a"), loop),
            stock.Handle(callback, (1, "a"), loop),
        )
        assert repr(ours) == repr(theirs)


def test_repr_that_fails_in_a_result(impl, loop):
    class Broken:
        def __repr__(self):
            raise LookupError("broken")

    future = impl.Future(loop=loop)
    future.set_result(Broken())
    assert "Broken" in repr(future)


def test_the_callbacks_of_run_until_complete(impl, loop):
    """Libraries look for this very function among the callbacks of a task."""
    from asyncio.base_events import _run_until_complete_cb

    async def main():
        callbacks = asyncio.current_task()._callbacks
        return [callback is _run_until_complete_cb for callback, _ in callbacks]

    assert loop.run_until_complete(main()) == [True]


def test_the_callbacks_while_others_wait(impl, run):
    async def main():
        future = asyncio.get_running_loop().create_future()

        async def wait():
            await future

        tasks = [impl.create_task(wait()) for _ in range(2)]
        await impl.sleep(0)
        future.add_done_callback(print)
        pairs = future._callbacks
        assert len(pairs) == 3
        assert pairs[-1][0] is print
        for callback, context in pairs:
            assert callable(callback)
            assert isinstance(context, contextvars.Context)
        future.remove_done_callback(print)
        future.set_result(None)
        await impl.gather(*tasks)

    run(main())


def test_source_traceback_in_debug_mode(impl, loop):
    loop.set_debug(True)

    async def main():
        task = impl.create_task(impl.sleep(0))
        assert "main" in [frame.name for frame in task._source_traceback]
        await task
        future = loop.create_future()
        assert "main" in [frame.name for frame in future._source_traceback]

    loop.run_until_complete(main())


def test_the_stack_of_a_deeply_waiting_task(impl, run):
    async def one():
        await two()

    async def two():
        await future

    async def main():
        nonlocal future
        future = asyncio.get_running_loop().create_future()
        task = impl.create_task(one())
        await impl.sleep(0)
        names = [frame.f_code.co_name for frame in task.get_stack()]
        limited = [frame.f_code.co_name for frame in task.get_stack(limit=1)]
        out = io.StringIO()
        task.print_stack(file=out)
        future.set_result(None)
        await task
        return names, limited, "in one" in out.getvalue()

    future = None
    assert run(main()) == (["one"], ["one"], True)


def test_attributes_and_methods_have_docstrings(impl):
    for cls in (impl.Future, impl.Task, impl.TaskGroup):
        assert cls.__doc__
    for method in ("cancel", "result", "exception", "add_done_callback", "set_result"):
        assert getattr(impl.Future, method).__doc__
    assert impl.gather.__doc__
    assert impl.sleep.__doc__


def test_names_and_modules_of_the_classes(impl, stock):
    for name in ("Future", "Task", "Handle", "TimerHandle", "TaskGroup"):
        assert getattr(impl, name).__name__ == getattr(stock, name).__name__
        assert getattr(impl, name).__qualname__ == getattr(stock, name).__qualname__


def awaiters(future):
    return {task.get_name() for task in future._asyncio_awaited_by or ()}


@SINCE_3_14
def test_awaited_by_of_every_combinator(impl, run):
    async def main():
        seen = []
        gate = asyncio.get_running_loop().create_future()

        async def child():
            await gate

        async def by_await():
            await impl.create_task(child(), name="awaited")

        async def by_gather():
            await impl.gather(*(impl.create_task(child(), name=f"g{n}") for n in range(2)))

        async def by_group():
            async with impl.TaskGroup() as group:
                group.create_task(child(), name="grouped")

        async def by_shield():
            await impl.shield(impl.create_task(child(), name="shielded"))

        async def by_wait():
            await impl.wait([impl.create_task(child(), name="waited")])

        async def by_wait_for():
            await impl.wait_for(child_task, 1000)

        child_task = impl.create_task(child(), name="waited for")
        parents = {
            impl.create_task(parent(), name=parent.__name__)
            for parent in (by_await, by_gather, by_group, by_shield, by_wait, by_wait_for)
        }
        for _ in range(3):
            await impl.sleep(0)
        for task in impl.all_tasks():
            seen.append((task.get_name(), sorted(awaiters(task))))
        gate.set_result(None)
        for parent in parents:
            await parent
        return sorted(pair for pair in seen if not pair[0].startswith("Task-"))

    assert run(main()) == [
        ("awaited", ["by_await"]),
        ("by_await", []),
        ("by_gather", []),
        ("by_group", []),
        ("by_shield", []),
        ("by_wait", []),
        ("by_wait_for", []),
        ("g0", ["by_gather"]),
        ("g1", ["by_gather"]),
        ("grouped", ["by_group"]),
        ("shielded", ["by_shield"]),
        ("waited", ["by_wait"]),
        ("waited for", ["by_wait_for"]),
    ]


@SINCE_3_14
def test_awaited_by_is_empty_afterwards(impl, run):
    async def main():
        tasks = [impl.create_task(impl.sleep(0)) for _ in range(3)]
        await impl.gather(*tasks)
        async with impl.TaskGroup() as group:
            tasks += [group.create_task(impl.sleep(0)) for _ in range(3)]
        tasks.append(impl.create_task(impl.sleep(0)))
        await tasks[-1]
        return [sorted(awaiters(task)) for task in tasks]

    assert run(main()) == [[]] * 7


def shape(graph):
    """A call graph as nested lists of names."""
    name = graph.future.get_name() if isinstance(graph.future, asyncio.Task) else "future"
    frames = [entry.frame.f_code.co_name for entry in graph.call_stack]
    return name, frames, sorted(shape(parent) for parent in graph.awaited_by)


@SINCE_3_14
@pytest.mark.parametrize(
    "combinator",
    ["gather", "group", "await", "shield", "wait", "wait_for", "as_completed", "async for"],
)
def test_capture_call_graph(same_as_stock, combinator):
    async def main(aio):
        graphs = []

        async def inner():
            await aio.sleep(0)
            graphs.append(shape(aio.capture_call_graph()))

        async def outer():
            await middle()

        async def middle():
            if combinator == "gather":
                await aio.gather(aio.create_task(inner(), name="child"))
            elif combinator == "group":
                async with aio.TaskGroup() as group:
                    group.create_task(inner(), name="child")
            elif combinator == "shield":
                await aio.shield(aio.create_task(inner(), name="child"))
            elif combinator == "wait":
                await aio.wait([aio.create_task(inner(), name="child")])
            elif combinator == "wait_for":
                await aio.wait_for(aio.create_task(inner(), name="child"), 1000)
            elif combinator == "as_completed":
                for future in aio.as_completed([aio.create_task(inner(), name="child")]):
                    await future
            elif combinator == "async for":
                async for future in aio.as_completed([aio.create_task(inner(), name="child")]):
                    await future
            else:
                await aio.create_task(inner(), name="child")

        await aio.create_task(outer(), name="outer")
        ((name, frames, parents),) = graphs
        return name, frames[-1], [parent[:2] for parent in parents]

    name, frame, ((parent, frames_of_parent),) = same_as_stock(main)
    assert (name, frame, parent) == ("child", "inner", "outer")
    assert frames_of_parent[-2:] == ["middle", "outer"]


@SINCE_3_14
def test_call_graph_of_a_given_future(same_as_stock):
    async def main(aio):
        future = asyncio.get_running_loop().create_future()

        async def wait():
            await future

        tasks = [aio.create_task(wait(), name=f"waiter {n}") for n in range(3)]
        await aio.sleep(0)
        graph = shape(aio.capture_call_graph(future))
        future.set_result(None)
        await aio.gather(*tasks)
        return graph

    same_as_stock(main)


@SINCE_3_14
def test_format_and_print_call_graph(impl, run):
    async def main():
        out, texts = io.StringIO(), []

        async def inner():
            await impl.sleep(0)
            texts.append(impl.format_call_graph())
            impl.print_call_graph(file=out)

        async def outer():
            await impl.gather(impl.create_task(inner(), name="inner task"))

        await impl.create_task(outer(), name="outer task")
        return texts[0], out.getvalue()

    formatted, printed = run(main())
    for text in (formatted, printed):
        assert "Task(name='inner task'" in text
        assert "+ Awaited by:" in text
        assert "Task(name='outer task'" in text
        assert ".inner()" in text
        assert ".outer()" in text


@SINCE_3_14
def test_add_and_discard_awaited_by(impl, run):
    async def main():
        future = asyncio.get_running_loop().create_future()
        me = impl.current_task()
        impl.future_add_to_awaited_by(future, me)
        assert set(future._asyncio_awaited_by) == {me}
        impl.future_discard_from_awaited_by(future, me)
        assert not future._asyncio_awaited_by

    run(main())


@SINCE_3_14
@pytest.mark.parametrize("ending", ["set_result", "set_exception", "cancel", "child fails"])
def test_awaited_by_after_gather_has_ended_early(same_as_stock, ending):
    """Later patch releases take the edges of the children back that go on."""

    async def main(aio):
        loop, log = asyncio.get_running_loop(), []
        gate, other = loop.create_future(), loop.create_future()

        async def wait():
            with contextlib.suppress(asyncio.CancelledError):
                await first
            await gate

        async def parent():
            with contextlib.suppress(LookupError, asyncio.CancelledError):
                await outer[0]
            await gate

        async def gathers():
            outer.append(aio.gather(*children, other))
            await parent()

        def look():
            log.append([sorted(awaiters(child)) for child in children])

        outer, first = [], loop.create_future()
        children = [aio.create_task(wait(), name=f"child {n}") for n in range(2)]
        task = aio.create_task(gathers(), name="gathers")
        await aio.sleep(0)
        await aio.sleep(0)
        look()
        if ending == "set_result":
            outer[0].set_result(None)
        elif ending == "set_exception":
            outer[0].set_exception(LookupError("by an outsider"))
        elif ending == "cancel":
            outer[0].cancel()
        else:
            other.set_exception(LookupError("a child's"))
        for _ in range(3):
            await aio.sleep(0)
        look()
        for future in (other, first):
            if not future.done():
                future.set_result(None)
        gate.set_result(None)
        await aio.gather(task, *children)
        look()
        return log

    log = same_as_stock(main)
    assert log[0] == [["gathers"], ["gathers"]]
    assert log[-1] == [[], []]
