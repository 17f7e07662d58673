"""What a row is, and how one is timed."""

import asyncio
import gc
import inspect
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any

NewEventLoop = Callable[[], asyncio.AbstractEventLoop]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    `body(repeat)` is a coroutine function, or, where the row makes its own loops,
    `body(repeat, new_event_loop)` is a plain one. It does the row's work `repeat` times and
    returns how many operations it saw completed: `repeat * operations`.
    """

    name: str
    operations: int
    body: Callable[..., Any]
    usual: bool = True  # in the table unless rows are chosen


@dataclass(frozen=True)
class Timing:
    """Nanoseconds per operation: the best sample, by the wall clock and by CPU time."""

    wall_ns: float
    cpu_ns: float
    repeat: int
    samples: list[float]  # wall, every sample in the order taken


ROWS: dict[str, Row] = {}


def row(operations: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as the row of its name; one repetition of it does
    `operations` operations."""

    def decorate(body: Callable[..., Any]) -> Callable[..., Any]:
        register(body.__name__, operations, body)
        return body

    return decorate


def register(name: str, operations: int, body: Callable[..., Any], *, usual: bool = True) -> None:
    """Make `body` the row of that name."""
    if name in ROWS:
        raise ValueError(f"two rows are named {name}")
    ROWS[name] = Row(name, operations, body, usual)


class WrongResultError(Exception):
    """A row did not do what it is timed for."""


# Does a row's work that many times; returns wall and CPU seconds.
TakeSample = Callable[[int], tuple[float, float]]


@dataclass(frozen=True)
class Plan:
    """`samples` samples, each of at least about `seconds` seconds, or of `repeat` repetitions."""

    seconds: float
    samples: int
    repeat: int | None = None

    def carry_out(self, sample: TakeSample, operations: int) -> Timing:
        """Take them; one repetition does `operations` operations."""
        sample(1)  # what happens once, such as starting a server
        repeat = self.repeat or _calibrate(sample, self.seconds)
        taken = [sample(repeat) for _ in range(self.samples)]
        to_ns = 1e9 / (repeat * operations)
        walls = [wall * to_ns for wall, _ in taken]
        return Timing(min(walls), min(cpu for _, cpu in taken) * to_ns, repeat, walls)


def time_row(row: Row, new_event_loop: NewEventLoop, plan: Plan) -> Timing:
    """Time `row` on loops made by `new_event_loop`."""
    with _Bench(row, new_event_loop) as bench:
        return plan.carry_out(bench.sample, row.operations)


def _calibrate(sample: TakeSample, seconds: float) -> int:
    """The repetitions that fill `seconds`; also the warm-up."""
    repeat = 1
    while True:
        wall, _ = sample(repeat)
        if wall >= seconds / 2:
            return max(1, round(repeat * seconds / wall))
        repeat = max(repeat + 1, min(repeat * 10, round(repeat * seconds / wall)))


class _Bench:
    """One row on one loop, with everything that asyncio would only log made an error."""

    def __init__(self, row: Row, new_event_loop: NewEventLoop) -> None:
        self._row = row
        self._new_event_loop = new_event_loop
        self._own_loops = not inspect.iscoroutinefunction(row.body)
        self._problems: list[str] = []

    def __enter__(self) -> "_Bench":
        warnings.simplefilter("error", RuntimeWarning)  # "coroutine was never awaited"
        sys.unraisablehook = lambda args: self._problems.append(repr(args.exc_value))
        self._runner = asyncio.Runner(loop_factory=self._new_event_loop)
        self._runner.get_loop().set_exception_handler(
            lambda _, context: self._problems.append(repr(context))
        )
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._runner.close()
        sys.unraisablehook = sys.__unraisablehook__

    def sample(self, repeat: int) -> tuple[float, float]:
        """Run the row; return its wall and CPU seconds.

        The collector stays on, as a program has it; a sample only does not inherit the
        garbage of the one before.
        """
        gc.collect()
        if self._own_loops:
            done, wall, cpu = self._run_with_own_loops(repeat)
        else:
            done, wall, cpu = self._runner.run(self._run(repeat))
        expected = repeat * self._row.operations
        if done != expected:
            raise WrongResultError(f"{self._row.name}: {done} operations, not {expected}")
        if self._problems:
            raise WrongResultError(f"{self._row.name}: {self._problems[0]}")
        return wall, cpu

    async def _run(self, repeat: int) -> tuple[int, float, float]:
        cpu, wall = process_time(), perf_counter()
        done = await self._row.body(repeat)
        return done, perf_counter() - wall, process_time() - cpu

    def _run_with_own_loops(self, repeat: int) -> tuple[int, float, float]:
        cpu, wall = process_time(), perf_counter()
        done = self._row.body(repeat, self._new_event_loop)
        return done, perf_counter() - wall, process_time() - cpu
