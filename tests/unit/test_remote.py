"""Reading tasks out of a process' memory, tried on this very process (before Python 3.14)."""

import asyncio
import inspect
import os
import sys
import threading
import types

import pytest

if sys.version_info >= (3, 14):
    pytest.skip("asyncio has a tool of its own", allow_module_level=True)

from pyaio._remote import display
from pyaio._remote.memory import PAGE, BadAddressError, Memory, RemoteError, refuse
from pyaio._remote.objects import Frame
from pyaio._remote.tasks import Task, snapshot


@pytest.fixture(params=["pyaio", "installed"])
def impl(request):
    """Only what is native can be seen."""
    import pyaio

    if request.param == "pyaio":
        yield pyaio
        return
    pyaio.install()
    yield asyncio
    pyaio.uninstall()


def snapshot_here():
    """The tasks of this process. This thread stands still meanwhile: its stack is read as well."""
    found = []
    thread = threading.Thread(target=lambda: found.extend(snapshot(os.getpid())))
    thread.start()
    thread.join()
    return found


def tasks_here():
    """The tasks of this process by their names."""
    return {task.name: task for task in snapshot_here()}


def functions(task):
    """The functions on a task's stack, innermost first."""
    return [frame.function.rpartition(".")[2] for frame in task.stack]


def as_inspect_sees(coroutine):
    """What stands on the stack of a suspended coroutine, by its attributes, innermost first."""
    frames = []
    while coroutine is not None:
        if isinstance(coroutine, types.CoroutineType) and hasattr(coroutine, "cr_code"):
            frame, following = coroutine.cr_frame, coroutine.cr_await
        elif isinstance(coroutine, types.GeneratorType):
            frame, following = coroutine.gi_frame, coroutine.gi_yieldfrom
        else:
            break
        code = frame.f_code
        frames.append(Frame(code.co_qualname, code.co_filename, frame.f_lineno))
        coroutine = following
    return frames[::-1]


async def leaf(gate):
    await gate


async def in_blocks(gate):
    for n in range(3):
        try:
            with memoryview(b"x"):
                raise ValueError
        except ValueError:
            print(n, [await leaf(gate) for _ in range(2)])


@types.coroutine
def old_style(gate):
    result = yield from leaf(gate)
    return result


async def over_old_style(gate):
    return (
        1,
        2,
        await old_style(gate),
    )


async def created_only(gate):
    await leaf(gate)


@pytest.mark.parametrize("function", [leaf, in_blocks, over_old_style])
def test_stacks_are_those_that_inspect_sees(impl, run, function):
    async def main():
        gate = asyncio.get_running_loop().create_future()
        task = impl.create_task(function(gate), name="a task")
        await impl.sleep(0)
        found, expected = tasks_here()["a task"], as_inspect_sees(task.get_coro())
        gate.set_result(None)
        await task
        return found, expected

    found, expected = run(main())
    assert found.stack == expected


def test_a_task_that_has_not_begun(impl, run):
    async def main():
        gate = asyncio.get_running_loop().create_future()
        gate.set_result(None)
        task = impl.create_task(created_only(gate), name="fresh")
        found = tasks_here()["fresh"]
        await task
        return found

    found = run(main())
    assert functions(found) == ["created_only"]
    assert found.stack[0].line == inspect.getsourcelines(created_only)[1]


def test_generators_and_wrappers_on_the_way(impl, run):
    async def generator(gate):
        yield 1
        await leaf(gate)
        yield 2

    class Awaitable:
        def __init__(self, gate):
            self.gate = gate

        def __await__(self):
            return leaf(self.gate).__await__()

    async def iterates(gate):
        async for _ in generator(gate):
            pass

    async def awaits_object(gate):
        await Awaitable(gate)

    async def with_default(gate):
        source = generator(gate)
        await anext(source, None)
        await anext(source, None)
        await source.aclose()

    async def throws(gate):
        source = catching(gate)
        await anext(source)
        await source.athrow(LookupError)

    async def catching(gate):
        try:
            yield 1
        except LookupError:
            await leaf(gate)
            yield 2

    expected = {
        "iterates": ["leaf", "generator", "iterates"],
        "awaits_object": ["leaf", "awaits_object"],
        "with_default": ["leaf", "generator", "with_default"],
        "throws": ["leaf", "catching", "throws"],
    }

    async def main():
        gate = asyncio.get_running_loop().create_future()
        tasks = [
            impl.create_task(function(gate), name=function.__name__)
            for function in (iterates, awaits_object, with_default, throws)
        ]
        for _ in range(3):
            await impl.sleep(0)
        found = tasks_here()
        gate.set_result(None)
        await impl.gather(*tasks)
        return {name: functions(found[name]) for name in expected}

    assert run(main()) == expected


def test_names_of_every_kind(impl, run):
    names = ["plain", "é", "漢字", "\U0001f40d snake", ""]

    async def main():
        tasks = [impl.create_task(impl.sleep(0), name=name) for name in names]
        unnamed = impl.create_task(impl.sleep(0))
        seen = snapshot_here()
        by_address = {task.address: task.name for task in seen}
        assert [by_address[id(task)] for task in tasks] == names
        found = by_address[id(unnamed)]
        assert found == unnamed.get_name()
        await impl.gather(unnamed, *tasks)

    run(main())


def test_the_running_task(impl, run):
    async def inner():
        return helper()

    def helper():
        return tasks_here()

    async def main():
        return await inner()

    found = run(main())
    (task,) = found.values()
    assert functions(task)[-5:] == ["snapshot_here", "tasks_here", "helper", "inner", "main"]
    assert task.thread == threading.get_native_id()


def test_native_coroutines_are_shown(impl, run):
    async def naps():
        await impl.sleep(1000)

    async def main():
        tasks = [impl.create_task(naps(), name="naps")]
        tasks.append(impl.create_task(impl.sleep(1000), name="s"))
        group = impl.create_task(grouping(), name="grouping")
        await impl.sleep(0)
        await impl.sleep(0)
        found = tasks_here()
        for task in (*tasks, group):
            task.cancel()
        await impl.gather(*tasks, group, return_exceptions=True)
        return found

    async def grouping():
        async with impl.TaskGroup() as group:
            group.create_task(naps(), name="grouped")

    found = run(main())
    assert functions(found["naps"]) == ["sleep", "naps"]
    assert functions(found["s"]) == ["sleep"]
    assert functions(found["grouping"]) == ["__aexit__", "grouping"]
    assert [frame.file for frame in found["s"].stack] == [""]
    assert found["grouped"].awaiters == [found["grouping"].address]


def test_who_awaits_a_task(impl, run):
    async def main():
        gate = asyncio.get_running_loop().create_future()

        async def awaits(task):
            await task

        async def gathers(task):
            await impl.gather(impl.gather(task), impl.sleep(0))

        async def shields(task):
            await impl.shield(task)

        async def waits(task):
            await impl.wait([task])

        async def waits_for(task):
            await impl.wait_for(task, 1000)

        async def only_looks(task):
            task.add_done_callback(lambda task: None)
            await gate

        parents = [awaits, gathers, shields, waits, only_looks]
        if sys.version_info >= (3, 12):
            parents.append(waits_for)
        child = impl.create_task(leaf(gate), name="child")
        tasks = [impl.create_task(p(child), name=p.__name__) for p in parents]
        for _ in range(3):
            await impl.sleep(0)
        found = tasks_here()
        gate.set_result(None)
        await impl.gather(*tasks)
        names = {task.address: name for name, task in found.items()}
        return sorted(names[address] for address in found["child"].awaiters), parents

    awaiters, parents = run(main())
    assert awaiters == sorted({p.__name__ for p in parents} - {"only_looks"})


def test_many_tasks_are_read_in_order(impl, run):
    async def main():
        tasks = [impl.create_task(impl.sleep(0), name=str(n)) for n in range(3000)]
        found = [task.name for task in snapshot_here() if task.name.isdigit()]
        await impl.gather(*tasks)
        return found

    assert run(main()) == [str(n) for n in range(3000)]


def test_no_tasks():
    assert snapshot(os.getpid()) == []


def test_what_cannot_be_read():
    memory = Memory(os.getpid())
    try:
        for address in (0, 8, -8, 1 << 64, (1 << 47) - PAGE):
            with pytest.raises(BadAddressError):
                memory.number(address)
    finally:
        memory.close()
    with pytest.raises(RemoteError, match="there is no process 0"):
        Memory(0)
    with pytest.raises(RemoteError, match="no permission .*ptrace_scope"):
        refuse(1, PermissionError())


def test_reading_across_pages():
    data = bytes(range(256)) * 100
    start = id(data) + bytes.__basicsize__ - 1
    memory = Memory(os.getpid())
    try:
        assert memory.read(start, len(data)) == data
        assert memory.read(start + 5, 9000) == data[5:9005]
    finally:
        memory.close()


def test_the_table():
    stack = [Frame("inner", "app.py", 3), Frame("outer", "app.py", 9)]
    tasks = [Task(16, "parent", 5, stack), Task(32, "child", 5, [Frame("sleep")], [16, 99])]
    lines = list(display.table(tasks))
    assert lines[1] == "-" * 180
    assert [line.split() for line in lines[2:]] == [
        ["5", "0x10", "parent", "inner", "->", "outer", "0x0"],
        ["5", "0x20", "child", "sleep", "inner", "->", "outer", "parent", "0x10"],
        ["5", "0x20", "child", "sleep", "Unknown", "0x63"],
    ]


def test_the_tree():
    stack = [Frame("inner", "app.py", 3), Frame("outer", "app.py", 9)]
    tasks = [
        Task(16, "parent", 5, stack),
        Task(32, "child", 5, [Frame("sleep")], [16]),
        Task(48, "other", 5, [Frame("sleep")], [16]),
    ]
    assert list(display.tree(tasks)) == [
        "└── (T) parent",
        "    └──  outer app.py:9",
        "        └──  inner app.py:3",
        "            ├── (T) child",
        "            │   └──  sleep",
        "            └── (T) other",
        "                └──  sleep",
    ]
    assert display.cycle(tasks) == []


def test_circles_are_found():
    one, two, three = Task(1, "one"), Task(2, "two"), Task(3, "three")
    one.awaiters, two.awaiters, three.awaiters = [2], [3], [2]
    assert [task.name for task in display.cycle([one, two, three])] == ["two", "three", "two"]
    one.awaiters, two.awaiters, three.awaiters = [2, 3], [4], [4]
    assert display.cycle([one, two, three, Task(4, "four")]) == []


def test_a_long_chain_of_futures(impl, run):
    async def main():
        gate = asyncio.get_running_loop().create_future()
        child = impl.create_task(leaf(gate), name="child")
        future = child
        for _ in range(200):
            future = impl.gather(future)
        task = impl.create_task(leaf(future), name="parent")
        await impl.sleep(0)
        found = tasks_here()
        gate.set_result(None)
        await task
        return found

    found = run(main())
    assert found["child"].awaiters == [found["parent"].address]
