"""Steps that wait for several things, or for one with a condition."""

import sys
from typing import Any

from .world import Step, kind


@kind(bodies=(1, 3), weight=4)
async def gather(s: Step) -> Any:
    """gather() of tasks or coroutines, perhaps of a future too."""
    things = s.spawn_all() if s.a % 2 else [s.run(n) for n in range(len(s.bodies))]
    if s.a % 3 == 0:
        things.insert(s.b % 2, s.future)
    outer = s.aio.gather(*things, return_exceptions=bool(s.b % 2))
    s.world.outers.append(outer)
    return await outer


@kind(bodies=(1, 2))
def gather_later(s: Step) -> Any:
    """gather() that nobody waits for."""
    outer = s.aio.gather(*s.spawn_all(), s.future, return_exceptions=bool(s.b % 2))
    outer.add_done_callback(
        lambda f: s.log("gathered", f.cancelled() or f.exception() or f.result())
    )
    s.world.outers.append(outer)


@kind(weight=2)
def cancel_outer(s: Step) -> Any:
    """Cancel a gather() or a shield() from outside."""
    outer = s.pick(s.world.outers)
    return outer and [outer.cancel(*s.message), outer.done()]


@kind(bodies=1, weight=2)
async def shield(s: Step) -> Any:
    """shield() of a new task, of a future or of a coroutine."""
    things = [lambda: s.spawn(0, name=s.here), lambda: s.run(0), lambda: s.future]
    outer = s.aio.shield(things[s.a % 3]())
    s.world.outers.append(outer)
    return await outer


@kind(bodies=(1, 3), weight=4)
async def group(s: Step) -> Any:
    """A TaskGroup: the first body is its own, the others are children."""
    async with s.world.group(s.aio) as group:
        s.world.groups.append(group)
        for n in range(1, len(s.bodies)):
            s.world.spawn(group.create_task, s.bodies[n], f"{s.here}/{n}", name=f"{s.here}/{n}")
            if s.b % 3 == 0:
                await s.aio.sleep(0)
        await s.run(0)
    return "left"


@kind(bodies=1, weight=2)
def group_create(s: Step) -> Any:
    """A child for a group from elsewhere; perhaps the group has ended."""
    group = s.pick(s.world.groups)
    if group is None:
        return None
    return s.world.spawn(group.create_task, s.bodies[0], f"{s.here}/", name=s.here)


@kind(since=(3, 15))
def group_cancel(s: Step) -> Any:
    """Cancel a group."""
    group = s.pick(s.world.groups)
    return group and group.cancel()


@kind(bodies=1, weight=4)
async def timeout(s: Step) -> Any:
    """timeout() or timeout_at() around a body."""
    if s.b % 4 == 3:
        manager = s.aio.timeout(None)
    elif s.b % 2:
        manager = s.aio.timeout(s.delay)
    else:
        manager = s.aio.timeout_at(s.loop.time() + s.delay)
    s.world.timeouts.append(manager)
    try:
        async with manager as entered:
            s.log("entered", entered is manager, manager.when(), manager.expired())
            await s.run(0)
    finally:
        s.log("left", manager.when(), manager.expired(), repr(manager))
    return "left"


@kind(weight=3)
def reschedule(s: Step) -> Any:
    """Move the deadline of a timeout; perhaps it is over."""
    manager = s.pick(s.world.timeouts)
    if manager is None:
        return None
    manager.reschedule(None if s.b == 0 else s.loop.time() + s.delay)
    return [manager.when(), manager.expired()]


@kind(bodies=1, weight=4)
async def wait_for(s: Step) -> Any:
    """wait_for() of a coroutine, a task or a future."""
    things = [lambda: s.run(0), lambda: s.spawn(0, name=s.here), lambda: s.future]
    seconds = None if s.a == 7 else s.delay
    return await s.aio.wait_for(things[s.b % 3](), seconds)


@kind(bodies=(1, 3), weight=3)
async def wait(s: Step) -> Any:
    """wait() for tasks and perhaps a future."""
    when = [s.aio.ALL_COMPLETED, s.aio.FIRST_COMPLETED, s.aio.FIRST_EXCEPTION][s.b % 3]
    tasks = s.spawn_all()
    if s.a % 2:
        tasks.append(s.future)
    seconds = None if s.a > 4 else s.delay
    return list(await s.aio.wait(tasks, timeout=seconds, return_when=when))


@kind()
async def wait_wrongly(s: Step) -> Any:
    """wait() for nothing, or until something unheard of."""
    if s.b % 2:
        return await s.aio.wait([])
    return await s.aio.wait([s.future], return_when="never")


def one_done_first(futures: list[Any]) -> list[Any]:
    """At most one finished future: stock takes several in the order of their addresses."""
    done = [f for f in futures if f.done()]
    return done[:1] + [f for f in futures if not f.done()]


@kind(bodies=(1, 3), weight=3)
async def as_completed(s: Step) -> Any:
    """as_completed(), in both of its forms."""
    things = one_done_first(s.spawn_all() + ([s.future] if s.a % 2 else []))
    iterator = s.aio.as_completed(things, timeout=None if s.b > 4 else s.delay)
    if s.b % 2 and sys.version_info >= (3, 13):
        async for task in iterator:
            s.log("completed", task if task in things else "unknown")
            s.log("with", task.cancelled() or task.exception() or task.result())
            if s.a == 3:
                break
        return "iterated"
    for awaitable in iterator:
        try:
            s.log("completed", await awaitable)
        except (ValueError, KeyError) as error:
            s.log("completed", error)
        if s.a == 3:
            break
    return "iterated"


@kind()
async def wrap_future(s: Step) -> Any:
    """wrap_future() of something that is a future already."""
    return await s.aio.wrap_future(s.future, loop=s.loop)
