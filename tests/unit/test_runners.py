"""run() and Runner: loops, contexts, what an interrupt does."""

import asyncio
import contextvars
import os
import signal
import sys
import threading

import pytest


def test_run(impl):
    variable = contextvars.ContextVar("variable", default="default")

    async def main():
        variable.set("inside")
        return "result"

    assert impl.run(main()) == "result"
    assert variable.get() == "default"


def test_run_raises_the_exception(impl):
    async def main():
        raise ValueError("why")

    with pytest.raises(ValueError, match="why"):
        impl.run(main())


def test_run_refuses_what_is_no_coroutine(impl, stock, outcome):
    for bad in (1, None, lambda: None):
        ours, theirs = outcome(impl.run, bad), outcome(stock.run, bad)
        assert ours[:2] == theirs[:2]
        assert ours[0] == "raised"


def test_run_within_a_running_loop(impl, run):
    async def inner():
        pass

    async def main():
        coro = inner()
        with pytest.raises(RuntimeError, match="cannot be called from a running event loop"):
            impl.run(coro)
        coro.close()

    run(main())


def test_run_cancels_what_is_left_and_closes_the_loop(impl):
    log, loops = [], []

    async def left():
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            log.append("cancelled")

    async def main():
        loops.append(asyncio.get_running_loop())
        loops.append(impl.create_task(left()))
        await impl.sleep(0)

    impl.run(main())
    assert log == ["cancelled"]
    assert loops[0].is_closed()


def test_run_in_debug_mode(impl):
    async def main():
        return asyncio.get_running_loop().get_debug()

    assert impl.run(main(), debug=True) is True
    assert impl.run(main(), debug=False) is False
    assert impl.run(main()) is bool(os.environ.get("PYTHONASYNCIODEBUG"))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the keyword came with 3.12")
def test_run_with_a_loop_factory(impl, stock):
    async def main():
        return type(asyncio.get_running_loop())

    assert impl.run(main(), loop_factory=stock.SelectorEventLoop) is stock.SelectorEventLoop


def test_a_runner_runs_again_in_one_loop_and_context(impl):
    variable = contextvars.ContextVar("variable", default="default")

    async def first():
        variable.set("set")
        return asyncio.get_running_loop()

    async def second():
        return asyncio.get_running_loop(), variable.get()

    with impl.Runner() as runner:
        loop = runner.run(first())
        assert runner.get_loop() is loop
        assert runner.run(second()) == (loop, "set")
        given = contextvars.copy_context()
        assert runner.run(second(), context=given) == (loop, "default")
    assert loop.is_closed()
    coro = second()
    with pytest.raises(RuntimeError, match="Runner is closed"):
        runner.run(coro)
    coro.close()


def test_a_runner_with_a_loop_factory(impl):
    made = []

    def factory():
        made.append(impl.new_event_loop())
        return made[-1]

    async def main():
        return asyncio.get_running_loop()

    with impl.Runner(loop_factory=factory) as runner:
        assert runner.run(main()) is made[0]


@pytest.fixture
def interrupt():
    """A function that sends this process what Ctrl-C sends; the default handler is in place."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_cancels_the_main_task(impl, interrupt):
    log = []

    async def main():
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        asyncio.get_running_loop().call_soon(interrupt)
        try:
            await impl.sleep(1000)
        except asyncio.CancelledError:
            log.append("cancelled")
            raise
        finally:
            await impl.sleep(0)
            log.append("cleaned up")

    with pytest.raises(KeyboardInterrupt):
        impl.run(main())
    assert log == ["cancelled", "cleaned up"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_while_the_main_task_is_busy(impl, interrupt):
    log = []

    async def main():
        interrupt()
        log.append("not at once")
        await impl.sleep(0)
        log.append("never")

    with pytest.raises(KeyboardInterrupt):
        impl.run(main())
    assert log == ["not at once"]


def test_a_second_interrupt_raises_at_once(impl, interrupt):
    log = []

    async def main():
        interrupt()
        try:
            await impl.sleep(1000)
        except asyncio.CancelledError:
            log.append("first")
            interrupt()
            log.append("never")

    with pytest.raises(KeyboardInterrupt):
        impl.run(main())
    assert log == ["first"]


def test_a_main_task_that_survives_the_interrupt_returns(impl, interrupt):
    async def main():
        interrupt()
        try:
            await impl.sleep(1000)
        except asyncio.CancelledError:
            return "result"

    assert impl.run(main()) == "result"


def test_a_main_task_that_raises_after_the_interrupt(impl, interrupt):
    async def main():
        interrupt()
        try:
            await impl.sleep(1000)
        except asyncio.CancelledError:
            raise LookupError("own") from None

    with pytest.raises(LookupError, match="own"):
        impl.run(main())


def test_a_cancelled_main_task_without_interrupt(impl):
    async def main():
        asyncio.current_task().cancel("message")
        await impl.sleep(1000)

    with pytest.raises(asyncio.CancelledError, match="message"):
        impl.run(main())


def test_an_interrupt_waits_for_a_blocked_poll(impl, interrupt):
    """The loop is woken out of its poll by a signal that comes meanwhile."""

    async def main():
        timer = threading.Timer(0.05, interrupt)
        timer.start()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            timer.join()

    with pytest.raises(KeyboardInterrupt):
        impl.run(main())


def test_a_handler_of_the_programs_own_stays(impl, interrupt):
    got = []

    async def main():
        interrupt()
        await impl.sleep(0)
        return "not cancelled"

    signal.signal(signal.SIGINT, lambda *args: got.append(args[0]))
    assert impl.run(main()) == "not cancelled"
    assert got == [signal.SIGINT]


def test_the_interrupt_of_each_run_counts_anew(impl, interrupt):
    async def main():
        interrupt()
        await impl.sleep(1000)

    async def other():
        await impl.sleep(0)
        return "result"

    with impl.Runner() as runner:
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                runner.run(main())
            assert runner.run(other()) == "result"


def test_a_runner_in_another_thread_leaves_the_handler(impl, interrupt):
    seen = []

    async def main():
        seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=lambda: impl.run(main()))
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


def test_a_runner_ends_asyncgens_and_executors(impl):
    log = []

    async def generator():
        try:
            yield 1
        finally:
            log.append("generator closed")

    async def main():
        nonlocal kept
        kept = generator()
        await anext(kept)
        return await asyncio.get_running_loop().run_in_executor(None, threading.current_thread)

    kept = None
    thread = impl.run(main())
    assert log == ["generator closed"]
    assert not thread.is_alive()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_runner_sets_and_resets_the_current_loop(impl):
    with impl.Runner() as runner:
        loop = runner.get_loop()
        runner.run(impl.sleep(0))
        assert not loop.is_closed()
    assert loop.is_closed()
    if sys.version_info >= (3, 12):
        with pytest.raises(RuntimeError, match="no current event loop"):
            impl.get_event_loop_policy().get_event_loop()
    runner.close()  # does nothing


def test_a_runner_that_was_not_entered(impl):
    runner = impl.Runner()
    assert runner.run(impl.sleep(0, "result")) == "result"
    runner.close()
    with pytest.raises(RuntimeError, match="Runner is closed"):
        runner.get_loop()


def test_a_runner_within_a_running_loop(impl, run):
    async def main():
        coro = impl.sleep(0)
        with pytest.raises(RuntimeError, match="cannot be called from a running event loop"):
            impl.Runner().run(coro)
        coro.close()

    run(main())


def test_a_runner_refuses_what_is_no_coroutine(impl, stock, outcome):
    with impl.Runner() as ours, stock.Runner() as theirs:
        for bad in (1, None, lambda: None):
            assert outcome(ours.run, bad) == outcome(theirs.run, bad)


def test_debug_mode_of_a_runner(impl):
    async def main():
        return asyncio.get_running_loop().get_debug()

    for debug in (True, False):
        with impl.Runner(debug=debug) as runner:
            assert runner.run(main()) is debug


def test_a_runner_closed_twice_and_an_exception_in_the_body(impl):
    with pytest.raises(LookupError), impl.Runner() as runner:
        loop = runner.get_loop()
        raise LookupError
    assert loop.is_closed()
