"""Callbacks: `call_soon` and `call_soon_threadsafe`.

Most callbacks are empty functions, so that the loop is timed and not they; every thousandth
one counts, so that a loop which loses callbacks is found out.
"""

import asyncio
import threading

from measure import row

COUNTED = 300  # the callbacks of one batch that count
BETWEEN = 999  # the empty ones before each of them


def noop(*_: object) -> None:
    pass


class Counter:
    """A callback that counts its calls and resolves `done` at the last one expected."""

    def __init__(self, expected: int) -> None:
        self.calls = 0
        self.expected = expected
        self.done = asyncio.get_running_loop().create_future()

    def __call__(self, *_: object) -> None:
        self.calls += 1
        if self.calls == self.expected:
            self.done.set_result(None)


@row(operations=COUNTED * (BETWEEN + 1))
async def call_soon(repeat: int) -> int:
    """300,000 callbacks queued at once, then run; per callback."""
    loop = asyncio.get_running_loop()
    calls = 0
    for _ in range(repeat):
        counter = Counter(COUNTED)
        for _ in range(COUNTED):
            for _ in range(BETWEEN):
                loop.call_soon(noop)
            loop.call_soon(counter)
        await counter.done
        calls += counter.calls
    return calls * (BETWEEN + 1)


@row(operations=COUNTED * (BETWEEN + 1))
async def call_soon_args(repeat: int) -> int:
    """The same with three arguments."""
    loop = asyncio.get_running_loop()
    calls = 0
    for _ in range(repeat):
        counter = Counter(COUNTED)
        for _ in range(COUNTED):
            for _ in range(BETWEEN):
                loop.call_soon(noop, 1, 2, 3)
            loop.call_soon(counter, 1, 2, 3)
        await counter.done
        calls += counter.calls
    return calls * (BETWEEN + 1)


@row(operations=1)
async def call_soon_chain(repeat: int) -> int:
    """Each callback queues the next; per callback, one turn of the loop each."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    calls = 0

    def link() -> None:
        nonlocal calls
        calls += 1
        if calls < repeat:
            loop.call_soon(link)
        else:
            done.set_result(None)

    loop.call_soon(link)
    await done
    return calls


@row(operations=BETWEEN + 1)
async def call_soon_threadsafe_own(repeat: int) -> int:
    """1,000 callbacks queued with `call_soon_threadsafe` on the loop's thread, then run."""
    calls = 0
    for _ in range(repeat):
        counter = Counter(1)
        _queue_threadsafe(asyncio.get_running_loop(), counter)
        await counter.done
        calls += counter.calls
    return calls * (BETWEEN + 1)


@row(operations=BETWEEN + 1)
async def call_soon_threadsafe_other(repeat: int) -> int:
    """1,000 callbacks queued by another thread while the loop runs."""
    loop = asyncio.get_running_loop()
    calls = 0
    for _ in range(repeat):
        counter = Counter(1)
        thread = threading.Thread(target=_queue_threadsafe, args=(loop, counter))
        thread.start()
        await counter.done
        thread.join()
        calls += counter.calls
    return calls * (BETWEEN + 1)


def _queue_threadsafe(loop: asyncio.AbstractEventLoop, counter: Counter) -> None:
    for _ in range(BETWEEN):
        loop.call_soon_threadsafe(noop)
    loop.call_soon_threadsafe(counter)
