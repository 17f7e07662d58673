"""Events, watches and bytes that code of the program's, run in between, must not lose."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import threading
import time
import traceback

import pytest
from certificates import client_context, server_context

LOCAL = "127.0.0.1"


class Receiver(asyncio.Protocol):
    """Keeps what it receives."""

    def __init__(self):
        self.got = []

    def data_received(self, data):
        self.got.append(data)


def socket_pair():
    pair = socket.socketpair()
    for end in pair:
        end.setblocking(False)
    return pair


async def soon(condition):
    """Wait until it holds, for some seconds at most."""
    for _ in range(500):
        if condition():
            return True
        await asyncio.sleep(0.01)
    return False


def test_descriptors_added_by_a_signal_handler(loop):
    """Many more than before, between the poll and what it brought."""
    pairs = [socket_pair() for _ in range(320)]
    waiting, others = pairs[:20], pairs[20:]
    got = []

    def receive(end):
        got.append(end.recv(1))
        if len(got) == len(waiting):
            loop.stop()

    def handler(number, frame):
        for end, _ in others:
            loop.add_reader(end, int)

    for end, _ in waiting:
        loop.add_reader(end, receive, end)

    def send():
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)  # the main thread sleeps on
        for _, end in waiting:
            end.send(b"x")

    thread = threading.Thread(target=send)
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        loop.call_later(0.02, thread.start)
        loop.run_forever()
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert got == [b"x"] * len(waiting)
    for ends in pairs:
        loop.remove_reader(ends[0])
        for end in ends:
            end.close()


@pytest.mark.parametrize("how", ["reader", "sock_recv"])
def test_a_number_that_a_closed_transport_had(run, how):
    """The end of a transport leaves alone who got its descriptor's number meanwhile."""

    async def main():
        loop = asyncio.get_running_loop()
        first, peer = socket_pair()
        source, target = socket_pair()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=first)
        number = first.fileno()
        transport.close()
        first.close()
        second = source.dup()
        second.setblocking(False)
        assert second.fileno() == number
        received = loop.create_future()
        if how == "reader":
            loop.add_reader(second, lambda: received.set_result(second.recv(10)))
        else:
            received = loop.create_task(loop.sock_recv(second, 10))
        loop.call_later(0.02, target.send, b"data")
        result = await asyncio.wait_for(received, 5)
        loop.remove_reader(second)
        for end in (peer, source, target, second):
            end.close()
        return result

    assert run(main()) == b"data"


@pytest.mark.parametrize("how", ["reader", "writer", "transport"])
def test_a_number_that_a_paused_transport_had(run, how):
    """A paused pipe whose file was closed by its owner does not stand for the next one."""

    async def main():
        loop = asyncio.get_running_loop()
        number, first_peer = os.pipe()
        file = os.fdopen(number, "rb", 0)
        paused, _ = await loop.connect_read_pipe(asyncio.Protocol, file)
        await asyncio.sleep(0)
        paused.pause_reading()
        file.close()
        if how == "writer":
            ends = socket_pair()
            assert ends[0].fileno() == number
            wrote = loop.create_future()
            loop.add_writer(number, lambda: wrote.done() or wrote.set_result(True))
            result = await asyncio.wait_for(wrote, 5)
            loop.remove_writer(number)
            for end in ends:
                end.close()
        else:
            second, peer = os.pipe()
            assert second == number
            got = []
            if how == "reader":
                loop.add_reader(second, lambda: got.append(os.read(second, 10)))
            else:
                reading, protocol = await loop.connect_read_pipe(
                    Receiver, os.fdopen(second, "rb", 0)
                )
                got = protocol.got
            os.write(peer, b"data")
            result = await soon(lambda: got == [b"data"])
            if how == "reader":
                loop.remove_reader(second)
                os.close(second)
            else:
                reading.close()
            os.close(peer)
        paused.close()
        os.close(first_peer)
        await asyncio.sleep(0.01)
        return result

    assert run(main())


def test_pausing_and_going_on(run):
    """What a paused transport does not see it sees when it goes on, at once or later."""

    async def main():
        loop = asyncio.get_running_loop()
        ours, theirs = socket_pair()
        transport, protocol = await loop.create_connection(Receiver, sock=ours)
        for number, turns in enumerate([0, 1, 2, 5]):
            transport.pause_reading()
            theirs.send(b"%d" % number)
            for _ in range(turns):
                await asyncio.sleep(0)
            assert len(protocol.got) == number
            transport.resume_reading()
            assert await soon(lambda n=number: len(protocol.got) == n + 1)
        transport.close()
        theirs.close()
        await asyncio.sleep(0)
        return protocol.got

    assert run(main()) == [b"0", b"1", b"2", b"3"]


def test_a_call_during_a_time_of_the_programs(impl):
    """What another thread queues while time() runs, just before the poll, is not slept over."""
    kind = impl.SelectorEventLoop if impl is asyncio else impl.EventLoop

    class Loop(kind):
        call = None

        def time(self):
            call, self.call = self.call, None
            if call is not None:
                thread = threading.Thread(target=call)
                thread.start()
                thread.join()
            return time.monotonic()

    loop = Loop()

    async def main():
        done = loop.create_future()
        timer = loop.call_later(60, int)

        def arm():
            loop.call = lambda: loop.call_soon_threadsafe(done.set_result, "called")

        loop.call_soon(arm)
        result = await done
        timer.cancel()
        return result

    try:
        assert loop.run_until_complete(main()) == "called"
    finally:
        loop.close()


def test_receiving_while_tls_data_is_taken(run, certificate):
    """A protocol over TLS that receives from elsewhere, on the same loop, in its callbacks."""
    size = 200_000

    class Taking(asyncio.BufferedProtocol):
        def __init__(self):
            self.buffer = bytearray(1000)
            self.got = bytearray()
            self.ended = asyncio.get_running_loop().create_future()

        def get_buffer(self, hint):
            return self.buffer

        def buffer_updated(self, count):
            self.got += self.buffer[:count]
            if len(self.got) < 5000:
                elsewhere[0].send(b"other" * 10_000)
                receiving = asyncio.get_running_loop().sock_recv(elsewhere[1], 50_000)
                with pytest.raises(StopIteration):
                    receiving.send(None)
                receiving.close()
            if len(self.got) >= size:
                self.ended.set_result(None)

        def connection_lost(self, error):
            if not self.ended.done():
                self.ended.set_result(error)

    elsewhere = socket_pair()
    protocols = []

    def factory():
        protocols.append(Taking())
        return protocols[-1]

    async def main():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(factory, LOCAL, 0, ssl=server_context(certificate))
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection(
            LOCAL, port, ssl=client_context(certificate), server_hostname="localhost"
        )
        writer.write(b"a" * size)
        await writer.drain()
        while not protocols:
            await asyncio.sleep(0)
        error = await asyncio.wait_for(protocols[0].ended, 10)
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
        return error

    error = run(main())
    for end in elsewhere:
        end.close()
    assert error is None
    assert protocols[0].got == b"a" * size


def test_an_interrupt_while_debug_mode_looks_at_the_stack(loop, monkeypatch):
    """The transport for whose event it came is alive afterwards."""
    loop.set_debug(True)
    ours, theirs = socket_pair()
    transport, protocol = loop.run_until_complete(loop.create_connection(Receiver, sock=ours))
    original = traceback.StackSummary.extract
    interrupts = [KeyboardInterrupt]

    def extract(*args, **kwargs):
        if interrupts:
            raise interrupts.pop()
        return original(*args, **kwargs)

    theirs.send(b"first")
    stop = loop.call_later(0.1, loop.stop)
    monkeypatch.setattr(traceback.StackSummary, "extract", extract)
    try:
        loop.run_forever()
    except KeyboardInterrupt:
        stop.cancel()
    monkeypatch.undo()
    theirs.send(b"second")

    async def received():
        return await soon(lambda: b"".join(protocol.got) == b"firstsecond")

    assert loop.run_until_complete(received())
    transport.close()
    loop.run_until_complete(asyncio.sleep(0))
    theirs.close()


class Socket(socket.socket):
    """Ends its transport in a method that the transport calls."""

    end = None

    def recv(self, size):
        data = super().recv(size)
        if self.end is not None:
            self.end()
        return data

    def send(self, data):
        if self.end is not None:
            self.end()
        raise BlockingIOError

    def sendmsg(self, parts):
        raise BlockingIOError


@pytest.mark.parametrize("what", ["receive", "write", "abort"])
def test_a_socket_that_ends_its_transport(run, what):
    """Its methods are the program's: whatever they do to the transport, nothing crashes."""

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)
        plain, theirs = socket_pair()
        ours = Socket(fileno=plain.detach())
        ours.setblocking(False)
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        end = transport.abort if what == "abort" else lambda: transport._call_connection_lost(None)
        ours.end = end
        theirs.send(b"x")
        if what != "receive":
            with contextlib.suppress(AttributeError, OSError):
                transport.write(b"data")
                transport.write(b"more")
        await asyncio.sleep(0.01)
        ours.end = None
        with contextlib.suppress(AttributeError):  # it has ended
            transport.abort()
        await asyncio.sleep(0)
        theirs.close()
        ours.close()

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="__buffer__() came with Python 3.12")
def test_a_buffer_that_ends_its_transport(run):
    """The same of what is written."""

    class Data(bytearray):
        def __buffer__(self, flags):
            transport._call_connection_lost(None)
            return memoryview(bytes(5))

    async def main():
        nonlocal transport
        loop = asyncio.get_running_loop()
        ours, theirs = socket_pair()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        with contextlib.suppress(AttributeError, OSError):  # as on stock, which has no socket then
            transport.write(Data(b"abc"))
        await asyncio.sleep(0.01)
        theirs.close()

    transport = None
    run(main())
    gc.collect()
