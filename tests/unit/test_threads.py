"""Work in threads, to_thread, run_coroutine_threadsafe, wrap_future: in both directions."""

import asyncio
import concurrent.futures
import contextvars
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

variable = contextvars.ContextVar("variable", default="unset")


@pytest.fixture
def gate():
    """An event that is set at the end, whatever happens, so that no thread is left."""
    gate = threading.Event()
    yield gate
    gate.set()


@pytest.fixture
def one_thread(loop):
    """The loop's executor, with a single thread."""
    with ThreadPoolExecutor(1) as executor:
        loop.set_default_executor(executor)
        yield executor


async def turns(impl, count):
    for _ in range(count):
        await impl.sleep(0)


# --- run_in_executor in the loop's own pool ---------------------------------------------------


def test_arguments_and_results(loop):
    async def main():
        assert await loop.run_in_executor(None, lambda *args: args) == ()
        assert await loop.run_in_executor(None, lambda *args: args, 1, None, "x") == (1, None, "x")
        assert await loop.run_in_executor(executor=None, func=int) == 0

    loop.run_until_complete(main())


@pytest.mark.parametrize(
    "error",
    [
        *(ValueError("x"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), TimeoutError("t")),
        *(concurrent.futures.CancelledError("c"), concurrent.futures.InvalidStateError("i")),
        *(asyncio.CancelledError("a"), StopIteration("s"), StopAsyncIteration()),
    ],
    ids=repr,
)
def test_exceptions(impl, run, same_as_stock, error):
    def work():
        raise type(error)(*error.args)

    async def program(aio):
        loop = asyncio.get_running_loop()
        messages = []
        loop.set_exception_handler(lambda _, context: messages.append(repr(context["exception"])))
        future = loop.run_in_executor(None, work)
        await aio.wait([future], timeout=0.2 if isinstance(error, StopIteration) else None)
        if not future.done() or future.cancelled():
            return messages, future.done()
        return messages, type(future.exception()), future.exception().args

    same_as_stock(program)


def test_the_traceback_leads_to_the_function(loop):
    def culprit():
        raise ValueError

    async def main():
        with pytest.raises(ValueError) as caught:
            await loop.run_in_executor(None, culprit)
        return caught.traceback[-1].name

    assert loop.run_until_complete(main()) == "culprit"


def test_iterations_from_the_end_to_the_wake_up(impl, run, same_as_stock):
    """A result takes the same number of iterations from its arrival to who awaits it."""

    async def program(aio):
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, int)
        future = loop.run_in_executor(None, int)
        while not future.done():
            await aio.sleep(0)
        log = []
        task = aio.create_task(aio.wait([loop.run_in_executor(None, int)]))
        loop.call_soon(log.append, "a turn")
        await task
        return log

    same_as_stock(program)


def test_what_was_given_is_released(loop):
    class Thing:
        def __call__(self, other):
            return None

    async def main():
        thing, other = Thing(), Thing()
        refs = [weakref.ref(thing), weakref.ref(other)]
        future = loop.run_in_executor(None, thing, other)
        del thing, other
        await future
        await loop.run_in_executor(None, int)
        return refs

    refs = loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_default_executor())
    assert [ref() for ref in refs] == [None, None]


def test_cancelled_before_it_runs(impl, loop, one_thread, gate):
    log = []

    async def main():
        running = loop.run_in_executor(None, gate.wait)
        queued = loop.run_in_executor(None, log.append, "never")
        last = loop.run_in_executor(None, log.append, "last")
        assert queued.cancel()
        await turns(impl, 2)
        gate.set()
        await running
        await last
        assert queued.cancelled()

    loop.run_until_complete(main())
    assert log == ["last"]


def test_cancelled_while_it_runs(impl, loop, gate):
    started = threading.Event()
    log = []

    def work():
        started.set()
        gate.wait()
        log.append("to the end")

    async def main():
        future = loop.run_in_executor(None, work)
        started.wait()
        future.cancel()
        with pytest.raises(asyncio.CancelledError):
            await future
        gate.set()
        await loop.shutdown_default_executor()

    loop.run_until_complete(main())
    assert log == ["to the end"]


def test_a_task_cancelled_while_it_waits(impl, loop, gate):
    async def main():
        task = impl.create_task(impl.to_thread(gate.wait))
        await turns(impl, 2)
        task.cancel("enough")
        with pytest.raises(asyncio.CancelledError, match="enough"):
            await task
        gate.set()

    loop.run_until_complete(main())


def test_somebody_else_finished_the_future(loop, gate, reported):
    async def main():
        future = loop.run_in_executor(None, gate.wait)
        future.set_result("early")
        gate.set()
        await loop.shutdown_default_executor()
        await asyncio.sleep(0)
        return await future

    assert loop.run_until_complete(main()) == "early"
    assert [type(context["exception"]) for context in reported] == [AssertionError]


def test_a_pool_shut_down_with_its_queue_cancelled(impl, loop, one_thread, gate):
    async def main():
        running = loop.run_in_executor(None, gate.wait)
        queued = [loop.run_in_executor(None, int) for _ in range(3)]
        one_thread.shutdown(wait=False, cancel_futures=True)
        gate.set()
        outcomes = await impl.gather(running, *queued, return_exceptions=True)
        return [type(outcome) for outcome in outcomes]

    assert loop.run_until_complete(main()) == [bool, *[asyncio.CancelledError] * 3]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_pool_whose_initializer_fails(impl, loop, caplog, logged):
    def fail():
        raise ZeroDivisionError

    async def main():
        with ThreadPoolExecutor(1, initializer=fail) as executor:
            loop.set_default_executor(executor)
            with pytest.raises(concurrent.futures.BrokenExecutor):
                await loop.run_in_executor(None, int)
            with pytest.raises(concurrent.futures.BrokenExecutor):
                await loop.run_in_executor(None, int)

    loop.run_until_complete(main())


def test_a_pool_that_was_shut_down(loop):
    executor = ThreadPoolExecutor(1)
    loop.set_default_executor(executor)
    executor.shutdown()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        loop.run_in_executor(None, int)


@pytest.mark.parametrize("place", ["instance", "class", "subclass"])
def test_a_replaced_submit_is_called(loop, monkeypatch, place):
    calls = []
    original = ThreadPoolExecutor.submit

    def submit(self, function, /, *args, **kwargs):
        calls.append(function)
        return original(self, function, *args, **kwargs)

    pool_class = ThreadPoolExecutor
    if place == "class":
        monkeypatch.setattr(ThreadPoolExecutor, "submit", submit)
    elif place == "subclass":
        pool_class = type("Pool", (ThreadPoolExecutor,), {"submit": submit})
    with pool_class(1) as executor:
        if place == "instance":
            executor.submit = submit.__get__(executor)
        loop.set_default_executor(executor)

        async def main():
            return await loop.run_in_executor(None, int)

        assert loop.run_until_complete(main()) == 0
    assert calls == [int]


def test_an_overridden_create_future(loop):
    made = []

    class Loop(type(loop)):
        def create_future(self):
            made.append(super().create_future())
            return made[-1]

    other = Loop()

    async def main():
        await other.run_in_executor(None, int)
        future = other.run_in_executor(None, int)
        assert future in made
        return await future

    assert other.run_until_complete(main()) == 0
    other.run_until_complete(other.shutdown_default_executor())
    other.close()


def test_an_overridden_call_soon_threadsafe(loop):
    calls = []

    class Loop(type(loop)):
        def call_soon_threadsafe(self, callback, *args, context=None):
            calls.append(callback)
            return super().call_soon_threadsafe(callback, *args, context=context)

    other = Loop()

    async def main():
        for _ in range(3):
            await other.run_in_executor(None, time.sleep, 0.02)

    other.run_until_complete(main())
    assert len(calls) == 3
    other.run_until_complete(other.shutdown_default_executor())
    other.close()


def test_debug_mode_switched_on_meanwhile(loop, gate):
    async def main():
        await loop.run_in_executor(None, int)
        future = loop.run_in_executor(None, gate.wait)
        loop.set_debug(True)
        gate.set()
        assert await future is True
        loop.set_debug(False)

    loop.run_until_complete(main())


def test_many_threads_at_once(impl, loop):
    async def main():
        futures = [loop.run_in_executor(None, lambda n=n: n) for n in range(2000)]
        for future in futures[::7]:
            future.cancel()
        outcomes = await impl.gather(*futures, return_exceptions=True)
        for n, outcome in enumerate(outcomes):
            assert outcome == n or (n % 7 == 0 and isinstance(outcome, asyncio.CancelledError))

    loop.run_until_complete(main())


def test_reference_counts_are_flat(impl, loop, one_thread, stays_flat):
    def fail():
        raise ValueError

    async def once():
        await loop.run_in_executor(None, int)
        loop.run_in_executor(None, int).cancel()
        with pytest.raises(ValueError):
            await loop.run_in_executor(None, fail)
        await impl.to_thread(int)

    stays_flat(once, 30)


# --- to_thread --------------------------------------------------------------------------------


def test_to_thread(impl, run):
    async def main():
        variable.set("the caller's")

        def work(*args, **kwargs):
            seen = variable.get()
            variable.set("the thread's")
            return seen, args, kwargs, threading.current_thread() is threading.main_thread()

        seen = await impl.to_thread(work, 1, x=2)
        return seen, variable.get()

    assert run(main()) == (("the caller's", (1,), {"x": 2}, False), "the caller's")


def test_to_thread_raises(impl, run):
    async def main():
        with pytest.raises(ZeroDivisionError):
            await impl.to_thread(lambda: 1 / 0)

    run(main())


def test_to_thread_without_a_loop(impl):
    with pytest.raises(RuntimeError, match="no running event loop"):
        impl.to_thread(int).send(None)


# --- run_coroutine_threadsafe -----------------------------------------------------------------


@pytest.fixture
def submit(impl, loop):
    """A function that submits a coroutine from another thread; returns the concurrent future."""

    async def submit(coroutine):
        return await impl.to_thread(impl.run_coroutine_threadsafe, coroutine, loop)

    return submit


def test_threadsafe_result_and_exception(impl, loop, submit):
    async def value(result):
        await impl.sleep(0)
        if isinstance(result, BaseException):
            raise result
        return result

    async def main():
        future = await submit(value(1))
        assert isinstance(future, concurrent.futures.Future)
        assert await impl.wrap_future(future) == 1
        future = await submit(value(ValueError("x")))
        with pytest.raises(ValueError, match="x"):
            await impl.wrap_future(future)
        assert isinstance(future.exception(), ValueError)

    loop.run_until_complete(main())


@pytest.mark.parametrize("side", ["concurrent", "task"])
def test_threadsafe_cancellation_goes_both_ways(impl, loop, submit, side):
    tasks = []

    async def forever():
        tasks.append(impl.current_task())
        await loop.create_future()

    async def main():
        future = await submit(forever())
        while not tasks:
            await impl.sleep(0)
        (tasks[0] if side == "task" else future).cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        await turns(impl, 2)
        assert future.cancelled()

    loop.run_until_complete(main())


def test_threadsafe_task_is_of_the_implementation(impl, loop, submit):
    async def kind():
        return type(impl.current_task())

    async def main():
        return await impl.wrap_future(await submit(kind())) is type(impl.current_task())

    assert loop.run_until_complete(main())


def test_threadsafe_takes_only_coroutines(impl, loop):
    for wrong in (None, 42, loop.create_future(), lambda: None):
        with pytest.raises(TypeError, match="A coroutine object is required"):
            impl.run_coroutine_threadsafe(wrong, loop)


def test_threadsafe_where_the_task_cannot_be_made(impl, loop, reported):
    def factory(loop, coro, **kwargs):
        coro.close()
        raise RuntimeError("no task")

    loop.set_task_factory(factory)
    future = impl.run_coroutine_threadsafe(impl.sleep(0), loop)
    loop.call_soon(loop.stop)
    loop.run_forever()
    with pytest.raises(RuntimeError, match="no task"):
        future.result(0)
    assert len(reported) == 1


# --- wrap_future, isfuture, ensure_future -----------------------------------------------------


def test_wrap_future(impl, loop):
    async def main():
        source = concurrent.futures.Future()
        wrapped = impl.wrap_future(source)
        assert impl.wrap_future(wrapped) is wrapped
        threading.Thread(target=source.set_result, args=(5,)).start()
        assert await wrapped == 5

    loop.run_until_complete(main())


@pytest.mark.parametrize("side", ["source", "wrapped"])
def test_wrap_future_cancellation_goes_both_ways(impl, loop, side):
    async def main():
        source = concurrent.futures.Future()
        wrapped = impl.wrap_future(source)
        (source if side == "source" else wrapped).cancel()
        await turns(impl, 3)
        assert source.cancelled()
        assert wrapped.cancelled()

    loop.run_until_complete(main())


def test_isfuture_and_iscoroutine(impl, loop):
    async def nothing():
        pass

    class Foreign:
        _asyncio_future_blocking = False

    class Broken:
        def __getattr__(self, name):
            return None

    async def main():
        task, coroutine, native = impl.create_task(nothing()), nothing(), impl.sleep(0)
        futures = [loop.create_future(), task, Foreign()]
        assert all(map(impl.isfuture, futures))
        others = [coroutine, native, nothing, None, Foreign, Broken(), concurrent.futures.Future()]
        assert not any(map(impl.isfuture, others))
        assert impl.iscoroutine(coroutine)
        assert impl.iscoroutine(native)
        assert not any(map(impl.iscoroutine, [*futures, nothing, None, iter([])]))
        coroutine.close()
        native.close()
        await task

    loop.run_until_complete(main())


@pytest.mark.parametrize(
    "kind", ["coroutine", "native", "future", "task", "foreign", "awaitable", "other loop", 42]
)
@pytest.mark.parametrize("with_loop", [False, True])
def test_ensure_future(impl, run, same_as_stock, kind, with_loop):
    class Awaitable:
        def __await__(self):
            yield
            return "awaited"

    class Foreign:
        _asyncio_future_blocking = False

        def get_loop(self):
            return asyncio.get_running_loop()

    async def value():
        return "value"

    async def program(aio):
        loop = asyncio.get_running_loop()
        other = aio.new_event_loop()
        made = {
            "coroutine": value,
            "native": lambda: aio.sleep(0, "slept"),
            "future": loop.create_future,
            "task": lambda: aio.create_task(value()),
            "foreign": Foreign,
            "awaitable": Awaitable,
            "other loop": other.create_future,
        }.get(kind, lambda: kind)()
        other.close()
        try:
            future = aio.ensure_future(made, **({"loop": loop} if with_loop else {}))
        except Exception as error:
            return type(error), str(error)
        if future is made:
            if kind == "task":
                await future
            return "itself"
        return isinstance(future, asyncio.Task), await future

    same_as_stock(program)


@pytest.mark.parametrize(
    ("arguments", "keywords"), [((), {}), ((1, 2), {}), ((None,), {"x": 1}), ((), {"loop": None})]
)
def test_ensure_future_wrong_calls(impl, arguments, keywords):
    with pytest.raises(TypeError):
        impl.ensure_future(*arguments, **keywords)


def test_current_task(impl, loop):
    async def main():
        task = impl.current_task()
        assert isinstance(task, impl.Task)
        assert impl.current_task(loop) is task
        assert impl.current_task(loop=None) is task
        assert task in impl.all_tasks()
        seen = []
        loop.call_soon(lambda: seen.append(impl.current_task()))
        await impl.sleep(0)
        assert seen == [None]
        other = impl.new_event_loop()
        assert impl.current_task(other) is None
        other.close()

    loop.run_until_complete(main())
    assert impl.current_task(loop) is None
    with pytest.raises(RuntimeError, match="no running event loop"):
        impl.current_task()
    with pytest.raises(TypeError):
        impl.current_task(loop, 1)
