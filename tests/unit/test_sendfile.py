"""loop.sock_sendfile(): what it refuses, what it sends, how it ends, the fallback, overrides."""

import asyncio
import contextlib
import inspect
import io
import os
import socket
import ssl

import pytest
from sent_files import LARGE, SIZE, outcome, receive, receive_now, settled


@contextlib.contextmanager
def pair(kind=socket.SOCK_STREAM):
    """Two connected sockets that do not block."""
    left, right = socket.socketpair(socket.AF_UNIX, kind)
    with left, right:
        left.setblocking(False)
        right.setblocking(False)
        yield left, right


async def send(impl, file, *args, **options):
    """Send to a peer that reads everything: how it ended, what arrived, where the file stands."""
    loop = asyncio.get_running_loop()
    with pair() as (left, right):
        reading = impl.create_task(receive(right))
        result = await outcome(loop.sock_sendfile(left, file, *args, **options))
        left.shutdown(socket.SHUT_WR)
        return result, await reading, file.tell()


# --- arguments ---------------------------------------------------------------------------------


WRONG = {
    "text": {"mode": "r"},
    "datagrams": {"kind": socket.SOCK_DGRAM},
    "packets": {"kind": socket.SOCK_SEQPACKET},
    "count text": {"count": "10"},
    "count float": {"count": 10.0},
    "count zero": {"count": 0},
    "count negative": {"count": -1},
    "count false": {"count": False},
    "offset text": {"offset": "1"},
    "offset none": {"offset": None},
    "offset negative": {"offset": -1},
    "offset huge": {"offset": 10**30},
    "count then offset": {"count": -1, "offset": -1},
    "socket then count": {"kind": socket.SOCK_DGRAM, "count": -1},
    "file then socket": {"mode": "r", "kind": socket.SOCK_DGRAM, "offset": -1},
}


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("what", WRONG)
def test_what_is_refused(same_as_stock, path, what, debug):
    wrong = WRONG[what]

    async def main(impl):
        loop = asyncio.get_running_loop()
        loop.set_debug(debug)
        with (
            path.open(wrong.get("mode", "rb")) as file,
            pair(wrong.get("kind", 1)) as (left, right),
        ):
            offset, count = wrong.get("offset", 0), wrong.get("count")
            result = await outcome(loop.sock_sendfile(left, file, offset, count))
            named = await outcome(loop.sock_sendfile(left, file, offset=offset, count=count))
            return result, named, receive_now(right), os.lseek(file.fileno(), 0, os.SEEK_CUR)

    result, named, *_ = same_as_stock(main)
    assert result[0] in {TypeError, ValueError, OverflowError}
    assert result == named


def test_what_cannot_be_called(loop, path):
    with path.open("rb") as file, pair() as (left, _):
        for args, options in [
            ((left,), {}),
            ((left, file, 0, None, True), {}),
            ((left, file, 0), {"offset": 0}),
            ((left, file), {"size": 5}),
        ]:
            with pytest.raises(TypeError, match="argument"):
                loop.sock_sendfile(*args, **options)


def test_a_socket_that_blocks_in_debug_mode(same_as_stock, path):
    async def main(impl):
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        with path.open("r") as file, pair() as (left, _):
            left.setblocking(True)
            return await outcome(loop.sock_sendfile(left, file, -1))

    assert same_as_stock(main) == (ValueError, "the socket must be non-blocking")


def test_tls_sockets_are_refused(run, path):
    async def main():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with (
            path.open("rb") as file,
            socket.socket() as plain,
            context.wrap_socket(plain, server_hostname="x") as sock,
            pytest.raises(TypeError, match="SSLSocket"),
        ):
            await asyncio.get_running_loop().sock_sendfile(sock, file)

    run(main())


def test_a_mode_of_another_kind(same_as_stock, path):
    class Odd(io.FileIO):
        mode = ("r", "b")

    class Worse(io.FileIO):
        @property
        def mode(self):
            raise LookupError("no mode")

    async def main(impl):
        results = []
        for kind in (Odd, Worse):
            with kind(path) as file:
                results.append(await send(impl, file))
        return results

    same_as_stock(main)


# --- sending -----------------------------------------------------------------------------------


@pytest.mark.parametrize("position", [0, 77])
@pytest.mark.parametrize(
    ("offset", "count"),
    [
        (0, None),
        (1, None),
        (SIZE - 1, None),
        (SIZE, None),
        (SIZE + 5, None),
        (0, 1),
        (0, SIZE),
        (0, SIZE + 1),
        (100, 5000),
        (SIZE - 1000, 5000),
        (SIZE, 10),
        (0, 2**62),
        (0, 2**63 - 1),
        (True, True),
        (10, 10**30),
    ],
)
def test_offsets_and_counts(same_as_stock, path, offset, count, position):
    async def main(impl):
        with path.open("rb") as file:
            file.seek(position)
            by_position = await send(impl, file, offset, count)
        with path.open("rb") as file:
            file.seek(position)
            by_name = await send(impl, file, count=count, offset=offset, fallback=True)
        return by_position, by_name

    (result, data, end), named = same_as_stock(main)
    assert named == (result, data, end)
    if count != 10**30:  # on which versions differ
        whole = path.read_bytes()
        expected = whole[offset:] if count is None else whole[offset : offset + count]
        assert (result, data) == (len(expected), expected)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_tcp(impl, run, large, family):
    async def main():
        loop = asyncio.get_running_loop()
        host = "127.0.0.1" if family == socket.AF_INET else "::1"
        with contextlib.ExitStack() as stack:
            try:
                listener = stack.enter_context(socket.create_server((host, 0), family=family))
            except OSError:
                pytest.skip("there is no such address here")
            client = stack.enter_context(socket.create_connection(listener.getsockname()[:2]))
            server = stack.enter_context(listener.accept()[0])
            client.setblocking(False)
            server.setblocking(False)
            file = stack.enter_context(large.open("rb"))
            reading = impl.create_task(receive(client, LARGE))
            return await loop.sock_sendfile(server, file), await reading, file.tell()

    assert run(main()) == (LARGE, large.read_bytes(), LARGE)


def test_a_slow_reader(impl, run, large):
    async def main():
        loop = asyncio.get_running_loop()
        with large.open("rb") as file, pair() as (left, right):
            task = impl.create_task(loop.sock_sendfile(left, file, 1000, LARGE - 2000))
            got = bytearray()
            while len(got) < LARGE - 2000:
                assert not task.done()
                await impl.sleep(0.001)
                got += receive_now(right)
            return await task, bytes(got), file.tell()

    assert run(main()) == (LARGE - 2000, large.read_bytes()[1000:-1000], LARGE - 1000)


def test_the_socket_is_full_at_first(impl, run, path):
    async def main():
        loop = asyncio.get_running_loop()
        with path.open("rb") as file, pair() as (left, right):
            with contextlib.suppress(BlockingIOError):
                while True:
                    left.send(bytes(10_000))
            task = impl.create_task(loop.sock_sendfile(left, file, 10, 1000))
            await settled()
            assert not task.done()
            before = receive_now(right)
            assert await task == 1000
            return set(before), receive_now(right), file.tell()

    assert run(main()) == ({0}, path.read_bytes()[10:1010], 1010)


def test_a_file_that_grows_meanwhile(impl, run, tmp_path):
    path = tmp_path / "growing"
    path.write_bytes(b"a" * LARGE)

    async def main():
        loop = asyncio.get_running_loop()
        with path.open("rb") as file, pair() as (left, right):
            task = impl.create_task(loop.sock_sendfile(left, file))
            await settled()
            with path.open("ab") as more:
                more.write(b"b" * 1000)
            got = await receive(right, LARGE + 1000)
            return await task, got.count(b"a"), got.count(b"b"), file.tell()

    assert run(main()) == (LARGE + 1000, LARGE, 1000, LARGE + 1000)


def test_a_file_that_shrinks_meanwhile(impl, run, tmp_path):
    path = tmp_path / "shrinking"
    path.write_bytes(bytes(LARGE))

    async def main():
        loop = asyncio.get_running_loop()
        with path.open("rb") as file, pair() as (left, right):
            task = impl.create_task(loop.sock_sendfile(left, file, 0, LARGE))
            await settled()
            os.truncate(path, 1000)
            reading = impl.create_task(receive(right))
            sent = await task
            left.close()
            return sent == len(await reading) == file.tell(), 0 < sent < LARGE

    assert run(main()) == (True, True)


@pytest.mark.parametrize("options", [{}, {"offset": 10}, {"count": 10}])
def test_an_empty_file(same_as_stock, tmp_path, options):
    path = tmp_path / "empty"
    path.touch()

    async def main(impl):
        with path.open("rb") as file:
            return await send(impl, file, **options)

    assert same_as_stock(main)[0] == 0


def test_nothing_to_send_does_not_wait(loop, tmp_path):
    path = tmp_path / "empty"
    path.touch()
    with path.open("rb") as file, pair() as (left, _), pytest.raises(StopIteration) as ended:
        loop.sock_sendfile(left, file).send(None)
    assert ended.value.value == 0


def test_others_have_their_turn(impl, run, path):
    async def main():
        loop = asyncio.get_running_loop()
        turns = 0

        def turn():
            nonlocal turns
            turns += 1
            loop.call_soon(turn)

        turn()
        with path.open("rb") as file, pair() as (left, right):
            for n in range(1, 20):
                assert await loop.sock_sendfile(left, file, 0, 100) == 100
                assert turns > n
            return len(receive_now(right))

    assert run(main()) == 1900


def test_it_ends_no_later_than_on_stock(impl, stock, run, path):
    async def main(module):
        loop = asyncio.get_running_loop()
        with path.open("rb") as file, pair() as (left, _):
            turns = 0
            task = module.create_task(loop.sock_sendfile(left, file, 0, 1000))
            while not task.done():
                turns += 1
                await module.sleep(0)
            return turns

    loop = stock.SelectorEventLoop()
    try:
        expected = loop.run_until_complete(main(stock))
    finally:
        loop.close()
    assert run(main(impl)) <= expected


# --- how else it may end -----------------------------------------------------------------------


def test_the_peer_closes(impl, run, large):
    async def main():
        loop = asyncio.get_running_loop()
        with large.open("rb") as file, pair() as (left, right):
            task = impl.create_task(loop.sock_sendfile(left, file, 5))
            await settled()
            got = receive_now(right)
            right.close()
            with pytest.raises(ConnectionError):
                await task
            assert not loop.remove_writer(left)
            return len(got) > 0, file.tell() >= 5 + len(got), file.tell() < LARGE

    assert run(main()) == (True, True, True)


@pytest.mark.parametrize("fallback", [True, False])
def test_the_peer_has_closed(same_as_stock, path, fallback):
    async def main(impl):
        loop = asyncio.get_running_loop()
        with path.open("rb") as file, pair() as (left, right):
            right.close()
            result = await outcome(loop.sock_sendfile(left, file, 7, fallback=fallback))
            return result, os.lseek(file.fileno(), 0, os.SEEK_CUR)

    result, _ = same_as_stock(main)
    expected = BrokenPipeError if fallback else asyncio.SendfileNotAvailableError
    assert result[0] is expected


@pytest.mark.parametrize("fallback", [True, False])
@pytest.mark.parametrize("state", ["unconnected", "closed"])
def test_a_socket_that_is_of_no_use(same_as_stock, path, state, fallback):
    async def main(impl):
        with path.open("rb") as file, socket.socket() as sock:
            sock.setblocking(False)
            if state == "closed":
                sock.close()
            loop = asyncio.get_running_loop()
            return await outcome(loop.sock_sendfile(sock, file, fallback=fallback))

    same_as_stock(main)


def test_cancelled_while_it_waits(impl, run, large):
    async def main():
        loop = asyncio.get_running_loop()
        with large.open("rb") as file, pair() as (left, right):
            file.seek(3)
            task = impl.create_task(loop.sock_sendfile(left, file))
            await settled()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not loop.remove_writer(left)
            data = receive_now(right)
            await settled()
            assert 0 < len(data) < LARGE
            assert receive_now(right) == b""
            return large.read_bytes().startswith(data), os.lseek(file.fileno(), 0, os.SEEK_CUR)

    assert run(main()) == (True, 3)


def test_cancelled_in_the_turn_in_which_it_goes_on(same_as_stock, large):
    async def main(impl):
        loop = asyncio.get_running_loop()
        with large.open("rb") as file, pair() as (left, right):
            task = impl.create_task(loop.sock_sendfile(left, file, 100))
            await settled()
            arrived = len(receive_now(right))
            cancelled = loop.create_future()

            def cancel():
                task.cancel()
                cancelled.set_result(None)

            # The next poll finds the socket ready, and puts that behind the cancellation.
            loop.call_soon(cancel)
            await cancelled
            await impl.wait([task])
            assert not loop.remove_writer(left)
            assert receive_now(right) == b""
            return task.cancelled(), os.lseek(file.fileno(), 0, os.SEEK_CUR) - arrived

    same_as_stock(main)


def test_cancelled_before_it_begins(impl, run, path):
    async def main():
        loop = asyncio.get_running_loop()
        with path.open("rb") as file, pair() as (left, right):
            task = impl.create_task(loop.sock_sendfile(left, file))
            task.cancel()
            await impl.wait([task])
            return task.cancelled(), receive_now(right), file.tell()

    assert run(main()) == (True, b"", 0)


def test_cancelled_after_any_number_of_turns(impl, run, path):
    async def main():
        loop = asyncio.get_running_loop()
        ends = set()
        for turns in range(8):
            with path.open("rb") as file, pair() as (left, right):
                task = impl.create_task(loop.sock_sendfile(left, file, 0, 1000))
                await settled(turns)
                task.cancel()
                await impl.wait([task])
                assert not loop.remove_writer(left)
                data = receive_now(right)
                assert len(data) in {0, 1000}
                position = os.lseek(file.fileno(), 0, os.SEEK_CUR)
                assert position in ({0, 1000} if task.cancelled() else {1000})
                ends.add(task.cancelled())
        return ends

    assert run(main()) == {True, False}


def test_a_coroutine_that_is_closed(loop, large):
    with large.open("rb") as file, pair() as (left, _):
        coroutine = loop.sock_sendfile(left, file)
        coroutine.send(None)
        coroutine.close()
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.remove_writer(left)  # which is left on stock


def test_two_on_one_socket(impl, run, large):
    """The one that came last takes the watch from the other, which goes on waiting."""

    async def main():
        loop = asyncio.get_running_loop()
        with large.open("rb") as one, large.open("rb") as other, pair() as (left, right):
            first = impl.create_task(loop.sock_sendfile(left, one))
            await settled()
            second = impl.create_task(loop.sock_sendfile(left, other))
            await settled()
            reading = impl.create_task(receive(right))
            sent = await second
            left.shutdown(socket.SHUT_WR)
            got = await reading
            assert not first.done()
            first.cancel()
            await impl.wait([first])
            begun = len(got) - sent
            whole = large.read_bytes()
            return sent, got[:begun] == whole[:begun], got[begun:] == whole

    assert run(main()) == (LARGE, True, True)


def test_one_after_the_other(impl, run, path):
    async def main():
        loop = asyncio.get_running_loop()
        with path.open("rb") as file, pair() as (left, right):
            reading = impl.create_task(receive(right))
            for _ in range(10):
                assert await loop.sock_sendfile(left, file) == SIZE
            left.shutdown(socket.SHUT_WR)
            return await reading

    assert run(main()) == path.read_bytes() * 10


def test_a_socket_of_a_transport(impl, run, path):
    async def main():
        loop = asyncio.get_running_loop()
        with path.open("rb") as file, pair() as (left, _):
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=left)
            with pytest.raises(RuntimeError, match="is used by transport"):
                await loop.sock_sendfile(left, file)
            transport.abort()
            await settled()

    run(main())


# --- the fallback ------------------------------------------------------------------------------


class Readable:
    """What has readinto() and nothing else."""

    def __init__(self, data):
        self.readinto = io.BytesIO(data).readinto


@pytest.mark.parametrize("fallback", [True, False])
@pytest.mark.parametrize(
    "what", ["buffer", "readable", "writing", "folder", "closed", "pipe", "number", "odd"]
)
def test_what_the_kernel_cannot_send(same_as_stock, tmp_path, path, what, fallback):
    class Numbered(io.BytesIO):
        def fileno(self):
            return -1 if what == "number" else 1.5

    class Folder(io.BytesIO):
        def fileno(self):
            return self.number

    async def main(impl):
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as stack:
            left, right = stack.enter_context(pair())
            if what == "buffer":
                file = io.BytesIO(b"0123456789")
            elif what == "readable":
                file = Readable(b"0123456789")
            elif what == "writing":
                file = stack.enter_context((tmp_path / "new").open("wb"))
                os.truncate(tmp_path / "new", 10)
            elif what == "folder":
                file = Folder(b"0123456789")
                file.number = os.open(tmp_path, os.O_RDONLY)
                stack.callback(os.close, file.number)
            elif what == "closed":
                file = path.open("rb")
                file.close()
            elif what == "pipe":
                reading, writing = os.pipe()
                os.write(writing, b"0123456789")
                os.close(writing)
                file = stack.enter_context(open(reading, "rb", 0))  # noqa: PTH123
            else:
                file = Numbered(b"0123456789")
            result = await outcome(loop.sock_sendfile(left, file, 0, 8, fallback=fallback))
            return result, receive_now(right)

    result, data = same_as_stock(main)
    if what in {"buffer", "readable"}:
        expected = (8, b"01234567") if fallback else (asyncio.SendfileNotAvailableError, b"")
        assert (result if fallback else result[0], data) == expected


def test_fallback_may_be_anything(same_as_stock):
    async def main(impl):
        loop = asyncio.get_running_loop()
        with pair() as (left, _):
            results = []
            for fallback in (1, 0, None, "yes", []):
                file = io.BytesIO(b"0123456789")
                results.append(await outcome(loop.sock_sendfile(left, file, fallback=fallback)))
            return [result if result == 10 else result[0] for result in results]

    same_as_stock(main)


def test_no_context_remains(run, path):
    async def main():
        loop = asyncio.get_running_loop()
        with path.open("rb") as file, pair() as (left, right):
            right.close()
            with pytest.raises(asyncio.SendfileNotAvailableError) as caught:
                await loop.sock_sendfile(left, file, fallback=False)
            return caught.value.__context__, caught.value.__cause__

    assert run(main()) == (None, None)


# --- what was replaced -------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["class", "instance"])
@pytest.mark.parametrize(
    "name",
    [
        "_check_sendfile_params",
        "_sock_sendfile_native",
        "_sock_sendfile_native_impl",
        "_sock_sendfile_update_filepos",
        "add_writer",
        "create_future",
    ],
)
def test_replaced_methods_are_called(impl, path, name, where):
    called = []
    new = impl.new_event_loop()
    original = getattr(type(new), name)
    new.close()

    class Loop(type(new)):
        pass

    def replacement(self, *args, **options):
        called.append(self)
        return original(self, *args, **options)

    if where == "class":
        setattr(Loop, name, replacement)
    loop = Loop()
    if where == "instance":
        setattr(loop, name, lambda *args, **options: replacement(loop, *args, **options))
    try:
        with path.open("rb") as file, pair() as (left, right):
            assert loop.run_until_complete(loop.sock_sendfile(left, file, 10, 1000)) == 1000
            assert receive_now(right) == path.read_bytes()[10:1010]
            assert file.tell() == 1010
    finally:
        loop.close()
    assert set(called) == {loop}


def test_a_replaced_fallback_is_called(impl, path):
    calls = []

    new = impl.new_event_loop()
    new.close()

    class Loop(type(new)):
        async def _sock_sendfile_fallback(self, *args):
            await asyncio.sleep(0)
            calls.append(args)
            return "fallen back"

    loop = Loop()
    try:
        with path.open("rb") as file, pair() as (left, right):
            right.close()
            result = loop.run_until_complete(loop.sock_sendfile(left, file, 3, 4))
            assert (result, calls) == ("fallen back", [(left, file, 3, 4)])
    finally:
        loop.close()


def test_another_function_for_the_system_call(run, path, monkeypatch):
    calls = []

    def sendfile(out, file, offset, count):
        calls.append((offset, count))
        return os.write(out, b"x" * count)

    monkeypatch.setattr(os, "sendfile", sendfile)

    async def main():
        with path.open("rb") as file, pair() as (left, right):
            sent = await asyncio.get_running_loop().sock_sendfile(left, file, 5, 10)
            return sent, receive_now(right)

    assert run(main()) == (10, b"x" * 10)
    assert calls == [(5, 10)]


def test_a_system_without_the_call(same_as_stock, path, monkeypatch):
    monkeypatch.delattr(os, "sendfile")

    async def main(impl):
        with path.open("rb") as file:
            return await send(impl, file, fallback=False), await send(impl, file)

    (refused, *_), (sent, *_) = same_as_stock(main)
    assert refused[0] is asyncio.SendfileNotAvailableError
    assert sent == SIZE


def test_a_socket_with_methods_of_its_own(run, path):
    class Loud(socket.socket):
        asked = 0

        def fileno(self):
            Loud.asked += 1
            return super().fileno()

    async def main():
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(path.open("rb"))
            left, right = stack.enter_context(pair())
            loud = stack.enter_context(Loud(fileno=left.detach()))
            loud.setblocking(False)
            sent = await loop.sock_sendfile(loud, file, 0, 1000)
            return sent, len(receive_now(right)), loud.asked > 0

    assert run(main()) == (1000, 1000, True)


# --- the coroutine -----------------------------------------------------------------------------


def test_it_is_a_coroutine(loop, stock, large):
    with large.open("rb") as file, pair() as (left, _):
        coroutine = loop.sock_sendfile(left, file, 0, fallback=False)
        assert asyncio.iscoroutine(coroutine)
        assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED
        assert coroutine.__name__ == "sock_sendfile"
        assert coroutine.cr_frame.f_locals["fallback"] is False
        coroutine.send(None)
        assert coroutine.cr_await is not None
        coroutine.close()
        with pytest.raises(RuntimeError, match="cannot reuse already awaited"):
            coroutine.send(None)


def test_nobody_awaits_one(loop, path):
    with (
        path.open("rb") as file,
        pair() as (left, _),
        pytest.warns(RuntimeWarning, match="sock_sendfile' was never awaited"),
    ):
        loop.sock_sendfile(left, file, count=5)


def test_the_loop_is_closed_while_somebody_waits(impl, large):
    loop = impl.new_event_loop()
    with large.open("rb") as file, pair() as (left, _):
        coroutine = loop.sock_sendfile(left, file)
        coroutine.send(None)
        loop.close()
        coroutine.close()


def test_no_reference_is_left(loop, stays_flat, path):
    with path.open("rb") as file, pair() as (left, right):

        async def once():
            await loop.sock_sendfile(left, file, 0, count=1000, fallback=False)
            with pytest.raises(ValueError, match="count"):
                await loop.sock_sendfile(left, file, 0, -1)
            with pytest.raises(asyncio.SendfileNotAvailableError):
                await loop.sock_sendfile(left, io.BytesIO(), fallback=False)
            receive_now(right)

        stays_flat(once)
