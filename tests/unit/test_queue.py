"""Queue, PriorityQueue, LifoQueue: order, limits, counting, ends, attributes, texts."""

import asyncio
import collections
import copy
import inspect
import pickle
import sys

import pytest

KINDS = ["Queue", "PriorityQueue", "LifoQueue"]
HAS_SHUTDOWN = sys.version_info >= (3, 13)
with_shutdown = pytest.mark.skipif(not HAS_SHUTDOWN, reason="3.13 added shutdown()")


@pytest.fixture(params=KINDS)
def kind(request, impl):
    """Each of the classes."""
    return getattr(impl, request.param)


def test_items_come_out_by_the_rule_of_the_class(impl, kind):
    queue = kind()
    for item in (3, 1, 2, 1):
        queue.put_nowait(item)
    expected = {"Queue": [3, 1, 2, 1], "PriorityQueue": [1, 1, 2, 3], "LifoQueue": [1, 2, 1, 3]}
    assert [queue.get_nowait() for _ in range(4)] == expected[kind.__name__]
    with pytest.raises(impl.QueueEmpty):
        queue.get_nowait()


def test_size_and_questions(kind):
    queue = kind(2)
    assert (queue.qsize(), queue.empty(), queue.full(), queue.maxsize) == (0, True, False, 2)
    queue.put_nowait(1)
    assert (queue.qsize(), queue.empty(), queue.full()) == (1, False, False)
    queue.put_nowait(item=2)
    assert (queue.qsize(), queue.empty(), queue.full()) == (2, False, True)


@pytest.mark.parametrize("maxsize", [0, -1, False, 0.0, -2.5, -(10**30)])
def test_without_limit(impl, kind, maxsize):
    queue = kind(maxsize)
    for item in range(100):
        queue.put_nowait(item)
    assert not queue.full()
    assert queue.maxsize is maxsize


@pytest.mark.parametrize("maxsize", [1, True, 1.0, 0.5])
def test_limit_of_any_number(impl, kind, maxsize):
    queue = kind(maxsize=maxsize)
    queue.put_nowait(0)
    assert queue.full()
    with pytest.raises(impl.QueueFull):
        queue.put_nowait(0)


def test_limit_that_is_no_number(kind, outcome, stock):
    queue, expected = kind(None), stock.Queue(None)
    for name, arguments in (("full", ()), ("put_nowait", (1,)), ("qsize", ()), ("empty", ())):
        assert outcome(getattr(queue, name), *arguments) == outcome(
            getattr(expected, name), *arguments
        )


def test_limit_changed_while_in_use(impl, kind):
    queue = kind(1)
    queue.put_nowait(1)
    queue._maxsize = 2
    queue.put_nowait(2)
    assert queue.full()
    queue._maxsize = 10**40
    assert not queue.full()
    assert repr(queue._maxsize) == repr(10**40)


def test_getters_are_served_in_order(impl, kind, run):
    async def main():
        queue, log = kind(), []

        async def take(number):
            log.append((number, await queue.get()))

        tasks = [impl.create_task(take(n)) for n in range(4)]
        await impl.sleep(0)
        for item in range(4):
            queue.put_nowait(item)
        await impl.gather(*tasks)
        return [number for number, _ in log], sorted(item for _, item in log)

    assert run(main()) == ([0, 1, 2, 3], [0, 1, 2, 3])


def test_putters_are_served_in_order(impl, run):
    async def main():
        queue = impl.Queue(1)
        queue.put_nowait("first")
        tasks = [impl.create_task(queue.put(n)) for n in range(4)]
        await impl.sleep(0)
        got = [await queue.get() for _ in range(5)]
        assert [task.result() for task in tasks] == [None] * 4
        return got

    assert run(main()) == ["first", 0, 1, 2, 3]


def test_an_uncontended_coroutine_does_not_give_way(impl, kind, run):
    async def main():
        log, queue = [], kind()
        asyncio.get_running_loop().call_soon(log.append, "turn")
        for item in range(50):
            assert await queue.put(item) is None
        for _ in range(50):
            await queue.get()
        for _ in range(50):
            queue.task_done()
        await queue.join()
        return list(log)

    assert run(main()) == []


def test_nothing_happens_before_the_await(impl, kind, run):
    async def main():
        queue = kind()
        putting = queue.put(1)
        assert queue.empty()
        await putting
        getting = queue.get()
        assert queue.qsize() == 1
        assert await getting == 1
        assert queue.empty()
        with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
            await getting

    run(main())


def test_an_item_taken_before_the_woken_getter_runs(impl, run):
    """Who is woken looks again, and waits again at the end of the line."""

    async def main():
        queue, log = impl.Queue(), []

        async def take(name):
            log.append((name, await queue.get()))

        tasks = [impl.create_task(take("a")), impl.create_task(take("b"))]
        await impl.sleep(0)
        queue.put_nowait(1)
        assert queue.get_nowait() == 1
        await impl.sleep(0)
        assert log == []
        queue.put_nowait(2)
        queue.put_nowait(3)
        await impl.gather(*tasks)
        return log

    assert run(main()) == [("b", 2), ("a", 3)]


@pytest.mark.parametrize("item", [None, (), (1, 2), StopIteration(3), ValueError(), 0])
def test_any_item_comes_through_await(impl, run, item):
    async def main():
        queue = impl.Queue()
        queue.put_nowait(item)
        assert (await queue.get()) is item
        getter = impl.create_task(queue.get())
        await impl.sleep(0)
        queue.put_nowait(item)
        return (await getter) is item

    assert run(main())


def test_an_item_is_released_when_it_was_gotten(impl, kind, run):
    class Item:
        alive = 0

        def __init__(self):
            Item.alive += 1

        def __del__(self):
            Item.alive -= 1

        def __lt__(self, other):
            return False

    async def main():
        queue = kind()
        await queue.put(Item())
        item = await queue.get()
        assert Item.alive == 1
        del item
        assert Item.alive == 0
        await queue.put(Item())
        assert Item.alive == 1
        queue.get_nowait()
        assert Item.alive == 0
        putting = queue.put(Item())
        putting.close()
        del putting
        assert Item.alive == 0

    run(main())


def test_task_done_and_join(impl, kind, run):
    async def main():
        queue, log = kind(), []
        assert await queue.join() is None
        for item in range(3):
            queue.put_nowait(item)

        async def join(name):
            assert await queue.join() is None
            log.append(name)

        joins = [impl.create_task(join(n)) for n in range(3)]
        for _ in range(3):
            await impl.sleep(0)
            log.append(queue._finished.is_set())
            queue.get_nowait()
            queue.task_done()
        log.append(queue._finished.is_set())
        await impl.gather(*joins)
        return log

    assert run(main()) == [False, False, False, True, 0, 1, 2]


def test_task_done_too_often(impl, kind):
    queue = kind()
    with pytest.raises(ValueError, match=r"^task_done\(\) called too many times$"):
        queue.task_done()
    queue.put_nowait(1)
    queue.task_done()
    with pytest.raises(ValueError, match="too many times"):
        queue.task_done()


def test_join_waits_again_after_another_item(impl, run):
    async def main():
        queue = impl.Queue()
        queue.put_nowait(1)
        first = impl.create_task(queue.join())
        await impl.sleep(0)
        queue.task_done()
        queue.put_nowait(2)
        await first
        second = impl.create_task(queue.join())
        await impl.sleep(0)
        await impl.sleep(0)
        assert not second.done()
        queue.task_done()
        await second

    run(main())


def test_join_cancelled(impl, run):
    async def main():
        queue = impl.Queue()
        queue.put_nowait(1)
        joins = [impl.create_task(queue.join()) for _ in range(2)]
        await impl.sleep(0)
        joins[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await joins[0]
        queue.task_done()
        await joins[1]

    run(main())


# --- shutdown() ----------------------------------------------------------------------------------


@with_shutdown
@pytest.mark.parametrize("immediate", [False, True])
def test_shutdown(same_as_stock, request, immediate):
    async def program(aio):
        log, queue = [], aio.Queue(2)
        for item in (1, 2):
            queue.put_nowait(item)
        putters = [aio.create_task(queue.put(n)) for n in (3, 4)]
        join = aio.create_task(queue.join())
        await aio.sleep(0)
        queue.shutdown(immediate=immediate)
        log.append(str(queue))
        for call in (queue.get_nowait, lambda: queue.put_nowait(5), queue.get_nowait):
            try:
                log.append(call())
            except Exception as error:
                log.append(repr(error))
        log += await aio.gather(*putters, queue.get(), return_exceptions=True)
        log[-3:] = [repr(value) for value in log[-3:]]
        await aio.sleep(0)
        log += [join.done(), queue._unfinished_tasks, str(queue)]
        join.cancel()
        return log

    same_as_stock(program)


@with_shutdown
@pytest.mark.parametrize("immediate", [False, True])
def test_shutdown_wakes_all_getters(impl, run, immediate):
    async def main():
        queue = impl.Queue()
        getters = [impl.create_task(queue.get()) for _ in range(5)]
        await impl.sleep(0)
        getters[1].cancel()
        queue.shutdown(immediate)
        outcomes = await impl.gather(*getters, return_exceptions=True)
        assert len(queue._getters) == 0
        return [type(outcome).__name__ for outcome in outcomes]

    shut = "QueueShutDown"
    assert run(main()) == [shut, "CancelledError", shut, shut, shut]


@with_shutdown
def test_shutdown_takes_one_argument_and_its_truth(impl):
    queue = impl.Queue()
    with pytest.raises(TypeError):
        queue.shutdown(1, 2)
    with pytest.raises(TypeError):
        queue.shutdown(now=True)
    queue.put_nowait(1)
    queue.shutdown([0])
    assert queue.empty()
    assert queue._is_shutdown is True
    assert queue._unfinished_tasks == 0


@pytest.mark.skipif(HAS_SHUTDOWN, reason="3.13 added it")
def test_there_is_no_shutdown_yet(impl):
    assert not hasattr(impl.Queue(), "shutdown")
    assert not hasattr(impl.Queue(), "_is_shutdown")
    assert not hasattr(impl, "QueueShutDown")


# --- loops ---------------------------------------------------------------------------------------


def test_bound_to_the_loop_in_which_somebody_waited(impl):
    queue = impl.Queue(1)

    def run(coro):
        loop = impl.new_event_loop()
        try:
            return loop.run_until_complete(coro)
        finally:
            loop.close()

    async def use():
        await queue.put(1)
        return await queue.get()

    assert [run(use()), run(use())] == [1, 1]
    assert queue._loop is None

    async def wait():
        getter = impl.create_task(queue.get())
        await impl.sleep(0)
        assert queue._loop is asyncio.get_running_loop()
        queue.put_nowait(1)
        return await getter

    assert run(wait()) == 1
    with pytest.raises(RuntimeError) as raised:
        run(queue.get())
    assert str(raised.value) == f"{queue!r} is bound to a different event loop"


def test_by_hand_where_no_loop_runs(impl):
    queue = impl.Queue(1)
    for coro in (queue.put(1), queue.get()):
        with pytest.raises(StopIteration):
            coro.send(None)
    getting = queue.get()
    with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'create_future'"):
        getting.send(None)


def test_in_a_loop_of_another_make(impl, stock):
    """Futures that are not ours."""
    loop = stock.SelectorEventLoop()

    async def main():
        queue = impl.Queue(1)
        getters = [impl.create_task(queue.get()) for _ in range(3)]
        await impl.sleep(0)
        getters[0].cancel()
        putters = [impl.create_task(queue.put(n)) for n in range(3)]
        await impl.sleep(0)
        putters[2].cancel()
        await impl.sleep(0)
        return await impl.gather(*getters, *putters, return_exceptions=True)

    try:
        got = loop.run_until_complete(main())
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
    assert got[1:5] == [0, 1, None, None]
    assert isinstance(got[0], asyncio.CancelledError)


# --- the objects ---------------------------------------------------------------------------------


def test_texts(same_as_stock):
    async def program(aio):
        log = []
        for name in KINDS:
            queue = getattr(aio, name)(3)
            address = f"{id(queue):#x}"

            def note(queue=queue, address=address):
                log.append((str(queue), repr(queue).replace(address, "address"), queue._format()))

            note()
            for item in "bca":
                queue.put_nowait(item)
                note()
            putter = aio.create_task(queue.put("d"))
            await aio.sleep(0)
            note()
            putter.cancel()
            while not queue.empty():
                queue.get_nowait()
            getters = [aio.create_task(queue.get()) for _ in range(2)]
            await aio.sleep(0)
            note()
            if HAS_SHUTDOWN:
                queue.shutdown()
                note()
            for getter in getters:
                getter.cancel()
            await aio.gather(*getters, putter, return_exceptions=True)
        return log

    same_as_stock(program)


def test_private_attributes(impl):
    queue = impl.Queue(7)
    assert isinstance(queue._queue, collections.deque)
    assert isinstance(impl.PriorityQueue()._queue, list)
    assert isinstance(impl.LifoQueue()._queue, list)
    assert isinstance(queue._getters, collections.deque)
    assert isinstance(queue._putters, collections.deque)
    assert queue._getters is not queue._putters
    assert isinstance(queue._finished, asyncio.Event)
    assert queue._finished is queue._finished
    assert queue._finished.is_set()
    assert (queue._unfinished_tasks, queue._maxsize, queue._loop) == (0, 7, None)
    with pytest.raises(AttributeError):
        queue.maxsize = 3
    queue.attribute = 1
    assert vars(queue)["attribute"] == 1


def test_attributes_that_a_program_sets(impl, run):
    async def main():
        queue = impl.Queue()
        queue._unfinished_tasks = 2
        join = impl.create_task(queue.join())
        await impl.sleep(0)
        queue.task_done()
        queue.task_done()
        await join
        queue._queue.append("put in by hand")
        assert await queue.get() == "put in by hand"
        queue._queue = ["a", "list"]
        assert queue.qsize() == 2
        with pytest.raises(AttributeError, match="popleft"):
            queue.get_nowait()
        await queue.put("end")
        assert queue._queue == ["a", "list", "end"]
        event = queue._finished = impl.Event()
        queue.put_nowait(1)
        for _ in range(2):
            queue.task_done()
        assert event.is_set()

    run(main())


def test_deleted_attributes_are_missing(same_as_stock):
    async def program(aio):
        log = []
        names = ["_maxsize", "_queue", "_getters", "_putters", "_unfinished_tasks", "_finished"]
        calls = {
            "put": lambda queue: queue.put_nowait(1),
            "get": lambda queue: queue.get_nowait(),
            "done": lambda queue: queue.task_done(),
            "full": lambda queue: queue.full(),
            "empty": lambda queue: queue.empty(),
            "size": lambda queue: queue.qsize(),
            "str": str,
        }
        if HAS_SHUTDOWN:
            names.append("_is_shutdown")
            calls["shutdown"] = lambda queue: queue.shutdown(True)
        for name in names:
            for call, function in calls.items():
                queue = aio.Queue(3)
                queue.put_nowait(0)
                delattr(queue, name)
                try:
                    log.append((name, call, function(queue)))
                except Exception as error:
                    log.append((name, call, str(error)))
                setattr(queue, name, None)
        return log

    same_as_stock(program)


def test_classes(impl, stock, kind):
    original = getattr(stock, kind.__name__)
    assert issubclass(kind, original)
    assert isinstance(kind(), original)
    assert isinstance(original(), kind)
    assert isinstance(kind(), impl.Queue)
    assert kind[int].__origin__ is kind
    assert kind.__name__ == kind.__qualname__ == original.__name__


def test_coroutines_and_functions(impl, kind):
    queue = kind()
    for name in ("get", "put", "join"):
        function = getattr(kind, name)
        assert inspect.iscoroutinefunction(function)
        assert inspect.iscoroutinefunction(getattr(queue, name))
        assert function.__doc__
        coro = getattr(queue, name)(*([1] if name == "put" else []))
        assert inspect.iscoroutine(coro)
        assert inspect.getcoroutinestate(coro) == "CORO_CREATED"
        assert coro.__qualname__ == f"Queue.{name}"
        coro.close()
        assert inspect.getcoroutinestate(coro) == "CORO_CLOSED"
    assert list(inspect.signature(queue.put_nowait).parameters) == ["item"]
    assert list(inspect.signature(kind.put).parameters) == ["self", "item"]


def test_a_waiting_coroutine_shows_where_it_is(impl, run):
    async def main():
        queue = impl.Queue(1)
        coro = queue.get()
        getter = impl.create_task(coro)
        await impl.sleep(0)
        assert inspect.getcoroutinestate(coro) == "CORO_SUSPENDED"
        assert coro.cr_await is not None
        assert coro.cr_frame.f_code.co_name == "get"
        assert getter.get_stack()
        await queue.put(item=1)
        return await getter

    assert run(main()) == 1


def test_wrong_arguments(impl, kind, run):
    queue = kind()
    for call in (
        lambda: kind(1, 2),
        lambda: kind(size=1),
        lambda: queue.put_nowait(),
        lambda: queue.put_nowait(1, 2),
        lambda: queue.put_nowait(element=1),
        lambda: queue.get_nowait(1),
        lambda: queue.put(),
        lambda: queue.put(element=1),
        lambda: queue.get(1),
        lambda: queue.join(1),
        lambda: queue.qsize(1),
        lambda: queue.task_done(1),
    ):
        with pytest.raises(TypeError):
            call()

    async def main():
        await queue.put(item=1)
        return await queue.get()

    assert run(main()) == 1


@pytest.mark.parametrize("again", [copy.copy, lambda queue: pickle.loads(pickle.dumps(queue))])
def test_copies(impl, kind, run, again):
    queue = kind(3)
    queue.extra = "kept"
    for item in (3, 1):
        queue.put_nowait(item)
    second = again(queue)
    assert type(second) is kind
    assert (second.maxsize, second.qsize(), second.extra) == (3, 2, "kept")
    assert second._unfinished_tasks == 2
    assert not second._finished.is_set()

    async def main():
        got = [await second.get(), await second.get()]
        second.task_done()
        second.task_done()
        await second.join()
        return got

    assert sorted(run(main())) == [1, 3]


def test_initialised_again(same_as_stock):
    """Everything begins anew; those who waited are forgotten."""

    async def program(aio):
        queue = aio.Queue()
        getter = aio.create_task(queue.get())
        await aio.sleep(0)
        queue.__init__(1)
        queue.put_nowait(1)
        await aio.sleep(0)
        log = [getter.done(), str(queue), await queue.get()]
        getter.cancel()
        await aio.gather(getter, return_exceptions=True)
        return [*log, str(queue)]

    same_as_stock(program)
