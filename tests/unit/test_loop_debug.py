"""EventLoop: errors and their handlers, debug mode, reprs."""

import asyncio
import contextvars
import gc
import threading
import time

import pytest


async def nothing():
    pass


def test_the_exception_handler(loop, turn):
    log = []
    assert loop.get_exception_handler() is None

    def handler(running, context):
        log.append((running, context["message"]))

    loop.set_exception_handler(handler)
    assert loop.get_exception_handler() is handler
    loop.call_exception_handler({"message": "hello"})
    assert log == [(loop, "hello")]
    loop.set_exception_handler(None)
    assert loop.get_exception_handler() is None
    with pytest.raises(TypeError, match="A callable object or None is expected"):
        loop.set_exception_handler(1)


def test_the_default_handler_logs(loop, logged, caplog):
    loop.default_exception_handler({"message": "m", "zeta": 1, "alpha": [2]})
    loop.call_exception_handler({"message": "n", "exception": ValueError("e")})
    loop.call_exception_handler({})
    assert logged() == ["m\nalpha: [2]\nzeta: 1", "n", "Unhandled exception in event loop"]
    logged_errors = [record.exc_info for record in caplog.records]
    assert [bool(error) for error in logged_errors] == [False, True, False]
    assert logged_errors[1][0] is ValueError


def test_a_failing_handler_is_logged_with_both_errors(loop, turn, logged):
    def handler(running, context):
        raise LookupError("handler")

    loop.set_exception_handler(handler)
    loop.call_soon(lambda: 1 / 0)
    turn()
    messages = logged()
    assert messages[0].startswith("Unhandled error in exception handler")
    assert "ZeroDivisionError" in messages[0]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_an_exit_from_the_handler_leaves_the_loop(loop, turn, error):
    log = []

    def handler(running, context):
        raise error

    loop.set_exception_handler(handler)
    loop.call_soon(lambda: 1 / 0)
    loop.call_soon(log.append, "rest")
    with pytest.raises(error):
        loop.run_forever()
    loop.set_exception_handler(None)
    turn()
    assert log == ["rest"]


def test_a_replaced_call_exception_handler_is_called(loop, turn):
    log = []
    loop.call_exception_handler = lambda context: log.append(type(context["exception"]))
    loop.call_soon(lambda: 1 / 0)
    turn()
    assert log == [ZeroDivisionError]


def test_errors_are_reported_in_the_callbacks_or_the_loops_context(impl, stock):
    variable = contextvars.ContextVar("variable", default="outside")

    def seen_by_handler(loop):
        log = []
        loop.set_exception_handler(lambda running, context: log.append(variable.get()))

        def fail():
            variable.set("inside")
            raise ValueError

        loop.call_soon(fail)
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()
        return log

    assert seen_by_handler(impl.new_event_loop()) == seen_by_handler(stock.SelectorEventLoop())


def test_debug_flag(loop):
    assert loop.get_debug() is False
    loop.set_debug(True)
    assert loop.get_debug() is True
    loop.set_debug(False)
    assert loop.get_debug() is False


def test_debug_mode_refuses_other_threads(loop):
    loop.set_debug(True)
    errors = []

    async def main():
        thread = threading.Thread(target=misuse)
        thread.start()
        while thread.is_alive():
            await asyncio.sleep(0)
        thread.join()

    def misuse():
        for use in (
            lambda: loop.call_soon(print),
            lambda: loop.call_later(1, print),
            lambda: loop.call_at(1, print),
        ):
            try:
                use()
            except RuntimeError as error:
                errors.append(str(error))

    loop.run_until_complete(main())
    message = "Non-thread-safe operation invoked on an event loop other than the current one"
    assert errors == [message] * 3


def test_debug_mode_refuses_coroutines_as_callbacks(loop):
    loop.set_debug(True)
    coro = nothing()
    for bad in (coro, nothing):
        with pytest.raises(TypeError, match="coroutines cannot be used with call_soon"):
            loop.call_soon(bad)
        with pytest.raises(TypeError, match="coroutines cannot be used with call_at"):
            loop.call_later(0, bad)
    with pytest.raises(TypeError, match="a callable object was expected by call_soon"):
        loop.call_soon(1)
    coro.close()


def test_debug_mode_reports_slow_callbacks(loop, turn, logged):
    loop.set_debug(True)
    assert loop.slow_callback_duration == 0.1
    loop.slow_callback_duration = 0.001
    loop.call_soon(time.sleep, 0.01)
    turn()
    assert any(
        message.startswith("Executing <Handle") and "took" in message for message in logged()
    )


def test_debug_mode_reports_slow_tasks(loop, logged):
    async def slow():
        time.sleep(0.01)

    loop.set_debug(True)
    loop.slow_callback_duration = 0.001
    loop.run_until_complete(slow())
    assert any("Executing <Task finished" in message for message in logged())


def test_slow_callbacks_are_not_reported_outside_debug_mode(loop, turn, caplog):
    loop.slow_callback_duration = 0
    loop.call_soon(time.sleep, 0.001)
    turn()
    assert caplog.records == []


def test_debug_mode_reports_the_place_of_scheduling(loop, turn, reported):
    loop.set_debug(True)
    loop.call_soon(lambda: 1 / 0)
    turn()
    names = [frame.name for frame in reported[0]["source_traceback"]]
    assert names[-1] == "test_debug_mode_reports_the_place_of_scheduling"


def test_debug_mode_can_be_switched_by_a_callback(loop, turn, logged):
    loop.slow_callback_duration = 0
    loop.call_soon(loop.set_debug, True)
    turn()
    loop.call_soon(loop.set_debug, False)
    turn()
    assert loop.get_debug() is False


def test_running_in_debug_mode_tracks_coroutine_origins(loop):
    import sys

    async def main():
        return sys.get_coroutine_origin_tracking_depth()

    before = sys.get_coroutine_origin_tracking_depth()
    loop.set_debug(True)
    assert loop.run_until_complete(main()) > 0
    assert sys.get_coroutine_origin_tracking_depth() == before
    loop.set_debug(False)
    assert loop.run_until_complete(main()) == before


def test_an_unclosed_loop_warns(impl):
    loop = impl.new_event_loop()
    with pytest.warns(ResourceWarning, match="unclosed event loop"):
        loop.__del__()
    assert loop.is_closed()
    loop = None
    gc.collect()
    assert loop is None


def test_repr(loop):
    text = repr(loop)
    assert text.startswith("<")
    assert text.endswith(" running=False closed=False debug=False>")
    loop.set_debug(True)
    loop.close()
    assert repr(loop).endswith(" running=False closed=True debug=True>")
