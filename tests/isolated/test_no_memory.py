"""MemoryError at every allocation of every public call: no crash, no hang, a sound loop after it.

Each case runs in a child of its own for each allocation that can fail, so that one crash hides
no other. The child then runs a small program on the same loop, and counts the objects that are
left. The queues of the scheduler itself are not reached by this: tests/native fails their
allocations.
"""

import os
import sys

import pytest

# Each case is the body of `def case(loop):`. What follows `yield` is what memory fails in.
CASES = {
    # --- the loop
    "call_soon": """
    yield
    loop.call_soon(print)
    loop.call_soon(id, 1)
    loop.call_soon(print, *[""] * 5)
    loop.call_soon(int, context=contextvars.copy_context())
""",
    "call_soon with a context that changed": """
    variable = contextvars.ContextVar("variable")
    context = contextvars.copy_context()
    def change():
        variable.set(loop)
        loop.call_soon(int)
    yield
    context.run(change)
    turns(loop)
""",
    "callbacks run": """
    variable = contextvars.ContextVar("variable")
    loop.call_soon(variable.set, 1)
    loop.call_soon(int, *["1"] * 4)
    loop.call_soon(lambda: 1 / 0)
    loop.call_later(0, int)
    yield
    turns(loop)
""",
    "callbacks in debug mode": """
    loop.set_debug(True)
    loop.slow_callback_duration = 0
    yield
    handle = loop.call_soon(int)
    repr(handle)
    handle.cancel()
    repr(handle)
    loop.call_soon(lambda: 1 / 0)
    turns(loop)
""",
    "call_later and call_at": """
    yield
    loop.call_later(0, int)
    loop.call_later(1000, print, 1, 2, 3, 4)
    loop.call_at(loop.time() + 1, int).cancel()
    turns(loop)
""",
    "call_soon_threadsafe": """
    yield
    loop.call_soon_threadsafe(int)
    loop.call_soon_threadsafe(int).cancel()
    loop.call_soon_threadsafe(lambda: 1 / 0)
    turns(loop)
""",
    "handles by hand": """
    yield
    handle = aio.Handle(print, ("",), loop)
    timer = aio.TimerHandle(loop.time(), print, [], loop)
    repr(handle), repr(timer), timer.when(), handle._args, handle.get_context()
    handle._run()
    handle.cancel(), timer.cancel()
""",
    "a loop made, run and closed": """
    yield
    own = aio.new_event_loop()
    try:
        turns(own)
        own.call_soon(int)
        own.call_later(1000, int)
    finally:
        own.close()
""",
    "run": """
    async def main():
        stop_soon(asyncio.get_running_loop())
    yield
    aio.run(main())
""",
    "close with work left": """
    loop.create_task(wait(loop.create_future()))
    loop.call_later(1000, int)
    loop.call_soon_threadsafe(int)
    turns(loop)
    yield
    loop.close()
""",
    "readers and writers": """
    left, right = socket.socketpair()
    right.send(b"byte")
    yield
    try:
        loop.add_reader(left, left.recv, 1)
        loop.add_writer(right, int)
        loop.add_reader(left.fileno(), left.recv, 1)
        turns(loop)
    finally:
        _testcapi.remove_mem_hooks()
        loop.remove_reader(left)
        loop.remove_writer(right)
        left.close()
        right.close()
""",
    "many readers": """
    pairs = [os.pipe() for _ in range(40)]
    yield
    try:
        for reader, writer in pairs:
            loop.add_reader(reader, int)
            loop.add_writer(writer, int)
        turns(loop)
    finally:
        _testcapi.remove_mem_hooks()
        for reader, writer in pairs:
            loop.remove_reader(reader)
            loop.remove_writer(writer)
            os.close(reader)
            os.close(writer)
""",
    "methods replaced on the loop": """
    yield
    loop.call_soon = loop.call_soon
    loop.time = loop.time
    loop.create_task(nothing())
    loop.call_later(0, int)
    turns(loop)
    del loop.call_soon, loop.time
""",
    "asynchronous generators": """
    async def numbers():
        yield 1
        yield 2
    async def main():
        async for _ in numbers():
            break
    loop.create_task(main())
    stop_soon(loop)
    yield
    turns(loop)
    loop.run_until_complete(loop.shutdown_asyncgens())
""",
    # --- futures
    "futures": """
    yield
    aio.Future(loop=loop)
    future = loop.create_future()
    future.added = 1
    repr(future), future._callbacks, future.get_loop(), future._state
    future.set_result([])
    future.result()
""",
    "callbacks of futures": """
    futures = [loop.create_future() for _ in range(4)]
    yield
    for future in futures:
        for function in (id, int, id, repr):
            future.add_done_callback(function)
        future._callbacks
        repr(future)
        future.remove_done_callback(id)
    futures[0].set_result(1)
    futures[1].set_exception(ValueError("text"))
    futures[1].exception()
    futures[2].cancel("message")
    futures[0].add_done_callback(id)
    turns(loop)
""",
    "exceptions of futures": """
    future = loop.create_future()
    cancelled = loop.create_future()
    cancelled.cancel("message")
    yield
    future.set_exception(KeyError)
    for attempt in (future.result, future.exception, cancelled.result, cancelled.exception):
        with contextlib.suppress(KeyError, asyncio.CancelledError):
            attempt()
    with contextlib.suppress(TypeError):
        loop.create_future().set_exception(StopIteration)
    with contextlib.suppress(asyncio.InvalidStateError):
        future.set_result(1)
    with contextlib.suppress(asyncio.InvalidStateError):
        loop.create_future().result()
""",
    "an exception that nobody asks for": """
    yield
    aio.Future(loop=loop).set_exception(ValueError("lost"))
    gc.collect()
""",
    "futures in debug mode": """
    loop.set_debug(True)
    yield
    future = loop.create_future()
    future._source_traceback
    future.set_exception(ValueError("lost"))
    del future
""",
    "iterating a future": """
    pending, done = loop.create_future(), loop.create_future()
    done.set_result((1, 2))
    yield
    iterator = iter(pending)
    next(iterator)
    pending.set_result(3)
    with contextlib.suppress(StopIteration):
        iterator.send(None)
    with contextlib.suppress(StopIteration):
        next(iter(done))
    with contextlib.suppress(KeyError):
        done.__await__().throw(KeyError("thrown"))
""",
    # --- tasks
    "create_task": """
    yield
    loop.create_task(nothing())
    loop.create_task(nothing(), name=5)
    loop.create_task(nothing(), context=contextvars.copy_context())
    aio.Task(nothing(), loop=loop, name="name")
    turns(loop)
""",
    "create_task with a factory": """
    loop.set_task_factory(lambda loop, coro, **kwargs: aio.Task(coro, loop=loop, **kwargs))
    yield
    loop.create_task(nothing(), name="name")
    turns(loop)
""",
    "eager tasks": """
    if not hasattr(aio, "eager_task_factory") or sys.version_info < (3, 13):
        return
    async def main():
        tasks = [aio.Task(child(n), loop=loop, eager_start=True) for n in range(3)]
        return [await task for task in tasks]
    async def child(n):
        for _ in range(n):
            await aio.sleep(0)
        return n
    loop.create_task(main())
    yield
    turns(loop)
""",
    "steps": """
    loop.create_task(wait(aio.sleep(0), aio.sleep(0), nothing(), nothing()))
    loop.create_task(fail())
    loop.create_task(wait(fail()))
    yield
    turns(loop, 8)
""",
    "wake-ups": """
    futures = [loop.create_future() for _ in range(3)]
    tasks = [loop.create_task(wait(future)) for future in futures for _ in range(3)]
    turns(loop)
    yield
    futures[0].set_result([1])
    futures[1].set_exception(ValueError("text"))
    futures[2].cancel("message")
    turns(loop, 5)
""",
    "yielding nonsense": """
    class Odd:
        def __init__(self, value):
            self.value = value
        def __await__(self):
            yield self.value
    other = asyncio.SelectorEventLoop()
    values = [1, nothing, None, loop.create_future(), other.create_future()]
    for value in values:
        loop.create_task(wait(Odd(value)))
    other.close()
    yield
    turns(loop, 5)
""",
    "foreign futures": """
    futures = [asyncio.futures._PyFuture(loop=loop) for _ in range(2)]
    for future in futures:
        loop.create_task(wait(future))
    yield
    turns(loop)
    futures[0].set_result(1)
    futures[1].cancel()
    turns(loop, 4)
""",
    "cancelling tasks": """
    tasks = [loop.create_task(wait(loop.create_future())) for _ in range(3)]
    turns(loop)
    tasks.append(loop.create_task(wait(aio.sleep(1000))))
    yield
    for task in tasks:
        task.cancel("message")
        task.cancelling()
    tasks[0].uncancel()
    turns(loop, 4)
""",
    "what tasks tell": """
    task = loop.create_task(wait(loop.create_future()))
    turns(loop)
    yield
    repr(task), task.get_name(), task.get_stack(), task.get_coro(), task.get_context()
    task.set_name(1)
    task.print_stack(file=io.StringIO())
    task._callbacks, task._fut_waiter, task._coro, task._state
    aio.all_tasks(loop), asyncio.all_tasks(loop)
    aio.current_task(loop), asyncio.current_task(loop)
""",
    "a pending task destroyed": """
    loop.create_task(wait(loop.create_future()))
    turns(loop)
    yield
    gc.collect()
""",
    # --- sleep, gather, TaskGroup
    "sleep": """
    async def main():
        await aio.sleep(0)
        await aio.sleep(0, "result")
        await aio.sleep(1e-9)
        await aio.create_task(aio.sleep(0, 1))
        await aio.create_task(aio.sleep(1e-9, 1))
    loop.create_task(main())
    yield
    turns(loop, 12)
""",
    "sleep cancelled": """
    tasks = [loop.create_task(wait(aio.sleep(1000))), loop.create_task(aio.sleep(1000))]
    turns(loop)
    yield
    for task in tasks:
        task.cancel()
    turns(loop)
""",
    "stand-ins for coroutines": """
    yield
    for make in (lambda: aio.sleep(0, 1), lambda: aio.sleep(0)):
        coroutine = make()
        repr(coroutine), coroutine.cr_frame, coroutine.cr_code, coroutine.cr_await
        coroutine.cr_running, coroutine.__name__, coroutine.__qualname__
        inspect.getcoroutinestate(coroutine)
        coroutine.send(None)
        with contextlib.suppress(StopIteration):
            coroutine.send(None)
        other = make()
        with contextlib.suppress(KeyError):
            other.throw(KeyError("text"))
        iterator = make().__await__()
        next(iterator)
        iterator.close()
    inspect.signature(aio.sleep), repr(aio.sleep), inspect.iscoroutinefunction(aio.sleep)
""",
    "a coroutine never awaited": """
    yield
    aio.sleep(0)
    aio.sleep(1)
    aio.TaskGroup().__aenter__()
""",
    "gather": """
    async def main():
        future = loop.create_future()
        loop.call_soon(future.set_result, 1)
        await aio.gather()
        await aio.gather(future, future, nothing(), aio.sleep(0, 2))
    loop.create_task(main())
    yield
    turns(loop, 8)
""",
    "gather of many": """
    futures = [loop.create_future() for _ in range(70)]
    async def main():
        await aio.gather(*futures, *futures)
    loop.create_task(main())
    yield
    turns(loop)
    for future in futures:
        future.set_result(None)
    turns(loop, 4)
""",
    "gather that fails": """
    async def main():
        await aio.gather(fail(), aio.sleep(1000), return_exceptions=True)
    async def other():
        await aio.gather(aio.sleep(0), fail(), fail())
    tasks = [loop.create_task(main()), loop.create_task(other())]
    yield
    turns(loop, 4)
    repr(tasks[0])
    turns(loop, 4)
""",
    "gather cancelled": """
    tasks = [loop.create_task(wait(aio.sleep(1000))) for _ in range(3)]
    outer = loop.create_task(wait(asyncio.ensure_future(nothing(), loop=loop)))
    async def main():
        await aio.gather(*tasks, return_exceptions=True)
    task = loop.create_task(main())
    turns(loop)
    yield
    task.cancel("message")
    turns(loop, 6)
""",
    "TaskGroup": """
    async def main():
        async with aio.TaskGroup() as group:
            group.create_task(aio.sleep(0))
            group.create_task(nothing(), name="name")
            repr(group)
            await aio.sleep(0)
            group.create_task(nothing())
    loop.create_task(main())
    yield
    turns(loop, 8)
""",
    "TaskGroup whose child fails": """
    async def main():
        async with aio.TaskGroup() as group:
            group.create_task(aio.sleep(1000))
            group.create_task(fail())
            await aio.sleep(1000)
    loop.create_task(main())
    yield
    turns(loop, 8)
""",
    "TaskGroup whose body fails": """
    async def main():
        async with aio.TaskGroup() as group:
            group.create_task(aio.sleep(1000))
            await aio.sleep(0)
            raise LookupError("body")
    loop.create_task(main())
    yield
    turns(loop, 8)
""",
    "TaskGroup cancelled from outside": """
    async def main():
        async with aio.TaskGroup() as group:
            group.create_task(aio.sleep(1000))
    task = loop.create_task(main())
    turns(loop)
    yield
    task.cancel("message")
    turns(loop, 8)
""",
    # --- what combines them
    "shield, wait, wait_for, timeout, as_completed": """
    async def main():
        await aio.shield(nothing())
        await aio.wait([aio.create_task(nothing())])
        await aio.wait_for(aio.sleep(0), 1000)
        async with aio.timeout(1000):
            await aio.sleep(0)
        for item in aio.as_completed([nothing()]):
            await item
    loop.create_task(main())
    yield
    turns(loop, 30)
""",
    "waits that end by their deadline": """
    async def main():
        with contextlib.suppress(TimeoutError):
            await aio.wait_for(aio.sleep(1000), 1e-9)
        with contextlib.suppress(TimeoutError):
            async with aio.timeout(1e-9):
                await aio.sleep(1000)
        await aio.wait([aio.create_task(nothing())], timeout=1e-9)
    loop.create_task(main())
    yield
    turns(loop, 30)
""",
    "locks and events": """
    lock, event, semaphore = aio.Lock(), aio.Event(), aio.Semaphore(1)
    condition, barrier = aio.Condition(), aio.Barrier(2)
    async def main():
        async with lock, semaphore:
            await aio.sleep(0)
        await event.wait()
        async with condition:
            condition.notify_all()
        async with condition:
            with contextlib.suppress(TimeoutError):
                await aio.wait_for(condition.wait(), 1e-9)
        await barrier.wait()
        repr(lock), repr(event), repr(semaphore), repr(condition), repr(barrier)
    for _ in range(2):
        loop.create_task(main())
    yield
    turns(loop, 3)
    event.set()
    turns(loop, 20)
""",
    "queues": """
    queue, least = aio.Queue(1), aio.PriorityQueue()
    async def put():
        for n in range(3):
            await queue.put(n)
            least.put_nowait(-n)
        await queue.join()
    async def get():
        for _ in range(3):
            await queue.get()
            queue.task_done()
            await least.get()
        repr(queue)
    loop.create_task(get())
    loop.create_task(put())
    yield
    turns(loop, 20)
""",
    # --- ways in
    "install and uninstall": """
    yield
    try:
        aio.install()
    finally:
        aio.uninstall()
""",
    "Runner": """
    yield
    with aio.Runner() as runner:
        stop_soon(runner.get_loop())
        runner.run(nothing())
""",
}
DRIVER = '''
import asyncio, contextlib, contextvars, faulthandler, gc, inspect, io, logging, os, signal
import socket, sys, traceback, warnings, weakref
import _testcapi
import pyaio as aio

CASE = """def case(loop):
{}
    return
    yield
"""
SECONDS = 60
ROUNDS = 8  # a leak leaves objects in every one of them
NEVER = 10**9
MISSES = 20  # allocations that failed unnoticed before it counts as the end
reports = []
warnings.simplefilter("ignore")
# CPython crashes in its own warning about a coroutine that was never awaited.
warnings._warn_unawaited_coroutine = lambda coroutine: None
logging.disable()
# CPython crashes where the iterator over an empty dictionary's items cannot be made, as in here.
weakref.WeakValueDictionary.update = lambda *args, **kwargs: None


def turns(loop, number=2):
    for _ in range(number):
        loop.stop()
        loop.run_forever()


def stop_soon(loop):
    """As on stock, a callback that could not be scheduled is lost: nobody may wait for ever."""
    loop.stopper = loop.call_later(0.05, loop.stop)


async def nothing():
    pass


async def fail():
    raise ValueError("text")


async def wait(*awaitables):
    for awaitable in awaitables:
        await awaitable


async def small_program(loop):
    async def child(n):
        await aio.sleep(0)
        return n

    future = loop.create_future()
    loop.call_later(0, loop.call_soon_threadsafe, future.set_result, 4)
    async with aio.TaskGroup() as group:
        task = group.create_task(child(3))
    await aio.sleep(1e-9)
    return [*await aio.gather(child(1), child(2)), task.result(), await future]


def attack(case, first, last):
    """Run the case while allocations number first to last - 1 fail; whether one was noticed."""
    reports.clear()
    loop = aio.new_event_loop()
    loop.set_exception_handler(lambda _, context: reports.append(context.get("exception")))
    sys.unraisablehook = lambda report: reports.append(report.exc_value)
    steps = case(loop)
    next(steps, None)
    try:
        _testcapi.set_nomemory(first, last)
        next(steps, None)
    except BaseException as error:
        _testcapi.remove_mem_hooks()
        error = error.with_traceback(None)
        while error is not None:
            reports.append(error)
            error = error.__cause__ or error.__context__
    finally:
        _testcapi.remove_mem_hooks()
    noticed = any(isinstance(report, MemoryError) for report in reports)
    for report in reports:
        assert not isinstance(report, SystemError), report
    del steps
    if loop.is_closed():
        loop = aio.new_event_loop()
    if hasattr(loop, "stopper"):
        loop.stopper.cancel()
    loop.set_debug(False)
    assert aio.current_task(loop) is None
    for task in aio.all_tasks(loop):
        task.cancel()
    turns(loop, 10)
    assert loop.run_until_complete(small_program(loop)) == [1, 2, 3, 4]
    assert asyncio._get_running_loop() is None
    loop.close()
    reports.clear()
    return noticed


def tracked():
    gc.collect()
    gc.collect()
    return len(gc.get_objects())


def child(case, first, last):
    """Exit with 0 where an allocation failed, 1 where none did; anything else is a bug."""
    signal.alarm(SECONDS)
    noticed = attack(case, first, last)
    growth = []
    while noticed and len(growth) < ROUNDS and min(growth, default=1) > 0:
        before = tracked()
        attack(case, first, last)
        growth.append(tracked() - before)
    assert min(growth, default=0) <= 0, f"objects are left, round by round: {growth}"
    os._exit(0 if noticed else 1)


def in_a_child(case, first, last):
    pid = os.fork()
    if pid == 0:
        try:
            child(case, first, last)
        except BaseException:
            traceback.print_exc()
        os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(name, body, warm, forever, stride):
    faulthandler.enable()
    faulthandler.register(signal.SIGALRM, chain=True)
    namespace = dict(globals())
    exec(CASE.format(body), namespace)
    case = namespace["case"]
    if warm:
        for _ in range(3):
            attack(case, NEVER, 0)
    gc.collect()
    gc.freeze()
    noticed, misses, first, bad = 0, 0, 0, []
    while misses < MISSES and len(bad) < 10:
        code = in_a_child(case, first, 0 if forever else first + 1)
        noticed += code == 0
        misses = misses + 1 if code == 1 else 0
        if code not in (0, 1):
            print(f"{name}: allocation {first} fails: status {code}", file=sys.stderr)
            bad.append(first)
        first += stride
    print(name, noticed, "failures survived", file=sys.stderr)
    sys.exit(bool(bad) or not (noticed or warm))
'''

# Many allocations, all alike in what may go wrong.
STRIDES = {"install and uninstall": 97}
MODES = {
    "one allocation fails": {"warm": False, "forever": False, "stride": 1},
    "all fail from then on": {"warm": True, "forever": True, "stride": 3},
}


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 14) or hasattr(sys, "gettotalrefcount"),
    reason="other versions and debug builds of the interpreter do not survive it themselves",
)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", CASES)
def test_memory_fails(python, case, mode):
    options = {**MODES[mode]}
    options["stride"] *= STRIDES.get(case, 1)
    call = f"main({case!r}, {CASES[case].strip(os.linesep)!r}, **{options!r})"
    done = python("-c", f"{DRIVER}\n{call}")
    assert done.returncode == 0, done.stderr
