"""Bad input: the same type of exception as stock asyncio, and never a crash."""

import asyncio
import gc
import itertools

import pytest


class Unsuitable:
    """An object that is neither a number, a callable nor a coroutine."""


async def nothing():
    pass


def generator_function():
    yield


NOT_COROUTINES = {
    "number": lambda aio: 1,
    "None": lambda aio: None,
    "text": lambda aio: "text",
    "function": lambda aio: nothing,
    "object": lambda aio: Unsuitable(),
    "future": lambda aio: asyncio.get_running_loop().create_future(),
    "class": lambda aio: int,
    "list": lambda aio: [],
}
TAKERS = {
    "create_task": lambda aio, value: aio.create_task(value),
    "loop.create_task": lambda aio, value: asyncio.get_running_loop().create_task(value),
    "Task": lambda aio, value: aio.Task(value),
    "gather": lambda aio, value: aio.gather(value),
    "ensure_future": lambda aio, value: aio.ensure_future(value),
    "run": lambda aio, value: aio.run(value),
    "shield": lambda aio, value: aio.shield(value),
}


@pytest.fixture
def same_error(same_as_stock):
    """Check that a coroutine program raises the same type as on stock, or on neither."""

    def same_error(program, *args):
        async def describe(aio):
            try:
                result = await program(aio, *args)
            except Exception as error:
                return type(error)
            return result

        return same_as_stock(describe)

    return same_error


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("value", NOT_COROUTINES)
def test_what_is_no_coroutine(same_error, taker, value):
    if value == "future" and taker in {"gather", "ensure_future", "shield"}:
        return

    async def main(aio):
        TAKERS[taker](aio, NOT_COROUTINES[value](aio))

    assert issubclass(same_error(main), Exception)


@pytest.mark.parametrize("value", NOT_COROUTINES)
def test_what_is_no_coroutine_in_a_group(same_error, value):
    async def main(aio):
        async with aio.TaskGroup() as group:
            try:
                group.create_task(NOT_COROUTINES[value](aio))
            except TypeError:
                return "refused"

    assert same_error(main) == "refused"


@pytest.mark.parametrize("value", [1, None, "x", Unsuitable(), 1.5])
def test_awaiting_what_cannot_be_awaited(same_error, value):
    async def main(aio):
        await value

    assert same_error(main) is TypeError


@pytest.mark.parametrize(
    "call",
    [
        lambda loop: loop.call_soon(1),
        lambda loop: loop.call_soon(None),
        lambda loop: loop.call_later(0, "text"),
        lambda loop: loop.call_at(0, Unsuitable()),
        lambda loop: loop.call_soon_threadsafe(1),
    ],
)
def test_callbacks_that_cannot_be_called(impl, stock, call, outcome):
    """Outside debug mode they are accepted and fail when they run; the loop goes on."""
    logs = []
    for loop in (impl.new_event_loop(), stock.SelectorEventLoop()):
        log = []
        loop.set_exception_handler(lambda _, context, log=log: log.append(context))
        log.append(outcome(call, loop)[0])
        for _ in range(3):
            loop.call_soon(loop.stop)
            loop.run_forever()
        loop.close()
        logs.append([item if isinstance(item, str) else type(item["exception"]) for item in log])
    assert logs[0] == logs[1]


def test_a_foreign_loops_future(impl, stock, same_error):
    async def main(aio):
        loop = stock.SelectorEventLoop()
        try:
            await loop.create_future()
        finally:
            loop.close()

    assert same_error(main) is RuntimeError


def test_a_future_given_to_another_loops_functions(same_error, impl, stock):
    async def main(aio):
        loop = stock.SelectorEventLoop()
        future, own = loop.create_future(), asyncio.get_running_loop().create_future()
        log = []
        for attempt in (
            lambda: aio.gather(own, future),
            lambda: aio.ensure_future(future, loop=asyncio.get_running_loop()),
            lambda: aio.shield(future, unknown=1),
        ):
            try:
                attempt()
            except Exception as error:
                log.append(type(error))
        loop.close()
        return log

    same_error(main)


@pytest.mark.parametrize("bad", [1, "loop", Unsuitable()])
def test_things_that_are_no_loop(impl, stock, outcome, bad):
    def use(aio, what):
        coro = nothing()
        try:
            if what == "future":
                aio.Future(loop=bad).add_done_callback(print)
            elif what == "ended":
                future = aio.Future(loop=bad)
                future.set_result(1)
                future.add_done_callback(print)
            elif what == "task":
                aio.Task(coro, loop=bad)
            else:
                aio.Handle(print, (), bad)
        finally:
            coro.close()

    for what in ("future", "ended", "task", "handle"):
        ours, theirs = outcome(use, impl, what), outcome(use, stock, what)
        assert ours[:2] == theirs[:2], what


def test_awaiting_oneself(same_error):
    async def main(aio):
        await aio.current_task()

    assert same_error(main) is RuntimeError


def test_awaiting_oneself_through_gather(same_error):
    """A task that gathers itself waits for ever; a cancel from outside finds no end either."""

    async def main(aio):
        async def body():
            await aio.gather(aio.current_task())

        task = aio.create_task(body())
        for _ in range(3):
            await aio.sleep(0)
        try:
            task.cancel()
        except RecursionError:
            task._log_destroy_pending = False
            return task.done()

    assert same_error(main) is False


def test_two_tasks_that_await_each_other(same_error):
    async def main(aio):
        tasks = {}

        async def wait_for(name):
            await tasks[name]

        tasks["a"] = aio.create_task(wait_for("b"))
        tasks["b"] = aio.create_task(wait_for("a"))
        await aio.sleep(0)
        await aio.sleep(0)
        for task in tasks.values():
            task._log_destroy_pending = False
        tasks["a"].cancel()

    assert same_error(main) is RecursionError


def test_a_set_result_by_two(same_error):
    async def main(aio):
        future = aio.Future()
        future.set_result(1)
        future.set_result(2)

    assert same_error(main) is asyncio.InvalidStateError


def test_deep_recursion_of_awaits(same_error):
    async def main(aio):
        async def deep(n):
            return n if n == 0 else await deep(n - 1)

        assert await deep(300) == 0
        await deep(10**6)

    assert same_error(main) is RecursionError


def test_deep_recursion_in_callbacks_of_futures(same_error, many):
    """A long chain of futures, each ended by the callback of the one before."""

    async def main(aio):
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in range(many)]
        for one, other in itertools.pairwise(futures):
            one.add_done_callback(lambda _, other=other: other.set_result(None))
        futures[0].set_result(None)
        return await futures[-1]

    assert same_error(main) is None


def test_dropping_a_long_chain_does_not_overflow_the_stack(impl, run, many):
    """Freeing very many objects that hold one another must not recurse in C."""

    async def main():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        for _ in range(many):
            outer = loop.create_future()
            outer.set_result(future)
            future = outer
        del outer
        task = impl.create_task(nothing())
        for _ in range(many):
            callback = impl.Future(loop=loop)
            callback.add_done_callback(task.add_done_callback)
            task = callback
        del task, future, callback
        gc.collect()
        await impl.sleep(0)

    run(main())


def test_cancelling_a_long_chain_of_tasks(same_error):
    """Stock recurses in `cancel`: a short chain works, a long one is at worst an error."""

    async def main(aio):
        async def link(before):
            await before

        task = asyncio.get_running_loop().create_future()
        for _ in range(200):
            task = aio.create_task(link(task))
        await aio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return "cancelled"

    assert same_error(main) == "cancelled"


@pytest.mark.parametrize(
    "what", ["stop", "close", "run", "run_until_complete", "close after stop"]
)
def test_callbacks_that_handle_the_loop(impl, stock, what):
    def log_of(loop):
        log = []

        def meddle():
            coro = nothing()
            actions = {
                "stop": loop.stop,
                "close": loop.close,
                "run": loop.run_forever,
                "run_until_complete": lambda: loop.run_until_complete(coro),
                "close after stop": lambda: (loop.stop(), loop.close()),
            }
            try:
                log.append(actions[what]())
            except RuntimeError as error:
                log.append(str(error))
            coro.close()

        loop.call_soon(meddle)
        loop.call_soon(log.append, "same iteration")
        loop.call_soon(loop.stop)
        loop.run_forever()
        log.append(loop.is_closed())
        loop.close()
        return log

    assert log_of(impl.new_event_loop()) == log_of(stock.SelectorEventLoop())


@pytest.mark.parametrize("result", [1, None, "x", Unsuitable()])
def test_a_task_factory_that_returns_something_else(same_error, result):
    async def main(aio):
        loop = asyncio.get_running_loop()

        def factory(loop, coro, **kwargs):
            coro.close()
            return result

        loop.set_task_factory(factory)
        try:
            log = [aio.create_task(nothing()) is result]
            try:
                await aio.gather(nothing())
            except Exception as error:
                log.append(type(error))
            with pytest.raises(Exception):  # noqa: B017
                async with aio.TaskGroup() as group:
                    group.create_task(nothing())
        finally:
            loop.set_task_factory(None)
        return log

    same_error(main)


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_a_task_factory_that_raises(same_error):
    async def main(aio):
        loop, log = asyncio.get_running_loop(), []

        def factory(loop, coro, **kwargs):
            coro.close()
            raise LookupError("factory")

        loop.set_task_factory(factory)
        for attempt in (
            lambda: aio.create_task(nothing()),
            lambda: aio.gather(nothing(), nothing()),
            lambda: aio.ensure_future(nothing()),
        ):
            try:
                attempt()
            except LookupError as error:
                log.append(str(error))
        gc.collect()
        loop.set_task_factory(None)
        return log

    assert same_error(main) == ["factory"] * 3


def test_wrong_numbers_of_arguments(impl, stock, loop, outcome):
    calls = [
        lambda aio: aio.Future(1, 2),
        lambda aio: aio.Task(),
        lambda aio: aio.Future(unknown=1),
        lambda aio: aio.TaskGroup(1),
        lambda aio: aio.gather(return_exceptions=True, unknown=1),
        lambda aio: aio.create_task(),
        lambda aio: aio.sleep(),
        lambda aio: aio.Handle(),
        lambda aio: aio.TimerHandle(),
        lambda aio: aio.Future(loop=loop).set_result(1, 2),
        lambda aio: aio.Future(loop=loop).result(1),
        lambda aio: aio.Future(loop=loop).add_done_callback(),
        lambda aio: aio.Future(loop=loop).remove_done_callback(),
    ]
    for call in calls:
        ours, theirs = outcome(call, impl), outcome(call, stock)
        assert ours[:2] == theirs[:2]
        assert theirs[1] is TypeError


@pytest.mark.parametrize("name", ["call_soon", "call_later", "call_at", "call_soon_threadsafe"])
@pytest.mark.parametrize("context", [1, "x", {}, Unsuitable()])
def test_contexts_that_are_none(impl, stock, outcome, name, context):
    """What stock accepts and reports later may be refused at once, but never crash."""
    first = () if "soon" in name else (0,)
    for loop in (impl.new_event_loop(), stock.SelectorEventLoop()):
        reports = []
        loop.set_exception_handler(lambda _, report, reports=reports: reports.append(report))
        kind = outcome(getattr(loop, name), *first, print, context=context)[0]
        for _ in range(2):
            loop.call_soon(loop.stop)
            loop.run_forever()
        loop.close()
        assert kind == "raised" or len(reports) == 1


def test_closing_a_loop_with_everything_pending(impl, logged):
    loop = impl.new_event_loop()
    future = loop.create_future()

    async def main():
        async def wait():
            await future

        tasks = [impl.create_task(wait()) for _ in range(2)]
        tasks.append(impl.gather(impl.create_task(wait()), impl.sleep(1000)))
        await impl.sleep(0)
        return tasks

    loop.run_until_complete(main())
    loop.call_later(1000, print)
    loop.close()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        future.set_result(None)
    future = main = None
    assert any("Task was destroyed but it is pending" in line for line in logged())
