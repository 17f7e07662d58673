"""Steps about callbacks and timers, and about the loop itself."""

import asyncio
import contextvars
import gc
import sys
from typing import Any

from .world import Step, kind, variable


def context_of(s: Step) -> dict[str, Any]:
    """Keywords that give a callback one of several contexts."""
    if s.b % 3 == 0:
        return {}
    context = contextvars.copy_context() if s.b % 3 == 1 else contextvars.Context()
    context.run(variable.set, f"context of {s.here}")
    s.world.contexts.append(context)
    return {"context": context}


@kind(bodies=1, callback=True, weight=4)
def call_soon(s: Step) -> None:
    """A callback for the next turn."""
    s.world.handles.append(s.loop.call_soon(s.callback(), s.b, **context_of(s)))


@kind(bodies=1, callback=True)
def call_soon_threadsafe(s: Step) -> None:
    """The same, as other threads do it."""
    s.world.handles.append(s.loop.call_soon_threadsafe(s.callback(), **context_of(s)))


@kind(bodies=1, callback=True, weight=2)
def call_later(s: Step) -> None:
    """A callback after a delay."""
    s.world.handles.append(s.loop.call_later(s.delay, s.callback(), **context_of(s)))


@kind(bodies=1, callback=True, weight=2)
def call_at(s: Step) -> None:
    """A callback at a time."""
    when = s.loop.time() + s.delay
    s.world.handles.append(s.loop.call_at(when, s.callback(), s.here, **context_of(s)))


@kind(weight=4)
def cancel_handle(s: Step) -> Any:
    """Cancel a callback that is scheduled, or was."""
    handle = s.pick(s.world.handles)
    return handle and [handle.cancelled(), handle.cancel(), handle.cancelled()]


@kind()
def ask_handle(s: Step) -> Any:
    """What a handle says of itself."""
    handle = s.pick(s.world.handles)
    if handle is None:
        return None
    return [handle.cancelled(), handle.when() if hasattr(handle, "when") else "soon"]


@kind(bodies=1, callback=True, weight=4)
def add_callback(s: Step) -> Any:
    """A callback on a future or on a task; perhaps one that is on others already."""
    callback = s.pick(s.world.callbacks) if s.b > 5 else None
    if callback is None:
        callback = s.callback()
        s.world.callbacks.append(callback)
    it = s.future if s.b % 2 or s.task is None else s.task
    return it.add_done_callback(callback, **context_of(s))


@kind(weight=2)
def remove_callback(s: Step) -> Any:
    """Take a callback off everything it is on."""
    callback = s.pick(s.world.callbacks)
    things = [*s.world.futures, *s.world.tasks]
    return callback and [it.remove_done_callback(callback) for it in things]


@kind()
def ticks(s: Step) -> None:
    """Log some turns of the loop, to see what else happens in each."""

    def tick(left: int) -> None:
        s.log("tick", left)
        if left:
            s.loop.call_soon(tick, left - 1)

    s.loop.call_soon(tick, s.a)


@kind(weight=2)
def advance(s: Step) -> None:
    """Let time pass without giving way."""
    s.loop.advance(s.a)


@kind()
def stop(s: Step) -> None:
    """Stop the loop, which is then run on."""
    s.loop.stop()


@kind()
def run_again(s: Step) -> Any:
    """Run or close a loop that runs."""
    if s.b % 3 == 2:
        return s.loop.close()
    # 3.13.0 forgets then that its loop runs.
    if s.b % 3 == 1 and sys.version_info[:2] != (3, 13):
        return s.loop.run_forever()
    return s.loop.run_until_complete(s.world.new_future())


@kind()
def report(s: Step) -> None:
    """Report something to the loop's exception handler."""
    s.loop.call_exception_handler({"message": s.here, "future": s.future})


@kind(bodies=1)
def run_threadsafe(s: Step) -> Any:
    """run_coroutine_threadsafe(), from the loop's own thread."""
    future = s.aio.run_coroutine_threadsafe(s.run(0), s.loop)
    future.add_done_callback(lambda f: s.log("done", f.cancelled() or f.exception(0)))
    if s.b == 1:
        return future.cancel()
    return None


@kind()
def collect(s: Step) -> None:
    """Run the collector."""
    gc.collect()


@kind()
async def switch_factory(s: Step) -> Any:
    """Other tasks from now on: ask for them once, then go back."""
    seen: list[Any] = []

    def factory(loop: Any, coro: Any, **keywords: Any) -> Any:
        seen.append(sorted(keywords))
        return s.aio.Task(coro, loop=loop, **keywords)

    before = s.loop.get_task_factory()
    s.loop.set_task_factory(factory)
    try:
        task = s.aio.create_task(asyncio.sleep(0, s.here), name=s.here)
    finally:
        s.loop.set_task_factory(before)
    s.world.know(task)
    return [seen, await task]
