"""Ten thousand idle connections and a thousand busy ones, on each implementation installed.

The server runs in a process of its own; the other ends are C programs (load.c). Shown is the
resident memory (RSS) that an idle connection costs the server, and what the busy ones did beside
them. It fails on a connection that is lost, an answer that is wrong, anything that the loop's
exception handler is told, and a descriptor that is open in the end and was not in the beginning.
"""

import argparse
import asyncio
import gc
import json
import os
import resource
import subprocess
import sys
import time
from typing import Any

import echo
import implementations
from memory import resident_bytes
from results import as_markdown, as_text

KINDS = ("protocol", "buffered", "streams")
MESSAGE = 1024
ECHOES_PER_ORDER = 20_000
SECONDS_TO_CLOSE = 30


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (only counted)


def allow_descriptors() -> None:
    """As many as the system lets this process, and the load that it starts, have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def wait_for_the_end(descriptors_before: int) -> None:
    """Wait until every connection has ended; RuntimeError if some never do."""
    deadline = time.monotonic() + SECONDS_TO_CLOSE
    while descriptors() > descriptors_before or len(asyncio.all_tasks()) > 1:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{descriptors() - descriptors_before} descriptors were left")
        await asyncio.sleep(0.05)


async def measure(kind: str, idle: int, busy: int, seconds: float) -> dict[str, float]:
    """What `idle` connections cost, and how many echoes `busy` more of them made meanwhile."""
    loop = asyncio.get_running_loop()
    if busy > 1:  # what an implementation opens once is open before anything is counted
        await measure(kind, 1, 1, 0.1)
    reports: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: reports.append(context))
    open_before = descriptors()
    server, load = await echo.start(kind, MESSAGE, busy)
    await load.order(busy)
    gc.collect()
    before = resident_bytes()
    idle_server, idle_load = await echo.start(kind, MESSAGE, idle)
    while descriptors() < open_before + busy + idle:
        await asyncio.sleep(0.05)
    gc.collect()
    idle_bytes = (resident_bytes() - before) / idle
    echoes, start, cpu = 0, time.monotonic(), time.process_time()
    while time.monotonic() - start < seconds:
        echoes += await load.order(ECHOES_PER_ORDER)
    elapsed, cpu = time.monotonic() - start, time.process_time() - cpu
    # Only now do the idle ones say something: they must all be alive.
    if await idle_load.order(idle) != idle:
        raise RuntimeError("idle connections were lost")
    for side in (load, idle_load):
        side.transport.close()
    for each in (server, idle_server):
        each.close()
        await each.wait_closed()
    del server, idle_server, load, idle_load
    await wait_for_the_end(open_before)
    if reports:
        raise RuntimeError(f"{len(reports)} errors were reported, the first one: {reports[0]}")
    return {"bytes": idle_bytes, "rate": echoes / elapsed, "cpu": cpu / echoes}


def measure_here(implementation: str, arguments: argparse.Namespace) -> dict[str, float]:
    allow_descriptors()
    new_event_loop = implementations.activate(implementation)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        implementations.check_active(implementation, runner.get_loop())
        work = measure(arguments.kind, arguments.idle, arguments.busy, arguments.seconds)
        return runner.run(work)


def measure_apart(implementation: str, kind: str, options: list[str]) -> dict[str, float] | None:
    """The same in a process of its own; None, with a line on stderr, where it failed."""
    command = [sys.executable, __file__, "--here", implementation, "--kind", kind, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(implementation, kind, *done.stderr.splitlines()[-1:], file=sys.stderr)
        return None
    return json.loads(done.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--impls", nargs="+", choices=implementations.LOOPS)
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--busy", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--kind", choices=KINDS, help="only this kind of server")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("--here", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(measure_here(arguments.here, arguments)))
        return 0
    options = ["--idle", str(arguments.idle), "--busy", str(arguments.busy)]
    options += ["--seconds", str(arguments.seconds)]
    lines = [["implementation", "kind", "bytes/idle connection", "echoes/s", "CPU µs/echo"]]
    failures = 0
    for kind in [arguments.kind] if arguments.kind else KINDS:
        for name in arguments.impls or filter(implementations.version, implementations.LOOPS):
            found = measure_apart(name, kind, options)
            if found is None:
                failures += 1
                continue
            cells = [
                f"{found['bytes']:,.0f}",
                f"{found['rate']:,.0f}",
                f"{found['cpu'] * 1e6:.1f}",
            ]
            lines.append([name, kind, *cells])
    print(as_markdown(lines) if arguments.markdown else as_text(lines))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
