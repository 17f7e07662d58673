"""The world that a program lives in: shared objects, the log, and how its steps are run."""

import asyncio
import contextvars
import gc
import inspect
import re
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from .loops import SortedSet, name_key
from .ways import Way

Body: TypeAlias = list[Any]  # of steps: [kind, a, b, bodies]

UNITS = 8  # the numbers of a step are below this
CALLS_AT_MOST = 9  # of one callback, which may add itself again
DELAYS = [0.001, 0, 0.00025, 0.002, 0.0005, 0.005, -1, 0.01]  # seconds
variable = contextvars.ContextVar("variable", default="none")
ADDRESS = re.compile(r"0x[0-9a-f]+")
CREATED = re.compile(r" created at \S+?:\d+")  # debug mode; native calls are no frames
CALL = re.compile(r"\(.*\) at")  # debug mode shows arguments
CALLBACKS = re.compile(r" cb=\[[^\]]*\]")  # native ones have other names
TASK_NUMBER = re.compile(r"Task-\d+")


@dataclass(frozen=True)
class Kind:
    """One kind of step."""

    name: str
    function: Callable[["Step"], Any]
    bodies: tuple[int, int]  # how many bodies it has: at least, at most
    plain: bool  # it is no coroutine function, so callbacks may contain it
    callback: bool  # its bodies are run by callbacks
    since: tuple[int, int]
    weight: int


KINDS: dict[str, Kind] = {}


def kind(
    *,
    bodies: int | tuple[int, int] = 0,
    callback: bool = False,
    since: tuple[int, int] = (3, 11),
    weight: int = 1,
) -> Callable[[Callable[["Step"], Any]], Callable[["Step"], Any]]:
    """Register a function as a kind of step, named as the function."""
    counts = bodies if isinstance(bodies, tuple) else (bodies, bodies)

    def register(function: Callable[["Step"], Any]) -> Callable[["Step"], Any]:
        name = function.__name__
        plain = not inspect.iscoroutinefunction(function)
        assert name not in KINDS
        KINDS[name] = Kind(name, function, counts, plain, callback, since, weight)
        return function

    return register


class Stop(BaseException):
    """An exception that is neither an Exception nor one that asyncio knows."""


def plain_text(text: str) -> str:
    """A text without what differs between two runs of one program."""
    return TASK_NUMBER.sub("Task-?", CALLBACKS.sub("", CREATED.sub("", ADDRESS.sub("0x", text))))


def describe(value: Any, depth: int = 2) -> str:
    """Text for a value, without addresses and module names."""
    if isinstance(value, BaseException):
        inner = [describe(arg, depth) for arg in value.args]
        if isinstance(value, BaseExceptionGroup):
            inner = [repr(value.message), *(describe(e, depth) for e in value.exceptions)]
        text = f"{type(value).__name__}({', '.join(inner)})"
        if depth and value.__cause__ is not None:
            text += f" from {describe(value.__cause__, depth - 1)}"
        elif depth and value.__context__ is not None:
            hidden = " hiding" if value.__suppress_context__ else " after"
            text += f"{hidden} {describe(value.__context__, depth - 1)}"
        return text
    if isinstance(value, asyncio.Task):
        name = plain_text(value.get_name())
        return "<Task-?>" if name == "None" else f"<{name}>"  # 3.13.0, with a factory
    if isinstance(value, asyncio.Future):
        return "<Future>"
    if value is None or isinstance(value, (str, int, float, bytes)):
        return plain_text(repr(value))
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(describe(item, depth) for item in value)}]"
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(describe(item, depth) for item in value))}}}"
    return f"<{type(value).__name__.removeprefix('_')}>"


class World:
    """What the steps of one run of a program share."""

    def __init__(self, way: Way, program: dict[str, Any]) -> None:
        self.way, self.loop = way, way.loop
        self.eager = bool(program.get("eager"))
        self.lines: list[str] = []
        self.deaths: list[str] = []  # reports whose moment is not compared
        self.futures = [self.new_future() for _ in range(3)]
        self.tasks: list[Any] = []
        self.index: dict[Any, int] = {}  # of tasks, in the order of their beginning
        self.handles: list[Any] = []
        self.callbacks: list[Any] = []
        self.timeouts: list[Any] = []
        self.groups: list[Any] = []
        self.outers: list[Any] = []
        self.generators: list[Any] = []
        self.contexts: list[Any] = []
        self.sockets: tuple[socket.socket, ...] = ()
        self.made: dict[str, Any] = {}
        self.places: dict[str, int] = {}

    def log(self, here: str, what: str, *values: Any) -> None:
        """Add a line: when, where, what."""
        shown = " ".join(describe(value) for value in values)
        now = "closed" if self.loop.is_closed() else f"{self.loop.time():.6g}"
        self.lines.append(f"{now} {here}: {what} {shown}".rstrip())

    def place(self, here: str) -> str:
        """Another name for a place where a program has been before."""
        count = self.places[here] = self.places.get(here, 0) + 1
        return here if count == 1 else f"{here}~{count}"

    def report_death(self, text: str) -> None:
        """Add a line about an object's last moment, which reference cycles of stock's put off."""
        self.deaths.append(plain_text(text))

    def handle_report(self, loop: Any, context: dict[str, Any]) -> None:
        """The loop's exception handler."""
        parts = [
            f"{key}={describe(value)}"
            for key, value in sorted(context.items())
            if key not in ("message", "source_traceback", "handle_traceback")
        ]
        message = CALL.sub("() at", context["message"])
        line = plain_text(f"report: {message!r} {' '.join(parts)}")
        at_death = "never retrieved" in line or "destroyed" in line
        (self.deaths if at_death else self.lines).append(line)

    def new_future(self) -> Any:
        """A future of the loop's."""
        return self.loop.create_future()

    def thing(self, name: str, *args: Any) -> Any:
        """The program's only Lock, Queue, ...: made when it is first used."""
        if name not in self.made:
            self.made[name] = getattr(self.way.names(name), name)(*args)
        return self.made[name]

    def group(self, aio: Any) -> Any:
        """A TaskGroup that cancels its children in an order that does not depend on addresses."""
        group = aio.TaskGroup()
        group._tasks = SortedSet()
        return group

    def spawn(self, create: Callable[..., Any], body: Body, here: str, **keywords: Any) -> Any:
        """A new task that runs a body, known to the others."""
        coroutine = self.run(body, here)
        try:
            task = create(coroutine, **keywords)
        except BaseException:
            coroutine.close()
            raise
        self.know(task)
        return task

    def number(self, task: Any) -> None:
        """Give a task its index: when it is made, or when it starts before that."""
        self.index.setdefault(task, len(self.index))

    def order(self, task: Any) -> tuple[Any, ...]:
        """A key that sorts tasks as they began; those that did not, by name."""
        return self.index.get(task, len(self.index)), name_key(task)

    def know(self, task: Any) -> None:
        """Let the others find a task."""
        self.number(task)
        self.tasks.append(task)

    async def run(self, body: Body, here: str) -> str:
        """The steps of a body, one after the other; the result is where it was."""
        here = self.place(here)
        self.number(asyncio.current_task())
        for number, raw in enumerate(body):
            step = Step(self, f"{here}.{number}", *raw)
            self.log(step.here, f"{step.kind.name} {step.a} {step.b}")
            try:
                result = step.kind.function(step)
                if not step.kind.plain:
                    result = await result
            except Exception as error:
                self.log(step.here, "raised", error)
                if step.raises:
                    raise
            except BaseException as error:
                self.log(step.here, "raised", error)
                raise
            else:
                self.log(step.here, "=", result)
        return here

    def run_plain(self, body: Body, here: str) -> None:
        """The steps of a callback."""
        for number, raw in enumerate(body):
            step = Step(self, f"{here}.{number}", *raw)
            try:
                self.log(step.here, step.kind.name, step.kind.function(step))
            except Exception as error:
                self.log(step.here, f"{step.kind.name} raised", error)
                if step.raises:
                    raise


class Step:
    """One step about to be run: its numbers, its bodies, and what they stand for."""

    def __init__(self, world: World, here: str, name: str, a: int, b: int, bodies: Body) -> None:
        self.world, self.here, self.a, self.b, self.bodies = world, here, a, b, bodies
        self.kind = KINDS[name]
        self.aio = world.way.names(here)
        self.loop = world.loop

    @property
    def raises(self) -> bool:
        """Whether an Exception ends the body that the step stands in."""
        return self.kind.name == "fail" or (not self.kind.plain and self.b >= UNITS // 2)

    @property
    def known(self) -> bool:
        """Whether the current task, if any, outlives what it raises."""
        task = asyncio.current_task()
        return task is None or task in self.world.tasks

    @property
    def delay(self) -> float:
        """A delay in seconds."""
        return DELAYS[self.a % len(DELAYS)]

    @property
    def message(self) -> tuple[Any, ...]:
        """The arguments of a cancel()."""
        return [(), (f"message {self.here}",), (None,), (self.b,)][self.b % 4]

    def log(self, what: str, *values: Any) -> None:
        """Add a line about this step."""
        self.world.log(self.here, what, *values)

    def pick(self, things: list[Any]) -> Any:
        """One of the last things or of the first ones; None where there is none."""
        half = UNITS // 2
        n = -1 - self.a if self.a < half else self.a - half
        if not things:
            return None
        return things[n] if -len(things) <= n < len(things) else things[0]

    @property
    def task(self) -> Any:
        """A task."""
        return self.pick(self.world.tasks)

    @property
    def younger_tasks(self) -> list[Any]:
        """Tasks that the current one may wait for: no two ever wait for each other."""
        index = self.world.index
        mine = index[asyncio.current_task()]
        return [task for task in self.world.tasks if index[task] > mine]

    @property
    def future(self) -> Any:
        """One of the futures that belong to nobody."""
        return self.world.futures[self.a % 3]

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The two ends of the program's socket pair."""
        if not self.world.sockets:
            self.world.sockets = socket.socketpair()
            for end in self.world.sockets:
                end.setblocking(False)
        return self.world.sockets

    def run(self, n: int) -> Any:
        """A coroutine of the step's n-th body."""
        return self.world.run(self.bodies[n], f"{self.here}/{n}")

    def spawn(self, n: int, **keywords: Any) -> Any:
        """A new task of the step's n-th body."""
        return self.world.spawn(
            self.aio.create_task, self.bodies[n], f"{self.here}/{n}", **keywords
        )

    def spawn_all(self) -> list[Any]:
        """A new task for each body."""
        return [self.spawn(n, name=f"{self.here}/{n}") for n in range(len(self.bodies))]

    def callback(self, *, n: int = 0) -> Callable[..., None]:
        """A callback that runs the step's n-th body."""
        world, body, here = self.world, self.bodies[n], f"{self.here}!"

        def callback(*args: Any) -> None:
            place = world.place(here)
            if world.places[here] > CALLS_AT_MOST:
                return
            world.log(place, f"called in {variable.get()}", *args)
            world.run_plain(body, place)

        return callback


async def main(world: World, roots: list[Body]) -> None:
    """Start the program, give it time, then cancel what is left until nothing is."""
    aio = world.way.names("main")
    for n, body in enumerate(roots):
        try:
            world.spawn(world.loop.create_task, body, f"root{n}", name=f"root{n}")
        except BaseException as error:
            world.log("main", f"root{n} raised", error)
    await aio.sleep(0.05)
    world.log("main", "ends")
    for _ in range(50):
        tasks = asyncio.all_tasks(world.loop) - {asyncio.current_task()}
        if not tasks:
            break
        for task in sorted(tasks, key=world.order):
            world.log("main", "cancels", task, task.cancel("the end"))
        del tasks, task
        await aio.sleep(0.002)
    else:
        world.log("main", "gives up")
    for task in world.tasks:
        if task.cancelled() or not task.done():
            world.log("main", f"cancelled={task.cancelled()} {task.cancelling()}", task)
        else:
            outcome = task.exception() or task.result()
            world.log("main", f"{task.cancelling()}", task, outcome)


def run_program(way: Way, program: dict[str, Any]) -> list[str]:
    """Run a program in a way; return its log."""
    loop = way.loop
    way.set_factory(bool(program.get("eager")))
    world = World(way, program)
    loop.set_exception_handler(world.handle_report)
    hook = sys.unraisablehook
    sys.unraisablehook = lambda it: world.report_death(f"unraisable: {describe(it.exc_value)}")
    try:
        run_loop(world, main(world, program["roots"]))
        end = len(world.lines)
        run_loop(world, loop.shutdown_asyncgens())
        world.lines[end:] = sorted(world.lines[end:])  # stock keeps the generators in a set
        for end in world.sockets:
            loop.remove_reader(end)
            loop.remove_writer(end)
            end.close()
        loop.close()
        lines, deaths = world.lines, world.deaths
        forget(world)
        lines += sorted(deaths)
    finally:
        sys.unraisablehook = hook
        loop.close()
    return lines


def run_loop(world: World, coroutine: Any) -> None:
    """Run a coroutine to its end, however often the loop is stopped or broken out of."""
    task = world.loop.create_task(coroutine, name="main")
    del coroutine
    for _ in range(10):
        try:
            world.loop.run_until_complete(task)
        except BaseException as error:
            world.log("main", "stopped by", error)
        if task.done():
            return
    world.log("main", "never ends")


def forget(world: World) -> None:
    """Drop everything the world holds."""
    for value in vars(world).values():
        if (
            isinstance(value, (list, dict))
            and value is not world.lines
            and value is not world.deaths
        ):
            value.clear()
    gc.collect()
