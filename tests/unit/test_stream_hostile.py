"""Streams among transports, futures and buffers that do what they should not."""

import asyncio

import pytest


async def outcome(awaitable):
    try:
        return "returned", await awaitable
    except BaseException as error:
        return "raised", type(error).__name__, error.args, type(error.__context__).__name__


async def brief(awaitable):
    """The same, cancelled after a few turns."""
    task = asyncio.ensure_future(outcome(awaitable))
    for _ in range(6):
        await asyncio.sleep(0)
    task.cancel()
    return await task


def tried(call, *args):
    try:
        return "returned", call(*args)
    except Exception as error:
        return "raised", type(error).__name__, error.args


def make(aio, limit=4):
    return aio.StreamReader(limit=limit, loop=asyncio.get_running_loop())


@pytest.mark.parametrize("call", [("read", 3), ("read", -1), ("readexactly", 7), ("readline",)])
def test_a_transport_that_feeds_while_it_is_resumed(same_as_stock, call):
    class Transport:
        def __init__(self, reader):
            self.reader, self.left = reader, 5

        def pause_reading(self):
            pass

        def resume_reading(self):
            self.left -= 1
            if self.left > 0:
                self.reader.feed_data(b"mo\nre" * 2)
            elif self.left == 0:
                self.reader.feed_eof()

    async def program(aio):
        reader, log = make(aio), []
        reader.set_transport(Transport(reader))
        reader.feed_data(b"0123456789")
        name, *args = call
        for _ in range(4):
            log.append(await brief(getattr(reader, name)(*args)))
            log.append((bytes(reader._buffer), reader._paused))
            if reader._eof:
                break
        return log

    same_as_stock(program)


@pytest.mark.parametrize("method", ["pause_reading", "resume_reading"])
def test_a_transport_that_fails(same_as_stock, method):
    class Transport:
        def pause_reading(self):
            self.fail("pause_reading")

        def resume_reading(self):
            self.fail("resume_reading")

        def fail(self, name):
            if name == method:
                raise OSError("broken")

    async def program(aio):
        reader = make(aio)
        reader.set_transport(Transport())
        log = [tried(reader.feed_data, b"0123456789")]
        log.append(await brief(reader.read(9)))
        log.append((bytes(reader._buffer), reader._paused, reader._waiter))
        return log

    assert any(entry[0] == "raised" for entry in same_as_stock(program))


def test_a_waiter_in_others_hands(same_as_stock):
    async def program(aio):
        reader, log = make(aio), []
        task = aio.create_task(outcome(reader.read(3)))
        await asyncio.sleep(0)
        reader._waiter.set_result("woken")
        log.append(tried(reader.feed_data, b"abc")[:2])
        log.append((await task, bytes(reader._buffer), reader._waiter))
        task = aio.create_task(outcome(reader.readexactly(3)))
        other = asyncio.get_running_loop().create_future()
        await asyncio.sleep(0)
        reader._waiter, own = other, reader._waiter
        reader.feed_data(b"abc")
        own.set_result(None)
        log.append((await task, other.done(), reader._waiter))
        task = aio.create_task(outcome(reader.readexactly(3)))
        await asyncio.sleep(0)
        reader._waiter.cancel()
        reader.feed_data(b"d")
        return [*log, await task, bytes(reader._buffer)]

    same_as_stock(program)


@pytest.mark.parametrize("answer", [None, 5, [1]])
def test_a_wait_that_is_no_awaitable(same_as_stock, answer):
    async def program(aio):
        reader = make(aio)
        reader._wait_for_data = lambda name: answer
        return (await outcome(reader.read(1)))[:2], reader._waiter

    same_as_stock(program)


@pytest.mark.parametrize("exception", [ValueError, "text", 5])
def test_an_exception_that_is_none(same_as_stock, exception):
    async def program(aio):
        reader = make(aio)
        reader._exception = exception
        return [(await outcome(getattr(reader, name)()))[:2] for name in ("read", "readline")]

    same_as_stock(program)


def test_a_future_of_another_kind(same_as_stock, stock):
    async def program(aio):
        loop = asyncio.get_running_loop()
        loop.create_future = lambda: stock.futures._PyFuture(loop=loop)
        try:
            reader = make(aio)
            tasks = [aio.create_task(outcome(reader.readexactly(n))) for n in (2, 3)]
            await asyncio.sleep(0)
            reader.feed_data(b"ab")
            log = [await task for task in tasks]
            task = aio.create_task(outcome(reader.read(1)))
            await asyncio.sleep(0)
            task.cancel()
            return [*log, await task, reader._waiter]
        finally:
            del loop.create_future

    same_as_stock(program)


def test_whoever_is_fed_lets_go_of_the_reader(same_as_stock):
    """The last reference goes while feed_data() runs."""

    async def program(aio):
        readers, log = [make(aio, 1)], []

        class Transport:
            def pause_reading(self):
                readers.clear()
                log.append("let go")

        readers[0].set_transport(Transport())
        protocol = aio.StreamReaderProtocol(readers[0], loop=asyncio.get_running_loop())
        protocol.data_received(b"abc")
        return log, protocol._stream_reader

    assert same_as_stock(program) == (["let go"], None)


def test_drainers_that_come_and_go_while_writing_resumes(same_as_stock):
    async def program(aio):
        loop, log = asyncio.get_running_loop(), []
        protocol = aio.StreamReaderProtocol(None, loop=loop)
        protocol.pause_writing()
        tasks = [aio.create_task(outcome(protocol._drain_helper())) for _ in range(4)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        protocol.resume_writing()
        protocol.pause_writing()
        tasks.append(aio.create_task(outcome(protocol._drain_helper())))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        log.append([task.done() for task in tasks])
        protocol._drain_waiters.clear()
        tasks[-1].cancel()
        log += [await task for task in tasks]
        protocol.connection_lost(None)
        return log, await outcome(protocol._drain_helper())

    same_as_stock(program)
