"""Future: its states, its callbacks and their order, awaiting."""

import asyncio
import contextvars

import pytest


@pytest.fixture
def future(impl, loop):
    return impl.Future(loop=loop)


def test_new_future_is_pending(future, loop):
    assert not future.done()
    assert not future.cancelled()
    assert future.get_loop() is loop
    assert future._loop is loop
    assert future._state == "PENDING"


def test_result_and_exception_need_the_end(future):
    with pytest.raises(asyncio.InvalidStateError, match="Result is not set."):
        future.result()
    with pytest.raises(asyncio.InvalidStateError, match="Exception is not set."):
        future.exception()


def test_result(future):
    value = object()
    assert future.set_result(value) is None
    assert future.done()
    assert not future.cancelled()
    assert future.result() is value
    assert future.exception() is None
    assert future._state == "FINISHED"
    assert future._result is value


def test_exception(future):
    error = ValueError("why")
    assert future.set_exception(error) is None
    assert future.done()
    assert not future.cancelled()
    assert future.exception() is error
    assert future._exception is error
    with pytest.raises(ValueError) as caught:
        future.result()
    assert caught.value is error


def test_exception_class_is_instantiated(future):
    future.set_exception(KeyError)
    assert type(future.exception()) is KeyError


def test_raising_twice_does_not_lengthen_the_traceback(future):
    future.set_exception(ValueError())

    def depth():
        try:
            future.result()
        except ValueError as error:
            length, traceback = 0, error.__traceback__
            while traceback:
                length, traceback = length + 1, traceback.tb_next
            return length

    assert depth() == depth() == depth()


@pytest.mark.parametrize("value", [1, None, "text", int, object(), StopIteration()])
def test_set_exception_refuses_or_converts_like_stock(impl, loop, stock, outcome, value):
    ours, theirs = impl.Future(loop=loop), stock.Future(loop=loop)
    assert outcome(ours.set_exception, value) == outcome(theirs.set_exception, value)
    assert ours.done() == theirs.done()
    if ours.done():
        assert type(ours.exception()) is type(theirs.exception())
        assert str(ours.exception()) == str(theirs.exception())
        assert type(ours.exception().__cause__) is type(theirs.exception().__cause__)


@pytest.mark.parametrize("end", ["set_result", "set_exception", "cancel"])
def test_an_ended_future_cannot_end_again(future, end):
    argument = {"set_result": (1,), "set_exception": (ValueError(),), "cancel": ()}[end]
    getattr(future, end)(*argument)
    with pytest.raises(asyncio.InvalidStateError):
        future.set_result(2)
    with pytest.raises(asyncio.InvalidStateError):
        future.set_exception(KeyError())
    assert future.cancel() is False
    future.cancelled() or future.exception()


def test_cancel(future):
    assert future.cancel() is True
    assert future.cancelled()
    assert future.done()
    assert future._state == "CANCELLED"
    for ask in (future.result, future.exception):
        with pytest.raises(asyncio.CancelledError) as caught:
            ask()
        assert caught.value.args == ()


def test_cancel_message_reaches_who_asks(future):
    assert future.cancel("reason")
    assert future._cancel_message == "reason"
    with pytest.raises(asyncio.CancelledError) as caught:
        future.result()
    assert caught.value.args == ("reason",)


def test_cancel_message_by_keyword(future):
    future.cancel(msg=42)
    with pytest.raises(asyncio.CancelledError) as caught:
        future.exception()
    assert caught.value.args == (42,)


def test_cancel_message_can_be_set(future):
    future._cancel_message = "set"
    assert future._cancel_message == "set"
    error = future._make_cancelled_error()
    assert type(error) is asyncio.CancelledError
    assert error.args == ("set",)


def test_callbacks_run_in_order_in_the_next_iteration(future, turn):
    log = []
    for name in "abc":
        future.add_done_callback(lambda f, name=name: log.append((name, f)))
    future.set_result(None)
    assert log == []
    turn()
    assert log == [("a", future), ("b", future), ("c", future)]


def test_callbacks_of_a_cancelled_future_run(future, turn):
    log = []
    future.add_done_callback(log.append)
    future.cancel()
    turn()
    assert log == [future]


def test_a_callback_added_twice_runs_twice(future, turn):
    log = []
    future.add_done_callback(log.append)
    future.add_done_callback(log.append)
    future.set_result(None)
    turn()
    assert log == [future, future]


def test_a_callback_added_after_the_end_is_scheduled(future, turn):
    log = []
    future.set_result(None)
    future.add_done_callback(log.append)
    assert log == []
    turn()
    assert log == [future]


def test_a_callback_added_by_a_callback_runs_in_the_next_iteration(future, turn):
    log = []
    future.add_done_callback(lambda f: f.add_done_callback(log.append))
    future.set_result(None)
    turn()
    assert log == []
    turn()
    assert log == [future]


def test_every_callback_keeps_its_own_slot(future, loop, turn):
    log = []
    future.add_done_callback(lambda f: (log.append("first"), loop.call_soon(log.append, "soon")))
    future.add_done_callback(lambda f: log.append("second"))
    future.set_result(None)
    turn(2)
    assert log == ["first", "second", "soon"]


def test_callbacks_stand_between_other_callbacks(future, loop, turn):
    log = []
    future.add_done_callback(lambda f: log.append("a"))
    future.add_done_callback(lambda f: log.append("b"))
    loop.call_soon(log.append, "before")
    future.set_result(None)
    loop.call_soon(log.append, "after")
    turn()
    assert log == ["before", "a", "b", "after"]


def test_one_raising_callback_does_not_stop_the_others(future, turn, reported):
    log = []

    def fail(f):
        raise ValueError("callback")

    future.add_done_callback(fail)
    future.add_done_callback(log.append)
    future.set_result(None)
    turn()
    assert log == [future]
    assert [str(context["exception"]) for context in reported] == ["callback"]


def test_remove_done_callback_counts(future, turn):
    log = []

    def other(f):
        log.append("other")

    assert future.remove_done_callback(other) == 0
    future.add_done_callback(log.append)
    future.add_done_callback(other)
    future.add_done_callback(log.append)
    assert future.remove_done_callback(log.append) == 2
    assert future.remove_done_callback(log.append) == 0
    future.set_result(None)
    turn()
    assert log == ["other"]


def test_remove_after_the_end_does_not_unschedule(future, turn):
    log = []
    future.add_done_callback(log.append)
    future.set_result(None)
    assert future.remove_done_callback(log.append) == 0
    turn()
    assert log == [future]


def test_remove_compares_by_equality(future):
    class Equal:
        def __eq__(self, other):
            return True

        __hash__ = None

        def __call__(self, f):
            raise AssertionError

    future.add_done_callback(print)
    future.add_done_callback(Equal())
    assert future.remove_done_callback(Equal()) == 2


def test_callbacks_run_in_the_context_of_their_adding(future, turn):
    variable = contextvars.ContextVar("variable", default="outside")
    log = []
    other = contextvars.copy_context()
    other.run(variable.set, "given")
    future.add_done_callback(lambda f: log.append(variable.get()))
    future.add_done_callback(lambda f: log.append(variable.get()), context=other)
    token = variable.set("later")
    future.set_result(None)
    variable.reset(token)
    turn()
    assert log == ["outside", "given"]


def test_the_callback_list(future):
    assert future._callbacks is None
    future.add_done_callback(print)
    future.add_done_callback(repr)
    pairs = future._callbacks
    assert [callback for callback, _ in pairs] == [print, repr]
    assert all(isinstance(context, contextvars.Context) for _, context in pairs)
    pairs.clear()
    assert len(future._callbacks) == 2
    future.set_result(None)
    assert future._callbacks is None


def test_await_gets_the_result(impl, run):
    async def main():
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, "value")
        return await future

    assert run(main()) == "value"


def test_await_raises_the_exception(impl, run):
    error = ZeroDivisionError()

    async def main():
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_exception, error)
        with pytest.raises(ZeroDivisionError) as caught:
            await future
        assert caught.value is error

    run(main())


def test_await_of_a_cancelled_future_raises_with_the_message(run):
    async def main():
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.cancel, "message")
        with pytest.raises(asyncio.CancelledError) as caught:
            await future
        return caught.value.args

    assert run(main()) == ("message",)


def test_await_of_an_ended_future_does_not_suspend(run):
    async def main():
        loop, log = asyncio.get_running_loop(), []
        future = loop.create_future()
        future.set_result("done")
        loop.call_soon(log.append, "loop ran")
        assert await future == "done"
        return list(log)

    assert run(main()) == []


def test_many_waiters_wake_in_the_order_of_their_awaits(impl, run):
    async def main():
        future, log = asyncio.get_running_loop().create_future(), []

        async def wait(name):
            log.append((name, await future))

        tasks = [impl.create_task(wait(name)) for name in "abcd"]
        await impl.sleep(0)
        future.set_result(1)
        for task in tasks:
            await task
        return log

    assert run(main()) == [("a", 1), ("b", 1), ("c", 1), ("d", 1)]


def test_the_iterator_yields_the_future_then_returns(future):
    iterator = iter(future)
    assert future._asyncio_future_blocking is False
    assert next(iterator) is future
    assert future._asyncio_future_blocking is True
    future._asyncio_future_blocking = False
    future.set_result(7)
    with pytest.raises(StopIteration) as stop:
        next(iterator)
    assert stop.value.value == 7


@pytest.mark.parametrize("value", [None, (), (1, 2), StopIteration(3), 0])
def test_any_result_passes_through_an_await(run, value):
    async def main():
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, value)
        return await future

    assert run(main()) is value


def test_an_await_resumed_before_the_end_is_an_error(future):
    iterator = future.__await__()
    next(iterator)
    with pytest.raises(RuntimeError, match="await wasn't used with future"):
        next(iterator)


def test_the_iterator_accepts_throw(future):
    iterator = iter(future)
    next(iterator)
    with pytest.raises(ZeroDivisionError):
        iterator.throw(ZeroDivisionError())


def test_the_iterator_accepts_close(future):
    iterator = iter(future)
    next(iterator)
    assert iterator.close() is None


def test_send_on_the_iterator(future):
    iterator = iter(future)
    assert iterator.send(None) is future
    future.set_result("sent")
    with pytest.raises(StopIteration) as stop:
        iterator.send("ignored")
    assert stop.value.value == "sent"


def test_yield_from_a_future(future):
    def generator():
        return (yield from future)

    running = generator()
    assert next(running) is future
    future.set_result("from")
    with pytest.raises(StopIteration) as stop:
        next(running)
    assert stop.value.value == "from"
