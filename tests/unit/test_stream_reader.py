"""StreamReader: reads, limits, the end, exceptions, the transport that is paused."""

import asyncio
import itertools
import sys

import pytest

READS = [
    ("read", ()),
    ("read", (0,)),
    ("read", (3,)),
    ("read", (-1,)),
    ("readexactly", (4,)),
    ("readexactly", (0,)),
    ("readexactly", (-1,)),
    ("readline", ()),
    ("readuntil", ()),
    ("readuntil", (b"ab",)),
    ("readuntil", (b"",)),
    ("__anext__", ()),
]
if sys.version_info >= (3, 13):
    READS += [
        ("readuntil", ((b"bc", b"c"),)),
        ("readuntil", ((),)),
        ("readuntil", ((b"a", b""),)),
    ]


class Transport:
    """Notes when it is paused and resumed."""

    def __init__(self, log):
        self.log = log

    def pause_reading(self):
        self.log.append("paused")

    def resume_reading(self):
        self.log.append("resumed")


async def outcome(awaitable):
    """What came of it, to be compared."""
    try:
        return "returned", await awaitable
    except BaseException as error:
        described = type(error).__name__, error.args, type(error.__context__).__name__
        return "raised", *described, getattr(error, "partial", None)


def make(aio, limit=2**16, transport=None):
    reader = aio.StreamReader(limit=limit, loop=asyncio.get_running_loop())
    if transport is not None:
        reader.set_transport(transport)
    return reader


CHUNKS = [[], [b"abcd"], [b"ab\n", b"cd"], [b"a", b"b", b"c\n", b"d" * 9], [b"x" * 9, b"\nab"]]


async def read_of_chunks(aio, call, limit, chunks, ending):
    log = []
    reader = make(aio, limit, Transport(log))
    name, args = call
    task = asyncio.ensure_future(outcome(getattr(reader, name)(*args)))
    for chunk in chunks:
        await asyncio.sleep(0)
        log.append((task.done(), bytes(reader._buffer), reader._waiter is None))
        reader.feed_data(chunk)
    if ending == "feed_eof":
        reader.feed_eof()
    elif ending == "set_exception":
        reader.set_exception(OSError("gone"))
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    log.append(await outcome(task))
    log.append((bytes(reader._buffer), reader._waiter, reader._paused, reader.at_eof()))
    return log


@pytest.mark.parametrize("call", READS, ids=str)
def test_a_read_of_chunks(same_as_stock, call):
    async def program(aio):
        cases = itertools.product([3, 100], CHUNKS, ["feed_eof", "set_exception", None])
        return [await read_of_chunks(aio, call, *case) for case in cases]

    same_as_stock(program)


@pytest.mark.parametrize("call", READS, ids=str)
def test_a_read_of_what_is_there(same_as_stock, call):
    async def program(aio):
        reader, log = make(aio, 10), []
        reader.feed_data(b"12abcab\nc")
        reader.feed_eof()
        name, args = call
        for _ in range(4):
            log.append(await outcome(getattr(reader, name)(*args)))
            log.append((bytes(reader._buffer), reader.at_eof(), repr(reader)))
        return log

    same_as_stock(program)


def test_a_chunk_that_is_read_whole_is_handed_on(run, impl):
    async def main():
        reader = make(impl)
        chunk = bytes(range(200))
        reader.feed_data(chunk)
        return chunk, await reader.read(1000)

    chunk, read = run(main())
    assert read == chunk
    if impl.StreamReader.__module__ == "pyaio":
        assert read is chunk


def test_data_waits_for_the_reader_that_was_cancelled(same_as_stock):
    async def program(aio):
        reader = make(aio)
        task = aio.create_task(reader.read(10))
        await aio.sleep(0)
        reader.feed_data(b"data")
        task.cancel()
        first = await outcome(task)
        return first, reader._waiter, await reader.read(10)

    assert same_as_stock(program)[-1] == b"data"


def test_two_cannot_wait(same_as_stock):
    async def program(aio):
        reader = make(aio)
        names = ["read", "readline", "readuntil", "__anext__"]
        first = aio.create_task(reader.readexactly(3))
        await aio.sleep(0)
        log = [await outcome(getattr(reader, name)()) for name in names]
        log.append(await outcome(reader.readexactly(1)))
        reader.feed_data(b"abc")
        return [*log, await first, reader._waiter]

    assert same_as_stock(program)[-2] == b"abc"


def test_the_transport_is_paused_and_resumed(same_as_stock):
    async def program(aio):
        log = []
        reader = make(aio, 4, Transport(log))
        for chunk in (b"1234", b"5678", b"9", b"0"):
            reader.feed_data(chunk)
            log.append((reader._paused, len(reader._buffer)))
        for n in (2, 3, 1, 9):
            log.append((n, await reader.read(n), reader._paused))
        reader.feed_data(b"x" * 9)
        task = aio.create_task(reader.readexactly(12))
        await aio.sleep(0)
        log.append(reader._paused)
        reader.feed_data(b"y" * 9)
        log.append((await task, reader._paused, repr(reader._transport is None)))
        return log

    log = same_as_stock(program)
    assert log.count("resumed") > 1


def test_a_transport_that_cannot_pause_is_forgotten(same_as_stock):
    class Stubborn:
        def pause_reading(self):
            raise NotImplementedError

    async def program(aio):
        reader = make(aio, 1, Stubborn())
        reader.feed_data(b"abc")
        return reader._transport, reader._paused, bytes(reader._buffer)

    assert same_as_stock(program) == (None, False, b"abc")


def test_the_buffer_in_others_hands(same_as_stock):
    """As redis-py, aiosmtpd and others use it."""

    async def program(aio):
        reader, log = make(aio), []
        buffer = reader._buffer
        reader.feed_data(b"abc")
        log.append((bytes(buffer), reader._buffer is buffer))
        del buffer[:1]
        log.append(await reader.read(1))
        buffer += b"def"
        reader.feed_data(b"ghi")
        log.append((await reader.readexactly(5), bytes(buffer)))
        reader._buffer.clear()
        reader._buffer = bytearray(b"a\nb\n")
        log.append((await reader.readline(), bytes(reader._buffer)))
        view = memoryview(reader._buffer)
        log.append(await outcome(reader.read(1)))
        with pytest.raises(BufferError):
            reader.feed_data(b"more")
        view.release()
        reader._buffer.extend(b"c\n")
        log.append([line async for line in late_eof(reader)])
        return log

    async def late_eof(reader):
        reader.feed_eof()
        async for line in reader:
            yield line

    same_as_stock(program)


def test_a_buffer_of_another_kind(same_as_stock):
    class Buffer(bytearray):
        pass

    async def program(aio):
        reader = make(aio)
        task = aio.create_task(outcome(reader.readline()))
        await aio.sleep(0)
        reader._buffer = Buffer(b"ab")
        reader.feed_data(b"c\nd")
        log = [await task, bytes(reader._buffer), type(reader._buffer) is Buffer]
        reader.feed_eof()
        return [*log, await reader.read(), reader.at_eof()]

    assert same_as_stock(program)[0] == ("returned", b"abc\n")


@pytest.mark.parametrize("limit", [2.5, True, 10**30, "text"])
def test_an_unusual_limit(same_as_stock, limit):
    async def program(aio):
        reader = make(aio)
        reader._limit = limit
        calls = [
            lambda: reader.feed_data(b"abcdef\n"),
            lambda: reader.set_transport(Transport([])),
            lambda: reader.feed_data(b"abcdef\n"),
        ]
        log = []
        for call in calls:
            try:
                log.append(call())
            except TypeError as error:
                log.append(str(error))
        return [*log, await outcome(reader.readline()), await outcome(reader.read(3)), limit]

    same_as_stock(program)


@pytest.mark.parametrize("arguments", [{"limit": 0}, {"limit": -1}, {"limit": "1"}, {"other": 1}])
def test_what_the_constructor_refuses(impl, outcome, arguments):
    assert outcome(impl.StreamReader, **arguments)[1] in (ValueError, TypeError)


@pytest.mark.parametrize("data", [bytearray(b"ab\n"), memoryview(b"ab\n"), [97, 98, 10], b"", 5])
def test_data_of_other_types(same_as_stock, data):
    async def program(aio):
        reader = make(aio)
        try:
            reader.feed_data(data)
        except TypeError as error:
            return str(error)
        reader.feed_eof()
        return await reader.readline()

    same_as_stock(program)


def test_arguments_by_name(same_as_stock):
    async def program(aio):
        reader = make(aio)
        reader.feed_data(data=b"0123456789|abc")
        log = [await reader.read(n=2), await reader.readexactly(n=3)]
        log.append(await reader.readuntil(separator=b"|"))
        reader.set_exception(exc=OSError("gone"))
        return [*log, repr(reader.exception()), await outcome(reader.read(n=1))]

    same_as_stock(program)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("read", ("1",)),
        ("readexactly", ()),
        ("readuntil", (5,)),
        ("readline", (1,)),
        ("read", (2.0,)),
    ],
)
def test_arguments_of_other_types(same_as_stock, name, args):
    async def program(aio):
        reader = make(aio)
        reader.feed_data(b"abc")
        try:
            return await getattr(reader, name)(*args)
        except (TypeError, ValueError) as error:
            return str(error).replace("StreamReader.", "")

    same_as_stock(program)


def test_a_second_feed_after_the_end(impl, run):
    async def main():
        reader = make(impl)
        reader.feed_eof()
        with pytest.raises(AssertionError):
            reader.feed_data(b"late")
        return await reader.read()

    assert run(main()) == b""


METHODS = [
    *("feed_data", "exception", "_wakeup_waiter", "_maybe_resume_transport"),
    *("_wait_for_data", "read", "readline", "readuntil"),
]


async def exercise(reader, log):
    """Uses everything once, with waits."""
    reads = [("read", 2), ("read", -1), ("readexactly", 3), ("readline",), ("__anext__",)]
    for name, *args in reads:
        task = asyncio.ensure_future(outcome(getattr(reader, name)(*args)))
        await asyncio.sleep(0)
        reader.feed_data(b"abc\n" * 3)
        if args == [-1]:
            reader.feed_eof()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        log.append((name, task.done(), bytes(reader._buffer)))
        log.append(await task)
        reader._eof = False
    return log


def logging(method, log):
    def logged(self, *args):
        log.append(("call", method.__name__, args))
        return method(self, *args)

    return logged


@pytest.mark.parametrize("where", ["subclass", "instance", "class"])
@pytest.mark.parametrize("name", METHODS)
def test_a_method_that_is_replaced(same_as_stock, monkeypatch, name, where):
    async def program(aio):
        log = []
        cls = type("Derived", (aio.StreamReader,), {})
        with monkeypatch.context() as patch:
            if where == "class":
                target = aio.StreamReader
                patch.setattr(target, name, logging(getattr(target, name), log))
            elif where == "subclass":
                setattr(cls, name, logging(getattr(cls, name), log))
            reader = cls(limit=4, loop=asyncio.get_running_loop())
            reader.set_transport(Transport(log))
            if where == "instance":
                method = logging(getattr(cls, name), log)
                setattr(reader, name, lambda *args: method(reader, *args))
            await exercise(reader, log)
            if where == "instance":
                delattr(reader, name)
                log.append("put back")
                await exercise(reader, log)
            return log

    same_as_stock(program)


def test_a_method_that_is_replaced_while_somebody_waits(same_as_stock):
    async def program(aio):
        log = []
        reader = make(aio, 4, Transport(log))
        task = aio.create_task(reader.readexactly(6))
        await aio.sleep(0)
        wait, resume = reader._wait_for_data, reader._maybe_resume_transport
        reader._wait_for_data = lambda name: log.append(name) or wait(name)
        reader._maybe_resume_transport = lambda: log.append("asked") or resume()
        reader.feed_data(b"abc")
        await aio.sleep(0)
        await aio.sleep(0)
        reader.feed_data(b"defghijklmn")
        return [*log, await task, log]

    assert "readexactly" in same_as_stock(program)[-1]


def test_without_its_constructor(impl, run):
    class Derived(impl.StreamReader):
        def __init__(self):
            pass

    reader = Derived()
    for name in ("_buffer", "_limit", "_waiter", "_eof", "_paused", "_transport", "_loop"):
        assert not hasattr(reader, name)

    async def main():
        for use in (reader.read, reader.readline, reader.__anext__):
            with pytest.raises(AttributeError):
                await use()
        with pytest.raises(AttributeError):
            reader.feed_data(b"abc")

    run(main())


def test_instances_count_as_both(impl, stock, run):
    async def main():
        ours, theirs = make(impl), make(stock)
        for reader in (ours, theirs):
            assert isinstance(reader, impl.StreamReader)
            assert isinstance(ours, stock.StreamReader)
        assert issubclass(impl.StreamReader, stock.StreamReader)
        assert issubclass(stock.StreamReader, impl.StreamReader)

    run(main())


def test_the_source_of_a_reader_in_debug_mode(impl, loop):
    assert impl.StreamReader(limit=5, loop=loop)._source_traceback is None
    loop.set_debug(True)
    stack = impl.StreamReader(limit=5, loop=loop)._source_traceback
    assert stack[-1].name == "test_the_source_of_a_reader_in_debug_mode"


def test_what_a_reading_task_waits_for(same_as_stock):
    async def program(aio):
        log = []
        for name, *args in [("read", 1), ("readexactly", 1), ("readline",), ("__anext__",)]:
            reader = make(aio)
            task = aio.create_task(getattr(reader, name)(*args))
            await aio.sleep(0)
            coro, names = task.get_coro(), []
            while hasattr(coro, "cr_await"):
                names.append((coro.__qualname__, coro.cr_code.co_name))
                coro = coro.cr_await
            log.append(names)
            reader.feed_data(b"\n")
            await task
        return log

    assert len(same_as_stock(program)[-1]) == 4


def test_closing_a_read_half_way(same_as_stock):
    async def program(aio):
        reader = make(aio)
        coro = reader.readline()
        coro.send(None)
        first = reader._waiter is None
        coro.close()
        reader.feed_data(b"line\n")
        return first, reader._waiter, await reader.readline()

    assert same_as_stock(program) == (False, None, b"line\n")


def test_a_waiter_of_a_loop_with_futures_of_its_own(same_as_stock):
    """As loops whose create_future() a program replaced."""

    async def program(aio):
        loop = asyncio.get_running_loop()
        made = []
        create = loop.create_future
        loop.create_future = lambda: made.append(1) or create()
        try:
            reader = make(aio)
            task = aio.create_task(reader.read(5))
            await aio.sleep(0)
            reader.feed_data(b"abc")
            return await task, len(made), reader._waiter
        finally:
            del loop.create_future

    assert same_as_stock(program) == (b"abc", 1, None)
