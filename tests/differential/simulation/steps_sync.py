"""Steps about locks, events, conditions, semaphores, barriers and queues."""

from typing import Any

from .world import Step, kind

QUEUES = ["Queue", "LifoQueue", "PriorityQueue"]


# --- locks ----------------------------------------------------------------------------------


@kind(bodies=1, weight=3)
async def with_lock(s: Step) -> Any:
    """Hold the lock."""
    async with s.world.thing("Lock") as entered:
        s.log("entered", entered)
        return await s.run(0)


@kind()
async def acquire_lock(s: Step) -> Any:
    """Take the lock, for somebody to give it back."""
    return await s.world.thing("Lock").acquire()


@kind(weight=2)
def release_lock(s: Step) -> Any:
    """Give the lock back, whoever holds it."""
    lock = s.world.thing("Lock")
    return [lock.locked(), lock.release(), lock.locked()]


@kind(weight=2)
async def wait_event(s: Step) -> Any:
    """Wait for the event."""
    return await s.world.thing("Event").wait()


@kind(weight=2)
def set_event(s: Step) -> Any:
    """Set the event, or clear it."""
    event = s.world.thing("Event")
    return [event.is_set(), event.clear() if s.b > 4 else event.set(), event.is_set()]


@kind(bodies=1, weight=2)
async def with_condition(s: Step) -> Any:
    """Hold the condition's lock."""
    async with s.world.thing("Condition"):
        return await s.run(0)


@kind(bodies=(0, 1), weight=2)
async def wait_condition(s: Step) -> Any:
    """Wait for the condition, taking its lock first or hoping to have it."""
    condition = s.world.thing("Condition")
    if s.b % 4 == 0:
        return await condition.wait()
    async with condition:
        left = iter(range(s.a))
        result = await (
            condition.wait_for(lambda: next(left, 9)) if s.b % 4 == 1 else condition.wait()
        )
        for n in range(len(s.bodies)):
            await s.run(n)
        return result


@kind(weight=2)
async def notify(s: Step) -> Any:
    """Notify some who wait for the condition, or all."""
    condition = s.world.thing("Condition")
    if s.b % 4 == 0:
        return condition.notify(s.a)
    async with condition:
        return condition.notify_all() if s.b % 4 == 1 else condition.notify(s.a % 3)


@kind(bodies=1, weight=2)
async def with_semaphore(s: Step) -> Any:
    """Hold one of the semaphore's two places."""
    async with s.world.thing("Semaphore", 2):
        return await s.run(0)


@kind()
async def acquire_semaphore(s: Step) -> Any:
    """Take a place of either semaphore, for somebody to give it back."""
    bounded = s.b % 2
    semaphore = s.world.thing("BoundedSemaphore", 1) if bounded else s.world.thing("Semaphore", 2)
    return await semaphore.acquire()


@kind(weight=2)
def release_semaphore(s: Step) -> Any:
    """Give a place back, taken or not."""
    bounded = s.b % 2
    semaphore = s.world.thing("BoundedSemaphore", 1) if bounded else s.world.thing("Semaphore", 2)
    return [semaphore.locked(), semaphore.release(), semaphore.locked()]


@kind(weight=3)
async def wait_barrier(s: Step) -> Any:
    """Wait at the barrier of two."""
    barrier = s.world.thing("Barrier", 2)
    if s.b % 3 == 0:
        async with barrier as index:
            return index
    return await barrier.wait()


@kind()
async def disturb_barrier(s: Step) -> Any:
    """Reset the barrier, or break it."""
    barrier = s.world.thing("Barrier", 2)
    await (barrier.abort() if s.b % 3 == 0 else barrier.reset())
    return [barrier.parties, barrier.n_waiting, barrier.broken]


@kind()
def ask_locks(s: Step) -> Any:
    """What they say of themselves."""
    arguments = {"Lock": (), "Event": (), "Condition": (), "Semaphore": (2,), "Barrier": (2,)}
    return [
        repr(s.world.thing(name, *args)).rpartition(" [")[2] for name, args in arguments.items()
    ]


# --- queues ---------------------------------------------------------------------------------


def queue(s: Step) -> Any:
    """One of the queues, which hold two items."""
    return s.world.thing(QUEUES[s.a % 3], 2)


@kind(weight=3)
async def put(s: Step) -> Any:
    """Put an item."""
    return await queue(s).put(s.b)


@kind(weight=4)
async def get(s: Step) -> Any:
    """Get an item."""
    return await queue(s).get()


@kind(weight=2)
def put_nowait(s: Step) -> Any:
    """Put an item if there is room."""
    return queue(s).put_nowait(s.b)


@kind(weight=2)
def get_nowait(s: Step) -> Any:
    """Get an item if there is one."""
    return queue(s).get_nowait()


@kind(weight=2)
def task_done(s: Step) -> Any:
    """Tell the queue that an item is dealt with."""
    return queue(s).task_done()


@kind()
async def join(s: Step) -> Any:
    """Wait until all items are dealt with."""
    return await queue(s).join()


@kind(since=(3, 13))
def shut_queue_down(s: Step) -> Any:
    """Shut a queue down."""
    return queue(s).shutdown(immediate=bool(s.b % 2))


@kind()
def ask_queue(s: Step) -> Any:
    """What a queue says of itself."""
    it = queue(s)
    shown = repr(it).split(" at ")[0] + repr(it).partition(" maxsize")[2]
    return [it.qsize(), it.empty(), it.full(), it.maxsize, shown]
