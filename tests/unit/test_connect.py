"""create_connection() and create_unix_connection(), to their end and to every other one."""

import asyncio
import contextlib
import contextvars
import gc
import inspect
import os
import select
import socket
import sys
from pathlib import Path

import pytest

VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")
LOCAL = "127.0.0.1"

needs_all_errors = pytest.mark.skipif(
    sys.version_info < (3, 12), reason="all_errors came with Python 3.12"
)


def descriptors():
    """The open descriptors of this process, with what is behind them."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            found[int(entry.name)] = str(entry.readlink())
    return found


@pytest.fixture
def flat(loop):
    """Fails a test that leaves descriptors behind."""
    before = descriptors()
    yield
    gc.collect()
    assert descriptors() == before


@pytest.fixture
def peer(flat):
    """A listening TCP socket that nobody accepts from."""
    with socket.create_server((LOCAL, 0)) as sock:
        yield sock


@pytest.fixture
def unix_peer(flat, tmp_path):
    """The same of a Unix socket."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "peer"))
        sock.listen()
        yield sock


@pytest.fixture(params=["tcp", "unix"])
def connect(request, loop):
    """A function that connects to a peer of either kind: loop.create_*connection()."""
    if request.param == "tcp":
        peer = request.getfixturevalue("peer")

        def connect(factory=asyncio.Protocol, **options):
            return loop.create_connection(factory, *peer.getsockname(), **options)
    else:
        peer = request.getfixturevalue("unix_peer")

        def connect(factory=asyncio.Protocol, **options):
            return loop.create_unix_connection(factory, peer.getsockname(), **options)

    connect.peer = peer
    return connect


class Logged(asyncio.Protocol):
    """A protocol that logs what happens to it."""

    def __init__(self):
        self.log = []

    def connection_made(self, transport):
        self.transport = transport
        self.log.append("made")

    def data_received(self, data):
        self.log.append(data)

    def connection_lost(self, error):
        self.log.append(error)


def unused_port():
    """A port that nobody listens at."""
    with socket.socket() as sock:
        sock.bind((LOCAL, 0))
        return sock.getsockname()[1]


def end(loop, transport, turn):
    """Close a transport and see it through."""
    transport.abort()
    turn()


def test_connects(loop, turn, connect):
    transport, protocol = loop.run_until_complete(connect(Logged))
    accepted, _ = connect.peer.accept()
    assert protocol.log == ["made"]
    assert protocol.transport is transport
    assert transport.get_extra_info("peername") == connect.peer.getsockname()
    sock = transport.get_extra_info("socket")
    assert sock.getsockname() == transport.get_extra_info("sockname")
    assert sock.gettimeout() == 0.0
    assert type(sock._sock) is socket.socket
    if sock.family == socket.AF_INET:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.proto == socket.IPPROTO_TCP
        assert transport.get_extra_info("sockname") == accepted.getpeername()
    transport.write(b"to")
    accepted.settimeout(10)
    assert accepted.recv(2) == b"to"
    accepted.sendall(b"fro")
    accepted.close()
    while protocol.log[-1] == "made":
        turn()
    turn(3)
    assert protocol.log == ["made", b"fro", None]


@pytest.mark.parametrize(
    ("host", "options"),
    [
        ("::1", {}),
        ("::1", {"family": socket.AF_INET6}),
        (LOCAL, {"family": socket.AF_INET}),
        (LOCAL, {"proto": socket.IPPROTO_TCP, "flags": socket.AI_NUMERICHOST}),
        (LOCAL, {"ssl": None, "sock": None, "local_addr": None}),
        (LOCAL, {"ssl": False}),
        (LOCAL, {"local_addr": (LOCAL, 0)}),
        (LOCAL, {"happy_eyeballs_delay": 0.1}),
        (LOCAL, {"interleave": 1}),
        ("localhost", {"family": socket.AF_INET}),
        (b"127.0.0.1", {}),
    ],
)
@pytest.mark.parametrize("by_name", [False, True])
def test_arguments(loop, turn, flat, host, options, by_name):
    """Every way to name a peer leads to it."""
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    try:
        peer = socket.create_server(("::1" if host == "::1" else LOCAL, 0), family=family)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with peer:
        port = peer.getsockname()[1]
        arguments = [] if by_name else [host, port]
        if by_name:
            options = {"host": host, "port": port, **options}
        transport, _ = loop.run_until_complete(
            loop.create_connection(asyncio.Protocol, *arguments, **options)
        )
        assert transport.get_extra_info("peername") == peer.getsockname()
        end(loop, transport, turn)
    loop.run_until_complete(loop.shutdown_default_executor())


@pytest.mark.parametrize("path", ["str", "bytes", "path", "abstract"])
def test_paths(loop, turn, flat, tmp_path, path):
    name = b"\0pyaio-connect-%d" % os.getpid() if path == "abstract" else str(tmp_path / "p")
    asked = {"bytes": os.fsencode(name), "path": Path(os.fsdecode(name))}.get(path, name)
    with socket.socket(socket.AF_UNIX) as peer:
        peer.bind(name)
        peer.listen()
        transport, _ = loop.run_until_complete(
            loop.create_unix_connection(asyncio.Protocol, asked)
        )
        assert transport.get_extra_info("peername") == name
        end(loop, transport, turn)


def attempt(module, connect, options, *args):
    """What a call of a method of the loop ends with."""

    async def attempt():
        loop = asyncio.get_running_loop()
        try:
            await getattr(loop, connect)(asyncio.Protocol, *args, **options)
        except BaseExceptionGroup as group:
            return type(group), group.message, [(type(e), str(e)) for e in group.exceptions]
        except BaseException as error:
            return type(error), str(error), error.args

    return attempt()


@pytest.mark.parametrize(
    ("args", "options"),
    [
        ((), {}),
        ((LOCAL,), {}),
        ((LOCAL, 1, 2), {}),
        ((LOCAL, 1), {"port": 1}),
        ((LOCAL, 1), {"unknown": 1}),
        ((LOCAL, -1), {}),
        ((LOCAL, 65536), {}),
        ((LOCAL, 2**70), {}),
        ((LOCAL, "http!"), {}),
        ((LOCAL, 1), {"family": socket.AF_INET6, "flags": socket.AI_NUMERICHOST}),
        ((LOCAL, 1), {"server_hostname": "name"}),
        ((LOCAL, 1), {"ssl_handshake_timeout": 1}),
        ((LOCAL, 1), {"ssl_shutdown_timeout": 1}),
        (("::1%lo\0", 1), {}),
        (("127.0.0.1\0", 1), {"flags": socket.AI_NUMERICHOST}),
        (("", 1), {"flags": socket.AI_NUMERICHOST}),
    ],
)
def test_bad_arguments(same_as_stock, args, options):
    same_as_stock(attempt, "create_connection", options, *args)


@pytest.mark.parametrize(
    "path", [None, 3, "x" * 200, b"x" * 108, "\ud800", "/nowhere/at/all", "a\0b", b"\0none"]
)
def test_bad_paths(same_as_stock, path):
    same_as_stock(attempt, "create_unix_connection", {}, path)


def test_refused(same_as_stock, flat):
    port = unused_port()
    kind, text, _ = same_as_stock(attempt, "create_connection", {}, LOCAL, port)
    assert kind is ConnectionRefusedError
    assert text == f"[Errno 111] Connect call failed ('127.0.0.1', {port})"


@needs_all_errors
def test_all_errors(same_as_stock, flat):
    port = unused_port()
    for wanted in (True, False):
        same_as_stock(attempt, "create_connection", {"all_errors": wanted}, LOCAL, port)


def test_refused_unix(same_as_stock, flat, tmp_path):
    path = str(tmp_path / "closed")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
    kind, _, _ = same_as_stock(attempt, "create_unix_connection", {}, path)
    assert kind is ConnectionRefusedError


def full_listener():
    """A listener whose queue is full, so that whoever connects waits, and its clients."""
    sock = socket.create_server((LOCAL, 0), backlog=0)
    clients = []
    while not clients or select.select([], clients[-1:], [], 0.05)[1]:
        clients.append(socket.socket())
        clients[-1].setblocking(False)
        clients[-1].connect_ex(sock.getsockname())
    return sock, clients


@pytest.fixture
def full(flat):
    """The address of a listener whose queue is full, and the listener."""
    sock, waiting = full_listener()
    yield sock
    sock.close()
    for client in waiting:
        client.close()


def test_waits(loop, turn, full):
    """A connection that takes its time is waited for."""
    task = loop.create_task(loop.create_connection(Logged, *full.getsockname()))
    turn(5)
    assert not task.done()
    assert len(loop._selector.get_map()) >= 1
    accepted = []
    full.settimeout(0.05)
    deadline = loop.time() + 20
    while not task.done() and loop.time() < deadline:
        with contextlib.suppress(TimeoutError):
            accepted.append(full.accept()[0])
        turn()
    transport, protocol = task.result()
    assert protocol.log == ["made"]
    end(loop, transport, turn)
    for sock in accepted:
        sock.close()


def test_fails_late(loop, turn, full):
    """The error of a connection that failed while it was waited for."""
    task = loop.create_task(loop.create_connection(Logged, *full.getsockname()))
    turn(3)
    assert not task.done()
    (watched,) = {key.fd for key in loop._selector.get_map().values() if key.data[1] is not None}
    sock = socket.socket(fileno=os.dup(watched))
    sock.shutdown(socket.SHUT_RDWR)
    sock.close()
    turn(3)
    assert isinstance(task.exception(), OSError) or not task.exception()
    if not task.exception():
        end(loop, task.result()[0], turn)


def test_cancelled_while_it_waits(loop, turn, full):
    task = loop.create_task(loop.create_connection(Logged, *full.getsockname()))
    turn(3)
    open_before = len(descriptors())
    task.cancel("enough")
    turn(2)
    assert task.cancelled()
    assert len(descriptors()) == open_before - 1
    assert not [key for key in loop._selector.get_map().values() if key.data[1] is not None]


def test_loop_closes_while_it_waits(impl, flat, full):
    loop = impl.new_event_loop()
    task = loop.create_task(loop.create_connection(Logged, *full.getsockname()))
    for _ in range(3):
        loop.call_soon(loop.stop)
        loop.run_forever()
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))
    loop.close()


@pytest.mark.parametrize("turns", range(6))
def test_cancelled_after(loop, turn, connect, turns):
    """Cancelling at any moment leaves a connection or nothing."""
    task = loop.create_task(connect(Logged))
    turn(turns)
    task.cancel()
    turn(4)
    assert task.done()
    if not task.cancelled():
        end(loop, task.result()[0], turn)


@pytest.mark.parametrize("turns", range(2))
def test_closed_after(loop, turn, connect, turns):
    """A coroutine that is closed where it waits closes what it began."""
    coro = connect(Logged)
    loop.call_soon(lambda: None)

    async def drive():
        for _ in range(turns):
            try:
                future = coro.send(None)
            except StopIteration as done:
                return done.value
            await asyncio.sleep(0)
            while not future.done():
                await asyncio.sleep(0)
        coro.close()
        return None

    ends = loop.run_until_complete(drive())
    turn(2)
    if ends is not None:
        end(loop, ends[0], turn)


@pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_factory_fails(loop, turn, connect):
    def factory():
        raise ArithmeticError("no protocol")

    with pytest.raises(ArithmeticError, match="no protocol"):
        loop.run_until_complete(connect(factory))
    turn()


def test_connection_made_fails(loop, turn, connect, reported):
    class Failing(asyncio.Protocol):
        def connection_made(self, transport):
            raise ArithmeticError("not made")

    transport, _ = loop.run_until_complete(connect(Failing))
    assert [str(r["exception"]) for r in reported] == ["not made"]
    end(loop, transport, turn)


def test_context(loop, turn, connect):
    """The factory runs in the task's own context."""
    seen = []

    class Seeing(asyncio.Protocol):
        def __init__(self):
            seen.append(VARIABLE.get())
            VARIABLE.set("factory")

        def connection_made(self, transport):
            seen.append(VARIABLE.get())

    async def main():
        VARIABLE.set("task")
        transport, _ = await connect(Seeing)
        seen.append(VARIABLE.get())
        transport.abort()

    loop.run_until_complete(main())
    turn()
    # From 3.15 on the connection's context is copied before.
    made = "task" if sys.version_info >= (3, 15) else "factory"
    assert seen == ["task", made, "factory"]
    assert VARIABLE.get() == "unset"


STEPS = {
    "tcp": ["_connect_sock", "sock_connect", "_create_connection_transport"],
    "unix": ["sock_connect", "_create_connection_transport"],
}


@pytest.mark.parametrize("name", ["_make_socket_transport", "create_future", *STEPS["tcp"]])
def test_replaced_methods(loop, turn, connect, name):
    """Whoever replaces a step of connecting is asked, from the next connection on."""
    calls = []
    original = getattr(loop, name)

    def noted(*args, **kwargs):
        calls.append(name)
        return original(*args, **kwargs)

    setattr(loop, name, noted)
    transport, _ = loop.run_until_complete(connect())
    unix = connect.peer.family == socket.AF_UNIX
    assert bool(calls) == (not unix or name not in STEPS["tcp"] or name in STEPS["unix"])
    delattr(loop, name)
    end(loop, transport, turn)


def test_own_socket_class(loop, turn, connect, monkeypatch):
    """Somebody else's socket.socket is used."""
    made = []

    class Own(socket.socket):
        def __init__(self, *args, **options):
            made.append(self)
            super().__init__(*args, **options)

    monkeypatch.setattr(socket, "socket", Own)
    transport, _ = loop.run_until_complete(connect())
    assert transport.get_extra_info("socket")._sock in made
    end(loop, transport, turn)


def test_debug_log(loop, turn, peer, caplog):
    loop.set_debug(True)
    with caplog.at_level("DEBUG", "asyncio"):
        transport, _ = loop.run_until_complete(
            loop.create_connection(asyncio.Protocol, *peer.getsockname())
        )
    assert any(f"connected to {LOCAL}" in message for message in caplog.messages)
    end(loop, transport, turn)


def test_coroutine(loop, turn, connect):
    """The call gives a coroutine, of a coroutine function, that has not begun."""
    before = descriptors()
    coro = connect()
    assert descriptors() == before
    assert inspect.iscoroutine(coro)
    assert asyncio.iscoroutine(coro)
    assert coro.__name__ in ("create_connection", "create_unix_connection")
    assert inspect.iscoroutinefunction(loop.create_connection)
    assert inspect.iscoroutinefunction(loop.create_unix_connection)
    assert list(inspect.signature(loop.create_connection).parameters)[:3] == [
        "protocol_factory",
        "host",
        "port",
    ]
    coro.close()
    assert descriptors() == before
    with pytest.raises(RuntimeError):
        coro.send(None)


def test_audit_events(python):
    """The same events as on stock, for whoever watches the sockets of a process."""
    done = python(
        "-c",
        """if True:
        import asyncio, socket, sys, pyaio
        events = []
        def hook(name, args):
            if recording and name.startswith("socket."):
                events.append((name, args[1:] if name != "socket.getaddrinfo" else args))
        recording = False
        sys.addaudithook(hook)
        async def main():
            global recording
            server = socket.create_server(("127.0.0.1", 0))
            loop = asyncio.get_running_loop()
            recording = True
            transport, _ = await loop.create_connection(
                asyncio.Protocol, *server.getsockname())
            recording = False
            transport.abort()
            server.close()
        def run(loop):
            events.clear()
            loop.run_until_complete(main())
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()
            return [(name, args[:1] if name == "socket.__new__" else len(args))
                    for name, args in events]
        stock, ours = run(asyncio.SelectorEventLoop()), run(pyaio.new_event_loop())
        assert stock == ours, (stock, ours)
        assert any(name == "socket.connect" for name, _ in ours)
        """,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_used_by_finalizers(loop, turn, connect):
    """A transport that nobody watches goes with its protocol, whose finalizer may still use it."""
    used = []

    class Closing(asyncio.Protocol):
        def connection_made(self, transport):
            self.transport = transport
            transport.pause_reading()

        def __del__(self):
            with contextlib.suppress(AttributeError):  # on stock a transport may be in pieces
                self.transport.close()
                self.transport.abort()
                used.append(self.transport.is_closing())

    loop.run_until_complete(connect(Closing))
    turn(3)
    gc.collect()
    turn(3)
    gc.collect()
    assert used in ([True], [])


def test_many(loop, turn, connect):
    """Thousands of connections leave nothing."""

    async def main():
        counts = set()
        for _ in range(1000):
            transport, protocol = await connect(Logged)
            connect.peer.accept()[0].close()
            transport.close()
            while protocol.log == ["made"]:
                await asyncio.sleep(0)
            counts.add(len(descriptors()))
        return counts

    assert len(loop.run_until_complete(main())) == 1
