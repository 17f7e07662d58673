"""Timeouts: their states, deadlines, cancellation at every point, subclasses and patches."""

import asyncio
import contextlib
import contextvars
import gc
import inspect

import pytest


def test_states_and_what_they_show(same_as_stock):
    async def main(aio):
        log = []

        def note(timeout):
            log.append((timeout._state.name, timeout.expired(), repr(timeout).split(" when")[0]))

        timeout = aio.timeout(None)
        note(timeout)
        log.append((timeout.when(), timeout._task, timeout._timeout_handler))
        log.append(hasattr(timeout, "_cancelling"))
        async with timeout as inside:
            assert inside is timeout
            note(timeout)
            log.append((timeout._task is aio.current_task(), timeout._cancelling))
        note(timeout)
        with pytest.raises(TimeoutError) as caught:
            async with aio.timeout(0) as timeout:
                try:
                    await aio.sleep(1)
                finally:
                    note(timeout)
        note(timeout)
        error = caught.value
        log.append((error.args, type(error.__cause__), error.__cause__ is error.__context__))
        return log

    same_as_stock(main)


@pytest.mark.parametrize("delay", [0, -1, 0.0, -0.5, False, 1e-9, float("-inf")])
def test_deadlines_that_are_over(same_as_stock, delay):
    async def main(aio):
        log = []
        try:
            async with aio.timeout(delay) as timeout:
                for turn in range(5):
                    log.append(turn)
                    await aio.sleep(0 if delay != 1e-9 else 0.001)
        except TimeoutError:
            log.append(timeout.expired())
        async with aio.timeout(delay) as timeout:
            log.append("no await")
        log.append(timeout.expired())
        return log[-2:] if delay == 1e-9 else log

    same_as_stock(main)


@pytest.mark.parametrize("delay", [10, 10.5, True, 10**300, float("inf"), float("nan"), "x", None])
@pytest.mark.parametrize("how", ["timeout", "timeout_at"])
def test_delays_of_any_kind(same_as_stock, delay, how):
    async def main(aio):
        try:
            when = delay
            if how == "timeout_at" and type(delay) is int and delay < 100:
                when += int(asyncio.get_running_loop().time())
            async with getattr(aio, how)(when) as timeout:
                if delay is not True:
                    await aio.sleep(0)
            return type(timeout.when()), timeout.expired()
        except BaseException as error:
            return type(error)

    same_as_stock(main)


def test_times_that_are_numbers_of_other_kinds(impl, run):
    from fractions import Fraction

    async def main():
        before = asyncio.get_running_loop().time()
        async with impl.timeout(Fraction(5, 2)) as timeout:
            await impl.sleep(0)
        assert timeout.when() >= before + 2.5
        when = Fraction(int(before) + 100)
        async with impl.timeout_at(when) as timeout:
            assert timeout.when() is when
            timeout.reschedule(when + 1)
            assert timeout.when() == when + 1

    run(main())


@pytest.mark.parametrize("how", ["before", "inside", "expiring", "expired", "after"])
@pytest.mark.parametrize("when", [None, 0, 1e9])
def test_reschedule_in_each_state(same_as_stock, how, when):
    async def main(aio):
        log = []
        timeout = aio.timeout(0 if how in ("expiring", "expired") else 100)

        def move():
            try:
                timeout.reschedule(when)
            except RuntimeError as error:
                log.append(str(error))
            log.append((timeout.when() == when, timeout._state.name))

        if how == "before":
            move()
        try:
            async with timeout:
                if how == "inside":
                    move()
                try:
                    for _ in range(3):
                        await aio.sleep(0)
                finally:
                    if how == "expiring":
                        move()
        except TimeoutError:
            log.append("timeout")
        if how in ("expired", "after"):
            move()
        return log

    same_as_stock(main)


def test_rescheduled_while_its_entry_is_ready(same_as_stock):
    async def main(aio):
        log = []
        async with aio.timeout(100) as timeout:
            for when in (0, 1e9, 0, None, 0, 1e9):  # due, and taken back, in one turn
                timeout.reschedule(when)
            await aio.sleep(0)
            await aio.sleep(0)
            log.append(timeout.expired())
        for moves in ([0], [0, 1e9, 0], [0, 0, 0]):
            try:
                async with aio.timeout(100) as timeout:
                    for when in moves:
                        timeout.reschedule(when)
                    for turn in range(5):
                        log.append(turn)
                        await aio.sleep(0)
            except TimeoutError:
                log.append((timeout.expired(), aio.current_task().cancelling()))
        return log

    same_as_stock(main)


def test_left_while_its_entry_is_ready(same_as_stock):
    async def main(aio):
        async with aio.timeout(0) as first:
            pass
        async with aio.timeout(100) as second:
            for _ in range(3):
                await aio.sleep(0)
        return first.expired(), second.expired()

    assert same_as_stock(main) == (False, False)


def test_nested(same_as_stock):
    async def main(aio):
        log = []
        for inner, outer in [(0, None), (None, 0), (0, 0), (0, 1e-9)]:
            try:
                async with aio.timeout(outer) as first:
                    try:
                        async with aio.timeout(inner) as second:
                            await aio.sleep(1)
                    except TimeoutError:
                        log.append("inner")
                        await aio.sleep(0)
            except TimeoutError as error:
                log.append(("outer", type(error.__cause__)))
            log.append((first.expired(), second.expired(), aio.current_task().cancelling()))
        return log

    same_as_stock(main)


@pytest.mark.parametrize("cancel_at", range(6))
@pytest.mark.parametrize("expires", [False, True])
@pytest.mark.parametrize("swallow", [False, True])
def test_cancelled_from_outside_at_every_point(same_as_stock, cancel_at, expires, swallow):
    async def main(aio):
        log = []

        async def body():
            timeout = None
            try:
                await aio.sleep(0)
                async with aio.timeout(0 if expires else None) as timeout:
                    try:
                        await aio.sleep(0)
                        await aio.sleep(0)
                    except asyncio.CancelledError as error:
                        log.append(("inside", error.args, aio.current_task().cancelling()))
                        if not swallow:
                            raise
                await aio.sleep(0)
            except BaseException as error:
                log.append((type(error), error.args, type(error.__cause__)))
            finally:
                log.append((timeout and repr(timeout), aio.current_task().cancelling()))

        task = aio.create_task(body())
        for turn in range(9):
            if turn == cancel_at:
                log.append(task.cancel("message"))
            await aio.sleep(0)
        await aio.gather(task, return_exceptions=True)
        return log

    same_as_stock(main)


def test_errors_that_leave_an_expired_block(same_as_stock):
    def chain(error):
        found = []
        while error is not None and len(found) < 9:
            found.append((type(error).__name__, str(error), type(error.__cause__).__name__))
            error = error.__context__
        return found

    async def main(aio):
        async def fail_while_cancelled(error):
            try:
                await aio.sleep(1)
            finally:
                raise error

        async def caught(error):
            try:
                async with aio.timeout(0):
                    await fail_while_cancelled(error)
            except BaseException as raised:
                inner = getattr(raised, "exceptions", ())
                return chain(raised), [chain(e) for e in inner]

        async def grouped():
            try:
                async with aio.timeout(0), aio.TaskGroup() as group:
                    group.create_task(fail_while_cancelled(LookupError("child")))
                    await aio.sleep(1)
            except BaseException as raised:
                return type(raised), [chain(e) for e in getattr(raised, "exceptions", ())]

        group = ExceptionGroup("group", [ValueError("1"), KeyError("2")])
        return [
            await caught(LookupError("plain")),
            await caught(group),
            await caught(asyncio.CancelledError("again")),
            await grouped(),
        ]

    same_as_stock(main)


def test_misuse(same_as_stock):
    async def main(aio):
        log = []
        timeout = aio.timeout(1)
        async with timeout:
            pass
        for use in (timeout.__aenter__, lambda: timeout.__aexit__(None, None, None)):
            try:
                await use()
            except (RuntimeError, AssertionError) as error:
                log.append((type(error), str(error)))
        return log

    same_as_stock(main)


def test_no_loop_and_no_task(impl, loop):
    with pytest.raises(RuntimeError, match="no running event loop"):
        impl.timeout(1)
    timeout = impl.timeout_at(1)
    entering = timeout.__aenter__()
    with pytest.raises(RuntimeError, match="no running event loop"):
        entering.send(None)

    errors = []

    def outside_of_tasks():
        try:
            impl.timeout(1).__aenter__().send(None)
        except RuntimeError as error:
            errors.append(str(error))
        loop.stop()

    loop.call_soon(outside_of_tasks)
    loop.run_forever()
    assert errors == ["Timeout should be used inside a task"]


def test_subclass_that_overrides_everything(same_as_stock):
    async def main(aio):
        log = []

        class Loud(aio.Timeout):
            def __init__(self, when):
                super().__init__(when)
                self.extra = when

            def reschedule(self, when):
                log.append("reschedule")
                super().reschedule(when)

            def _on_timeout(self):
                log.append("on timeout")
                super()._on_timeout()

            async def __aenter__(self):
                log.append("enter")
                return await super().__aenter__()

            async def __aexit__(self, *exc_info):
                log.append(("exit", exc_info[0]))
                return await super().__aexit__(*exc_info)

        async with Loud(None) as timeout:
            log.append((timeout.extra, repr(timeout)))
        try:
            async with Loud(0) as timeout:
                await aio.sleep(1)
        except TimeoutError:
            log.append(timeout.expired())
        return log

    same_as_stock(main)


def test_subclass_whose_init_does_not_call_ours(impl):
    class Bare(impl.Timeout):
        def __init__(self):
            pass

    timeout = Bare()
    for use in (timeout.when, timeout.expired, lambda: timeout._state, lambda: repr(timeout)):
        with pytest.raises(AttributeError):
            use()


@pytest.mark.parametrize("where", ["class", "instance"])
@pytest.mark.parametrize("name", ["reschedule", "_on_timeout"])
def test_methods_that_are_replaced(same_as_stock, where, name, monkeypatch):
    async def main(aio):
        log = []
        timeout = aio.timeout(0)
        original = getattr(aio.Timeout, name)

        def spy(*args):
            log.append(name)
            return original(*(args if where == "class" else (timeout, *args)))

        with monkeypatch.context() as patch:
            patch.setattr(aio.Timeout if where == "class" else timeout, name, spy)
            try:
                async with timeout:
                    await aio.sleep(1)
            except TimeoutError:
                log.append("timeout")
        return log

    assert same_as_stock(main) == [name, "timeout"]


def test_another_class_under_the_name(impl, run, monkeypatch):
    class Other(impl.Timeout):
        pass

    async def main():
        monkeypatch.setattr(asyncio.timeouts, "Timeout", Other)
        return type(impl.timeout(1)), type(impl.timeout_at(1))

    assert run(main()) == (Other, Other)


def test_instances_have_a_dictionary_and_weak_references(impl, run):
    import weakref

    async def main():
        timeout = impl.timeout(1)
        timeout.attribute = 1
        assert vars(timeout).get("attribute") == 1
        reference = weakref.ref(timeout)
        async with timeout:
            pass
        del timeout
        gc.collect()
        assert reference() is None

    run(main())


def test_is_a_stock_timeout_for_everybody(impl, run, stock):
    async def main():
        timeout = impl.timeout(1)
        assert isinstance(timeout, (impl.Timeout, stock.Timeout))
        assert isinstance(timeout, stock.Timeout)
        assert issubclass(impl.Timeout, stock.Timeout)
        assert isinstance(stock.Timeout(1), impl.Timeout)
        assert str(inspect.signature(impl.timeout)).startswith("(delay")
        assert inspect.iscoroutinefunction(timeout.__aenter__)

    run(main())


def test_the_handle_that_one_may_ask_for(impl, loop):
    async def main():
        async with impl.timeout(100) as timeout:
            handle = timeout._timeout_handler
            assert isinstance(handle, asyncio.TimerHandle)
            assert handle is timeout._timeout_handler
            assert handle.when() == timeout.when()
            assert not handle.cancelled()
            timeout.reschedule(loop.time() + 200)
            assert handle.cancelled()
            assert timeout._timeout_handler is not handle
        assert timeout._timeout_handler is None
        async with impl.timeout(0) as timeout:  # due already
            handle = timeout._timeout_handler
            assert isinstance(handle, asyncio.Handle)
            assert not isinstance(handle, asyncio.TimerHandle)
            handle.cancel()
            await impl.sleep(0)
            await impl.sleep(0)
        with pytest.raises(TimeoutError):
            async with impl.timeout(0.001) as timeout:
                assert timeout._timeout_handler is not None
                await impl.sleep(10)
        with pytest.raises(TimeoutError):
            async with impl.timeout(0) as timeout:
                assert timeout._timeout_handler is not None
                await impl.sleep(10)

    loop.run_until_complete(main())


def test_loop_methods_that_are_overridden(impl):
    class Loud(impl.SelectorEventLoop):
        log = ()

        def call_at(self, when, callback, *args, context=None):
            self.log += ("call_at",)
            return super().call_at(when, callback, *args, context=context)

        def call_soon(self, callback, *args, context=None):
            self.log += (getattr(callback, "__name__", "?"),)
            return super().call_soon(callback, *args, context=context)

        def time(self):
            self.log += ("time",)
            return super().time()

    async def main(loop):
        loop.log = ()
        async with impl.timeout(100):
            log = loop.log
        assert log.count("call_at") == 1
        assert log.count("time") >= 2
        loop.log = ()
        async with impl.timeout(0):
            log = loop.log
        assert "_on_timeout" in log

    loop = Loud()
    try:
        loop.run_until_complete(main(loop))
    finally:
        loop.close()


def test_debug_mode(impl, run):
    async def main():
        with pytest.raises(TimeoutError):
            async with impl.timeout(0.001) as timeout:
                assert timeout._timeout_handler._source_traceback
                await impl.sleep(10)
        async with impl.timeout(10):
            await impl.sleep(0)

    run(main(), debug=True)


def test_on_a_stock_loop(impl, stock):
    async def main():
        async with impl.timeout(10) as timeout:
            await impl.sleep(0)
        assert not timeout.expired()
        with pytest.raises(TimeoutError):
            async with impl.timeout(0.001):
                await impl.sleep(10)

    loop = stock.SelectorEventLoop()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


def test_stock_tasks(impl, loop, stock):
    async def main():
        async with impl.timeout(10):
            await impl.sleep(0)
        with pytest.raises(TimeoutError):
            async with impl.timeout(0.001):
                await impl.sleep(10)

    loop.run_until_complete(stock.tasks.Task(main(), loop=loop))


def test_cancel_runs_in_the_context_of_the_schedule(same_as_stock):
    variable = contextvars.ContextVar("variable", default="outside")

    async def main(aio):
        log = []

        class Future(aio.Future):
            def cancel(self, msg=None):
                log.append(variable.get())
                return super().cancel(msg)

        variable.set("entered")
        with pytest.raises(TimeoutError):
            async with aio.timeout(0.001):
                variable.set("later")
                await Future()
        return log

    assert same_as_stock(main) == ["entered"]


def test_cancel_that_fails(impl, loop, reported):
    class Future(impl.Future):
        def cancel(self, msg=None):
            raise LookupError("cancel")

    async def main():
        waited = Future(loop=loop)
        loop.call_later(0.01, waited.set_result, 1)
        async with impl.timeout(0) as timeout:
            assert await waited == 1
        return timeout.expired()

    assert loop.run_until_complete(main()) is False
    assert [type(context["exception"]) for context in reported] == [LookupError]


def test_coroutines_of_enter_and_exit(impl, run):
    async def main():
        timeout = impl.timeout(100)
        entering = timeout.__aenter__()
        assert asyncio.iscoroutine(entering)
        assert entering.__qualname__ == "Timeout.__aenter__"
        entering.close()
        assert repr(timeout) == "<Timeout [created]>"
        assert await timeout.__aenter__() is timeout
        leaving = timeout.__aexit__(None, None, None)
        assert leaving.__name__ == "__aexit__"
        assert await leaving is None
        with pytest.raises(RuntimeError, match="already awaited"):
            await leaving

    run(main())


def test_exit_that_is_awaited_after_the_deadline(same_as_stock):
    async def main(aio):
        timeout = await aio.timeout(0).__aenter__()
        error = asyncio.CancelledError("by hand")
        leaving = timeout.__aexit__(type(error), error, None)
        with contextlib.suppress(asyncio.CancelledError):
            await aio.sleep(1)
        try:
            await leaving
        except TimeoutError as raised:
            return raised.__cause__ is error, timeout.expired()

    assert same_as_stock(main) == (True, True)


def test_the_loop_is_closed_before_the_deadline(impl):
    kept = []

    async def main(delay):
        kept.append(await impl.timeout(delay).__aenter__())

    for delay in (100, 0):
        loop = impl.new_event_loop()
        loop.run_until_complete(main(delay))
        loop.close()
    loop = impl.new_event_loop()

    async def leave():
        for timeout in kept:
            await timeout.__aexit__(None, None, None)

    loop.run_until_complete(leave())
    loop.close()
    assert len(kept) == 2


def test_references_are_flat(impl, stays_flat):
    async def once():
        async with impl.timeout(10):
            await impl.sleep(0)
        async with impl.timeout(10) as timeout:
            timeout._timeout_handler.cancel()
            timeout.reschedule(None)
        for delay in (0, 1e-6):
            try:
                async with impl.timeout(delay):
                    await impl.sleep(1)
            except TimeoutError:
                pass

    stays_flat(once)
