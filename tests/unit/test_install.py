"""install() and uninstall(): what they put where, what they leave alone, and in what order."""

import asyncio
import importlib.metadata
import inspect
import selectors
import sys

import pytest

NATIVE = ["Future", "Task", "Handle", "TimerHandle", "TaskGroup", "gather", "sleep", "create_task"]
HOMES = {
    "Future": "futures",
    "Task": "tasks",
    "Handle": "events",
    "TimerHandle": "events",
    "TaskGroup": "taskgroups",
    "gather": "tasks",
    "sleep": "tasks",
    "create_task": "tasks",
}


@pytest.fixture
def pyaio():
    """The package, installed into asyncio for the time of a test."""
    import pyaio

    pyaio.install()
    yield pyaio
    pyaio.uninstall()


def public_names():
    """Every public attribute of asyncio and its submodules."""
    return {
        (module.__name__, name): value
        for module in [asyncio, *(m for m in vars(asyncio).values() if inspect.ismodule(m))]
        if module.__name__.startswith("asyncio")
        for name, value in vars(module).items()
        if not name.startswith("__")
    }


@pytest.fixture
def printed(python):
    """A function that runs code in a new interpreter and returns the words it printed."""

    def printed(code):
        done = python("-c", code)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.split()

    return printed


@pytest.mark.parametrize("name", NATIVE)
def test_native_names_are_in_asyncio(pyaio, name):
    native = getattr(pyaio, name)
    assert getattr(asyncio, name) is native
    assert getattr(getattr(asyncio, HOMES[name]), name) is native


@pytest.mark.parametrize("name", NATIVE)
def test_native_names_are_native(pyaio, stock, name):
    assert getattr(pyaio, name) is not getattr(stock, name)
    assert hasattr(pyaio._core, name)


def test_uninstall_gives_everything_back(pyaio, stock):
    pyaio.uninstall()
    before = public_names()
    pyaio.install()
    assert public_names() != before
    pyaio.uninstall()
    after = public_names()
    assert before.keys() == after.keys()
    changed = [key for key in before if before[key] is not after[key]]
    assert changed == []
    for name in NATIVE:
        assert getattr(asyncio, name) is getattr(stock, name)


def test_install_and_uninstall_twice(pyaio, stock):
    pyaio.install()
    assert asyncio.Task is pyaio.Task
    pyaio.uninstall()
    assert asyncio.Task is stock.Task
    pyaio.uninstall()
    assert asyncio.Task is stock.Task
    pyaio.install()
    assert asyncio.Task is pyaio.Task


def test_asyncio_run_uses_our_loop(pyaio):
    async def main():
        return type(asyncio.get_running_loop()), type(asyncio.current_task())

    loop_class, task_class = asyncio.run(main())
    assert issubclass(loop_class, pyaio.EventLoop)
    assert task_class is pyaio.Task


def test_asyncio_run_uses_stocks_loop_afterwards(pyaio):
    async def main():
        return type(asyncio.get_running_loop()), type(asyncio.current_task())

    pyaio.uninstall()
    loop_class, task_class = asyncio.run(main())
    assert not issubclass(loop_class, pyaio.EventLoop)
    assert task_class is not pyaio.Task


@pytest.mark.skipif(sys.version_info >= (3, 16), reason="3.16 has no policies")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_policy_set_by_the_program_is_followed(pyaio, stock):
    made = []

    class Policy(type(stock.get_event_loop_policy())):
        def new_event_loop(self):
            made.append("policy")
            return super().new_event_loop()

    async def main():
        pass

    before = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(Policy())
    try:
        asyncio.run(main())
    finally:
        asyncio.set_event_loop_policy(before)
    assert made == ["policy"]


def test_selector_event_loop_stays_a_class(pyaio, stock):
    assert inspect.isclass(asyncio.SelectorEventLoop)
    with_selector = asyncio.SelectorEventLoop(selectors.SelectSelector())
    plain = asyncio.SelectorEventLoop()

    class Subclass(asyncio.SelectorEventLoop):
        pass

    subclassed = Subclass()
    try:
        assert isinstance(plain, pyaio.EventLoop)
        assert type(with_selector) is stock.SelectorEventLoop
        assert isinstance(subclassed, Subclass)
        assert isinstance(subclassed, stock.SelectorEventLoop)
        for loop in (plain, with_selector, subclassed):
            assert isinstance(loop, asyncio.SelectorEventLoop)
            assert isinstance(loop, stock.SelectorEventLoop)
            assert loop.run_until_complete(asyncio.sleep(0, "ran")) == "ran"
    finally:
        for loop in (plain, with_selector, subclassed):
            loop.close()


def test_what_is_not_ours_stays(pyaio, stock):
    names = ["BaseEventLoop", "AbstractEventLoop", "Protocol", "BufferedProtocol", "Transport"]
    names += ["CancelledError", "InvalidStateError", "QueueFull", "TimeoutError"]
    for name in names:
        assert getattr(asyncio, name) is getattr(stock, name)
        assert getattr(pyaio, name) is getattr(stock, name)


def test_names_imported_before_go_on_working(pyaio, stock):
    async def child(n):
        await stock.sleep(0)
        return n

    async def main():
        future = stock.Future()
        asyncio.get_running_loop().call_soon(future.set_result, 3)
        async with stock.TaskGroup() as group:
            task = group.create_task(child(4))
        return await stock.gather(child(1), child(2), future, task)

    assert asyncio.run(main()) == [1, 2, 3, 4]


def test_the_version(pyaio):
    assert pyaio.__version__ == importlib.metadata.version("pyaio-core")


def test_importing_changes_no_public_name(printed):
    code = """
import asyncio, inspect
def names():
    modules = [asyncio, *(m for m in vars(asyncio).values() if inspect.ismodule(m))]
    return {(m.__name__, n): v for m in modules for n, v in vars(m).items()
            if m.__name__.startswith("asyncio") and not n.startswith("_")}
before = names()
import pyaio
after = names()
print(*(key for key in before if before[key] is not after[key]), before.keys() == after.keys())
"""
    assert printed(code) == ["True"]


@pytest.mark.parametrize("first", ["asyncio", "pyaio", "_asyncio", "asyncio.tasks"])
@pytest.mark.parametrize("installed", [False, True])
def test_registries_are_right_in_any_order_of_imports(printed, first, installed):
    if first == "_asyncio" and sys.version_info < (3, 14):
        pytest.skip("stock's own registries are wrong in this order before 3.14")
    code = f"""
import {first}
import asyncio
from asyncio import all_tasks, current_task
import pyaio
if {installed}:
    pyaio.install()
async def main():
    me, other = current_task(), asyncio.create_task(asyncio.sleep(0))
    assert me is asyncio.current_task() is pyaio.current_task()
    assert all_tasks() == asyncio.all_tasks() == pyaio.all_tasks() == {{me, other}}
    await other
    return type(me) is pyaio.Task
print(pyaio.run(main()))
"""
    assert printed(code) == ["True"]


def test_names_a_library_imported_before(printed):
    code = """
from asyncio import Future, Task, gather, sleep, create_task, current_task, isfuture, wait_for
from asyncio import TaskGroup, CancelledError
import asyncio, pyaio
pyaio.install()
async def child():
    await sleep(0)
    return isinstance(current_task(), Task), isinstance(current_task(), asyncio.Task)
async def main():
    future = Future()
    assert isfuture(future) and isinstance(future, asyncio.Future)
    assert isinstance(asyncio.Future(), Future)
    async with TaskGroup() as group:
        task = group.create_task(child())
    results = await gather(child(), create_task(child()), task, wait_for(child(), 10))
    print(all(all(pair) for pair in results))
asyncio.run(main())
"""
    assert printed(code) == ["True"]


def test_submodules_loaded_after_the_installation(printed):
    code = """
import pyaio
pyaio.install()
import asyncio.staggered, asyncio.subprocess, asyncio.threads, asyncio.tasks
from asyncio.tasks import Task
print(Task is pyaio.Task)
"""
    assert printed(code) == ["True"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with 3.12")
def test_the_eager_factory_makes_our_tasks(pyaio):
    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        task = asyncio.create_task(asyncio.sleep(0))
        await task
        return type(task)

    assert asyncio.run(main()) is pyaio.Task


def test_futures_of_the_loop_are_ours_before_and_after(pyaio):
    for installed in (True, False):
        (pyaio.install if installed else pyaio.uninstall)()
        loop = pyaio.new_event_loop()
        assert type(loop.create_future()) is pyaio.Future
        loop.close()


def test_a_running_loop_survives_install_and_uninstall(pyaio):
    async def main():
        tasks = [asyncio.create_task(asyncio.sleep(0, n)) for n in range(3)]
        pyaio.uninstall()
        tasks += [asyncio.create_task(asyncio.sleep(0, n)) for n in range(3)]
        first = await asyncio.gather(*tasks)
        pyaio.install()
        tasks += [asyncio.create_task(asyncio.sleep(0, n)) for n in range(3)]
        return first, await asyncio.gather(*tasks)

    assert asyncio.run(main()) == ([0, 1, 2] * 2, [0, 1, 2] * 3)


def test_modules_names_match_their_signatures(pyaio, stock):
    for name in ("gather", "sleep"):
        ours, theirs = getattr(pyaio, name), getattr(stock, name)
        assert list(inspect.signature(ours).parameters) == list(
            inspect.signature(theirs).parameters
        ), name


def test_classes_offer_every_method_of_the_stock_ones(pyaio, stock):
    for name in ("Future", "Task", "Handle", "TimerHandle", "TaskGroup", "Queue"):
        ours, theirs = getattr(pyaio, name), getattr(stock, name)
        missing = {member for member in dir(theirs) if not hasattr(ours, member)}
        assert missing <= {"__slots__"}, name
    ours, theirs = pyaio.EventLoop, stock.SelectorEventLoop
    assert {m for m in dir(theirs) if not m.startswith("_") and not hasattr(ours, m)} == set()
