"""Trees of tasks, 6 levels of 6 children each, in the manner of pyperformance's async_tree."""

import asyncio
from collections.abc import Awaitable, Callable

from measure import row

LEVELS = 6
CHILDREN = 6
LEAVES = CHILDREN**LEVELS
TASKS = sum(CHILDREN**level for level in range(1, LEVELS + 1))

Leaf = Callable[[], Awaitable[int]]


async def empty_leaf() -> int:
    return 1


async def sleeping_leaf() -> int:
    await asyncio.sleep(0.05)
    return 1


async def gather_tree(leaf: Leaf, levels: int = LEVELS) -> int:
    """Grow a tree with `gather`; returns its leaves."""
    if levels == 0:
        return await leaf()
    return sum(await asyncio.gather(*[gather_tree(leaf, levels - 1) for _ in range(CHILDREN)]))


async def taskgroup_tree(leaf: Leaf, levels: int = LEVELS) -> int:
    """Grow a tree with TaskGroups; returns its leaves."""
    if levels == 0:
        return await leaf()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(taskgroup_tree(leaf, levels - 1)) for _ in range(CHILDREN)]
    return sum(task.result() for task in tasks)


async def grow(tree: Callable[[Leaf], Awaitable[int]], leaf: Leaf, repeat: int) -> int:
    """Grow `repeat` trees; returns the tasks that this took."""
    trees = 0
    for _ in range(repeat):
        trees += await tree(leaf) == LEAVES
    return trees * TASKS


@row(operations=TASKS)
async def tree_gather(repeat: int) -> int:
    """A tree grown with `gather`; per task."""
    return await grow(gather_tree, empty_leaf, repeat)


@row(operations=TASKS)
async def tree_taskgroup(repeat: int) -> int:
    """A tree grown with TaskGroups; per task."""
    return await grow(taskgroup_tree, empty_leaf, repeat)


@row(operations=TASKS)
async def tree_gather_sleep(repeat: int) -> int:
    """A tree grown with `gather` whose leaves sleep for 50 ms; per task."""
    return await grow(gather_tree, sleeping_leaf, repeat)


@row(operations=TASKS)
async def tree_taskgroup_sleep(repeat: int) -> int:
    """A tree grown with TaskGroups whose leaves sleep for 50 ms; per task."""
    return await grow(taskgroup_tree, sleeping_leaf, repeat)
