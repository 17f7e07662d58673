"""Signal handlers of the loop: when they run, what they refuse, what they leave behind."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest


@pytest.fixture(autouse=True)
def same_handlers_afterwards():
    """Every test gives back the process as it found it."""
    watched = signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT
    before = [signal.getsignal(number) for number in watched]
    yield
    assert [signal.getsignal(number) for number in watched] == before
    assert signal.set_wakeup_fd(-1) == -1


def kill(number):
    os.kill(os.getpid(), number)


@pytest.fixture
def kill_soon(loop):
    """A function that has a thread send a signal, no sooner than the loop runs."""
    timers = []

    def kill_soon(number):
        timers.append(threading.Timer(0.02, kill, (number,)))
        loop.call_soon(timers[-1].start)

    yield kill_soon
    for timer in timers:
        timer.join()


def test_a_handler_runs(loop):
    log = []

    def handler(*args):
        log.append(args)
        loop.stop()

    assert loop.add_signal_handler(signal.SIGUSR1, handler, 1, "two") is None
    loop.call_soon(kill, signal.SIGUSR1)
    loop.run_forever()
    assert log == [(1, "two")]
    assert loop.remove_signal_handler(signal.SIGUSR1) is True
    assert loop.remove_signal_handler(signal.SIGUSR1) is False


def test_a_waiting_loop_wakes(loop, kill_soon):
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    kill_soon(signal.SIGUSR1)
    loop.run_forever()
    loop.remove_signal_handler(signal.SIGUSR1)


def test_a_handler_runs_as_a_callback_not_at_once(loop, turn):
    log = []
    loop.add_signal_handler(signal.SIGUSR1, log.append, "handler")
    loop.call_soon(lambda: (kill(signal.SIGUSR1), log.append("after the kill")))
    turn(4)
    assert log == ["after the kill", "handler"]
    loop.remove_signal_handler(signal.SIGUSR1)


def test_handlers_of_several_signals(loop, turn):
    log = []
    loop.add_signal_handler(signal.SIGUSR1, log.append, 1)
    loop.add_signal_handler(signal.SIGUSR2, log.append, 2)
    for number in (signal.SIGUSR2, signal.SIGUSR1, signal.SIGUSR2):
        kill(number)
        turn(4)
    assert log == [2, 1, 2]
    loop.remove_signal_handler(signal.SIGUSR1)
    loop.remove_signal_handler(signal.SIGUSR2)


def test_a_signal_between_two_runs_is_not_lost(loop, turn):
    log = []
    loop.add_signal_handler(signal.SIGUSR1, log.append, 1)
    turn()
    kill(signal.SIGUSR1)
    assert log == []
    turn(4)
    assert log == [1]
    loop.remove_signal_handler(signal.SIGUSR1)


def test_a_second_handler_replaces_the_first(loop, turn):
    log = []
    loop.add_signal_handler(signal.SIGUSR1, log.append, "first")
    loop.add_signal_handler(signal.SIGUSR1, log.append, "second")
    kill(signal.SIGUSR1)
    turn(4)
    assert log == ["second"]
    loop.remove_signal_handler(signal.SIGUSR1)


def test_removing_restores_the_default(loop):
    loop.add_signal_handler(signal.SIGUSR1, print)
    assert signal.getsignal(signal.SIGUSR1) is not signal.SIG_DFL
    loop.remove_signal_handler(signal.SIGUSR1)
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_removing_sigint_restores_the_interrupt(loop):
    loop.add_signal_handler(signal.SIGINT, print)
    loop.remove_signal_handler(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_close_removes_handlers(impl):
    loop = impl.new_event_loop()
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.add_signal_handler(signal.SIGUSR2, print)
    loop.close()
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL


def test_a_handler_that_was_removed_before_it_ran(loop, turn):
    log = []
    loop.add_signal_handler(signal.SIGUSR1, log.append, "never")
    loop.call_soon(lambda: (kill(signal.SIGUSR1), loop.remove_signal_handler(signal.SIGUSR1)))
    turn(4)
    assert log == []


def test_errors_of_a_handler_are_reported(loop, turn, reported):
    loop.add_signal_handler(signal.SIGUSR1, lambda: 1 / 0)
    kill(signal.SIGUSR1)
    turn(4)
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]
    loop.remove_signal_handler(signal.SIGUSR1)


def test_an_exit_of_a_handler_leaves_the_loop(loop):
    def leave():
        raise SystemExit(3)

    loop.add_signal_handler(signal.SIGUSR1, leave)
    loop.call_soon(kill, signal.SIGUSR1)
    with pytest.raises(SystemExit):
        loop.run_forever()
    loop.remove_signal_handler(signal.SIGUSR1)


@pytest.mark.parametrize("number", [0, 10_000, -1, signal.SIGKILL, signal.SIGSTOP, "1", None])
@pytest.mark.parametrize("method", ["add", "remove"])
def test_bad_signals(impl, stock, outcome, method, number):
    results = []
    for loop in (impl.new_event_loop(), stock.SelectorEventLoop()):
        if method == "add":
            results.append(outcome(loop.add_signal_handler, number, print))
        else:
            results.append(outcome(loop.remove_signal_handler, number))
        loop.close()
    assert results[0] == results[1]


def test_coroutines_are_refused(loop):
    async def handler():
        pass

    coro = handler()
    for bad in (handler, coro):
        with pytest.raises(TypeError, match="coroutines cannot be used with add_signal_handler"):
            loop.add_signal_handler(signal.SIGUSR1, bad)
    coro.close()


def test_other_threads_are_refused(loop):
    errors = []

    def add():
        try:
            loop.add_signal_handler(signal.SIGUSR1, print)
        except (RuntimeError, ValueError) as error:
            errors.append(type(error))

    thread = threading.Thread(target=add)
    thread.start()
    thread.join()
    assert errors == [RuntimeError]


def test_a_closed_loop_refuses(loop):
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.add_signal_handler(signal.SIGUSR1, print)


def test_pythons_own_handlers_run_while_the_loop_waits(loop, kill_soon):
    """A plain `signal.signal` handler runs in the main thread, its exception leaves the loop."""

    class Interruption(BaseException):
        pass

    def handler(number, frame):
        raise Interruption

    before = signal.signal(signal.SIGUSR1, handler)
    kill_soon(signal.SIGUSR1)
    try:
        with pytest.raises(Interruption):
            loop.run_forever()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_an_interrupt_loses_no_event(loop):
    """An event that the poller reports together with an interrupt is seen in the next run."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    task = loop.create_task(loop.sock_recv(ours, 10))

    def interrupt_and_send():
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)  # the main thread sleeps on
        theirs.send(b"data")

    thread = threading.Thread(target=interrupt_and_send)
    loop.call_later(0.02, thread.start)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    thread.join()
    with ours, theirs:
        assert loop.run_until_complete(asyncio.wait_for(task, 5)) == b"data"


def test_an_interrupt_leaves_a_busy_loop(loop, kill_soon):
    async def busy():
        while True:
            await asyncio.sleep(0)

    task = loop.create_task(busy())
    kill_soon(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()
    if task.done():  # it came while the task ran, and ended it
        assert isinstance(task.exception(), KeyboardInterrupt)
        return
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)


def test_an_interrupt_leaves_a_loop_of_callbacks(loop, kill_soon):
    def again():
        loop.call_soon(again)

    again()
    kill_soon(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        loop.run_forever()


def test_run_turns_an_interrupt_into_a_cancellation(impl):
    log = []

    async def main():
        timer = threading.Timer(0.02, kill, (signal.SIGINT,))
        timer.start()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            log.append("cancelled")
            raise
        finally:
            timer.join()

    with pytest.raises(KeyboardInterrupt):
        impl.run(main())
    assert log == ["cancelled"]


def test_the_wakeup_descriptor_is_given_back(loop):
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.remove_signal_handler(signal.SIGUSR1)
    assert signal.set_wakeup_fd(-1) == -1


def test_children_of_subprocess_have_default_handlers(loop):
    """The handler and its wake-up descriptor are this process's own."""
    loop.add_signal_handler(signal.SIGUSR1, print)
    code = "import signal; print(signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    loop.remove_signal_handler(signal.SIGUSR1)
    assert out.stdout.strip() == b"True"


def test_many_signals_in_a_row(loop):
    log = []

    def handler():
        log.append(None)
        if len(log) == 300:
            loop.stop()
        else:
            kill(signal.SIGUSR1)

    loop.add_signal_handler(signal.SIGUSR1, handler)
    loop.call_soon(kill, signal.SIGUSR1)
    loop.run_forever()
    loop.remove_signal_handler(signal.SIGUSR1)
    assert len(log) == 300
