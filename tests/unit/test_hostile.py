"""Hostile finalizers, weak references, equality, missing __init__: no crash, a sound loop."""

import asyncio
import contextlib
import gc
import sys
import weakref

import pytest

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


async def nothing():
    pass


def test_del_of_an_argument_raises(loop, turns, still_works):
    class Raising:
        def __del__(self):
            raise ValueError("in __del__")

    loop.call_soon(lambda _: None, Raising())
    loop.call_later(0, lambda _: None, Raising())
    loop.call_soon(print, Raising()).cancel()
    turns(loop)


def test_del_of_an_argument_schedules_more(loop, turns, still_works):
    log = []

    class Scheduling:
        def __del__(self):
            loop.call_soon(log.append, "from __del__")

    loop.call_soon(lambda _: None, Scheduling())
    loop.call_soon(print, Scheduling()).cancel()
    turns(loop)
    assert log == ["from __del__"] * 2


def test_del_of_a_result_resurrects_it(impl, loop, still_works):
    graveyard = []

    class Zombie:
        def __del__(self):
            graveyard.append(self)

    future = impl.Future(loop=loop)
    future.set_result(Zombie())
    del future
    gc.collect()
    assert len(graveyard) == 1


def test_a_future_resurrected_by_its_del(impl, loop, still_works):
    graveyard = []

    class Zombie(impl.Future):
        def __del__(self):
            graveyard.append(self)
            super().__del__()

    future = Zombie(loop=loop)
    future.set_result("kept")
    del future
    gc.collect()
    assert graveyard[0].result() == "kept"
    del graveyard[0]
    gc.collect()


def test_a_task_resurrected_by_the_report_of_its_end(impl, loop, turns, still_works):
    """The exception handler keeps the pending task that is being destroyed, then cancels it."""
    kept = []
    loop.set_exception_handler(lambda _, context: kept.append(context["task"]))

    async def wait():
        await loop.create_future()

    loop.create_task(wait())
    turns(loop)
    gc.collect()
    (task,) = kept
    assert isinstance(task, impl.Task)
    assert not task.done()
    task.cancel()
    turns(loop)
    kept.clear()
    del task
    gc.collect()


def test_a_future_resurrected_by_the_report_of_its_exception(impl, loop, still_works):
    kept = []
    loop.set_exception_handler(lambda _, context: kept.append(context["future"]))
    impl.Future(loop=loop).set_exception(ValueError("lost"))
    gc.collect()
    (future,) = kept
    assert str(future.exception()) == "lost"
    del future
    kept.clear()
    gc.collect()


def test_an_exception_handler_that_raises_during_a_finalizer(impl, loop, still_works, logged):
    def handler(_, context):
        raise LookupError("handler")

    loop.set_exception_handler(handler)
    impl.Future(loop=loop).set_exception(ValueError("lost"))
    gc.collect()
    loop.set_exception_handler(None)
    assert any("Unhandled error in exception handler" in line for line in logged())


def test_del_of_a_local_runs_the_loop_functions(impl, loop, turns, still_works):
    """A finalizer that runs while a task's frame is torn down meddles with that task."""
    log = []

    class Meddler:
        def __init__(self, task):
            self.task = task

        def __del__(self):
            log.append((self.task.done(), self.task.cancel()))
            self.task.add_done_callback(lambda _: log.append("callback"))

    async def body():
        local = Meddler(asyncio.current_task())
        await impl.sleep(0)
        return local is None

    task = loop.create_task(body())
    with contextlib.suppress(asyncio.CancelledError):
        loop.run_until_complete(task)
    turns(loop)
    assert log[-1] == "callback"


def test_weakref_callbacks_that_call_back(impl, loop, turns, still_works):
    log = []

    def gone(reference):
        loop.call_soon(log.append, "gone")
        impl.Future(loop=loop).set_result(None)

    references = [
        weakref.ref(impl.Future(loop=loop), gone),
        weakref.ref(loop.create_task(nothing()), gone),
        weakref.ref(loop.call_soon(int), gone),
    ]
    turns(loop)
    gc.collect()
    turns(loop)
    assert [reference() for reference in references] == [None] * 3
    assert log == ["gone"] * 3


def test_a_weak_registry_of_dying_tasks(impl, loop, still_works):
    """`all_tasks` is called while tasks die all around."""
    sizes = []

    async def wait():
        await impl.sleep(0)
        sizes.append(len(impl.all_tasks()))

    class Asking:
        def __del__(self):
            sizes.append(len(asyncio.all_tasks(loop)))

    async def main():
        asking = Asking()
        tasks = [impl.create_task(wait()) for _ in range(50)]
        while tasks:
            await tasks.pop()
            del asking
            asking = Asking()

    loop.run_until_complete(main())
    assert max(sizes) <= 51


def test_eq_of_a_callback_raises(impl, loop, stock, outcome, still_works):
    class Raising:
        def __eq__(self, other):
            raise LookupError("__eq__")

        __hash__ = None

        def __call__(self, *args):
            pass

    for future in (impl.Future(loop=loop), stock.Future(loop=loop)):
        future.add_done_callback(Raising())
        future.add_done_callback(Raising())
        with pytest.raises(LookupError):
            future.remove_done_callback(Raising())
        future.set_result(None)


def test_eq_of_a_callback_changes_the_list(impl, loop, stock, turns, still_works):
    """`remove_done_callback` compares while the comparison adds, removes or ends the future."""

    def log_of(module, change):
        future = module.Future(loop=loop)
        log = []

        class Changing:
            def __eq__(self, other):
                change(future)
                return False

            __hash__ = None

            def __call__(self, _):
                log.append("called")

        for _ in range(3):
            future.add_done_callback(Changing())
        with contextlib.suppress(Exception):
            log.append(future.remove_done_callback(Changing()))
        if not future.done():
            future.set_result(None)
        turns(loop)
        return log

    changes = [
        lambda future: future.set_result(None) if not future.done() else None,
        lambda future: future.cancel(),
        lambda future: future.__init__(loop=loop) if sys.version_info < (3, 15) else None,
        lambda future: future._callbacks,
    ]
    for change in changes:
        assert log_of(impl, change)[1:] == log_of(stock, change)[1:]


def test_a_future_changes_its_class_while_it_is_awaited(impl, loop, turns, still_works):
    class Other(impl.Future):
        pass

    task = loop.create_task(impl.sleep(1000, "result"))
    turns(loop)
    future = task._fut_waiter
    with contextlib.suppress(TypeError):  # stock's class cannot be changed
        future.__class__ = Other
    future.set_result("result")
    assert loop.run_until_complete(task) == "result"


def test_hash_of_a_future_raises(impl, loop, still_works):
    class Unhashable(impl.Future):
        __hash__ = None

    async def main():
        future = Unhashable(loop=loop)
        loop.call_soon(future.set_result, 1)
        return await future

    assert loop.run_until_complete(main()) == 1


def test_hash_and_eq_of_children(impl, stock, loop, same_as_stock):
    """`gather` keeps its arguments in a dictionary: equal ones are one child, as on stock."""

    async def main(aio):
        class Same(aio.Future):
            def __eq__(self, other):
                return True

            def __hash__(self):
                return 1

        class Unhashable(aio.Future):
            __hash__ = None

        running, log = asyncio.get_running_loop(), []
        futures = [Same(loop=running) for _ in range(3)]
        for number, future in enumerate(futures):
            future.set_result(number)
        log.append(await aio.gather(*futures))
        unhashable = Unhashable(loop=running)
        unhashable.set_result(None)
        try:
            log.append(await aio.gather(unhashable))
        except TypeError:
            log.append("unhashable")
        return log

    same_as_stock(main)


@pytest.mark.parametrize("name", ["Future", "Task", "Handle", "TimerHandle", "TaskGroup"])
def test_every_method_of_an_object_without_init(impl, stock, name):
    """`__new__` alone gives an object whose every use is an error at worst."""
    cls = getattr(impl, name)
    is_stock = cls is getattr(stock, name)
    if is_stock and sys.version_info < (3, 14):
        pytest.skip("stock crashes here before 3.14")
    for member in dir(cls):
        if member in {"__init__", "__del__", "__class__", "__init_subclass__", "__new__"}:
            continue
        for arguments in ((), (1,), (None, None, None)):
            empty = cls.__new__(cls)
            with contextlib.suppress(Exception):
                value = getattr(empty, member)
                result = value(*arguments)
                if hasattr(result, "close"):
                    result.close()
        empty = cls.__new__(cls)
        with contextlib.suppress(Exception):
            setattr(empty, member, None)
    gc.collect()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_every_method_of_a_loop_without_init(impl, stock):
    cls = impl.EventLoop if hasattr(impl, "EventLoop") else impl.SelectorEventLoop
    if cls is getattr(stock, "EventLoop", stock.SelectorEventLoop):
        pytest.skip("stock's loop is written in Python")
    for member in dir(cls):
        if member in {"__init__", "__class__", "__init_subclass__", "__new__"}:
            continue
        empty = cls.__new__(cls)
        with contextlib.suppress(Exception):
            value = getattr(empty, member)
            result = value()
            if hasattr(result, "close"):
                result.close()
    gc.collect()


@pytest.mark.parametrize("name", ["Future", "Task"])
def test_awaiting_an_object_without_init(same_as_stock, name):
    async def main(aio):
        cls = getattr(aio, name)
        try:
            await cls.__new__(cls)
        except RuntimeError as error:
            return type(error)

    if name == "Task" and sys.version_info < (3, 14):
        pytest.skip("stock may crash here before 3.14")
    assert same_as_stock(main) is RuntimeError


def test_gathering_objects_without_init(impl, loop, still_works):
    async def main():
        with pytest.raises((RuntimeError, TypeError, AttributeError)):
            await impl.gather(impl.Future.__new__(impl.Future))

    loop.run_until_complete(main())


def test_everything_with_the_collector_running_all_the_time(impl, loop, collecting, still_works):
    log = []

    async def child(n):
        for _ in range(n % 4):
            await impl.sleep(0)
        if n % 5 == 4:
            raise ValueError(n)
        return n

    async def forever():
        await loop.create_future()

    async def main():
        results = await impl.gather(*(child(n) for n in range(20)), return_exceptions=True)
        log.append(sum(isinstance(result, ValueError) for result in results))
        try:
            async with impl.TaskGroup() as group:
                for _ in range(5):
                    group.create_task(forever())
                group.create_task(child(4))
        except* ValueError as errors:
            log.append(len(errors.exceptions))
        await impl.sleep(0.001)
        loop.call_later(0, log.append, "timer")
        loop.call_soon_threadsafe(log.append, "threadsafe")
        await impl.sleep(0.002)
        victim = impl.create_task(forever())
        await impl.sleep(0)
        victim.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await victim
        await impl.shield(child(1))
        await impl.wait_for(child(2), 1000)

    loop.run_until_complete(main())
    assert log == [4, 1, "threadsafe", "timer"]


def test_traversal_of_every_object_in_every_state(impl, loop, still_works):
    """The collector's view holds together while objects are half-made and half-done."""

    async def wait():
        await loop.create_future()

    async def main():
        objects = [impl.Future(loop=loop), impl.create_task(wait()), impl.create_task(nothing())]
        objects += [loop.call_soon(int), loop.call_later(1000, int), impl.TaskGroup()]
        objects += [impl.gather(impl.sleep(0), wait()), impl.sleep(0), impl.sleep(1000)]
        for _ in range(3):
            for item in objects:
                gc.get_referents(item)
            gc.collect()
            await impl.sleep(0)
        for item in objects:
            with contextlib.suppress(AttributeError, ValueError):
                item.cancel()
            with contextlib.suppress(AttributeError):
                item.close()
        await impl.sleep(0)
        await impl.sleep(0)
        with contextlib.suppress(asyncio.CancelledError):
            await objects[6]

    loop.run_until_complete(main())


@pytest.mark.filterwarnings("ignore:unclosed event loop:ResourceWarning")
def test_cycles_of_everything_are_collected(impl, logged, turns):
    """A loop that was never closed, with all that hangs on it, referring to itself."""
    loop = impl.new_event_loop()
    future = impl.Future(loop=loop)
    future.added = future
    future.add_done_callback(future.set_result)

    async def wait(argument):
        await argument

    task = loop.create_task(wait(future))
    task.added = [task, loop]
    loop.call_later(1000, print, loop, task)
    loop.added = loop
    turns(loop)
    references = [weakref.ref(item) for item in (loop, future, task)]
    del loop, future, task
    assert any("Task was destroyed but it is pending" in line for line in logged())
    gc.collect()
    assert [reference() for reference in references] == [None] * 3
