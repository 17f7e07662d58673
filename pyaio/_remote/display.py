"""A process' tasks as a table and as trees, laid out as asyncio's own tool does."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .objects import Frame
    from .tasks import Task

COLUMNS = {
    "tid": 10,
    "task id": 20,
    "task name": 20,
    "coroutine stack": 50,
    "awaiter chain": 50,
    "awaiter name": 15,
    "awaiter id": 15,
}


def path(stack: list[Frame]) -> str:
    """A stack on one line, from the innermost call."""
    return " -> ".join(frame.function for frame in stack)


def rows(tasks: list[Task]) -> Iterator[list[str]]:
    """The table's rows: one for each task and each of its awaiters."""
    by_address = {task.address: task for task in tasks}
    for task in tasks:
        start = [str(task.thread), hex(task.address), task.name, path(task.stack)]
        for address in task.awaiters:
            awaiter = by_address.get(address)
            chain = [path(awaiter.stack), awaiter.name] if awaiter else ["", "Unknown"]
            yield [*start, *chain, hex(address)]
        if not task.awaiters:
            yield [*start, "", "", "0x0"]


def table(tasks: list[Task]) -> Iterator[str]:
    """The lines of the table."""
    for cells in (list(COLUMNS), ["-" * 180], *rows(tasks)):
        widths = COLUMNS.values() if len(cells) > 1 else (0,)
        line = " ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
        yield line.rstrip()


class Node:
    """A line of a tree: a task or a call, and what stands below it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.below: list[Node] = []

    def lines(self, prefix: str = "", *, last: bool = True) -> Iterator[str]:
        """The line itself and those below it."""
        yield f"{prefix}{'└── ' if last else '├── '}{self.text}"
        prefix += "    " if last else "│   "
        for node in self.below:
            yield from node.lines(prefix, last=node is self.below[-1])


def cycle(tasks: list[Task]) -> list[Task]:
    """Tasks that await each other in a circle, or an empty list."""
    by_address = {task.address: task for task in tasks}
    ended: set[int] = set()
    for start in tasks:
        trail: list[Task] = []
        todo: list[tuple[Task, bool]] = [(start, False)]
        while todo:
            task, leaving = todo.pop()
            if leaving:
                trail.pop()
                ended.add(task.address)
            elif task in trail:
                return [*trail[trail.index(task) :], task]
            elif task.address not in ended:
                trail.append(task)
                todo.append((task, True))
                awaiters = (by_address.get(address) for address in task.awaiters)
                todo.extend((awaiter, False) for awaiter in awaiters if awaiter)
    return []


def tree(tasks: list[Task]) -> Iterator[str]:
    """The lines of the trees: below each task its calls, below the innermost whom it awaits."""
    top: list[Node] = []
    nodes, ends = {}, {}
    for task in tasks:
        node = nodes[task.address] = Node(f"(T) {task.name}")
        for frame in reversed(task.stack):
            place = f" {frame.file}:{frame.line}" if frame.file else ""
            below = Node(f" {frame.function}{place}")
            node.below.append(below)
            node = below
        ends[task.address] = node
    for task in tasks:
        awaiters = [ends[address] for address in task.awaiters if address in ends]
        for end in awaiters:
            end.below.append(nodes[task.address])
        if not awaiters:
            top.append(nodes[task.address])
    for node in top:
        yield from node.lines()
