"""What pyaio exports: every public name of asyncio and its submodules, native or stock's own."""

import asyncio
import importlib
import inspect
import types
import warnings

import pyaio
import pytest
from pyaio._install import NATIVES

PUBLIC = sorted(name for name in dir(asyncio) if name[0] != "_")
SUBMODULES = sorted(
    name
    for name, value in vars(asyncio).items()
    if isinstance(value, types.ModuleType) and value.__name__ == f"asyncio.{name}"
)
OWN = {"run", "Runner", "get_event_loop", "new_event_loop", "EventLoop"}


def served_by_getattr():
    """The names that asyncio's own __getattr__ knows: the strings in its code."""
    serve = getattr(asyncio, "__getattr__", None)
    found = []
    for name in serve.__code__.co_consts if serve else ():
        if isinstance(name, str) and name.isidentifier():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if hasattr(asyncio, name):
                    found.append(name)
    return found


def test_every_public_name_is_there():
    assert set(PUBLIC) <= set(dir(pyaio))
    assert set(asyncio.__all__) <= set(pyaio.__all__)
    for name in {*PUBLIC, *pyaio.__all__}:
        assert hasattr(pyaio, name), name


@pytest.mark.parametrize("name", PUBLIC)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_name_is_native_or_stocks(stock, name):
    theirs, ours = getattr(stock, name), getattr(pyaio, name)
    if name in SUBMODULES:
        assert isinstance(ours, types.ModuleType)
    elif name not in OWN:
        assert ours is NATIVES.get(theirs, theirs)


@pytest.mark.parametrize("name", SUBMODULES)
def test_a_submodule_has_every_name(name):
    theirs, ours = getattr(asyncio, name), getattr(pyaio, name)
    assert inspect.ismodule(ours)
    assert ours.__name__ == f"pyaio.{name}"
    assert ours.__doc__ == theirs.__doc__
    assert importlib.import_module(f"pyaio.{name}") is ours
    assert set(dir(theirs)) <= set(dir(ours))
    for attribute, value in vars(theirs).items():
        if attribute.startswith("__") or getattr(value, "__name__", "") in OWN:
            continue
        found = getattr(ours, attribute)
        if inspect.ismodule(value):
            assert found is value
        else:
            assert found is NATIVES.get(value, value) if callable(value) else found is value


def test_submodules_have_the_native_names():
    for native, place in (
        (pyaio.Task, pyaio.tasks.Task),
        (pyaio.gather, pyaio.tasks.gather),
        (pyaio.Future, pyaio.futures.Future),
        (pyaio.Handle, pyaio.events.Handle),
        (pyaio.TaskGroup, pyaio.taskgroups.TaskGroup),
        (pyaio.Lock, pyaio.locks.Lock),
        (pyaio.Queue, pyaio.queues.Queue),
        (pyaio.run, pyaio.runners.run),
        (pyaio.Runner, pyaio.runners.Runner),
        (pyaio.new_event_loop, pyaio.events.new_event_loop),
    ):
        assert native is place


def test_submodules_share_the_rest(monkeypatch):
    assert pyaio.subprocess.PIPE is asyncio.subprocess.PIPE
    assert pyaio.log.logger is asyncio.log.logger
    constant = "LOG_THRESHOLD_FOR_CONNLOST_WRITES"
    with monkeypatch.context() as patch:
        patch.setattr(pyaio.constants, constant, 77)
        assert getattr(asyncio.constants, constant) == 77
    assert getattr(pyaio.constants, constant) == getattr(asyncio.constants, constant) != 77
    pyaio.constants.of_the_test = 1
    assert asyncio.constants.of_the_test == 1
    del pyaio.constants.of_the_test
    assert not hasattr(asyncio.constants, "of_the_test")
    assert not hasattr(pyaio.constants, "of_the_test")


def test_a_native_replaced_in_a_submodule_is_replaced_there_only(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(pyaio.tasks, "sleep", len)
        assert pyaio.tasks.sleep is len
        assert asyncio.tasks.sleep is not len
    assert pyaio.tasks.sleep is pyaio.sleep


def test_the_names_stay_while_installed():
    before = {name: getattr(pyaio, name) for name in pyaio.__all__ if name in vars(pyaio)}
    before_in_tasks = {name: getattr(pyaio.tasks, name) for name in asyncio.tasks.__all__}
    pyaio.install()
    try:
        for name, value in before.items():
            assert getattr(pyaio, name) is value, name
        for name, value in before_in_tasks.items():
            assert getattr(pyaio.tasks, name) is NATIVES.get(value, value), name
    finally:
        pyaio.uninstall()


@pytest.mark.parametrize("name", served_by_getattr() or [None])
def test_deprecated_names_warn_as_in_stock(name):
    if name is None:
        pytest.skip("this asyncio has no such names")
    with pytest.warns(DeprecationWarning, match=name) as theirs:
        value = getattr(asyncio, name)
    with pytest.warns(DeprecationWarning, match=name) as ours:
        assert getattr(pyaio, name) is NATIVES.get(value, value)
    assert [str(w.message) for w in ours] == [str(w.message) for w in theirs]
    assert [w.filename for w in ours] == [__file__] * len(ours)


def test_unknown_names():
    with pytest.raises(AttributeError, match="module 'pyaio' has no attribute 'no_such_name'"):
        pyaio.no_such_name
    with pytest.raises(AttributeError, match="no_such_name"):
        pyaio.tasks.no_such_name


def test_star_import():
    namespace = {}
    exec("from pyaio import *", namespace)
    assert namespace["gather"] is pyaio.gather
    assert namespace["Lock"] is pyaio.Lock
    exec("from pyaio.tasks import *", namespace)
    assert namespace["gather"] is pyaio.gather


IMPORTS = """
import pyaio as asyncio
import pyaio.subprocess
import pyaio.locks as locks
from pyaio import queues, subprocess
from pyaio.tasks import gather, wait_for
from pyaio.subprocess import PIPE

async def main():
    async with asyncio.timeout(30), asyncio.locks.Lock():
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec("echo", "hello", stdout=pipe)
        out, _ = await process.communicate()
        queue = queues.Queue()
        queue.put_nowait(out.decode().strip())
        print(await wait_for(queue.get(), 30), *(await gather(asyncio.sleep(0, 1))))
        assert PIPE is pipe is subprocess.PIPE

asyncio.run(main())
"""


def test_import_pyaio_as_asyncio_is_enough(python):
    done = python("-c", IMPORTS)
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello 1\n", "")


def test_a_submodule_that_is_loaded_later(python):
    code = (
        "import sys, pyaio\n"
        "assert 'asyncio.__main__' not in sys.modules\n"
        "import asyncio, types\n"
        "late = types.ModuleType('asyncio.late')\n"
        "late.Task, asyncio.late = asyncio.Task, late\n"
        "print(pyaio.late.Task is pyaio.Task, 'late' in dir(pyaio), pyaio.late.__name__)\n"
    )
    done = python("-c", code)
    assert (done.stdout, done.stderr) == ("True True pyaio.late\n", "")
