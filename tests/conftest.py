"""What every test shares: the implementation under test, its loops, a guard against hangs."""

import asyncio
import contextlib
import faulthandler
import gc
import importlib.util
import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import leaks
import pytest
from certificates import (
    certificate as certificate,
    contexts as contexts,
    other_certificate as other_certificate,
)

CHECKOUT = Path(__file__).resolve().parent.parent
SECONDS_TO_HANG = float(os.environ.get("PYAIO_TEST_TIMEOUT", "300"))
STOCK = types.SimpleNamespace(**vars(asyncio))
TESTS_TO_FREEZE = 100
stderr_fd = pytest.StashKey[int]()
tests_run = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --leaks."""
    parser.addoption(
        "--leaks",
        metavar="WARM-UPS:RUNS",
        help="repeat each test until nothing grows, and fail those that leak (debug builds only)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Keep a descriptor of the real stderr, for the report of a hang; begin a hunt for leaks."""
    # A job in the background starts with interrupts ignored, and its children as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "not_repeated(reason): --leaks leaves the test out")
    if config.option.leaks:
        if not hasattr(sys, "gettotalrefcount"):
            raise pytest.UsageError("--leaks needs an interpreter that was built for debugging")
        warmups, runs = config.option.leaks.split(":")
        config.pluginmanager.register(leaks.LeakHunt(int(warmups), int(runs)))
    capture = config.pluginmanager.getplugin("capturemanager")
    uncaptured = capture.global_and_fixture_disabled() if capture else contextlib.nullcontext()
    with uncaptured:
        config.stash[stderr_fd] = os.dup(2)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Refuse to test the source folder: what users get is the installed package."""
    spec = importlib.util.find_spec("pyaio")
    if spec is not None and Path(spec.origin or CHECKOUT).resolve().is_relative_to(CHECKOUT):
        pytest.exit(f"pyaio comes from the checkout ({spec.origin}): install it first", 4)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Keep full collections cheap, which end every unit test."""
    freeze()


def freeze() -> None:
    """Take what is loaded, and the reports so far, out of the collector's reach."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """End a run that hangs, with the stack of every thread; leave no old reports to collectors."""
    item.config.stash[tests_run] = number = item.config.stash.get(tests_run, 0) + 1
    if number % TESTS_TO_FREEZE == 0:
        freeze()
    faulthandler.dump_traceback_later(
        SECONDS_TO_HANG, exit=True, file=item.config.stash[stderr_fd]
    )
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def stock() -> types.SimpleNamespace:
    """The names of stock asyncio, as they were before anything was installed over them."""
    return STOCK


@contextlib.contextmanager
def implementation(name: str) -> Iterator[types.ModuleType]:
    """Give stock asyncio, pyaio, or asyncio with pyaio installed into it, by name."""
    if name == "asyncio":
        yield asyncio
        return
    import pyaio

    if name == "pyaio":
        yield pyaio
        return
    pyaio.install()
    try:
        yield asyncio
    finally:
        pyaio.uninstall()


@pytest.fixture(params=["asyncio", "pyaio", "installed"])
def impl(request: pytest.FixtureRequest) -> Iterator[types.ModuleType]:
    """The module under test: stock asyncio, pyaio, and asyncio with pyaio installed into it."""
    with implementation(request.param) as module:
        yield module


TLS_WAYS = ["asyncio", "pyaio-openssl", "pyaio-ssl", "installed-openssl"]


@pytest.fixture(params=TLS_WAYS)
def tls_impl(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[types.ModuleType]:
    """The module under test, with each of the engines that encrypt."""
    name, _, engine = request.param.partition("-")
    monkeypatch.setenv("PYAIO_TLS_ENGINE", engine)
    with implementation(name) as module:
        yield module


@pytest.fixture
def python(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that runs an interpreter outside the checkout, with warnings as errors."""

    def python(*arguments: Any, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", *map(str, arguments)]
        options = {"cwd": tmp_path, "timeout": SECONDS_TO_HANG, **options}
        return subprocess.run(command, capture_output=True, text=True, check=False, **options)

    return python


@pytest.fixture
def loop(impl: types.ModuleType) -> Iterator[asyncio.AbstractEventLoop]:
    """A fresh loop of the implementation under test, closed afterwards."""
    loop = impl.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def run(impl: types.ModuleType) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """A function that runs a coroutine to its end on a fresh loop, and returns its result."""

    def run(main: Coroutine[Any, Any, Any], *, debug: bool = False) -> Any:
        loop = impl.new_event_loop()
        loop.set_debug(debug)
        try:
            return loop.run_until_complete(main)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    return run
