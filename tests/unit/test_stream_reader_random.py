"""Any bytes in any chunks, any reads, ends and cancellations: the same as of stock's reader."""

import asyncio
import sys

import pytest

pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, given, settings, strategies as st

data = st.binary(max_size=12) | st.lists(st.sampled_from([b"a", b"b", b"\n"]), max_size=9).map(
    b"".join
)
separators = st.sampled_from([b"a", b"\n", b"ab", b"aab", b"b\na"])
sizes = st.integers(-1, 12)
if sys.version_info >= (3, 13):
    separators |= st.lists(separators, min_size=1, max_size=3).map(tuple)

steps = st.one_of(
    st.tuples(st.just("feed"), data),
    st.tuples(st.just("feed"), data),
    st.tuples(st.just("read"), sizes),
    st.tuples(st.just("readexactly"), sizes),
    st.tuples(st.just("readuntil"), separators),
    st.tuples(st.just("readline")),
    st.tuples(st.just("__anext__")),
    st.tuples(st.just("turn")),
    st.tuples(st.just("turn")),
    st.tuples(st.just("eof")),
    st.tuples(st.just("exception")),
    st.tuples(st.just("cancel"), st.integers(0, 3)),
    st.tuples(st.just("look")),
    st.tuples(st.just("hold")),
    st.tuples(st.just("limit"), st.integers(1, 9)),
)


class Transport:
    def __repr__(self):
        return "<transport>"

    def __init__(self, log):
        self.log = log

    def pause_reading(self):
        self.log.append("paused")

    def resume_reading(self):
        self.log.append("resumed")


class Program:
    """One reader, and the log of what happens to it."""

    def __init__(self, aio, limit):
        self.log, self.tasks, self.held = [], [], []
        self.reader = aio.StreamReader(limit=limit, loop=asyncio.get_running_loop())
        self.reader.set_transport(Transport(self.log))

    async def watched(self, number, name, *args):
        try:
            result = await getattr(self.reader, name)(*args)
        except BaseException as error:
            context = type(error.__context__).__name__
            self.log.append((number, type(error).__name__, error.args, context))
            self.log.append((getattr(error, "partial", None), getattr(error, "consumed", None)))
        else:
            self.log.append((number, result))

    async def act(self, name, *args):
        reader = self.reader
        if name == "turn":
            await asyncio.sleep(0)
        elif name == "feed":
            if not reader._eof:
                reader.feed_data(*args)
        elif name == "eof":
            reader.feed_eof()
        elif name == "exception":
            reader.set_exception(OSError("gone"))
        elif name == "cancel":
            if self.tasks:
                self.tasks[-1 - args[0] % len(self.tasks)].cancel()
        elif name == "look":
            self.log.append((repr(reader).split(" waiter")[0], reader.at_eof()))
        elif name == "hold":
            self.held.append(reader._buffer)
        elif name == "limit":
            reader._limit = args[0]
        else:
            coro = self.watched(len(self.tasks), name, *args)
            self.tasks.append(asyncio.ensure_future(coro))

    async def run(self, program):
        for step in program:
            await self.act(*step)
            self.log.append((*step, self.reader._paused, self.reader._waiter is None))
        for _ in range(4):
            await asyncio.sleep(0)
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        return [*self.log, bytes(self.reader._buffer), [bytes(held) for held in self.held]]


# It finds its random numbers unreferenced where the collector was told to pass over them.
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(program=st.lists(steps, max_size=30), limit=st.integers(1, 20))
def test_random_reads(same_as_stock, program, limit):
    async def main(aio):
        return await Program(aio, limit).run(program)

    same_as_stock(main)
