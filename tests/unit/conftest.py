"""Helpers of the unit tests: turns of a loop, outcomes to compare, reports to expect."""

import asyncio
import gc
import os
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sent_files import large as large, path as path


@pytest.fixture
def many() -> int:
    """A number that only a linear cost survives, and no recursion; debug builds are slow."""
    return 20_000 if hasattr(sys, "gettotalrefcount") else 100_000


@pytest.fixture
def turn(loop: asyncio.AbstractEventLoop) -> Callable[..., None]:
    """A function that runs `n` iterations of the test's loop."""

    def turn(n: int = 1) -> None:
        for _ in range(n):
            loop.call_soon(loop.stop)
            loop.run_forever()

    return turn


@pytest.fixture
def reported(loop: asyncio.AbstractEventLoop) -> list[dict[str, Any]]:
    """The contexts that the test's loop hands to its exception handler."""
    contexts: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda loop, context: contexts.append(context))
    return contexts


def forget_watcher() -> None:
    """Forget the child watcher that asyncio's loops leave, which would then be the program's."""
    if sys.version_info < (3, 14):
        policy: Any = asyncio.get_event_loop_policy()
        policy._watcher = None


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Fail a test that leaves a descriptor or a child."""

    def open_files() -> set[Path]:
        gc.collect()
        return {path for path in Path("/proc/self/fd").iterdir() if is_open(int(path.name))}

    def is_open(fd: int) -> bool:
        try:
            os.fstat(fd)
        except OSError:
            return False
        return True

    forget_watcher()
    before = open_files()
    yield
    assert len(open_files()) <= len(before)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.fixture
def outcome() -> Callable[..., tuple[Any, ...]]:
    """A function that calls `f(*args)` and describes its result or exception, to be compared."""

    def outcome(f: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        try:
            return ("returned", f(*args, **kwargs))
        except BaseException as error:
            return ("raised", type(error), str(error))

    return outcome


@pytest.fixture
def same_as_stock(
    request: pytest.FixtureRequest,
    impl: types.ModuleType,
    stock: types.SimpleNamespace,
    run: Callable[[Any], Any],
) -> Callable[..., Any]:
    """A function that runs `program(module, *args)` on stock and on `impl`; both must agree.

    The program is a coroutine function; what it returns is compared, and returned.
    """
    installed = request.node.callspec.params["impl"] == "installed"

    def on_stock(program: Callable[..., Any], *args: Any) -> Any:
        loop = stock.SelectorEventLoop()
        try:
            return loop.run_until_complete(program(asyncio, *args))
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            forget_watcher()

    def same_as_stock(program: Callable[..., Any], *args: Any) -> Any:
        if installed:
            import pyaio

            pyaio.uninstall()
            try:
                expected = on_stock(program, *args)
            finally:
                pyaio.install()
        else:
            expected = on_stock(program, *args)
        got = run(program(impl, *args))
        assert got == expected
        return got

    return same_as_stock


@pytest.fixture
def stays_flat(loop: asyncio.AbstractEventLoop) -> Callable[..., None]:
    """A function that awaits `once()` again and again, which must leave no reference behind."""
    if not hasattr(sys, "gettotalrefcount"):
        pytest.skip("needs a debug build")

    async def counts(once: Callable[[], Any], times: int) -> list[int]:
        found = []
        for _ in range(12):
            for _ in range(times):
                await once()
            gc.collect()
            found.append(sys.gettotalrefcount())
        return found

    def stays_flat(once: Callable[[], Any], times: int = 20) -> None:
        found = loop.run_until_complete(counts(once, times))
        # A leak shows in every stretch; a freelist that grows once more, in one.
        assert (
            min(later - earlier for earlier, later in zip(found[4:], found[6:], strict=False))
            < times
        )

    return stays_flat


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """A function that lists what asyncio's logger got; a test without it may log no error."""

    def logged() -> list[str]:
        gc.collect()
        return [record.getMessage() for record in caplog.records if record.name == "asyncio"]

    return logged


@pytest.fixture(autouse=True)
def nothing_reported(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """Fail a test that leaves an error in asyncio's log without having asked for the log."""
    yield
    gc.collect()
    if "logged" not in request.fixturenames:
        records = [*caplog.get_records("call"), *caplog.records]
        assert not [r.getMessage() for r in records if r.name == "asyncio" and r.levelno > 30]


@pytest.fixture
def turns() -> Callable[..., None]:
    """A function that runs some iterations of the loop given to it."""

    def turns(loop: asyncio.AbstractEventLoop, iterations: int = 4) -> None:
        for _ in range(iterations):
            loop.call_soon(loop.stop)
            loop.run_forever()

    return turns


@pytest.fixture
def still_works(impl: types.ModuleType, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """After the test its loop still runs a small program."""
    yield

    async def child(n: int) -> int:
        await impl.sleep(0)
        return n

    async def main() -> list[int]:
        async with impl.TaskGroup() as group:
            task = group.create_task(child(3))
        return [*await impl.gather(child(1), child(2)), task.result()]

    assert loop.run_until_complete(main()) == [1, 2, 3]


@pytest.fixture
def collecting() -> Iterator[None]:
    """Collect garbage at nearly every allocation."""
    before = gc.get_threshold()
    gc.set_threshold(1)
    yield
    gc.set_threshold(*before)
