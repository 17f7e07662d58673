"""add_reader, add_writer and their removal: when callbacks run, what descriptors they accept."""

import contextlib
import os
import socket

import pytest


@pytest.fixture
def pair():
    """Two connected sockets that do not block."""
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    with left, right:
        yield left, right


def turns_until(loop, ready, limit=20):
    """Count the iterations until `ready()` holds; give up at the limit."""
    for count in range(1, limit + 1):
        loop.call_soon(loop.stop)
        loop.run_forever()
        if ready():
            return count
    return None


def test_a_ready_byte_reaches_its_reader(loop, pair):
    left, right = pair
    log = []
    loop.add_reader(left, lambda: (log.append(left.recv(10)), loop.stop()))
    right.send(b"byte")
    loop.run_forever()
    assert log == [b"byte"]


def test_arguments(loop, pair, turn):
    left, right = pair
    log = []
    right.send(b"x")
    assert loop.add_reader(left, lambda *args: log.append(args), 1, "two") is None
    turn(2)
    assert log[0] == (1, "two")


@pytest.mark.parametrize("warm_up", [0, 1, 5])
def test_turns_until_a_ready_byte_reaches_its_reader(impl, stock, pair, warm_up):
    """Programs let I/O happen with some `await sleep(0)`: no more of them than on stock."""

    def turns(loop):
        left, right = socket.socketpair()
        with left, right:
            left.setblocking(False)
            log = []
            loop.add_reader(left, lambda: log.append(left.recv(1)))
            turns_until(loop, lambda: False, warm_up)
            right.send(b"x")
            count = turns_until(loop, lambda: log)
            loop.remove_reader(left)
        loop.close()
        return count

    expected = turns(stock.SelectorEventLoop())
    assert expected is not None
    got = turns(impl.new_event_loop())
    assert got is not None
    assert got <= expected


@pytest.mark.parametrize("before", ["watch", "send"])
def test_sleeps_until_a_ready_byte_reaches_its_reader(impl, stock, before):
    """The same counted in `sleep(0)`, with tasks that keep the ready queue filled."""

    async def main(aio):
        import asyncio

        loop = asyncio.get_running_loop()

        async def busy():
            while True:
                await aio.sleep(0)

        crowd = [loop.create_task(busy()) for _ in range(10)]
        left, right = socket.socketpair()
        with left, right:
            left.setblocking(False)
            log, count = [], 0
            if before == "send":
                right.send(b"x")
            loop.add_reader(left, lambda: log.append(left.recv(1)))
            if before == "watch":
                for _ in range(100):
                    await aio.sleep(0)
                right.send(b"x")
            while not log:
                await aio.sleep(0)
                count += 1
            loop.remove_reader(left)
        for task in crowd:
            task.cancel()
        await aio.gather(*crowd, return_exceptions=True)
        return count

    stock_loop, loop = stock.SelectorEventLoop(), impl.new_event_loop()
    with contextlib.closing(stock_loop), contextlib.closing(loop):
        expected = stock_loop.run_until_complete(main(stock))
        assert loop.run_until_complete(main(impl)) <= expected


def test_ready_callbacks_run_before_io_callbacks(loop, pair, turn):
    left, right = pair
    log = []
    right.send(b"x")
    loop.add_reader(left, lambda: (left.recv(1), log.append("io")))
    loop.call_soon(log.append, "ready")
    turn(3)
    assert log == ["ready", "io"]


def test_timers_that_are_due_run_after_io(loop, pair, turn):
    left, right = pair
    log = []
    right.send(b"x")
    loop.add_reader(left, lambda: (left.recv(1), log.append("io")))
    loop.call_at(0, log.append, "timer")
    turn(2)
    assert log == ["io", "timer"]


def test_readiness_is_a_level(loop, pair, turn):
    left, right = pair
    log = []
    right.send(b"xyz")
    loop.add_reader(left, lambda: log.append(left.recv(1)))
    turn(6)
    assert log == [b"x", b"y", b"z"]


def test_a_writer_runs_while_there_is_room(loop, pair, turn):
    left, _ = pair
    log = []
    loop.add_writer(left, log.append, "room")
    turn(3)
    assert len(log) >= 2
    assert loop.remove_writer(left) is True
    count = len(log)
    turn(3)
    assert len(log) == count


def test_a_writer_waits_for_room(loop, pair, turn):
    left, right = pair
    log = []
    with contextlib.suppress(BlockingIOError):
        while True:
            left.send(b"x" * 65536)
    loop.add_writer(left, log.append, "room")
    turn(3)
    assert log == []
    with contextlib.suppress(BlockingIOError):
        while True:
            right.recv(65536)
    assert turns_until(loop, lambda: log) is not None


def test_reader_and_writer_of_one_descriptor(loop, pair, turn):
    left, right = pair
    log = []
    loop.add_reader(left, lambda: log.append(("read", left.recv(1))))
    loop.add_writer(left, lambda: (log.append("write"), loop.remove_writer(left)))
    turn(3)
    assert log == ["write"]
    right.send(b"x")
    turn(3)
    assert log == ["write", ("read", b"x")]
    assert loop.remove_reader(left) is True
    assert loop.remove_writer(left) is False


def test_a_second_reader_replaces_the_first(loop, pair, turn):
    left, right = pair
    log = []
    loop.add_reader(left, log.append, "first")
    loop.add_reader(left, lambda: log.append(left.recv(1)))
    right.send(b"x")
    turn(3)
    assert log == [b"x"]


def test_removing(loop, pair, turn):
    left, right = pair
    log = []
    assert loop.remove_reader(left) is False
    assert loop.remove_writer(left) is False
    loop.add_reader(left, log.append, "never")
    right.send(b"x")
    assert loop.remove_reader(left) is True
    assert loop.remove_reader(left) is False
    turn(3)
    assert log == []


def test_removed_between_the_poll_and_the_callback(loop, turn):
    """Both descriptors are ready; the first callback removes the other: it does not run."""
    log = []
    pairs = [socket.socketpair() for _ in range(2)]
    sockets = [left for left, _ in pairs]

    def read(mine, other):
        log.append(mine)
        loop.remove_reader(sockets[mine])
        loop.remove_reader(sockets[other])

    for number in range(2):
        loop.add_reader(sockets[number], read, number, 1 - number)
        pairs[number][1].send(b"x")
    turn(4)
    for one, other in pairs:
        one.close()
        other.close()
    assert len(log) == 1


def test_a_replaced_reader_does_not_run_once_more(loop, turn):
    log = []
    pairs = [socket.socketpair() for _ in range(2)]
    sockets = [left for left, _ in pairs]

    def replace(mine, other):
        log.append(("old", mine))
        loop.remove_reader(sockets[mine])
        loop.add_reader(sockets[other], new, other)

    def new(mine):
        log.append(("new", mine))
        loop.remove_reader(sockets[mine])

    for number in range(2):
        loop.add_reader(sockets[number], replace, number, 1 - number)
        pairs[number][1].send(b"x")
    turn(6)
    for one, other in pairs:
        one.close()
        other.close()
    assert [kind for kind, _ in log] == ["old", "new"]
    assert {who for _, who in log} == {0, 1}


def test_objects_with_fileno(loop, pair, turn):
    left, right = pair

    class Wrapper:
        def fileno(self):
            return left.fileno()

    log = []
    wrapper = Wrapper()
    loop.add_reader(wrapper, lambda: log.append(left.recv(1)))
    right.send(b"x")
    turn(3)
    assert log == [b"x"]
    assert loop.remove_reader(left.fileno()) is True
    assert loop.remove_reader(wrapper) is False


def test_plain_descriptors_of_pipes(loop, turn):
    reading, writing = os.pipe()
    log = []
    loop.add_reader(reading, lambda: log.append(os.read(reading, 10)))
    os.write(writing, b"piped")
    turn(3)
    assert log == [b"piped"]
    os.close(writing)
    turn(3)
    assert log[1:] == [b""] * len(log[1:])
    assert len(log) > 1
    loop.remove_reader(reading)
    os.close(reading)


def test_the_end_of_the_peer_wakes_reader_and_writer(loop, pair, turn):
    left, right = pair
    log = []
    loop.add_reader(left, lambda: (log.append(left.recv(1)), loop.remove_reader(left)))
    right.close()
    turn(3)
    assert log == [b""]


@pytest.mark.parametrize("bad", [-1, -5, "1", 1.5, None, object(), [], 2**70])
@pytest.mark.parametrize("method", ["add_reader", "add_writer"])
def test_bad_descriptors(impl, stock, outcome, method, bad):
    results = []
    for loop in (impl.new_event_loop(), stock.SelectorEventLoop()):
        results.append(outcome(getattr(loop, method), bad, print)[:2])
        loop.close()
    assert results[0] == results[1]
    assert results[0][0] == "raised"


@pytest.mark.parametrize("bad", [-1, "1", None, object()])
@pytest.mark.parametrize("method", ["remove_reader", "remove_writer"])
def test_bad_descriptors_to_remove(impl, stock, outcome, method, bad):
    results = []
    for loop in (impl.new_event_loop(), stock.SelectorEventLoop()):
        results.append(outcome(getattr(loop, method), bad)[:2])
        loop.close()
    assert results[0] == results[1]


def test_a_fileno_that_fails(loop):
    class Broken:
        def fileno(self):
            raise LookupError("broken")

    with pytest.raises((LookupError, ValueError)):
        loop.add_reader(Broken(), print)


def test_a_descriptor_that_cannot_be_polled(impl, stock, outcome, tmp_path):
    with (tmp_path / "file").open("w") as file:
        results = []
        for loop in (impl.new_event_loop(), stock.SelectorEventLoop()):
            results.append(outcome(loop.add_reader, file, print))
            results.append(outcome(loop.remove_reader, file))
            loop.close()
    assert results[:2] == results[2:]
    assert results[0][1] is PermissionError


def test_a_closed_descriptor(impl, stock, outcome):
    left, right = socket.socketpair()
    number = left.fileno()
    left.close()
    right.close()
    results = []
    for loop in (impl.new_event_loop(), stock.SelectorEventLoop()):
        results.append(outcome(loop.add_reader, number, print)[:2])
        loop.close()
    assert results[0] == results[1]
    assert results[0][0] == "raised"


def test_removing_after_the_close(impl, stock, outcome):
    """Programs close first: the socket no longer has its number, removing it still works."""
    results = []
    for loop in (impl.new_event_loop(), stock.SelectorEventLoop()):
        left, right = socket.socketpair()
        loop.add_reader(left, print)
        left.close()
        right.close()
        results.append([outcome(loop.remove_reader, left), outcome(loop.remove_reader, left)[:2]])
        turns_until(loop, lambda: False, 2)
        loop.close()
    assert results[0] == results[1]
    assert results[0][0] == ("returned", True)


def test_a_number_used_again_after_a_close(loop, turn):
    """The kernel forgot the old registration; the new descriptor's reader must run."""
    log = []
    left, right = socket.socketpair()
    number = left.fileno()
    loop.add_reader(number, log.append, "old")
    loop.remove_reader(number)
    left.close()
    right.close()
    left, right = socket.socketpair()
    loop.add_reader(left, lambda: log.append(left.recv(1)))
    right.send(b"x")
    turn(3)
    loop.remove_reader(left)
    left.close()
    right.close()
    assert log == [b"x"]


def test_a_descriptor_closed_while_watched_does_not_break_the_loop(loop, turn):
    log = []
    left, right = socket.socketpair()
    loop.add_reader(left, log.append, "never")
    left.close()
    right.close()
    turn(3)
    loop.call_later(0.001, log.append, "timer")
    assert turns_until(loop, lambda: log, 100_000) is not None
    assert log == ["timer"]


def test_errors_of_a_reader_are_reported(loop, pair, turn, reported):
    left, right = pair
    right.send(b"x")

    def fail():
        left.recv(1)
        raise ValueError("reader")

    loop.add_reader(left, fail)
    turn(3)
    assert [str(context["exception"]) for context in reported] == ["reader"]
    assert loop.remove_reader(left) is True


def test_an_exit_of_a_reader_leaves_the_loop(loop, pair, turn):
    left, right = pair
    right.send(b"x")

    def leave():
        left.recv(1)
        raise SystemExit

    loop.add_reader(left, leave)
    with pytest.raises(SystemExit):
        turn(3)
    right.send(b"y")
    with pytest.raises(SystemExit):
        loop.run_forever()
    loop.remove_reader(left)


def test_stop_by_a_reader(loop, pair):
    left, right = pair
    loop.add_reader(left, loop.stop)
    right.send(b"x")
    loop.run_forever()
    loop.remove_reader(left)


def test_a_closed_loop_refuses(loop, pair):
    left, _ = pair
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.add_reader(left, print)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.add_writer(left, print)
    assert loop.remove_reader(left) is False
    assert loop.remove_writer(left) is False


def test_close_leaves_the_users_descriptors_open(impl, pair):
    left, right = pair
    loop = impl.new_event_loop()
    loop.add_reader(left, print)
    loop.close()
    right.send(b"still open")
    assert left.recv(20) == b"still open"


def test_descriptors_of_a_transport_are_refused(impl, run):
    import asyncio

    async def main():
        loop = asyncio.get_running_loop()
        left, right = socket.socketpair()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=left)
        for method in (loop.add_reader, loop.add_writer):
            with pytest.raises(RuntimeError, match="is used by transport"):
                method(left, print)
        for method in (loop.remove_reader, loop.remove_writer):
            with pytest.raises(RuntimeError, match="is used by transport"):
                method(left)
        transport.close()
        right.close()
        await impl.sleep(0)
        await impl.sleep(0)

    run(main())


def test_the_context_is_that_of_add_reader(loop, pair, turn):
    import contextvars

    left, right = pair
    variable = contextvars.ContextVar("variable", default="default")
    log = []
    token = variable.set("adding")
    loop.add_reader(left, lambda: (left.recv(1), log.append(variable.get())))
    variable.reset(token)
    right.send(b"x")
    turn(3)
    assert log == ["adding"]


def test_many_descriptors(loop, turn):
    pairs = [socket.socketpair() for _ in range(200)]
    log = set()
    for number, (left, right) in enumerate(pairs):
        loop.add_reader(left, lambda n=number, s=left: (s.recv(1), log.add(n)))
        right.send(b"x")
    turn(4)
    assert log == set(range(200))
    for left, right in pairs:
        assert loop.remove_reader(left)
        left.close()
        right.close()


def test_more_ready_descriptors_than_one_poll_returns(loop, turn):
    pairs = [socket.socketpair() for _ in range(300)]
    counts = dict.fromkeys(range(300), 0)

    def read(number):
        counts[number] += 1

    for number, (left, right) in enumerate(pairs):
        loop.add_reader(left, read, number)
        right.send(b"x")
    turn(40)
    for left, right in pairs:
        loop.remove_reader(left)
        left.close()
        right.close()
    assert min(counts.values()) > 0
