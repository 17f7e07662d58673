"""Handle: what call_soon returns, its cancellation, attributes and repr."""

import asyncio
import contextvars
import gc
import weakref

import pytest


def callback(*args):
    pass


@pytest.fixture
def context():
    return contextvars.copy_context()


def test_call_soon_returns_a_handle(impl, loop):
    handle = loop.call_soon(callback, 1, 2)
    assert type(handle) is impl.Handle
    assert isinstance(handle, asyncio.Handle)
    assert not isinstance(handle, asyncio.TimerHandle)
    assert handle.cancelled() is False
    handle.cancel()


def test_attributes_libraries_read(loop, context):
    handle = loop.call_soon(callback, 1, 2, context=context)
    assert handle._callback is callback
    assert handle._args == (1, 2)
    assert handle._loop is loop
    assert handle._context is context
    assert handle._cancelled is False
    assert handle._source_traceback is None
    assert handle._repr is None
    handle.cancel()
    assert handle._cancelled is True


@pytest.mark.parametrize("count", range(6))
def test_the_arguments_are_a_tuple(loop, count):
    handle = loop.call_soon(callback, *range(count))
    assert handle._args == tuple(range(count))
    handle.cancel()


def test_cancel(loop, turn):
    log = []
    handle = loop.call_soon(log.append, 1)
    assert handle.cancel() is None
    assert handle.cancelled() is True
    handle.cancel()
    turn()
    assert log == []


def test_cancel_drops_the_callback_and_its_arguments(loop):
    class Held:
        pass

    held = Held()
    reference = weakref.ref(held)
    handle = loop.call_soon(callback, held)
    del held
    assert reference() is not None
    handle.cancel()
    assert handle._callback is None
    assert handle._args is None
    assert reference() is None


def test_cancel_after_the_run(loop, turn):
    log = []
    handle = loop.call_soon(log.append, 1)
    turn()
    assert handle.cancelled() is False
    handle.cancel()
    assert handle.cancelled() is True
    assert log == [1]


def test_a_callback_may_cancel_its_own_handle(loop, turn):
    log = []

    def cancel_me():
        handle.cancel()
        log.append(handle.cancelled())

    handle = loop.call_soon(cancel_me)
    turn()
    assert log == [True]


def test_repr(stock, loop):
    handle = loop.call_soon(callback, 1, "two")
    assert repr(handle).startswith("<Handle callback(")
    assert "test_handle.py:" in repr(handle)
    assert repr(handle) == repr(stock.Handle(callback, (1, "two"), loop))
    handle.cancel()
    assert repr(handle) == "<Handle cancelled>"


def test_repr_in_debug_mode(loop):
    loop.set_debug(True)
    handle = loop.call_soon(callback)
    assert " created at " in repr(handle)
    handle.cancel()
    assert repr(handle).startswith("<Handle cancelled callback() at ")
    assert " created at " in repr(handle)


def test_debug_mode_keeps_the_place_of_creation(loop):
    loop.set_debug(True)
    handle = loop.call_soon(callback)
    assert handle._source_traceback[-1].name == "test_debug_mode_keeps_the_place_of_creation"
    handle.cancel()


def test_get_context_as_stock(impl, stock, loop, context):
    handle = loop.call_soon(callback, context=context)
    if hasattr(stock.Handle, "get_context"):
        assert handle.get_context() is context
    handle.cancel()


def test_handles_are_made_by_hand(impl, loop, context):
    log = []
    handle = impl.Handle(log.append, ("run",), loop)
    handle._run()
    assert log == ["run"]
    variable = contextvars.ContextVar("variable")
    handle = impl.Handle(lambda: log.append(variable.get()), (), loop, context)
    context.run(variable.set, "in context")
    handle._run()
    assert log == ["run", "in context"]


def test_run_reports_errors(impl, loop, reported):
    handle = impl.Handle(lambda: 1 / 0, (), loop)
    handle._run()
    (report,) = reported
    assert type(report["exception"]) is ZeroDivisionError
    assert report["handle"] is handle
    assert report["message"].startswith("Exception in callback ")


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_run_lets_exits_out(impl, loop, reported, error):
    def leave():
        raise error

    with pytest.raises(error):
        impl.Handle(leave, (), loop)._run()
    assert reported == []


def test_run_of_a_handle_again(impl, loop):
    log = []
    handle = impl.Handle(log.append, (1,), loop)
    handle._run()
    handle._run()
    assert log == [1, 1]


def test_handles_compare_by_identity(impl, loop):
    one, other = impl.Handle(callback, (), loop), impl.Handle(callback, (), loop)
    assert one in [one]
    assert one != other
    assert hash(one) != hash(other)
    assert len({one, other, one}) == 2


def test_weak_references(impl, loop):
    handle = impl.Handle(callback, (), loop)
    reference = weakref.ref(handle)
    assert reference() is handle
    del handle
    assert reference() is None


def test_a_handle_is_freed_after_its_run(loop, turn):
    reference = weakref.ref(loop.call_soon(callback))
    assert reference() is not None
    turn()
    assert reference() is None


def test_cycles_are_collected(loop):
    class Held:
        pass

    held = Held()
    held.handle = loop.call_soon(callback, held)
    reference = weakref.ref(held)
    loop.close()
    del held
    gc.collect()
    assert reference() is None


def test_a_subclass_of_handle(impl, loop):
    log = []

    class Named(impl.Handle):
        __slots__ = ("name",)

        def cancel(self):
            log.append("cancel")
            super().cancel()

    handle = Named(callback, (), loop)
    handle.name = "name"
    handle.cancel()
    assert log == ["cancel"]
    assert handle.cancelled()
    assert isinstance(handle, asyncio.Handle)


def test_an_exception_handler_gets_the_handle(loop, turn, reported):
    handle = loop.call_soon(lambda: 1 / 0)
    turn()
    assert reported[0]["handle"] is handle


def test_a_replaced_run_is_called(impl, loop, turn, monkeypatch):
    """Debugging tools replace `Handle._run` on the class in `asyncio.events`."""
    log = []
    original = asyncio.events.Handle._run

    def run(self):
        log.append(self._callback)
        return original(self)

    monkeypatch.setattr(asyncio.events.Handle, "_run", run)
    loop.call_soon(callback)
    turn()
    assert callback in log


@pytest.mark.parametrize("bad", [(), (callback,), (callback, ())])
def test_bad_arguments(impl, bad):
    with pytest.raises(TypeError):
        impl.Handle(*bad)
