"""What debug mode finds in programs, with native coroutines and combinators in them."""

import asyncio
import gc
import re
import sys
import threading
import time
import warnings

import pytest

THREADS = "Non-thread-safe operation invoked on an event loop other than the current one"


def names(source_traceback):
    """The functions on a source traceback."""
    return [frame.name for frame in source_traceback]


FORGOTTEN = {
    "sleep": lambda aio: aio.sleep(1),
    "wait": lambda aio: aio.wait([aio.get_running_loop().create_future()]),
    "wait_for": lambda aio: aio.wait_for(aio.get_running_loop().create_future(), 1),
    "Lock.acquire": lambda aio: aio.Lock().acquire(),
    "Event.wait": lambda aio: aio.Event().wait(),
    "Semaphore.acquire": lambda aio: aio.Semaphore().acquire(),
    "Queue.get": lambda aio: aio.Queue().get(),
    "Queue.put": lambda aio: aio.Queue().put(1),
    "Queue.join": lambda aio: aio.Queue().join(),
    "to_thread": lambda aio: aio.to_thread(print),
    "TaskGroup.__aenter__": lambda aio: aio.TaskGroup().__aenter__(),
}


def forget(aio, what):
    """Makes a coroutine that nobody awaits."""
    FORGOTTEN[what](aio)


@pytest.mark.parametrize("what", FORGOTTEN)
@pytest.mark.parametrize("debug", [False, True])
def test_coroutines_that_are_never_awaited(impl, run, what, debug):
    async def main():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            forget(impl, what)
            gc.collect()
        return caught

    (warning,) = run(main(), debug=debug)
    first, *rest = str(warning.message).splitlines()
    assert warning.category is RuntimeWarning
    assert first == f"coroutine '{what}' was never awaited"
    if debug:
        assert rest[0] == "Coroutine created at (most recent call last)"
        places = [line.rpartition(", in ")[2] for line in rest if line.startswith("  File")]
        assert places[-3:-1] == ["main", "forget"]
        assert places[-1] == "<lambda>"
    else:
        assert rest == []


@pytest.mark.parametrize("kind", ["future", "task", "gather", "group"])
def test_exceptions_that_are_never_retrieved(same_as_stock, kind):
    async def main(aio):
        loop, contexts = asyncio.get_running_loop(), []
        loop.set_debug(True)
        loop.set_exception_handler(lambda loop, context: contexts.append(context))

        async def fails():
            raise LookupError("why")

        async def make():
            if kind == "future":
                loop.create_future().set_exception(LookupError("why"))
            elif kind == "task":
                task = aio.create_task(fails(), name="failing")
                await aio.sleep(0)
                del task
            elif kind == "gather":
                outer = aio.gather(fails(), fails())
                await aio.sleep(0)
                await aio.sleep(0)
                await aio.sleep(0)
                del outer
            else:
                try:
                    async with aio.TaskGroup() as group:
                        group.create_task(fails())
                except* LookupError:
                    pass

        await make()
        await aio.sleep(0)
        gc.collect()
        loop.set_debug(False)
        return [
            (
                context["message"],
                repr(context["exception"]),
                sorted(context.keys() - {"source_traceback"}),
                "make" in names(context.get("source_traceback", ())),
            )
            for context in contexts
        ]

    same_as_stock(main)


@pytest.mark.parametrize("how", ["create_task", "group", "gather", "ensure_future"])
def test_pending_tasks_that_are_destroyed(impl, loop, turn, reported, how):
    loop.set_debug(True)

    async def waits():
        await loop.create_future()

    async def lose():
        if how == "create_task":
            impl.create_task(waits(), name="lost")
        elif how == "ensure_future":
            impl.ensure_future(waits()).set_name("lost")
        elif how == "group":
            group = impl.TaskGroup()
            await group.__aenter__()
            group.create_task(waits(), name="lost")
        else:
            impl.gather(waits())  # whose children are nobody's fault

    async def main():
        await lose()
        await impl.sleep(0)

    loop.run_until_complete(main())
    turn(2)
    gc.collect()
    if how == "gather":
        assert reported == []
        return
    (context,) = reported
    assert context["message"] == "Task was destroyed but it is pending!"
    assert "name='lost'" in repr(context["task"])
    assert "created at" in repr(context["task"])
    assert "lose" in names(context["source_traceback"])


SLOW = ["callback", "task step", "task wake-up", "done callback", "timer"]


@pytest.mark.parametrize("what", SLOW)
def test_slow_callbacks(impl, loop, logged, what):
    loop.set_debug(True)
    loop.slow_callback_duration = 0.01

    async def slow():
        if what == "task wake-up":
            future = loop.create_future()
            loop.call_soon(future.set_result, None)
            await future
        time.sleep(0.02)

    async def main():
        if what == "callback":
            loop.call_soon(time.sleep, 0.02)
        elif what == "timer":
            loop.call_later(0, time.sleep, 0.02)
        elif what == "done callback":
            future = loop.create_future()
            future.add_done_callback(lambda future: time.sleep(0.02))
            future.set_result(None)
        else:
            await impl.create_task(slow(), name="slow task")
        for _ in range(3):
            await impl.sleep(0)

    loop.run_until_complete(main())
    # Other callbacks may be slow as well where the machine is busy.
    shown = {"done callback": "<lambda>", "task step": "slow task", "task wake-up": "slow task"}
    messages = [message for message in logged() if shown.get(what, "sleep(0.02)") in message]
    assert messages
    for message in messages:
        assert re.fullmatch(r"Executing <.*> took \d+\.\d\d\d seconds", message)
        assert "created at" in message
    kinds = {"callback": "<Handle ", "done callback": "<Handle ", "timer": "<TimerHandle "}
    assert f"Executing {kinds.get(what, '<Task finished')}" in messages[-1]


USES = {
    "call_soon": lambda aio, loop, future: loop.call_soon(print),
    "call_later": lambda aio, loop, future: loop.call_later(1, print),
    "call_at": lambda aio, loop, future: loop.call_at(loop.time() + 1, print),
    "set_result": lambda aio, loop, future: future.set_result(None),
    "set_exception": lambda aio, loop, future: future.set_exception(LookupError()),
    "cancel": lambda aio, loop, future: future.cancel(),
    "cancel the task": lambda aio, loop, future: loop.task_of_the_test.cancel(),
    "create_task": lambda aio, loop, future: create_task(loop),
    "add_done_callback": lambda aio, loop, future: loop.finished.add_done_callback(print),
}


def create_task(loop):
    """loop.create_task() of a coroutine, which is closed where it is refused."""

    async def nothing():
        pass

    coro = nothing()
    try:
        loop.create_task(coro)
    except RuntimeError:
        coro.close()
        raise


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("waiting", ["a callback", "a task"])
def test_calls_from_the_wrong_thread(impl, loop, logged, use, waiting):
    loop.set_debug(True)
    loop.set_exception_handler(lambda loop, context: None)
    outcomes = []

    async def wait(future):
        await future

    async def main():
        future = loop.create_future()
        loop.finished = loop.create_future()
        loop.finished.set_result(None)
        loop.task_of_the_test = impl.create_task(wait(future))
        if waiting == "a callback":
            future.add_done_callback(lambda future: None)
        await impl.sleep(0)

        def misuse():
            try:
                USES[use](impl, loop, future)
            except RuntimeError as error:
                outcomes.append(str(error))

        thread = threading.Thread(target=misuse)
        thread.start()
        thread.join()

    loop.run_until_complete(main())
    assert outcomes == [THREADS]
    loop.set_debug(False)


def test_the_same_calls_outside_debug_mode(impl, loop):
    outcomes = []

    async def main():
        def use():
            try:
                outcomes.append(loop.call_soon(outcomes.append, "called"))
            except RuntimeError as error:
                outcomes.append(error)

        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        await impl.sleep(0)
        await impl.sleep(0)

    loop.run_until_complete(main())
    assert len(outcomes) == 2
    assert outcomes[1] == "called"


def test_handles_and_futures_show_where_they_were_made(impl, loop):
    loop.set_debug(True)

    def make():
        return [
            loop.call_soon(print),
            loop.call_later(100, print),
            loop.call_soon_threadsafe(print),
            loop.create_future(),
            impl.Future(loop=loop),
        ]

    for item in make():
        assert "make" in names(item._source_traceback)
        assert "created at" in repr(item)
        item.cancel()


def test_debug_mode_runs_the_same_programs(same_as_stock):
    async def main(aio):
        asyncio.get_running_loop().set_debug(True)
        log = []

        async def child(n):
            await aio.sleep(0)
            if n == 3:
                raise LookupError(n)
            await aio.sleep(0.001 * n)
            log.append(n)
            return n

        log.append(await aio.gather(*map(child, range(6)), return_exceptions=True))
        log[-1] = [repr(item) for item in log[-1]]
        async with aio.TaskGroup() as group:
            tasks = [group.create_task(child(n)) for n in (1, 2)]
        log.append([task.result() for task in tasks])
        done, pending = await aio.wait([aio.create_task(child(n)) for n in (4, 5)])
        log.append((len(done), len(pending)))
        queue, lock = aio.Queue(), aio.Lock()

        async def consume():
            async with lock:
                log.append(await queue.get())

        consumers = [aio.create_task(consume()) for _ in range(2)]
        await aio.sleep(0)
        for n in (10, 20):
            await queue.put(n)
        await aio.gather(*consumers)
        with pytest.raises(asyncio.TimeoutError):
            await aio.wait_for(asyncio.get_running_loop().create_future(), 0.001)
        asyncio.get_running_loop().set_debug(False)
        return log

    same_as_stock(main)


def test_origins_are_tracked_while_a_loop_in_debug_mode_runs(impl, run):
    async def main():
        coro = impl.sleep(0)
        origin = coro.cr_origin
        await coro
        return origin

    assert run(main()) is None
    origin = run(main(), debug=True)
    assert origin[0][2] == "main"
    assert sys.get_coroutine_origin_tracking_depth() == 0
