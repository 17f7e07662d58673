"""Servers: what happens to a connection from the listening socket to connection_made()."""

import asyncio
import contextlib
import contextvars
import gc
import os
import resource
import socket
from pathlib import Path

import pytest

# Stock leaves the socket of a connection that comes to nothing to its finalizer, which warns.
stock_warns = pytest.mark.filterwarnings(
    "ignore:unclosed:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
VARIABLE = contextvars.ContextVar("VARIABLE", default="unset")


def descriptors():
    """The open descriptors of this process, with what is behind them."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            found[int(entry.name)] = str(entry.readlink())
    return found


@pytest.fixture
def flat():
    """Fails a test that leaves descriptors behind."""
    before = descriptors()
    yield
    assert descriptors() == before


def listening(family=socket.AF_INET, address=("127.0.0.1", 0)):
    """A listening socket, for a server."""
    sock = socket.socket(family)
    sock.bind(address)
    return sock


class Logged(asyncio.Protocol):
    """A protocol that logs with the number of the turn."""

    transport = None

    def __init__(self, log, name):
        self.log = log
        self.name = name
        log.append((self.name, "factory"))

    def connection_made(self, transport):
        self.transport = transport
        self.log.append((self.name, "made"))

    def data_received(self, data):
        self.log.append((self.name, data))

    def connection_lost(self, error):
        self.log.append((self.name, "lost", error))


class Serving:
    """A server in a loop that is run turn by turn, and its clients: plain sockets."""

    def __init__(self, loop, factory=None, **options):
        self.loop = loop
        self.log = []
        self.protocols = []
        self.clients = []
        self.server = loop.run_until_complete(
            loop.create_server(factory or self.make, sock=listening(), **options)
        )
        self.address = self.server.sockets[0].getsockname()

    def make(self):
        """Make a protocol."""
        protocol = Logged(self.log, len(self.protocols))
        self.protocols.append(protocol)
        return protocol

    def connect(self):
        """Connect one client, whose connection the kernel keeps until it is accepted."""
        client = socket.create_connection(self.address)
        self.clients.append(client)
        return client

    def turn(self, count=1):
        """Run that many turns; return what was logged in each."""
        turns = []
        for _ in range(count):
            del self.log[:]
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()
            turns.append(list(self.log))
        return turns

    def close(self):
        """Close everything."""
        self.server.close()
        for protocol in self.protocols:
            if protocol.transport is not None:
                protocol.transport.abort()
        for client in self.clients:
            client.close()
        self.turn(3)


@pytest.fixture
def serve(loop, flat):
    """A function that makes a Serving, which is closed after the test."""
    made = []

    def serve(*args, **options):
        made.append(Serving(loop, *args, **options))
        return made[-1]

    yield serve
    for serving in made:
        serving.close()


def test_turns(serve):
    """Everything is seen in the same turn and order as on stock."""
    serving = serve()
    for i in range(3):
        serving.connect().sendall(b"%d" % i)
    assert serving.turn(4) == [
        [],
        [(0, "factory"), (1, "factory"), (2, "factory")],
        [(0, "made"), (1, "made"), (2, "made")],
        [(0, b"0"), (1, b"1"), (2, b"2")],
    ]


def test_backlog_bounds_a_wake_up(serve, same_as_stock):
    async def program(module):
        made = []
        loop = module.get_running_loop()

        class Counting(asyncio.Protocol):
            def connection_made(self, transport):
                made.append(transport)

        sock = listening()
        sock.listen(50)
        server = await loop.create_server(Counting, sock=sock, backlog=3)
        clients = []
        for _ in range(4):
            clients.append(socket.socket())
            clients[-1].setblocking(False)
            clients[-1].connect_ex(sock.getsockname())
        counts = []
        for _ in range(8):
            await module.sleep(0)
            counts.append(len(made))
        server.close()
        for transport in made:
            transport.abort()
        for client in clients:
            client.close()
        await module.sleep(0)
        return counts

    same_as_stock(program)


def test_unix_peername(loop, flat, tmp_path):
    made = []

    class Peer(asyncio.Protocol):
        def connection_made(self, transport):
            made.append(transport)

    path = str(tmp_path / "socket")
    server = loop.run_until_complete(loop.create_unix_server(Peer, path))
    named = socket.socket(socket.AF_UNIX)
    named.bind(str(tmp_path / "client"))
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(b"\0pyaio-%d" % os.getpid())
    nameless = socket.socket(socket.AF_UNIX)
    for client in (named, abstract, nameless):
        client.connect(path)
    while len(made) < 3:
        loop.run_until_complete(asyncio.sleep(0))
    assert [t.get_extra_info("peername") for t in made] == [
        str(tmp_path / "client"),
        b"\0pyaio-%d" % os.getpid(),
        "",
    ]
    assert {t.get_extra_info("sockname") for t in made} == {path}
    server.close()
    for transport in made:
        transport.close()
    for client in (named, abstract, nameless):
        client.close()
    loop.run_until_complete(asyncio.sleep(0))


def test_accepted_socket(serve):
    """It is an ordinary socket.socket that does not block."""
    serving = serve()
    client = serving.connect()
    serving.turn(3)
    shown = serving.protocols[0].transport.get_extra_info("socket")
    sock = shown._sock
    assert type(sock) is socket.socket
    listener = serving.server.sockets[0]
    assert (sock.family, sock.type, sock.proto) == (
        listener.family,
        listener.type,
        listener.proto,
    )
    assert sock.gettimeout() == 0.0
    assert not os.get_blocking(sock.fileno())
    assert not os.get_inheritable(sock.fileno())
    assert sock.getpeername() == client.getsockname()
    assert serving.protocols[0].transport.get_extra_info("peername") == client.getsockname()
    duplicate = sock.dup()
    duplicate.close()
    assert f"fd={sock.fileno()}" in repr(sock)
    serving.protocols[0].transport.abort()
    serving.turn()
    assert sock.fileno() == -1
    assert sock._closed


def test_context(serve):
    """What the factory sets its connection sees, and no other."""
    seen = []

    class Seeing(asyncio.Protocol):
        def __init__(self):
            seen.append(VARIABLE.get())
            VARIABLE.set(f"connection {len(serving.protocols)}")
            serving.protocols.append(self)

        def connection_made(self, transport):
            self.transport = transport
            seen.append(VARIABLE.get())

        def data_received(self, data):
            seen.append(VARIABLE.get())

    VARIABLE.set("server")
    try:
        serving = serve(Seeing)
    finally:
        VARIABLE.set("unset")
    serving.connect().sendall(b"x")
    serving.connect().sendall(b"x")
    serving.turn(4)
    both = ["connection 0", "connection 1"]
    assert seen == ["server"] * 2 + both + both
    assert VARIABLE.get() == "unset"


@stock_warns
@pytest.mark.parametrize("debug", [False, True])
def test_factory_fails(serve, loop, reported, debug):
    """The connection ends; only debug mode tells why."""

    def factory():
        raise ArithmeticError("no protocol")

    loop.set_debug(debug)
    serving = serve(factory)
    client = serving.connect()
    serving.turn(3)
    assert [(r["message"], str(r["exception"])) for r in reported] == [
        ("Error on transport creation for incoming connection", "no protocol")
    ] * debug
    del reported[:]  # the frames of the exception
    gc.collect()
    assert client.recv(1) == b""


@stock_warns
def test_factory_exits(serve, loop, logged):
    """It breaks out of the loop, which serves on when it runs again."""

    def factory():
        if not exits:
            exits.append(True)
            raise SystemExit(3)
        return serving.make()

    exits = []
    serving = serve(factory)
    serving.connect()
    with pytest.raises(SystemExit):
        serving.turn(3)
    gc.collect()
    serving.connect()
    serving.turn(3)
    assert len(serving.protocols) == 1


def test_connection_made_fails(serve, loop, reported):
    """It is reported, and the connection goes on."""
    received = []

    class Failing(asyncio.Protocol):
        def connection_made(self, transport):
            serving.protocols.append(self)
            self.transport = transport
            raise ArithmeticError("not made")

        def data_received(self, data):
            received.append(data)

    serving = serve(Failing)
    serving.connect().sendall(b"data")
    serving.turn(4)
    assert [str(r["exception"]) for r in reported] == ["not made"]
    assert received == [b"data"]


def test_replaced_methods(serve, loop):
    """Whoever replaces a step of accepting is asked."""
    calls = []
    make, accept2, create_task = (
        loop._make_socket_transport,
        loop._accept_connection2,
        loop.create_task,
    )

    def noted(name, function):
        def call(*args, **kwargs):
            calls.append(name)
            return function(*args, **kwargs)

        return call

    serving = serve()
    for name, function in [
        ("_make_socket_transport", make),
        ("_accept_connection2", accept2),
        ("create_task", create_task),
    ]:
        setattr(loop, name, noted(name, function))
        serving.connect()
        serving.turn(3)
        assert calls == [name]
        delattr(loop, name)
        del calls[:]
    serving.connect()
    serving.turn(3)
    assert len(serving.protocols) == 4
    assert not calls


def test_task_factory(serve, loop):
    """A task factory gets the coroutines of connections."""
    names = []

    def factory(loop, coro, **options):
        names.append(coro.__name__)
        return asyncio.Task(coro, loop=loop, **options)

    serving = serve()
    loop.set_task_factory(factory)
    serving.connect()
    serving.turn(3)
    assert names == ["_accept_connection2"]
    assert len(serving.protocols) == 1


def test_own_accept(serve, monkeypatch):
    """Somebody else's socket.accept() is called."""
    accepted = []
    original = socket.socket.accept

    def accept(self):
        accepted.append(self)
        return original(self)

    serving = serve()
    monkeypatch.setattr(socket.socket, "accept", accept)
    serving.connect()
    serving.turn(3)
    assert accepted
    monkeypatch.undo()
    del accepted[:]
    serving.connect()
    serving.turn(3)
    assert not accepted
    assert len(serving.protocols) == 2


@stock_warns
@pytest.mark.parametrize("turns", range(4))
def test_close_while_accepting(serve, turns):
    """A server that closes at any moment keeps no descriptor and breaks nothing."""
    serving = serve()
    client = serving.connect()
    serving.turn(turns)
    serving.server.close()
    serving.turn(3)
    for protocol in serving.protocols:
        if protocol.transport is not None:
            protocol.transport.close()
    serving.turn(3)
    gc.collect()
    client.settimeout(10)
    with contextlib.suppress(ConnectionResetError):
        assert client.recv(1) == b""


@pytest.mark.parametrize("turns", range(4))
@stock_warns
def test_loop_closes_while_accepting(impl, flat, turns):
    loop = impl.new_event_loop()
    serving = Serving(loop)
    serving.connect().sendall(b"x")
    serving.turn(turns)
    for task in asyncio.all_tasks(loop):
        task.cancel()
        serving.turn(2)  # a task that never ran would be reported
    task = None  # whose exception has frames
    serving.server.close()
    for client in serving.clients:
        client.close()
    loop.close()
    del serving.protocols[:], serving.log[:], task, loop, serving
    gc.collect()


def test_out_of_descriptors(serve, loop, reported, monkeypatch):
    """Accepting stops, is reported, and goes on after a while."""
    monkeypatch.setattr(asyncio.constants, "ACCEPT_RETRY_DELAY", 0.01)
    serving = serve(backlog=5)
    client = serving.connect()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(descriptors()) + 1, hard))
    fillers = []
    try:
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                fillers.append(os.open(os.devnull, os.O_RDONLY))
        serving.turn(2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for filler in fillers:
            os.close(filler)
    first = reported[0]
    assert first["message"] == "socket.accept() out of system resource"
    assert first["exception"].errno == 24
    assert type(first["socket"]) is type(serving.server.sockets[0])
    assert first["socket"].fileno() == serving.server.sockets[0].fileno()
    assert not serving.protocols
    while not serving.protocols:
        serving.turn()
    client.sendall(b"at last")
    assert [(0, b"at last")] in serving.turn(4)


@pytest.mark.parametrize("family", ["tcp", "unix"])
def test_many_connections(run, impl, tmp_path, flat, family):
    """Thousands come and go, and leave nothing."""
    rounds, at_once = 40, 50

    async def main():
        loop = asyncio.get_running_loop()
        lost = asyncio.Event()
        left = 0

        class Closing(asyncio.Protocol):
            def connection_made(self, transport):
                nonlocal left
                left += 1
                self.transport = transport

            def eof_received(self):
                return False

            def connection_lost(self, error):
                nonlocal left
                left -= 1
                if left == 0:
                    lost.set()

        path = str(tmp_path / "socket")
        if family == "tcp":
            server = await loop.create_server(Closing, "127.0.0.1", 0, backlog=at_once)
            address = server.sockets[0].getsockname()
            connect = [loop.create_connection, Closing, *address]
        else:
            server = await loop.create_unix_server(Closing, path, backlog=at_once)
            connect = [loop.create_unix_connection, Closing, path]
        counts = set()
        for _ in range(rounds):
            lost.clear()
            pairs = await impl.gather(*[connect[0](*connect[1:]) for _ in range(at_once)])
            while left < 2 * at_once:
                await impl.sleep(0)
            for transport, _ in pairs:
                transport.close()
            await lost.wait()
            counts.add(len(descriptors()))
        server.close()
        await server.wait_closed()
        return counts

    assert len(run(main())) == 1
