"""Steps about asynchronous generators, descriptors, and objects that misbehave."""

import asyncio
import contextlib
import gc
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

from .world import Step, kind

# --- asynchronous generators ----------------------------------------------------------------


async def generate(s: Step) -> AsyncIterator[str]:
    """A generator that runs the step's body between its items, and something at its end."""
    try:
        for n in range(3):
            s.log("yields", n)
            received = yield f"{s.here}:{n}"
            s.log("received", received)
            await s.run(0)
    finally:
        s.log("generator ends")
        if s.b % 2:
            await s.aio.sleep(0)
            s.log("generator ended")


@kind(bodies=1, weight=2)
async def iterate(s: Step) -> Any:
    """Iterate over a generator, perhaps not to its end."""
    async for item in generate(s):
        s.log("item", item)
        if s.a == 0:
            break
    return "iterated"


@kind(bodies=1, weight=2)
async def drive_generator(s: Step) -> Any:
    """Send, throw, close."""
    generator: Any = generate(s)
    if s.a < 6:
        await anext(generator)
    if s.a % 3 == 0:
        s.log("sent", await generator.asend(s.here))
    elif s.a % 3 == 1:
        s.log("thrown", await generator.athrow(ValueError(s.here)))
    if s.b > 3:
        s.world.generators.append(generator)
        return "left open"
    async with contextlib.aclosing(generator):
        return "closed"


@kind()
async def take_up_generator(s: Step) -> Any:
    """Go on with a generator that somebody left open; perhaps it is running."""
    generator = s.pick(s.world.generators)
    return generator and await anext(generator, "end")


@kind()
def drop_generators(s: Step) -> None:
    """Abandon generators."""
    s.world.generators.clear()


# --- descriptors ----------------------------------------------------------------------------


@kind(bodies=1, callback=True, weight=2)
def add_reader(s: Step) -> Any:
    """Read from an end of the socket pair whenever something is there."""
    end, callback = s.sockets[s.a % 2], s.callback()

    def reader() -> None:
        try:
            data = end.recv(100)
        except OSError as error:
            s.log("read", error)
        else:
            s.log("read", data)
            if not data or s.b % 2:
                s.loop.remove_reader(end)
        callback()

    return s.loop.add_reader(end, reader)


@kind()
def remove_reader(s: Step) -> Any:
    """Read no more."""
    return s.loop.remove_reader(s.sockets[s.a % 2])


@kind(bodies=1, callback=True)
def add_writer(s: Step) -> Any:
    """Wait until an end of the socket pair can be written to."""
    end, callback = s.sockets[s.a % 2], s.callback()

    def writer() -> None:
        s.loop.remove_writer(end)
        callback()

    return s.loop.add_writer(end.fileno(), writer)


@kind(weight=3)
def send(s: Step) -> Any:
    """Send a few bytes."""
    return s.sockets[s.a % 2].send(s.here.encode()[-8:])


@kind()
async def sock_recv(s: Step) -> Any:
    """Receive in a coroutine of the loop's."""
    return await s.loop.sock_recv(s.sockets[s.a % 2], 100)


@kind()
async def sock_sendall(s: Step) -> Any:
    """Send in a coroutine of the loop's."""
    return await s.loop.sock_sendall(s.sockets[s.a % 2], s.here.encode()[-8:])


# --- objects that misbehave -----------------------------------------------------------------


class BadInit(Exception):
    """Cannot be made without arguments."""

    def __init__(self, text: str) -> None:
        super().__init__(text)


class Yields:
    """Awaitable: yields what a task does not expect."""

    def __init__(self, *values: Any) -> None:
        self.values = values

    def __await__(self) -> Iterator[Any]:
        yield from self.values


class Iterates:
    """Awaitable: an iterator without send() and throw()."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __await__(self) -> "Iterates":
        return self

    def __iter__(self) -> "Iterates":
        return self

    def __next__(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise StopIteration("iterated")


class NotAwaitable:
    """Awaitable that gives no iterator."""

    def __await__(self) -> Any:
        return 1


class FutureLike:
    """Looks like a future to a task, and is none."""

    def __init__(self, s: Step) -> None:
        self.s, self._loop, self._asyncio_future_blocking = s, s.loop, False
        self.callbacks: list[Any] = []

    def get_loop(self) -> Any:
        return self._loop

    def add_done_callback(self, callback: Any, *, context: Any = None) -> None:
        self.s.loop.call_soon(callback, self, context=context)

    def cancel(self, msg: Any = None) -> bool:
        self.s.log("future-like cancelled", msg)
        return False

    def result(self) -> str:
        return "future-like"

    def __await__(self) -> Any:
        self._asyncio_future_blocking = True
        yield self
        return self.result()


@kind(weight=2)
async def await_strangely(s: Step) -> Any:
    """Await what is no future, or a future that does not say so."""
    things = [
        lambda: Yields(None, None),
        lambda: Yields(s.here),
        lambda: Yields(s.future),
        lambda: Iterates(s.a),
        NotAwaitable,
        lambda: FutureLike(s),
        lambda: Yields(asyncio.current_task()),
        lambda: s.aio.ensure_future(Iterates(s.a), loop=s.loop),
    ]
    return await things[s.b % len(things)]()


class Equal:
    """A callback that does something when it is compared to another one."""

    def __init__(self, s: Step, it: Any) -> None:
        self.s, self.it = s, it

    def __call__(self, *args: Any) -> None:
        self.s.log("equal called")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Equal):
            return False
        self.s.log("compared")
        if self.s.a % 2:
            self.it.remove_done_callback(None)
        else:
            self.it.cancel()
        return bool(self.s.b % 2)

    __hash__ = None  # type: ignore[assignment]


@kind(weight=2)
def remove_hostile_callback(s: Step) -> Any:
    """Compare callbacks whose __eq__ changes the list of callbacks."""
    it = s.world.new_future() if s.b > 3 or s.task is None else s.task
    for _ in range(s.a):
        it.add_done_callback(Equal(s, it))
    return it.remove_done_callback(Equal(s, it))


class Dying:
    """Does as much as it can when it dies, without leaving a trace."""

    def __init__(self, s: Step) -> None:
        self.s = s

    def __call__(self, *args: Any) -> None:
        self.s.log("dying called")

    def __del__(self) -> None:
        world = self.s.world
        for it in [*world.futures, *world.tasks, *world.handles]:
            repr(it)
        with contextlib.suppress(RuntimeError):
            asyncio.current_task()
        world.loop.call_soon(int).cancel()
        world.loop.call_later(0, int).cancel()
        gc.collect(0)


@kind(weight=2)
def use_dying(s: Step) -> None:
    """Leave an object with a __del__ where something will drop it."""
    it: Any = s.world.new_future()
    if s.b % 4 == 0:
        s.loop.call_soon(Dying(s), Dying(s))
    elif s.b % 4 == 1:
        it.add_done_callback(Dying(s))
        it.set_result(Dying(s))
    elif s.b % 4 == 2:
        s.loop.call_later(s.delay, Dying(s)).cancel()
    elif s.task is not None:
        s.task.add_done_callback(Dying(s))
        s.task.cancel(Dying(s))


@kind()
def use_weakref(s: Step) -> Any:
    """Have a dying future or task start a callback."""
    it = s.world.new_future() if s.b % 2 or s.task is None else s.task

    def died(reference: Any) -> None:
        if not s.loop.is_closed():
            s.loop.call_soon(int).cancel()

    reference = weakref.ref(it, died)
    s.world.callbacks.append(lambda *args: reference() is None)


@kind()
async def raise_badly(s: Step) -> Any:
    """Exceptions that cannot be made."""
    future = s.world.new_future()
    if s.b % 2:
        future.set_exception(BadInit)
    future.set_exception(BadInit(s.here))
    return await future


@kind()
def fill_dict(s: Step) -> Any:
    """Attributes of one's own on a task."""
    task = s.task
    if task is not None:
        task.mine = getattr(task, "mine", 0) + 1
    return task and task.mine
