"""The ways in which a program can use pyaio, and broken ones that must be noticed."""

import asyncio
import contextlib
import sys
import types
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyaio

from .loops import StockLoop, simulate

STOCK = types.SimpleNamespace(**vars(asyncio))
EAGER = sys.version_info >= (3, 12)


@dataclass
class Way:
    """A loop, the names a program uses, and the factory of its tasks."""

    loop: Any
    names: Callable[[str], Any]  # the module for the step at some place
    task: Any  # the class of tasks; None: what the loop makes
    factory_module: Any = asyncio

    def set_factory(self, eager: bool) -> None:
        """Have the loop make the tasks of this way, eagerly or not."""
        if self.task is not None:
            task = self.task
            if eager:
                self.loop.set_task_factory(self.factory_module.create_eager_task_factory(task))
            else:
                self.loop.set_task_factory(lambda loop, coro, **kw: task(coro, loop=loop, **kw))
        elif eager:
            self.loop.set_task_factory(self.factory_module.eager_task_factory)


def mixed(here: str) -> Any:
    """Stock's names or pyaio's, depending on the step."""
    return pyaio if zlib.crc32(here.encode()) & 1 else STOCK


def all_stock(here: str) -> Any:
    """Stock's names everywhere."""
    return STOCK


def all_pyaio(here: str) -> Any:
    """pyaio's names everywhere."""
    return pyaio


def new_loop() -> Any:
    """A loop of pyaio's in simulated time."""
    return simulate(pyaio.new_event_loop())


@contextlib.contextmanager
def stock() -> Iterator[Way]:
    """The oracle."""
    yield Way(StockLoop(), all_stock, None, STOCK)


@contextlib.contextmanager
def names() -> Iterator[Way]:
    """pyaio in place of asyncio."""
    yield Way(new_loop(), all_pyaio, None, pyaio)


@contextlib.contextmanager
def installed() -> Iterator[Way]:
    """Programs that import asyncio, after install()."""
    pyaio.install()
    try:
        yield Way(simulate(asyncio.new_event_loop()), lambda here: asyncio, None, asyncio)
    finally:
        pyaio.uninstall()


@contextlib.contextmanager
def mixed_names() -> Iterator[Way]:
    """Names of both, on pyaio's loop."""
    yield Way(new_loop(), mixed, None, pyaio)


@contextlib.contextmanager
def stock_tasks() -> Iterator[Way]:
    """Stock's tasks on pyaio's loop, with names of both."""
    yield Way(new_loop(), mixed, STOCK.Task, STOCK)


@contextlib.contextmanager
def stock_loop() -> Iterator[Way]:
    """pyaio's names and tasks on stock's loop."""
    yield Way(StockLoop(), all_pyaio, pyaio.Task, STOCK)


@contextlib.contextmanager
def stock_debug() -> Iterator[Way]:
    """The oracle in debug mode."""
    loop = StockLoop()
    loop.set_debug(True)
    loop.slow_callback_duration = 1e9
    yield Way(loop, all_stock, None, STOCK)


@contextlib.contextmanager
def debug() -> Iterator[Way]:
    """pyaio in debug mode."""
    loop = new_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = 1e9
    yield Way(loop, all_pyaio, None, pyaio)


class OverridingLoop(pyaio.EventLoop):
    """Overrides what native code has shortcuts for, without changing what it does."""

    def time(self) -> float:
        return super().time()

    def call_soon(self, callback: Any, *args: Any, **keywords: Any) -> Any:
        return super().call_soon(callback, *args, **keywords)

    def call_at(self, when: float, callback: Any, *args: Any, **keywords: Any) -> Any:
        return super().call_at(when, callback, *args, **keywords)

    def call_later(self, delay: float, callback: Any, *args: Any, **keywords: Any) -> Any:
        return super().call_later(delay, callback, *args, **keywords)

    def create_future(self) -> Any:
        return super().create_future()

    def create_task(self, coro: Any, **keywords: Any) -> Any:
        return super().create_task(coro, **keywords)

    def get_debug(self) -> bool:
        return super().get_debug()


@contextlib.contextmanager
def overridden() -> Iterator[Way]:
    """A subclass of pyaio's loop that overrides its methods."""
    yield Way(simulate(OverridingLoop()), all_pyaio, None, pyaio)


class OwnTask(pyaio.Task):
    """What programs derive, without overriding anything."""


@contextlib.contextmanager
def own_tasks() -> Iterator[Way]:
    """A factory that makes a subclass of pyaio's tasks."""
    yield Way(new_loop(), mixed, OwnTask, pyaio)


WAYS = {
    way.__name__: way
    for way in (
        *(names, installed, mixed_names, stock_tasks, stock_loop, debug, overridden),
        own_tasks,
    )
}
ORACLES = {"debug": stock_debug}  # of ways that are not compared with stock()


class LateLoop(pyaio.EventLoop):
    """Broken: every third callback comes a turn late."""

    count = 0

    def call_soon(self, callback: Any, *args: Any, **keywords: Any) -> Any:
        self.count += 1
        if self.count % 3 == 0:
            return super().call_soon(
                lambda: super(LateLoop, self).call_soon(callback, *args, **keywords)
            )
        return super().call_soon(callback, *args, **keywords)


class DeafTask(pyaio.Task):
    """Broken: a cancellation with a message is lost."""

    def cancel(self, msg: Any = None) -> bool:
        return (not self.done()) if msg is not None else super().cancel()


class AbortingTask(pyaio.Task):
    """Broken: uncancel() ends the process."""

    def uncancel(self) -> int:
        import os

        os.abort()


class HangingTask(pyaio.Task):
    """Broken: uncancel() never returns."""

    def uncancel(self) -> int:
        while True:
            pass


for _task in (OwnTask, DeafTask, AbortingTask, HangingTask):
    _task.__name__ = "Task"  # which is in its repr


@contextlib.contextmanager
def broken_order() -> Iterator[Way]:
    """Wakes up in a wrong order."""
    yield Way(simulate(LateLoop()), all_pyaio, None, pyaio)


@contextlib.contextmanager
def broken_cancel() -> Iterator[Way]:
    """Loses cancellations."""
    yield Way(new_loop(), all_pyaio, DeafTask, STOCK)


@contextlib.contextmanager
def broken_crash() -> Iterator[Way]:
    """Crashes."""
    yield Way(new_loop(), all_pyaio, AbortingTask, STOCK)


@contextlib.contextmanager
def broken_hang() -> Iterator[Way]:
    """Hangs."""
    yield Way(new_loop(), all_pyaio, HangingTask, STOCK)


BROKEN = {way.__name__: way for way in (broken_order, broken_cancel, broken_crash, broken_hang)}
