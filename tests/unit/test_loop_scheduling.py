"""EventLoop: the order of callbacks, running, stopping and closing, overridden methods."""

import asyncio
import contextvars
import gc
import inspect
import logging
import time

import pytest


async def nothing():
    pass


def test_call_soon_is_first_in_first_out(loop, turn):
    log = []
    for number in range(100):
        loop.call_soon(log.append, number)
    assert log == []
    turn()
    assert log == list(range(100))


@pytest.mark.parametrize("count", range(7))
def test_call_soon_passes_every_argument(loop, turn, count):
    log = []
    loop.call_soon(lambda *args: log.append(args), *range(count))
    turn()
    assert log == [tuple(range(count))]


def test_an_iteration_runs_only_what_was_ready_when_it_began(loop, turn):
    log = []

    def again(n):
        log.append(n)
        loop.call_soon(again, n + 1)

    loop.call_soon(again, 0)
    for expected in ([0], [0, 1], [0, 1, 2]):
        turn()
        assert log == expected


def test_cancelled_callbacks_do_not_run(loop, turn):
    log = []
    handles = [loop.call_soon(log.append, n) for n in range(6)]
    for handle in handles[::2]:
        handle.cancel()
    turn()
    assert log == [1, 3, 5]


def test_a_callback_cancels_a_later_one_of_the_same_iteration(loop, turn):
    log = []
    loop.call_soon(lambda: later.cancel())
    later = loop.call_soon(log.append, "cancelled")
    loop.call_soon(log.append, "kept")
    turn()
    assert log == ["kept"]


def test_callbacks_run_in_the_context_of_their_scheduling(loop, turn):
    variable = contextvars.ContextVar("variable", default="default")
    log = []

    def note():
        log.append(variable.get())
        variable.set("left behind")

    context = contextvars.copy_context()
    context.run(variable.set, "given")
    token = variable.set("scheduled")
    loop.call_soon(note)
    loop.call_soon(note, context=context)
    loop.call_later(0, note)
    loop.call_at(0, note, context=context)
    variable.reset(token)
    turn(3)
    assert log == ["scheduled", "given", "left behind", "scheduled"]
    assert variable.get() == "default"


def test_context_must_be_a_context(loop, turn, reported, stock, outcome):
    got = outcome(loop.call_soon, print, context=object())
    stock_loop = stock.SelectorEventLoop()
    expected = outcome(stock_loop.call_soon, print, context=object())
    assert got[0] == expected[0]
    stock_loop.close()


def test_run_until_complete_returns_the_result(loop):
    async def main():
        return "result"

    assert loop.run_until_complete(main()) == "result"


def test_run_until_complete_takes_a_future(loop):
    future = loop.create_future()
    loop.call_soon(future.set_result, "result")
    assert loop.run_until_complete(future) == "result"


def test_run_until_complete_raises_the_exception(loop):
    async def main():
        raise ValueError("why")

    with pytest.raises(ValueError, match="why"):
        loop.run_until_complete(main())


def test_run_until_complete_takes_what_ensure_future_takes(loop):
    class Awaitable:
        def __await__(self):
            return loop.create_task(self.value()).__await__()

        async def value(self):
            return 5

    assert loop.run_until_complete(Awaitable()) == 5
    with pytest.raises(TypeError, match="An asyncio.Future, a coroutine or an awaitable"):
        loop.run_until_complete(5)


def test_run_until_complete_of_an_ended_future_runs_an_iteration(loop):
    log = []
    future = loop.create_future()
    future.set_result("already")
    loop.call_soon(log.append, "ran")
    assert loop.run_until_complete(future) == "already"
    assert log == ["ran"]


def test_run_until_complete_stopped_early(loop):
    future = loop.create_future()
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError, match="Event loop stopped before Future completed."):
        loop.run_until_complete(future)
    loop.call_soon(future.set_result, 1)
    assert loop.run_until_complete(future) == 1


def test_a_future_of_another_loop_is_refused(impl, loop):
    other = impl.new_event_loop()
    future = other.create_future()
    with pytest.raises(ValueError, match="different"):
        loop.run_until_complete(future)
    other.close()


def test_stop_before_run_forever_runs_one_iteration(loop):
    log = []
    loop.call_soon(log.append, "once")
    loop.stop()
    loop.run_forever()
    assert log == ["once"]


def test_stop_finishes_the_iteration(loop):
    log = []
    loop.call_soon(loop.stop)
    loop.call_soon(log.append, "same iteration")
    loop.call_soon(lambda: loop.call_soon(log.append, "next iteration"))
    loop.run_forever()
    assert log == ["same iteration"]
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert log == ["same iteration", "next iteration"]


def test_stop_twice_stops_once(loop):
    log = []
    loop.stop()
    loop.stop()
    loop.run_forever()
    loop.call_soon(log.append, "second run")
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert log == ["second run"]


def test_a_loop_runs_again_and_again(loop):
    async def main(n):
        return n

    assert [loop.run_until_complete(main(n)) for n in range(20)] == list(range(20))


def test_is_running_and_the_running_loop(loop):
    async def main():
        assert loop.is_running()
        assert asyncio.get_running_loop() is loop
        assert asyncio._get_running_loop() is loop
        assert asyncio.get_event_loop() is loop

    assert not loop.is_running()
    loop.run_until_complete(main())
    assert not loop.is_running()
    assert asyncio._get_running_loop() is None


def test_callbacks_see_the_running_loop(loop, turn):
    log = []
    loop.call_soon(lambda: log.append(asyncio.get_running_loop()))
    turn()
    assert log == [loop]


def test_a_loop_cannot_run_forever_within_itself(loop):
    async def main():
        with pytest.raises(RuntimeError, match="This event loop is already running"):
            loop.run_forever()

    loop.run_until_complete(main())


def test_a_loop_cannot_run_until_complete_within_itself(loop):
    async def main():
        coro = nothing()
        with pytest.raises(RuntimeError, match="This event loop is already running"):
            loop.run_until_complete(coro)
        coro.close()

    loop.run_until_complete(main())


def test_another_loop_cannot_run_within_a_loop(impl, loop):
    async def main():
        other = impl.new_event_loop()
        coro = nothing()
        with pytest.raises(RuntimeError, match="Cannot run the event loop while another loop is"):
            other.run_until_complete(coro)
        coro.close()
        other.close()

    loop.run_until_complete(main())


def test_close(loop):
    assert not loop.is_closed()
    loop.close()
    assert loop.is_closed()
    loop.close()


def test_a_running_loop_cannot_be_closed(loop):
    async def main():
        with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
            loop.close()

    loop.run_until_complete(main())
    assert not loop.is_closed()


def test_a_closed_loop_refuses_work(loop):
    loop.close()
    coro = nothing()
    uses = [
        lambda: loop.call_soon(print),
        lambda: loop.call_soon_threadsafe(print),
        lambda: loop.call_later(0, print),
        lambda: loop.call_at(0, print),
        lambda: loop.run_forever(),
        lambda: loop.create_task(coro),
        lambda: loop.run_until_complete(coro),
        lambda: loop.run_in_executor(None, print),
    ]
    for use in uses:
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            use()
    coro.close()


def test_close_drops_what_was_scheduled(impl, turn, loop):
    log = []
    loop.call_soon(log.append, "ready")
    loop.call_later(0.001, log.append, "timer")
    loop.close()
    assert log == []


def test_a_raising_callback_is_reported_and_the_rest_runs(loop, turn, reported):
    log = []
    error = ValueError("callback")

    def fail():
        raise error

    loop.call_soon(fail)
    loop.call_soon(log.append, "after")
    turn()
    assert log == ["after"]
    (context,) = reported
    assert context["exception"] is error
    assert context["message"].startswith("Exception in callback ")
    assert "fail" in context["message"]
    assert isinstance(context["handle"], asyncio.Handle)
    assert set(context) == {"exception", "message", "handle"}


def test_errors_of_timers_are_reported_too(loop, turn, reported):
    loop.call_later(0, lambda: 1 / 0)
    turn(2)
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]
    assert isinstance(reported[0]["handle"], asyncio.TimerHandle)


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_an_exit_leaves_the_rest_queued(loop, turn, error):
    log = []

    def leave():
        raise error("leave")

    loop.call_soon(log.append, "before")
    loop.call_soon(leave)
    loop.call_soon(log.append, "after")
    with pytest.raises(error, match="leave"):
        loop.run_forever()
    assert log == ["before"]
    assert not loop.is_running()
    turn()
    assert log == ["before", "after"]


def test_a_run_left_by_an_exit_can_be_taken_up(loop):
    log = []

    async def main():
        for number in range(3):
            log.append(number)
            await asyncio.sleep(0)
        return "end"

    def leave():
        raise KeyboardInterrupt

    task = loop.create_task(main())
    loop.call_soon(leave)
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    assert log == [0]
    assert loop.run_until_complete(task) == "end"
    assert log == [0, 1, 2]


def test_time_is_monotonic_time(loop):
    before = time.monotonic()
    now = loop.time()
    assert before <= now <= time.monotonic()
    assert isinstance(now, float)


def test_a_replaced_time_is_used_by_call_later(loop):
    loop.time = lambda: 1000.0
    assert loop.call_later(5, print).when() == 1005.0
    del loop.time
    assert loop.time() != 1000.0


def test_attributes_can_be_set_on_a_loop(loop):
    loop.added = 1
    assert loop.added == 1
    assert vars(loop)["added"] == 1


def test_a_replaced_call_soon_is_honoured_by_futures(impl, loop, turn):
    log = []
    original = loop.call_soon

    def call_soon(callback, *args, context=None):
        log.append("call_soon")
        return original(callback, *args, context=context)

    loop.call_soon = call_soon
    future = impl.Future(loop=loop)
    future.add_done_callback(lambda f: log.append("callback"))
    future.set_result(None)
    del loop.call_soon
    turn()
    assert log == ["call_soon", "callback"]


def test_a_subclass_overriding_call_soon_is_honoured_by_tasks(impl):
    log = []

    class Counting(impl.SelectorEventLoop):
        def call_soon(self, callback, *args, context=None):
            log.append("call_soon")
            return super().call_soon(callback, *args, context=context)

    async def main():
        await impl.sleep(0)
        await impl.sleep(0)

    loop = Counting()
    loop.run_until_complete(main())
    loop.close()
    assert len(log) >= 4


def test_a_subclass_overriding_create_task_is_honoured(impl):
    log = []

    class Counting(impl.SelectorEventLoop):
        def create_task(self, coro, **kwargs):
            log.append(coro.__name__)
            return super().create_task(coro, **kwargs)

    async def main():
        await impl.create_task(nothing())
        await impl.gather(nothing())
        async with impl.TaskGroup() as group:
            group.create_task(nothing())

    loop = Counting()
    loop.run_until_complete(main())
    loop.close()
    assert log == ["main", "nothing", "nothing", "nothing"]


def test_the_loop_is_an_abstract_event_loop(loop):
    assert isinstance(loop, asyncio.AbstractEventLoop)
    assert isinstance(loop, asyncio.SelectorEventLoop)


def test_every_method_of_the_abstract_loop_exists(loop):
    for name, member in vars(asyncio.AbstractEventLoop).items():
        if not name.startswith("_") and inspect.isfunction(member):
            assert callable(getattr(loop, name)), name


def test_cycles_through_scheduled_callbacks_are_collected(impl):
    import weakref

    class Held:
        pass

    loop = impl.new_event_loop()
    held = Held()
    held.loop = loop
    loop.call_soon(print, held)
    loop.call_later(1000, print, held)
    reference = weakref.ref(held)
    loop.close()
    del loop, held
    gc.collect()
    assert reference() is None


def test_logging_in_callbacks_works(loop, turn, caplog):
    caplog.set_level(logging.INFO)
    loop.call_soon(logging.getLogger("elsewhere").info, "hello %s", "world")
    turn()
    assert caplog.messages == ["hello world"]


def test_many_callbacks(loop, turn, many):
    count = 0

    def add():
        nonlocal count
        count += 1

    for _ in range(many):
        loop.call_soon(add)
    turn()
    assert count == many


def test_keyword_only_context_and_missing_callback(loop):
    with pytest.raises(TypeError):
        loop.call_soon()
    with pytest.raises(TypeError):
        loop.call_later(1)
    with pytest.raises(TypeError):
        loop.call_at(1)
    with pytest.raises(TypeError):
        loop.call_soon(print, unknown=1)
