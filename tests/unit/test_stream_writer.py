"""StreamWriter, StreamReaderProtocol, FlowControlMixin: over a transport that only notes calls."""

import asyncio
import gc
import sys
import weakref

import pytest


class Transport:
    """Notes what it is asked to do."""

    def __init__(self, log):
        self.log, self.closing, self.info = log, False, {}

    def __repr__(self):
        return "<transport>"

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args: self.log.append((name, *args))

    def is_closing(self):
        return self.closing

    def close(self):
        self.log.append("close")
        self.closing = True
        return "closed"

    def abort(self):
        self.log.append("abort")

    def can_write_eof(self):
        return "yes"

    def get_extra_info(self, name, default=None):
        return self.info.get(name, default)


async def outcome(awaitable):
    try:
        return "returned", await awaitable
    except BaseException as error:
        return "raised", type(error).__name__, error.args, type(error.__context__).__name__


class Stream:
    """A reader, its protocol and its writer."""

    def __init__(self, aio, callback=None, protocol_class=None):
        self.log = []
        self.loop = asyncio.get_running_loop()
        self.reader = aio.StreamReader(limit=100, loop=self.loop)
        cls = protocol_class or aio.StreamReaderProtocol
        self.protocol = cls(self.reader, callback, loop=self.loop)
        self.transport = Transport(self.log)
        self.writer = aio.StreamWriter(self.transport, self.protocol, self.reader, self.loop)

    def end(self):
        """Let nothing be reported about it."""
        self.transport.closing = True
        closed = getattr(self.protocol, "_closed", None)
        if closed is not None and closed.done():
            closed.exception()  # its protocol asks, but the collector may come to that later


def test_what_the_writer_hands_on(same_as_stock):
    async def program(aio):
        stream = Stream(aio)
        writer, log = stream.writer, stream.log
        log.append(writer.write(b"a"))
        log.append(writer.write(data=b"b"))
        log.append(writer.writelines([b"c", b"d"]))
        log.append(writer.writelines(data=[b"e"]))
        log.append(writer.write_eof())
        log.append(writer.can_write_eof())
        log.append((writer.is_closing(), writer.transport is stream.transport))
        stream.transport.info["peername"] = "here"
        log.append((writer.get_extra_info("peername"), writer.get_extra_info("x", 5)))
        log.append(writer.get_extra_info(name="y", default=6))
        log.append((writer.close(), writer.is_closing()))
        log.append((writer._complete_fut.done(), writer._complete_fut.result()))
        log.append((repr(writer), writer._loop is stream.loop))
        return log

    same_as_stock(program)


@pytest.mark.parametrize("call", ["write", "writelines", "get_extra_info"])
def test_arguments_that_are_missing(impl, run, call):
    async def main():
        stream = Stream(impl)
        for args in ((), (b"", b"", b"")):
            with pytest.raises(TypeError):
                getattr(stream.writer, call)(*args)
        stream.end()

    run(main())


def test_the_transport_is_exchanged(same_as_stock):
    """As asyncpg does after start_tls()."""

    async def program(aio):
        stream, log = Stream(aio), []
        other = Transport(log)
        stream.writer._transport = other
        stream.writer.write(b"x")
        stream.end()
        other.closing = True
        return log, stream.writer.transport is other, stream.writer.is_closing()

    assert same_as_stock(program) == ([("write", b"x")], True, True)


@pytest.mark.parametrize("how", ["resumed", "lost", "lost with an error", "cancelled", "closed"])
@pytest.mark.parametrize("expose", [False, True])
def test_drain_waits_while_writing_is_paused(same_as_stock, how, expose):
    async def program(aio):
        stream = Stream(aio)
        protocol, log = stream.protocol, stream.log
        log.append(await outcome(stream.writer.drain()))
        protocol.connection_made(stream.transport)
        protocol.pause_writing()
        tasks = [aio.create_task(outcome(stream.writer.drain())) for _ in range(3)]
        tasks.append(aio.create_task(outcome(protocol._drain_helper())))
        await asyncio.sleep(0)
        if expose:
            log.append(len(protocol._drain_waiters))
        log.append([task.done() for task in tasks])
        if how == "resumed":
            protocol.resume_writing()
        elif how.startswith("lost"):
            protocol.connection_lost(OSError("gone") if "error" in how else None)
        elif how == "cancelled":
            tasks[1].cancel()
            tasks[2].cancel()
            await asyncio.sleep(0)
            protocol.resume_writing()
        else:
            coro = stream.writer.drain()
            coro.send(None)
            coro.close()
            protocol.resume_writing()
        log.extend([await task for task in tasks])
        log.append((len(protocol._drain_waiters), protocol._paused, protocol._connection_lost))
        log.append(await outcome(stream.writer.drain()))
        stream.end()
        return log

    same_as_stock(program)


def test_drain_raises_what_the_reader_has(same_as_stock):
    async def program(aio):
        stream = Stream(aio)
        stream.reader.set_exception(OSError("gone"))
        stream.end()
        return await outcome(stream.writer.drain())

    assert same_as_stock(program)[1] == "OSError"


def test_drain_gives_way_once_while_the_transport_closes(same_as_stock):
    async def program(aio):
        stream = Stream(aio)
        stream.end()
        log = []
        task = aio.create_task(outcome(stream.writer.drain()))
        asyncio.get_running_loop().call_soon(log.append, "other")
        task.add_done_callback(lambda _: log.append("drained"))
        await task
        stream.protocol.connection_lost(None)
        log.append(await outcome(stream.writer.drain()))
        task = aio.create_task(stream.writer.drain())
        await aio.sleep(0)
        task.cancel()
        return [*log, await outcome(task)]

    same_as_stock(program)


@pytest.mark.parametrize("reader", [True, False])
def test_drain_asks_others(same_as_stock, reader):
    """Protocols, readers and transports that are none of ours."""

    class Protocol:
        async def _drain_helper(self):
            await asyncio.sleep(0)
            return "ignored"

    async def program(aio):
        log, loop = [], asyncio.get_running_loop()

        class Reader(aio.StreamReader):
            def exception(self):
                log.append("asked")

        made = Reader(loop=loop) if reader else None
        transport = Transport(log)
        writer = aio.StreamWriter(transport, Protocol(), made, loop)
        log.append(await writer.drain())
        transport.closing = True
        return log, await writer.drain()

    same_as_stock(program)


def test_a_protocol_that_overrides_methods(same_as_stock):
    async def program(aio):
        log = []

        class Protocol(aio.StreamReaderProtocol):
            def data_received(self, data):
                log.append(data)
                super().data_received(data)

            async def _drain_helper(self):
                log.append("drain")
                await super()._drain_helper()

            @property
            def _stream_reader(self):
                log.append("reader")
                return super()._stream_reader

        stream = Stream(aio, protocol_class=Protocol)
        stream.protocol.connection_made(stream.transport)
        stream.protocol.data_received(b"abc")
        log.append(await stream.writer.drain())
        stream.protocol._drain_helper = lambda: aio.sleep(0, log.append("instance"))
        log.append(await stream.writer.drain())
        stream.end()
        return log, bytes(stream.reader._buffer)

    assert same_as_stock(program)[1] == b"abc"


def test_pausing_twice(impl, run):
    async def main():
        stream = Stream(impl)
        stream.end()
        protocol = stream.protocol
        with pytest.raises(AssertionError):
            protocol.resume_writing()
        protocol.pause_writing()
        with pytest.raises(AssertionError):
            protocol.pause_writing()
        protocol._paused = False
        protocol.pause_writing()

    run(main())


def test_pausing_is_logged_in_debug_mode(impl, run, caplog):
    caplog.set_level("DEBUG", "asyncio")

    async def main():
        stream = Stream(impl)
        stream.protocol.pause_writing()
        stream.protocol.resume_writing()
        stream.end()

    run(main(), debug=True)
    said = [record.getMessage() for record in caplog.records]
    assert [text.split("> ")[1] for text in said if "> " in text] == [
        "pauses writing",
        "resumes writing",
    ]


def test_data_after_the_reader_is_gone(same_as_stock):
    async def program(aio):
        stream = Stream(aio)
        stream.protocol.connection_made(stream.transport)
        ref = weakref.ref(stream.reader)
        protocol = stream.protocol
        stream.end()
        stream.reader = stream.writer = None
        gc.collect()
        log = [ref() is None, protocol._stream_reader, protocol.data_received(b"x")]
        log.append(protocol.eof_received())
        protocol.connection_lost(None)
        return [*log, protocol._stream_reader_wr]

    assert same_as_stock(program)[:3] == [True, None, None]


@pytest.mark.parametrize(
    "kind", ["function", "coroutine", "failing", "failing at once", "cancelled"]
)
def test_the_callback_of_a_server(same_as_stock, kind):
    async def program(aio):
        log, reports = [], []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: reports.append(context))

        async def coroutine(reader, writer):
            log.append((type(writer).__name__, reader is stream.reader))
            if kind == "failing":
                raise ValueError("failed")
            if kind == "cancelled":
                asyncio.current_task().cancel()
                await asyncio.sleep(0)

        def callback(reader, writer):
            if kind == "failing at once":
                raise ValueError("failed")
            if kind == "function":
                return log.append(isinstance(writer, aio.StreamWriter))
            return coroutine(reader, writer)

        stream = Stream(aio, callback)
        stream.end()
        try:
            stream.protocol.connection_made(stream.transport)
        except ValueError as error:
            log.append(repr(error))
        for _ in range(3):
            await asyncio.sleep(0)
        said = [
            (r.get("message"), repr(r.get("exception")), repr(r["transport"])) for r in reports
        ]
        return log, stream.log, said

    if kind == "cancelled" and sys.version_info < (3, 13):
        pytest.skip("asyncio's own callback asks a cancelled task for its exception")
    same_as_stock(program)


def test_wait_closed(same_as_stock):
    async def program(aio):
        log = []
        for error in (None, OSError("gone")):
            stream = Stream(aio)
            stream.protocol.connection_made(stream.transport)
            task = aio.create_task(outcome(stream.writer.wait_closed()))
            await asyncio.sleep(0)
            log.append(task.done())
            stream.protocol.connection_lost(error)
            log.append(await task)
            stream.end()
        return log

    same_as_stock(program)


def test_a_writer_that_was_not_closed(impl, run):
    async def main():
        stream = Stream(impl)
        log = stream.log
        gc.collect()
        with pytest.warns(ResourceWarning) as caught:
            stream.writer = None
        return log, [str(warning.message) for warning in caught]

    log, said = run(main())
    # From 3.11.5 on; what is before says nothing.
    assert (log, len(said)) == (["close"], 1)
    assert said[0].startswith("unclosed <StreamWriter")


def test_without_their_constructors(impl):
    class Writer(impl.StreamWriter):
        def __init__(self):
            pass

        def __del__(self):
            pass

    class Protocol(impl.StreamReaderProtocol):
        def __init__(self):
            pass

    writer, protocol = Writer(), Protocol()
    for call in (writer.close, writer.is_closing, lambda: writer.write(b"x"), writer.write_eof):
        with pytest.raises(AttributeError):
            call()
    for name in ("_drain_waiters", "_paused", "_stream_reader", "_loop"):
        assert not hasattr(protocol, name)
    for coro in (writer.drain(), protocol._drain_helper()):
        with pytest.raises(AttributeError):
            coro.send(None)
    with pytest.raises(AttributeError):
        protocol.data_received(b"x")


def test_classes_count_as_both(impl, stock):
    for name in ("StreamWriter", "StreamReaderProtocol"):
        ours, theirs = getattr(impl, name), getattr(stock, name)
        assert issubclass(ours, theirs)
        assert issubclass(theirs, ours)
    assert issubclass(impl.StreamReaderProtocol, asyncio.Protocol)


def test_a_mixin_for_other_protocols(same_as_stock):
    """As asyncio.subprocess has it."""

    async def program(aio):
        mixin = aio.streams.FlowControlMixin

        class Protocol(mixin, asyncio.SubprocessProtocol):
            pass

        loop = asyncio.get_running_loop()
        protocol = Protocol(loop=loop)
        transport = Transport([])
        writer = aio.StreamWriter(transport, protocol, None, loop)
        protocol.pause_writing()
        task = aio.create_task(outcome(writer.drain()))
        await asyncio.sleep(0)
        protocol.resume_writing()
        transport.closing = True
        return await task, isinstance(protocol, mixin)

    assert same_as_stock(program) == (("returned", None), True)
