"""call_later, call_at and TimerHandle: order, deadlines, cancellation, comparison."""

import asyncio
import math
import random

import pytest


def callback(*args):
    pass


def run_until_empty(loop, delay):
    loop.call_later(delay, loop.stop)
    loop.run_forever()


def test_call_at_and_call_later_return_timer_handles(impl, loop):
    before = loop.time()
    later = loop.call_later(10, callback)
    after = loop.time()
    at = loop.call_at(5.5, callback)
    for handle in (later, at):
        assert type(handle) is impl.TimerHandle
        assert isinstance(handle, (asyncio.TimerHandle, impl.Handle))
        assert isinstance(handle, asyncio.Handle)
    assert before + 10 <= later.when() <= after + 10
    assert at.when() == 5.5
    assert at._when == 5.5
    assert at._scheduled is True
    for handle in (later, at):
        handle.cancel()


def test_no_delay_is_still_a_timer(impl, loop, turn):
    log = []
    handle = loop.call_later(0, log.append, "timer")
    assert type(handle) is impl.TimerHandle
    loop.call_soon(log.append, "soon")
    turn()
    turn()
    assert log == ["soon", "timer"]


def test_deadlines_decide_the_order(loop):
    log = []
    delays = [0.03, 0.01, 0.02, 0, 0.04]
    for delay in delays:
        loop.call_later(delay, log.append, delay)
    run_until_empty(loop, 0.06)
    assert log == sorted(delays)


def test_a_pair_of_equal_deadlines_keeps_its_order(loop, turn):
    log = []
    when = loop.time() - 1
    loop.call_at(when, log.append, 1)
    loop.call_at(when, log.append, 2)
    turn()
    assert log == [1, 2]


def test_equal_deadlines_fire_in_one_iteration(loop, turn):
    log = []
    when = loop.time() - 1
    handles = [loop.call_at(when, log.append, number) for number in range(300)]
    for handle in handles[::3]:
        handle.cancel()
    turn()
    assert sorted(log) == [number for number in range(300) if number % 3]


def test_timers_never_fire_early(loop):
    early = []

    def check(when):
        if loop.time() < when:
            early.append(when)

    random_delays = random.Random(1)
    for _ in range(200):
        when = loop.time() + random_delays.random() / 50
        loop.call_at(when, check, when)
    run_until_empty(loop, 0.05)
    assert early == []


def test_a_deadline_within_the_clocks_resolution_is_due(loop, turn):
    log = []
    loop._clock_resolution = 1000.0
    loop.call_later(100, log.append, "due")
    turn()
    assert log == ["due"]


def test_timers_that_are_due_run_after_what_was_ready(loop, turn):
    log = []
    loop.call_at(loop.time() - 1, log.append, "overdue")
    loop.call_soon(log.append, "ready")
    turn()
    assert log == ["ready", "overdue"]


def test_overdue_timers_run_in_order_of_deadline(loop, turn):
    log = []
    now = loop.time()
    for back in (1, 3, 2):
        loop.call_at(now - back, log.append, back)
    turn()
    assert log == [3, 2, 1]


def test_a_timer_set_by_a_timer_runs_in_a_later_iteration(loop, turn):
    log = []
    loop.call_at(0, lambda: (log.append("first"), loop.call_at(-1, log.append, "second")))
    turn()
    assert log == ["first"]
    turn()
    assert log == ["first", "second"]


def test_cancelled_timers_do_not_fire(loop):
    log = []
    handles = [loop.call_later(0.001 * n, log.append, n) for n in range(10)]
    for handle in handles[::2]:
        handle.cancel()
        assert handle.cancelled()
    run_until_empty(loop, 0.03)
    assert log == [1, 3, 5, 7, 9]


def test_a_timer_cancelled_when_it_is_due_already(loop, turn):
    log = []
    loop.call_at(0, lambda: second.cancel())
    second = loop.call_at(1, log.append, "cancelled by the first")
    turn(2)
    assert log == []


def test_cancel_in_any_order(loop):
    log = []
    numbers = list(range(500))
    handles = {n: loop.call_later(0.001 + n / 1e6, log.append, n) for n in numbers}
    random.Random(2).shuffle(numbers)
    for n in numbers[:400]:
        handles[n].cancel()
        handles[n].cancel()
    run_until_empty(loop, 0.02)
    assert log == sorted(numbers[400:])


def test_cancelling_after_the_fire_is_harmless(loop, turn):
    handle = loop.call_at(0, callback)
    turn(2)
    handle.cancel()
    assert handle.cancelled()


def test_cancelled_timers_leave_the_heap(loop, turn):
    """Many cancelled timers far in the future are forgotten, not kept until they are due."""
    import weakref

    class Held:
        def __call__(self):
            pass

    references = []
    for _ in range(1000):
        held = Held()
        references.append(weakref.ref(held))
        loop.call_later(10_000, held).cancel()
    del held
    turn(2)
    assert not any(reference() for reference in references)


def test_comparison(impl, loop):
    def timer(when, back=callback, args=()):
        return impl.TimerHandle(when, back, args, loop)

    early, late = timer(1.0), timer(2.0)
    assert early < late
    assert early <= late
    assert late > early
    assert late >= early
    assert early != late
    same = timer(1.0)
    assert early == same
    assert early <= same
    assert early >= same
    assert not early < same
    assert early != timer(1.0, print)
    assert early != timer(1.0, args=(1,))
    assert hash(early) == hash(1.0)
    cancelled = timer(1.0)
    cancelled.cancel()
    assert early != cancelled


def test_comparison_with_other_types(impl, loop):
    timer = impl.TimerHandle(1.0, callback, (), loop)
    for operation in ("__lt__", "__le__", "__gt__", "__ge__", "__eq__"):
        assert getattr(timer, operation)(object()) is NotImplemented
    assert timer != 1.0
    with pytest.raises(TypeError):
        assert timer < 1.0


def test_repr(impl, stock, loop):
    timer = impl.TimerHandle(123.0, callback, (1,), loop)
    assert repr(timer).startswith("<TimerHandle when=123.0 callback(")
    assert repr(timer) == repr(stock.TimerHandle(123.0, callback, (1,), loop))
    timer.cancel()
    assert repr(timer) == "<TimerHandle cancelled when=123.0>"


def test_when_is_what_was_given(impl, loop):
    for when in (1, 2.5, -3):
        assert impl.TimerHandle(when, callback, (), loop).when() == when


def test_cancel_tells_the_loop(impl, loop):
    timer = loop.call_later(1000, callback)
    assert timer._scheduled is True
    timer.cancel()
    assert timer._callback is None
    assert timer._args is None


@pytest.mark.parametrize("bad", [None, "1", [], object()])
def test_bad_deadlines(loop, bad):
    with pytest.raises(TypeError):
        loop.call_later(bad, callback)


def test_none_as_a_deadline(loop):
    with pytest.raises(TypeError, match="when cannot be None"):
        loop.call_at(None, callback)
    with pytest.raises(TypeError, match="delay must not be None"):
        loop.call_later(None, callback)


@pytest.mark.parametrize("delay", [math.inf, 1e300, 10**15])
def test_huge_delays_wait(loop, delay):
    log = []
    handle = loop.call_later(delay, log.append, "never")
    run_until_empty(loop, 0.005)
    assert log == []
    handle.cancel()


@pytest.mark.parametrize("delay", [-1, -math.inf, -1e300])
def test_negative_delays_are_overdue(loop, turn, delay):
    log = []
    loop.call_later(delay, log.append, "overdue")
    turn()
    assert log == ["overdue"]


def test_integer_and_fraction_delays(loop, turn):
    from fractions import Fraction

    log = []
    loop.call_later(0, log.append, "int")
    loop.call_later(Fraction(1, 10_000), log.append, "fraction")
    run_until_empty(loop, 0.01)
    assert log == ["int", "fraction"]


def test_the_loop_sleeps_until_the_nearest_timer(loop):
    """It neither spins nor oversleeps into the timer after: order of both shows it."""
    log = []
    loop.call_later(0.01, log.append, 1)
    loop.call_later(0.02, loop.stop)
    loop.run_forever()
    assert log == [1]


def test_timers_survive_from_run_to_run(loop, turn):
    log = []
    loop.call_later(0.005, log.append, "fired")
    turn()
    assert log == []
    run_until_empty(loop, 0.02)
    assert log == ["fired"]


def test_many_timers(loop):
    log = []
    generator = random.Random(3)
    now = loop.time()
    for _ in range(20_000):
        when = now + generator.random() / 1000
        loop.call_at(when, log.append, when)
    run_until_empty(loop, 0.01)
    assert len(log) == 20_000
    assert log == sorted(log)


def test_a_replaced_call_at_is_used_by_call_later(impl):
    log = []

    class Loop(impl.SelectorEventLoop):
        def call_at(self, when, callback, *args, context=None):
            log.append("call_at")
            return super().call_at(when, callback, *args, context=context)

    loop = Loop()
    loop.call_later(0, loop.stop)
    loop.run_forever()
    loop.close()
    assert log == ["call_at"]


def test_debug_mode_keeps_the_place_of_creation(loop):
    loop.set_debug(True)
    for handle in (loop.call_later(1000, callback), loop.call_at(1e9, callback)):
        assert handle._source_traceback[-1].name == "test_debug_mode_keeps_the_place_of_creation"
        assert " created at " in repr(handle)
        handle.cancel()


def test_a_deadline_beyond_all_floats(impl, loop):
    ran = []
    handle = loop.call_at(10**400, ran.append, "never")
    loop.call_later(0.001, loop.stop)
    loop.run_forever()
    assert handle.when() == 10**400
    handle.cancel()
    assert not ran
    with pytest.raises(OverflowError):
        loop.call_later(10**400, ran.append)
