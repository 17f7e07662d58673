"""What tasks cost in memory, on each implementation that is installed.

Resident memory (RSS), as the kernel counts it, in a process of its own for every figure:
bytes per task of 100,000 that wait for a future and of 100,000 that sleep, and what remains
after a million tasks, against after the first ten thousand of them.
"""

import argparse
import asyncio
import gc
import json
import resource
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import implementations
from results import as_markdown, as_text

BATCH = 1000


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def noop() -> None:
    pass


async def wait_for_future() -> None:
    await asyncio.get_running_loop().create_future()


async def sleep_an_hour() -> None:
    await asyncio.sleep(3600)


async def bytes_per_pending(wait: Callable[[], Awaitable[None]], count: int) -> float:
    """RSS per task of `count` that are in `wait()`, their coroutines and frames included."""
    await finish_tasks(BATCH)
    tasks: list[Any] = [None] * count
    gc.collect()
    before = resident_bytes()
    for start in range(0, count, BATCH):
        for i in range(start, start + BATCH):
            tasks[i] = asyncio.create_task(wait())
        await asyncio.sleep(0)
    return (resident_bytes() - before) / count


async def finish_tasks(count: int) -> None:
    """Create `count` tasks, a batch at a time, and await them."""
    for _ in range(count // BATCH):
        for task in [asyncio.create_task(noop()) for _ in range(BATCH)]:
            await task


async def pending_on_future(scale: int) -> dict[str, float]:
    return {"bytes": await bytes_per_pending(wait_for_future, 10 * scale)}


async def pending_in_sleep(scale: int) -> dict[str, float]:
    return {"bytes": await bytes_per_pending(sleep_an_hour, 10 * scale)}


async def finished(scale: int) -> dict[str, float]:
    await finish_tasks(scale)
    gc.collect()
    early = resident_bytes()
    await finish_tasks(99 * scale)
    gc.collect()
    return {"early": early, "late": resident_bytes()}


MEASURES = {
    measure.__name__: measure for measure in (pending_on_future, pending_in_sleep, finished)
}


def measure_here(implementation: str, measure: str, scale: int) -> dict[str, float]:
    new_event_loop = implementations.activate(implementation)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        implementations.check_active(implementation, runner.get_loop())
        return runner.run(MEASURES[measure](scale))


def measure_apart(implementation: str, measure: str, scale: int) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--here", implementation, measure]
    command += ["--scale", str(scale)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def describe(implementation: str, scale: int) -> list[str]:
    """One line of the table."""
    found = {name: measure_apart(implementation, name, scale) for name in MEASURES}
    early, late = found["finished"]["early"], found["finished"]["late"]
    return [
        implementation,
        f"{found['pending_on_future']['bytes']:,.0f}",
        f"{found['pending_in_sleep']['bytes']:,.0f}",
        f"{early / 1024:,.0f} KiB",
        f"{late / 1024:,.0f} KiB",
        f"{(late - early) / 1024:+,.0f} KiB",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--impls", nargs="+", choices=implementations.LOOPS)
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument(
        "--scale",
        type=int,
        default=10_000,
        help="tasks that `early` comes after; ten times as many pend, a hundred times finish",
    )
    parser.add_argument("--here", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(measure_here(*arguments.here, arguments.scale)))
        return
    many, few = f"{100 * arguments.scale:,}", f"{arguments.scale:,}"
    lines = [
        [
            "implementation",
            "bytes/task on a future",
            "bytes/task in sleep",
            f"RSS after {few}",
            f"RSS after {many}",
            "growth",
        ]
    ]
    for name in arguments.impls or implementations.LOOPS:
        if arguments.impls or implementations.version(name):
            lines.append(describe(name, arguments.scale))
    print(as_markdown(lines) if arguments.markdown else as_text(lines))


if __name__ == "__main__":
    main()
