"""Steps about tasks, futures, cancellation and contexts."""

import asyncio
import contextvars
import inspect
from typing import Any

from .loops import name_key
from .world import Step, Stop, describe, kind, variable

FAILURES = [
    lambda here: ValueError(here),
    lambda here: KeyError(here),
    lambda here: asyncio.CancelledError(here),
    lambda here: ExceptionGroup(here, [ValueError(1), KeyError(2)]),
    lambda here: TimeoutError(here),
    lambda here: Stop(here),
    lambda here: StopIteration(here),
    lambda here: KeyboardInterrupt(here),
]


# --- waiting --------------------------------------------------------------------------------


@kind(weight=4)
async def turns(s: Step) -> None:
    """Give way some times."""
    for _ in range(s.a):
        await s.aio.sleep(0)


@kind(weight=3)
async def sleep(s: Step) -> Any:
    """Sleep, with a result."""
    return await s.aio.sleep(s.delay, f"slept {s.b}")


@kind(weight=3)
async def wait_future(s: Step) -> Any:
    """Wait for a future of nobody's."""
    return await s.future


@kind(weight=3)
async def wait_task(s: Step) -> Any:
    """Wait for a task that began later."""
    task = s.pick(s.younger_tasks)
    return "none" if task is None else await task


@kind(bodies=1, weight=2)
async def call(s: Step) -> Any:
    """Await a coroutine."""
    return await s.run(0)


@kind(bodies=1, weight=3)
async def catch(s: Step) -> Any:
    """Swallow what a body raises."""
    try:
        return await s.run(0)
    except (asyncio.CancelledError, Exception) as error:
        return describe(error)


@kind(bodies=2, weight=2)
async def finish(s: Step) -> Any:
    """Run a body after another one in any case."""
    try:
        return await s.run(0)
    finally:
        await s.run(1)


@kind(weight=2)
def fail(s: Step) -> None:
    """Raise an exception."""
    # What an interrupt's traceback keeps alive, and for how long, is each loop's own affair.
    count = len(FAILURES) if s.known else len(FAILURES) - 1
    raise FAILURES[s.a % count](s.here)


# --- making tasks ---------------------------------------------------------------------------


@kind(bodies=1, weight=4)
def spawn(s: Step) -> Any:
    """A task, perhaps with a callback."""
    task = s.spawn(0, name=s.here)
    if s.b % 2:
        task.add_done_callback(lambda t: s.log("done", t, t.cancelled()))
    return task


@kind(bodies=1)
def spawn_forgotten(s: Step) -> None:
    """A task that nobody refers to."""
    s.aio.create_task(s.run(0), name=s.here)


@kind(bodies=1)
def spawn_in_context(s: Step) -> Any:
    """A task in a context of its own, which others may share."""
    contexts = s.world.contexts
    # Stock forgets which task is current where an eager one cannot enter its context.
    if s.b % 2 or not contexts or s.world.eager:
        contexts.append(contextvars.copy_context())
    return s.spawn(0, name=s.here, context=contexts[-1] if s.world.eager else s.pick(contexts))


@kind(bodies=1)
def spawn_other_ways(s: Step) -> Any:
    """A task by ensure_future(), by the loop's method, unnamed, from another class."""
    ways = [
        lambda c: s.aio.ensure_future(c, loop=s.loop),
        s.loop.create_task,
        s.aio.create_task,
        lambda c: s.aio.Task(c, loop=s.loop, name=s.here),
    ]
    return s.world.spawn(ways[s.b % len(ways)], s.bodies[0], f"{s.here}/")


@kind(bodies=1, since=(3, 12))
def spawn_eagerly(s: Step) -> Any:
    """A task that begins at once."""
    if hasattr(asyncio.tasks, "_py_swap_current_task") and s.b % 2:
        return s.world.spawn(
            lambda c: s.aio.Task(c, loop=s.loop, name=s.here, eager_start=bool(s.a % 4)),
            s.bodies[0],
            f"{s.here}/",
        )
    factory = s.aio.create_eager_task_factory(s.aio.Task)
    return s.world.spawn(lambda c: factory(s.loop, c, name=s.here), s.bodies[0], f"{s.here}/")


@kind(bodies=1, since=(3, 14))
def spawn_eager_start(s: Step) -> Any:
    """eager_start= where a factory may say otherwise."""
    return s.spawn(0, name=s.here, eager_start=bool(s.b % 2))


@kind(bodies=1, weight=2)
async def spawn_and_wait(s: Step) -> Any:
    """A task that is waited for some turns later."""
    task = s.spawn(0, name=s.here)
    for _ in range(s.a):
        await s.aio.sleep(0)
    return await task


# --- cancelling -----------------------------------------------------------------------------


@kind(weight=5)
def cancel(s: Step) -> Any:
    """Cancel a task, with or without a message."""
    return s.task and [s.task, s.task.cancel(*s.message)]


@kind(weight=2)
def uncancel(s: Step) -> Any:
    """Take a cancellation of the current task back, or of any other."""
    current = asyncio.current_task()
    task = current if s.b % 2 and current is not None else s.task
    return task and [task, task.uncancel(), task.cancelling()]


@kind()
def cancel_self(s: Step) -> Any:
    """Cancel the current task."""
    current = asyncio.current_task()
    return current and current.cancel(*s.message)


def coroutine_of(task: Any) -> Any:
    """The coroutine of a task that has not ended: 3.12.1 crashes where an eager one has."""
    return None if task.done() else task.get_coro()


@kind()
def close_coroutine(s: Step) -> Any:
    """Close the coroutine of a task that waits, and wake the task."""
    task = s.task
    coro = task and coroutine_of(task)
    if coro is None or inspect.getcoroutinestate(coro) != inspect.CORO_SUSPENDED:
        return None
    return [coro.close(), task.cancel()]


# --- futures --------------------------------------------------------------------------------


@kind(weight=3)
def set_result(s: Step) -> Any:
    """Give a future its result."""
    return s.future.set_result(s.here)


@kind(weight=2)
def set_exception(s: Step) -> Any:
    """Give a future an exception, or its class."""
    return s.future.set_exception([ValueError(s.here), KeyError, StopIteration(), Stop()][s.b % 4])


@kind(weight=2)
def cancel_future(s: Step) -> Any:
    """Cancel a future, with or without a message."""
    return s.future.cancel(*s.message)


@kind(weight=3)
def new_future(s: Step) -> Any:
    """A pending future in the place of an old one."""
    old = s.future
    if old.done() and not old.cancelled() and s.b % 4:
        old.exception()
    makers = [s.loop.create_future, lambda: s.aio.Future(loop=s.loop)]
    s.world.futures[s.a % 3] = makers[s.b % 2]()
    return old.done()


@kind()
def ask_future(s: Step) -> Any:
    """What a future or a task says of itself."""
    it = s.future if s.b % 2 or s.task is None else s.task
    asked: list[Any] = [it.done(), it.cancelled()]
    for question in (it.exception, it.result):
        try:
            asked.append(question())
        except (asyncio.CancelledError, asyncio.InvalidStateError, Exception, Stop) as error:
            asked.append(describe(error))
    return asked


# --- asking ---------------------------------------------------------------------------------


@kind()
def ask_task(s: Step) -> Any:
    """What a task says of itself."""
    task = s.task
    if task is None:
        return None
    waits = task._fut_waiter
    facts = [task.cancelling(), task._must_cancel, waits is None or type(waits).__name__]
    coro = coroutine_of(task)
    waiting = coro is not None and inspect.getcoroutinestate(coro) == inspect.CORO_SUSPENDED
    stack = len(task.get_stack()) if waiting else "running"
    return [*facts, stack, task.get_loop() is s.loop, coro is None]


@kind()
def ask_repr(s: Step) -> Any:
    """The text of a task or a future, but for where its code is and what calls it back."""
    it = s.future if s.b % 2 or s.task is None else s.task
    return repr(it).split(" coro=")[0].split(" wait_for=")[0]


@kind()
def ask_current(s: Step) -> Any:
    """The current task and all tasks."""
    return [asyncio.current_task(), *sorted(s.aio.all_tasks(s.loop), key=name_key)]


@kind()
def set_name(s: Step) -> Any:
    """Another name."""
    return s.task and s.task.set_name(f"{s.here}~{s.b}")


# --- context variables ----------------------------------------------------------------------


@kind(weight=2)
def set_variable(s: Step) -> Any:
    """Set the context variable."""
    before = variable.get()
    variable.set(s.here)
    return before


@kind()
def get_variable(s: Step) -> Any:
    """Read the context variable, here and in a context that others share."""
    shared = s.pick(s.world.contexts)
    try:
        return [variable.get(), shared and shared.run(variable.get)]
    except RuntimeError:  # the context is entered
        return [variable.get(), shared.get(variable)]
