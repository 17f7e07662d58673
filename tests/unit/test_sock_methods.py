"""loop.sock_*(): at once and after waiting, cancelled, refused, with odd sockets and arguments."""

import array
import asyncio
import contextlib
import os
import socket
import ssl
import sys

import pytest

LOCAL = "127.0.0.1"


@contextlib.contextmanager
def pair(kind=socket.SOCK_STREAM, size=None):
    """Two connected sockets that do not block."""
    left, right = socket.socketpair(socket.AF_UNIX, kind)
    with left, right:
        for sock in (left, right):
            sock.setblocking(False)
            if size is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        yield left, right


def udp(family=socket.AF_INET, host=LOCAL):
    """A bound datagram socket that does not block."""
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind((host, 0))
    return sock


async def receive_exactly(sock, size, piece=65536):
    """That many bytes from a stream socket."""
    loop = asyncio.get_running_loop()
    got = bytearray()
    while len(got) < size:
        data = await loop.sock_recv(sock, piece)
        assert 0 < len(data) <= piece
        got += data
    return bytes(got)


async def settled(times=4):
    """Let the loop turn a few times."""
    for _ in range(times):
        await asyncio.sleep(0)


def without_waiting(coroutine):
    """The result of a coroutine that does not wait, or what it raises."""
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    return ended.value.value


# --- receiving ---------------------------------------------------------------------------------


def test_what_is_there_is_received_at_once(run):
    async def main():
        loop = asyncio.get_running_loop()
        with pair() as (left, right):
            right.send(b"abcdefgh")
            buffer = bytearray(3)
            return (
                without_waiting(loop.sock_recv(left, 2)),
                without_waiting(loop.sock_recv_into(left, buffer)),
                bytes(buffer),
                without_waiting(loop.sock_recv(left, 1 << 20)),
            )

    assert run(main()) == (b"ab", 3, b"cde", b"fgh")


def test_receiving_waits(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        with pair() as (left, right):
            buffer = memoryview(bytearray(4))
            results = []
            for receiving in (loop.sock_recv(left, 100), loop.sock_recv_into(left, buffer)):
                task = impl.create_task(receiving)
                await settled()
                assert not task.done()
                right.send(b"data")
                results.append(await task)
            return results, bytes(buffer)

    assert run(main()) == ([b"data", 4], b"data")


@pytest.mark.parametrize("size", [1, 4095, 4096, 100_000, 262_144, 262_145, 1_000_000])
def test_sizes(impl, run, size):
    async def main():
        loop = asyncio.get_running_loop()
        with pair() as (left, right):
            data = os.urandom(1_000_000)
            sending = impl.create_task(loop.sock_sendall(right, data))
            if size > 1:
                got = await receive_exactly(left, len(data), size)
            else:
                got = await receive_exactly(left, 10, 1)
                sending.cancel()
            await impl.wait([sending])
            return got == data[: len(got)]

    assert run(main())


def test_messages_keep_their_ends(run):
    async def main():
        loop = asyncio.get_running_loop()
        with pair(socket.SOCK_SEQPACKET) as (left, right):
            await loop.sock_sendall(left, bytes(100_000))
            await loop.sock_sendall(left, b"two")
            await loop.sock_sendall(left, b"third")
            return [len(await loop.sock_recv(right, 200_000)) for _ in range(2)] + [
                await loop.sock_recv(right, 2)
            ]

    assert run(main()) == [100_000, 3, b"th"]


def test_the_end_is_empty(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        with pair() as (left, right):
            task = impl.create_task(loop.sock_recv(left, 10))
            await settled()
            right.close()
            return await task, await loop.sock_recv_into(left, bytearray(3))

    assert run(main()) == (b"", 0)


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, LOCAL), (socket.AF_INET6, "::1"), (socket.AF_UNIX, "")]
)
def test_datagrams_and_their_addresses(impl, run, family, host, tmp_path):
    def bound(name):
        if family != socket.AF_UNIX:
            return udp(family, host)
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.bind(name)
        return sock

    async def main():
        loop = asyncio.get_running_loop()
        results = []
        for name in (str(tmp_path / "path"), f"\0pyaio-{os.getpid()}"):
            with bound(name) as one, bound(name + "2") as other:
                where = one.getsockname()
                assert await loop.sock_sendto(one, b"first", other.getsockname()) == 5
                results.append(await loop.sock_recvfrom(other, 100) == (b"first", where))
                task = impl.create_task(loop.sock_recvfrom(other, 3))
                into = bytearray(10)
                await settled()
                await loop.sock_sendto(one, bytearray(b"second"), other.getsockname())
                results.append(await task == (b"sec", where))
                for arguments in ((), (0,), (4,)):
                    task = impl.create_task(loop.sock_recvfrom_into(other, into, *arguments))
                    await settled()
                    await loop.sock_sendto(one, b"third", other.getsockname())
                    results.append(await task == (4 if arguments == (4,) else 5, where))
                await loop.sock_sendto(one, b"", other.getsockname())
                results.append(await loop.sock_recvfrom(other, 9) == (b"", where))
        return results

    assert run(main()) == [True] * 12


def test_an_unnamed_sender(run):
    async def main():
        loop = asyncio.get_running_loop()
        with pair(socket.SOCK_DGRAM) as (left, right):
            left.send(b"x")
            return await loop.sock_recvfrom(right, 5)

    assert run(main()) == (b"x", None)


# --- sending -----------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [bytes, bytearray, memoryview, lambda data: memoryview(data)[1:]])
def test_everything_is_sent(impl, run, make):
    async def main():
        loop = asyncio.get_running_loop()
        data = make(os.urandom(700_000))
        with pair(size=10_000) as (left, right):
            task = impl.create_task(loop.sock_sendall(left, data))
            await settled()
            assert not task.done()
            got = await receive_exactly(right, len(data))
            assert await task is None
            return got == bytes(data)

    assert run(main())


def test_small_things_are_sent_at_once(run):
    async def main():
        loop = asyncio.get_running_loop()
        with pair() as (left, right):
            for data in (b"", b"abc", bytearray(b"d"), memoryview(b"ef")):
                assert without_waiting(loop.sock_sendall(left, data)) is None
            return right.recv(100)

    assert run(main()) == b"abcdef"


def test_a_buffer_is_held_while_it_is_sent(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        data = bytearray(500_000)
        with pair(size=10_000) as (left, right):
            task = impl.create_task(loop.sock_sendall(left, data))
            await settled()
            with pytest.raises(BufferError):
                data.clear()
            await receive_exactly(right, len(data))
            await task
        await settled()
        del task
        data.clear()

    run(main())


def test_an_array_of_items_that_are_no_bytes(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        with pair() as (left, right):
            # Its length and its number of bytes differ: nobody knows when all of it is sent.
            task = impl.create_task(loop.sock_sendall(left, array.array("I", [1, 2])))
            await settled()
            got = right.recv(8)
            task.cancel()
            await impl.wait([task])
            return got[:4]

    assert run(main()) == array.array("I", [1]).tobytes()


@pytest.mark.parametrize("waits", [False, True])
def test_the_peer_is_gone(impl, run, waits):
    async def main():
        loop = asyncio.get_running_loop()
        with pair(size=10_000) as (left, right):
            if not waits:
                right.close()
            task = impl.create_task(loop.sock_sendall(left, bytes(500_000)))
            await settled()
            assert task.done() is not waits
            right.close()
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                await task

    run(main())


# --- connecting and accepting ------------------------------------------------------------------


@pytest.mark.parametrize("host", [LOCAL, "localhost"])
def test_connections(impl, run, host):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.create_server((LOCAL, 0)) as listener, socket.socket() as client:
            listener.setblocking(False)
            client.setblocking(False)
            task = impl.create_task(loop.sock_accept(listener))
            await settled()
            assert await loop.sock_connect(client, (host, listener.getsockname()[1])) is None
            server, address = await task
            with server:
                assert address == client.getsockname()
                assert server.gettimeout() == 0
                await loop.sock_sendall(client, b"hello")
                return await loop.sock_recv(server, 100)

    assert run(main()) == b"hello"


def test_a_unix_connection(impl, run, tmp_path):
    async def main():
        loop = asyncio.get_running_loop()
        path = str(tmp_path / "socket")
        with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
            listener.bind(path)
            listener.listen()
            listener.setblocking(False)
            client.setblocking(False)
            await loop.sock_connect(client, path)
            server, address = without_waiting(loop.sock_accept(listener))
            server.close()
            return address

    assert run(main()) == ""


def test_a_refused_connection(same_as_stock):
    async def main(impl):
        loop = asyncio.get_running_loop()
        with udp() as nobody, socket.socket() as client:
            client.setblocking(False)
            address = nobody.getsockname()
            try:
                await loop.sock_connect(client, address)
            except OSError as error:
                return type(error), error.errno, str(error).replace(str(address[1]), "PORT")

    assert same_as_stock(main)[0] is ConnectionRefusedError


def test_a_cancelled_accept_loses_no_connection(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.create_server((LOCAL, 0)) as listener, socket.socket() as client:
            listener.setblocking(False)
            task = impl.create_task(loop.sock_accept(listener))
            await settled()
            task.cancel()
            client.connect(listener.getsockname())
            with pytest.raises(asyncio.CancelledError):
                await task
            server, _ = await loop.sock_accept(listener)
            server.close()

    run(main())


def test_a_cancelled_connect_leaves_the_socket(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        with socket.socket() as client:
            client.setblocking(False)
            task = impl.create_task(loop.sock_connect(client, ("240.0.0.1", 9)))
            await settled(2)
            task.cancel()
            await impl.wait([task])
            fd = client.fileno()
            return fd >= 0 and not loop.remove_writer(fd)

    assert run(main())


# --- cancelling --------------------------------------------------------------------------------


def operations(loop, sock):
    """What waits for something to read, by name."""
    return {
        "recv": lambda: loop.sock_recv(sock, 100),
        "recv_into": lambda: loop.sock_recv_into(sock, bytearray(100)),
        "recvfrom": lambda: loop.sock_recvfrom(sock, 100),
        "recvfrom_into": lambda: loop.sock_recvfrom_into(sock, bytearray(100)),
    }


@pytest.mark.parametrize("name", ["recv", "recv_into", "recvfrom", "recvfrom_into"])
@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_who_is_cancelled_before_data_comes_leaves_it(impl, run, name, turns):
    async def main():
        loop = asyncio.get_running_loop()
        with pair(socket.SOCK_DGRAM) as (left, right):
            task = impl.create_task(operations(loop, left)[name]())
            await settled(turns)
            task.cancel()
            right.send(b"data")
            await impl.wait([task])
            assert task.cancelled()
            assert not loop.remove_reader(left)
            return await loop.sock_recv(left, 100)

    assert run(main()) == b"data"


@pytest.mark.parametrize("name", ["recv", "recv_into", "recvfrom", "recvfrom_into"])
@pytest.mark.parametrize("turns", range(6))
def test_no_data_is_lost_whenever_a_task_is_cancelled(impl, loop, run, name, turns):
    if not hasattr(loop, "_watchers"):
        pytest.skip("stock receives before the task goes on")

    async def main():
        loop = asyncio.get_running_loop()
        with pair(socket.SOCK_DGRAM) as (left, right):
            task = impl.create_task(operations(loop, left)[name]())
            await settled()
            right.send(b"data")
            await settled(turns)
            task.cancel()
            await impl.wait([task])
            if task.cancelled():
                return left.recv(100) == b"data"
            return task.result() in (b"data", 4, (b"data", None), (4, None))

    assert run(main())


def test_a_cancelled_sendall_leaves_nothing(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        with pair(size=10_000) as (left, right):
            data = bytearray(500_000)
            task = impl.create_task(loop.sock_sendall(left, data))
            await settled()
            task.cancel()
            await impl.wait([task])
            assert not loop.remove_writer(left)
            with contextlib.suppress(BlockingIOError):
                while right.recv(100_000):
                    pass
            await loop.sock_sendall(left, b"more")
            return await loop.sock_recv(right, 100)

    assert run(main()) == b"more"


def test_the_socket_is_closed_while_somebody_waits(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        with pair() as (left, right):
            task = impl.create_task(loop.sock_recv(left, 100))
            await settled()
            left.close()
            task.cancel()
            await impl.wait([task])
            with pair() as (other, peer):
                peer.send(b"x")
                return task.cancelled(), await loop.sock_recv(other, 5), right.fileno() >= 0

    assert run(main()) == (True, b"x", True)


# --- who else uses the descriptor --------------------------------------------------------------


def test_numbers_are_used_again(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        numbers = set()
        for n in range(20):
            with pair() as (left, right):
                numbers.add(left.fileno())
                for _ in range(2):
                    task = impl.create_task(loop.sock_recv(left, 100))
                    await settled(n % 4 + 1)
                    right.send(b"%d" % n)
                    assert await task == b"%d" % n
        return len(numbers) < 20

    assert run(main())


def test_numbers_are_used_again_by_a_transport(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        for n in range(6):
            left, right = socket.socketpair()
            for sock in (left, right):
                sock.setblocking(False)
            task = impl.create_task(loop.sock_recv(left, 100))
            await settled()
            right.send(b"a")
            await task
            if n % 2:
                left.close()
                right.close()
                left, right = socket.socketpair()
                right.setblocking(False)
            got = loop.create_future()

            class Receiver(asyncio.Protocol):
                def data_received(self, data, got=got):
                    got.set_result(data)

            transport, _ = await loop.create_connection(Receiver, sock=left)
            right.send(b"b")
            assert await got == b"b"
            transport.close()
            right.close()
            await settled()

    run(main())


def test_somebody_else_has_the_open_file_too(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        for sock in (left, right):
            sock.setblocking(False)
        task = impl.create_task(loop.sock_recv(left, 100))
        await settled()
        right.send(b"a")
        await task
        number = left.fileno()
        with left.dup(), right:
            left.close()
            right.send(b"for the other one")
            with pair() as (one, other):
                assert number in (one.fileno(), other.fileno())
                task = impl.create_task(loop.sock_recv(one, 10))
                second = impl.create_task(loop.sock_recv(other, 10))
                await settled(10)
                assert not task.done()
                assert not second.done()
                one.send(b"1")
                other.send(b"2")
                return await task, await second

    assert run(main()) == (b"2", b"1")


def test_both_directions_at_once(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        data = os.urandom(400_000)
        with pair(size=10_000) as (left, right):
            done = await impl.gather(
                loop.sock_sendall(left, data),
                loop.sock_sendall(right, data),
                receive_exactly(left, len(data), 5000),
                receive_exactly(right, len(data), 7000),
            )
            return done[2] == data and done[3] == data

    assert run(main())


def test_beside_a_reader_of_the_program(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        data = os.urandom(400_000)
        seen = []
        with pair(size=10_000) as (left, right):
            loop.add_reader(left, lambda: seen.append(left.recv(100)))
            sending = impl.create_task(loop.sock_sendall(left, data))
            await settled()
            right.send(b"in between")
            assert await receive_exactly(right, len(data)) == data
            await sending
            right.send(b"after")
            await settled()
            assert loop.remove_reader(left)
            return b"".join(seen)

    assert run(main()) == b"in betweenafter"


def test_a_reader_takes_the_place(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        seen = []
        with pair() as (left, right):
            task = impl.create_task(loop.sock_recv(left, 100))
            await settled()
            loop.add_reader(left, lambda: seen.append(left.recv(100)))
            right.send(b"data")
            await settled()
            task.cancel()
            await impl.wait([task])
            right.send(b"more")
            await settled()
            return seen, loop.remove_reader(left)

    assert run(main()) == ([b"data", b"more"], True)


def test_a_second_task_takes_the_place(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        with pair() as (left, right):
            first = impl.create_task(loop.sock_recv(left, 100))
            await settled()
            second = impl.create_task(loop.sock_recv(left, 100))
            await settled()
            right.send(b"data")
            got = await second
            waiting = not first.done()
            first.cancel()
            await impl.wait([first])
            return got, waiting

    assert run(main()) == (b"data", True)


@pytest.mark.parametrize("name", ["recv", "recv_into", "sendall"])
def test_the_socket_of_a_transport_is_refused(impl, run, name):
    async def main():
        loop = asyncio.get_running_loop()
        with pair(size=10_000) as (left, _right):
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=left)
            methods = {**operations(loop, left), "sendall": lambda: fill(loop, left)}
            with pytest.raises(RuntimeError, match="is used by transport"):
                await methods[name]()
            transport.abort()
            await settled()

    async def fill(loop, sock):
        await loop.sock_sendall(sock, bytes(1_000_000))

    run(main())


# --- sockets and arguments ---------------------------------------------------------------------


class Slow(socket.socket):
    """Never receives at the first attempt."""

    attempts = 0

    def recv(self, *arguments):
        self.attempts += 1
        if self.attempts == 1:
            raise BlockingIOError
        return super().recv(*arguments).upper()


def test_a_socket_with_methods_of_its_own(run):
    async def main():
        loop = asyncio.get_running_loop()
        with pair() as (left, right):
            slow = Slow(fileno=left.detach())
            slow.setblocking(False)
            with slow:
                right.send(b"data")
                return await loop.sock_recv(slow, 100), slow.attempts

    assert run(main()) == (b"DATA", 2)


def calls(loop, sock):
    """Calls that go wrong, each without reaching the socket's peer."""
    return {
        "size": lambda: loop.sock_recv(sock, -1),
        "no size": lambda: loop.sock_recv(sock, None),
        "huge": lambda: loop.sock_recv(sock, 10**30),
        "from size": lambda: loop.sock_recvfrom(sock, -5),
        "read-only": lambda: loop.sock_recv_into(sock, b"abc"),
        "no buffer": lambda: loop.sock_recv_into(sock, 5),
        "too much": lambda: loop.sock_recvfrom_into(sock, bytearray(5), 6),
        "negative": lambda: loop.sock_recvfrom_into(sock, bytearray(5), -6),
        "text": lambda: loop.sock_sendall(sock, "text"),
        "number": lambda: loop.sock_sendall(sock, 5),
        "address": lambda: loop.sock_sendto(sock, b"x", 5),
        "connect": lambda: loop.sock_connect(sock, 5),
        "nothing": lambda: loop.sock_recv(sock),
        "keyword": lambda: loop.sock_recv(sock, size=5),
        "accept": lambda: loop.sock_accept(sock),
    }


NAMES = list(calls(None, None))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("state", ["open", "closed"])
def test_errors(same_as_stock, name, state):
    async def main(impl):
        loop = asyncio.get_running_loop()
        with pair(socket.SOCK_STREAM) as (left, right):
            right.send(b"abc")
            if state == "closed":
                left.close()
            try:
                await calls(loop, left)[name]()
            except Exception as error:
                return type(error), str(error)

    same_as_stock(main)


@pytest.mark.parametrize("name", ["zero", "from zero", "into nothing", "from into nothing"])
def test_nothing_is_asked_for(same_as_stock, name):
    async def main(impl):
        loop = asyncio.get_running_loop()
        with pair(socket.SOCK_DGRAM) as (left, right):
            right.send(b"abc")
            result = await {
                "zero": lambda: loop.sock_recv(left, 0),
                "from zero": lambda: loop.sock_recvfrom(left, 0),
                "into nothing": lambda: loop.sock_recv_into(left, bytearray()),
                "from into nothing": lambda: loop.sock_recvfrom_into(left, bytearray()),
            }[name]()
            right.send(b"d")
            return result, left.recv(10)

    same_as_stock(main)


def test_keywords(run):
    async def main():
        loop = asyncio.get_running_loop()
        with pair() as (left, right):
            await loop.sock_sendall(sock=left, data=b"abc")
            return await loop.sock_recv(sock=right, n=2), await loop.sock_recv(right, n=2)

    assert run(main()) == (b"ab", b"c")


def test_debug_mode_wants_sockets_that_do_not_block(run):
    async def main():
        loop = asyncio.get_running_loop()
        with pair() as (left, right):
            right.send(b"data")
            left.setblocking(True)
            with pytest.raises(ValueError, match="non-blocking"):
                await loop.sock_recv(left, 100)
            left.setblocking(False)
            return await loop.sock_recv(left, 100)

    assert run(main(), debug=True) == b"data"


@pytest.mark.parametrize("method", ["sock_recv", "sock_sendall", "sock_connect", "sock_accept"])
def test_tls_sockets_are_refused(run, method):
    async def main():
        loop = asyncio.get_running_loop()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        with socket.socket() as plain, context.wrap_socket(plain, server_hostname="x") as sock:
            arguments = [] if method == "sock_accept" else [b"x"]
            with pytest.raises(TypeError, match="SSLSocket"):
                await getattr(loop, method)(sock, *arguments)

    run(main())


def test_a_replaced_method_is_called(impl, run):
    async def main():
        loop = asyncio.get_running_loop()
        used = []
        original = loop._add_reader

        def add_reader(*arguments):
            used.append(arguments[0])
            return original(*arguments)

        loop._add_reader = add_reader
        with pair() as (left, right):
            task = impl.create_task(loop.sock_recv(left, 100))
            await settled()
            right.send(b"data")
            return await task, used == [left.fileno()]

    assert run(main()) == (b"data", True)


# --- the coroutines ----------------------------------------------------------------------------


def test_they_are_coroutine_functions(loop):
    for name in ("recv", "recv_into", "recvfrom", "recvfrom_into", "sendall", "sendto"):
        method = getattr(loop, f"sock_{name}")
        assert asyncio.iscoroutinefunction(method) if sys.version_info < (3, 14) else True
        with pair() as (left, _):
            coroutine = method(left, b"x", "y") if name == "sendto" else method(left, b"x")
            assert asyncio.iscoroutine(coroutine)
            assert coroutine.__name__ == f"sock_{name}"
            coroutine.close()
            with pytest.raises(RuntimeError, match="cannot reuse already awaited"):
                coroutine.send(None)


def test_nobody_awaits_one(loop):
    with pair() as (left, _), pytest.warns(RuntimeWarning, match="sock_recv' was never awaited"):
        loop.sock_recv(left, 5)


def test_a_loop_that_is_closed(impl):
    loop = impl.new_event_loop()
    loop.close()
    with pair() as (left, right):
        right.send(b"data")
        assert without_waiting(loop.sock_recv(left, 100)) == b"data"
        with pytest.raises(RuntimeError, match="closed"):
            loop.sock_recv(left, 100).send(None)


def test_the_loop_is_closed_while_somebody_waits(impl):
    loop = impl.new_event_loop()
    with pair() as (left, _):
        coroutine = loop.sock_recv(left, 100)
        coroutine.send(None)
        loop.close()
        coroutine.close()


def test_data_is_there_no_later_than_on_stock(same_as_stock):
    async def main(impl):
        loop = asyncio.get_running_loop()
        with pair() as (left, right):
            turns = 0
            task = impl.create_task(loop.sock_recv(left, 100))
            await settled()
            right.send(b"data")
            while not task.done():
                turns += 1
                await impl.sleep(0)
            return turns

    same_as_stock(main)


def test_many_sockets(impl, run):
    async def echo(loop, sock):
        while data := await loop.sock_recv(sock, 1000):
            await loop.sock_sendall(sock, data)

    async def main():
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as stack:
            pairs = [stack.enter_context(pair()) for _ in range(200)]
            tasks = [impl.create_task(echo(loop, left)) for left, _ in pairs]

            async def ask(number, sock):
                for n in range(5):
                    message = b"%d %d" % (number, n)
                    await loop.sock_sendall(sock, message)
                    assert await loop.sock_recv(sock, 1000) == message
                sock.shutdown(socket.SHUT_WR)

            await impl.gather(*[ask(n, right) for n, (_, right) in enumerate(pairs)])
            await impl.gather(*tasks)

    run(main())
