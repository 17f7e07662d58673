"""The native tasks of another process: what each is doing and who awaits it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .. import _core
from .memory import BadAddressError, Memory, RemoteError, extension_base, loaded_extension
from .objects import DEEPEST, GENERATORS, Frame, Objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ATTEMPTS = 50
MOST = 10_000_000


@dataclass
class Task:
    """One task.

    address: what id() says of it in its process.
    thread: the number that the kernel gave the thread that runs its loop, 0 for none.
    stack: from the innermost call to the task's own coroutine.
    awaiters: the addresses of the tasks that await it.
    """

    address: int
    name: str
    thread: int = 0
    stack: list[Frame] = field(default_factory=list)
    awaiters: list[int] = field(default_factory=list)


class Reader:
    """Finds the tasks of a process from the one pointer to our extension module's state."""

    def __init__(self, memory: Memory, state_pointer: int, places: dict[str, int]) -> None:
        self.memory = memory
        self.objects = Objects(memory, places)
        self.places = places
        self.state = memory.number(state_pointer)
        if self.state == 0:
            raise RemoteError(
                f"process {memory.pid} has pyaio loaded by several interpreters, or none any more"
            )
        read = self.objects.field
        self.task_type = read(self.state, "state.Task")
        self.future_type = read(self.state, "state.Future")
        self.native_type = read(self.state, "state.Coroutine")
        self.call_type = read(self.state, "state.ReadyCall")
        self.group_type = read(self.state, "state.TaskGroup")
        self.loop_type = read(self.state, "state.EventLoop")
        # Of each object in the chain of what a task awaits, the task.
        self.waiting: dict[int, int] = {}

    def tasks(self) -> list[Task]:
        """Every unfinished task, oldest first. BadAddressError where they change too fast."""
        self.waiting.clear()
        tasks = [task for task in map(self.read_task, self.addresses()) if task.stack]
        for task in tasks:
            task.awaiters = sorted(set(self.awaiters(task.address, set())))
        return tasks

    def addresses(self) -> list[int]:
        """Where the tasks are."""
        links = self.links(self.state + self.places["state.tasks"])
        return [link - self.places["task.link"] for link in links]

    def links(self, head: int) -> list[int]:
        """Where the links of an intrusive list are."""
        found: list[int] = []
        link = head
        for _ in range(MOST):
            link = self.objects.field(link, "link.next")
            if link == head:
                return found
            found.append(link)
        raise BadAddressError("an endless list")

    def read_task(self, address: int) -> Task:
        """A task without its awaiters."""
        read = self.objects.field
        if not self.objects.is_a(address, self.task_type):
            raise BadAddressError("no task")
        task = Task(address, self.name(read(address, "task.name")))
        thread = self.thread(read(address, "task.loop"))
        if thread != 0:
            task.thread = read(thread, "thread.id")
        coroutine = read(address, "task.coroutine")
        chain = list(self.chain(coroutine))
        for awaited, _ in chain:
            self.waiting[awaited] = address
        task.stack = [frame for _, frame in reversed(chain) if frame is not None]
        if self.is_running(coroutine) and thread != 0:
            frame = coroutine + self.places["coroutine.frame"]
            task.stack = self.objects.running_frames(thread, frame)
        return task

    def name(self, address: int) -> str:
        """The task's name, which is a number until somebody asks for it."""
        if address == 0:
            return ""
        if self.objects.type_name(self.objects.type_of(address)) == "int":
            return f"Task-{self.objects.small_int(address)}"
        return self.objects.string(address)

    def thread(self, loop: int) -> int:
        """The state of the thread that runs a loop, 0 where none does or it is not ours."""
        if loop == 0 or not self.objects.is_a(loop, self.loop_type):
            return 0
        return self.objects.field(loop, "loop.thread")

    def is_running(self, coroutine: int) -> bool:
        """Whether a coroutine of Python code is executing."""
        objects = self.objects
        return (
            coroutine != 0
            and objects.type_name(objects.type_of(coroutine)) in GENERATORS
            and objects.field(coroutine, "coroutine.state", 1, signed=True) == 0
        )

    def chain(self, coroutine: int) -> Iterator[tuple[int, Frame | None]]:
        """What awaits what from a coroutine on, through native coroutines too."""
        objects = self.objects
        for _ in range(DEEPEST):
            for address, frame in objects.awaited(coroutine):
                coroutine = address
                if frame is not None:
                    yield address, frame
            if coroutine == 0:
                return
            if not objects.is_a(coroutine, self.native_type):
                yield coroutine, None
                return
            yield coroutine, Frame(self.native_name(coroutine))
            coroutine = objects.field(coroutine, "native.awaited")
        raise BadAddressError("an endless chain")

    def native_name(self, address: int) -> str:
        """The qualified name of a native coroutine: its own, or its function's."""
        read = self.objects.field
        name = read(address, "native.qualname")
        if name == 0:
            kind = read(address, "native.kind")
            function = self.memory.number(self.state + read(kind, "native_kind.function"))
            name = read(function, "function.qualname")
        return self.objects.string(name)

    def awaiters(self, future: int, seen: set[int]) -> Iterator[int]:
        """The tasks that await a future, be it through other futures and native coroutines."""
        seen.add(future)
        for target in self.callback_targets(future):
            if target == 0 or target in seen:
                continue
            if self.objects.is_a(target, self.task_type):
                yield target
            elif self.objects.is_a(target, self.future_type):
                yield from self.awaiters(target, seen)
            elif target in self.waiting:
                yield self.waiting[target]

    def callback_targets(self, future: int) -> Iterable[int]:
        """The tasks, futures and coroutines that hear of a future's end."""
        read = self.objects.field
        is_task = self.objects.is_a(future, self.task_type)
        kind = read(future, "task.kind" if is_task else "future.kind")
        callback = read(future, "future.callback")
        if callback != 0:
            yield from self.targets(kind, callback) if kind else self.python_targets(callback)
        callbacks = read(future, "future.callbacks")
        for pair in self.objects.items(callbacks, "list") if callbacks else ():
            callback = self.objects.items(pair, "tuple")[0]
            if self.objects.type_of(callback) == self.call_type:
                yield from self.targets(read(callback, "call.kind"), read(callback, "call.target"))
            else:
                yield from self.python_targets(callback)

    def targets(self, kind: int, target: int) -> Iterable[int]:
        """What a native callback is for."""
        place = self.objects.field(kind, "kind.waiter")
        several = self.objects.field(kind, "kind.waiters")
        if several:
            return [self.memory.number(link + place) for link in self.links(target + several)]
        return (self.memory.number(target + place) if place else target,)

    def python_targets(self, callback: int) -> Iterable[int]:
        """Whom a callback tells: its group's parent, or the futures that it closes over."""
        objects = self.objects
        kind = objects.type_name(objects.type_of(callback))
        if f"{kind}.self" in self.places:
            owner = objects.field(callback, f"{kind}.self")
            if owner != 0 and objects.is_a(owner, self.group_type):
                yield objects.field(owner, "group.parent")
        if kind != "function":
            return
        closure = objects.field(callback, "function.closure")
        for cell in objects.items(closure, "tuple") if closure else ():
            content = objects.field(cell, "cell.content")
            if content != 0 and objects.is_a(content, self.future_type):
                yield content


def snapshot(pid: int) -> list[Task]:
    """The tasks of a process. RemoteError where they cannot be had, with the reason."""
    places: dict[str, int] = vars(_core)["_memory_map"]()  # where asyncio has no such tool
    ours, _ = loaded_extension(os.getpid())
    memory = Memory(pid)
    try:
        base = extension_base(pid)
        pointer = base + places["only_state"] - ours
        for _ in range(ATTEMPTS):
            memory.forget()
            try:
                return Reader(memory, pointer, places).tasks()
            except (BadAddressError, ValueError):
                continue
    finally:
        memory.close()
    raise RemoteError(f"the tasks of process {pid} change too fast to be read; try again")
