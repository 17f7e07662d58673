"""What a type checker must make of programs that use pyaio; checked, never run."""

import asyncio
from typing import assert_type

import pyaio
import pyaio as aio


async def length(text: str) -> int:
    """A coroutine function to call."""
    await pyaio.sleep(0)
    return len(text)


async def combined() -> None:
    """Tasks, groups and gather keep the types of their results."""
    assert_type(await pyaio.gather(length("a"), pyaio.sleep(0, "b")), tuple[int, str])
    assert_type(pyaio.create_task(length("a")), asyncio.Task[int])
    async with pyaio.TaskGroup() as group:
        assert_type(group.create_task(length("a")), asyncio.Task[int])
    task: pyaio.Task[int] = pyaio.create_task(length("a"), name="t")
    future: pyaio.Future[int] = task
    assert_type(await future, int)


def loops() -> None:
    """A loop is a pyaio.EventLoop and does for an asyncio one."""
    assert_type(pyaio.new_event_loop(), pyaio.EventLoop)
    loop: asyncio.AbstractEventLoop = pyaio.EventLoop()
    assert_type(loop.call_soon(print, 1), asyncio.Handle)
    assert_type(pyaio.EventLoop().call_later(1.5, print), pyaio.TimerHandle)
    assert_type(pyaio.EventLoop().run_until_complete(length("a")), int)


def entry_points() -> None:
    """run() and Runner return what the coroutine returns."""
    assert_type(pyaio.run(length("a"), loop_factory=pyaio.new_event_loop), int)
    with pyaio.Runner(debug=True) as runner:
        assert_type(runner.run(length("a")), int)
    assert_type(pyaio.install(), None)


async def the_rest_of_asyncio() -> None:
    """Names without a native counterpart are asyncio's."""
    lock: asyncio.Lock = aio.Lock()
    async with lock, aio.timeout(1):
        assert_type(await aio.wait_for(length("a"), 1), int)
    assert_type(aio.Queue[int](), asyncio.Queue[int])
