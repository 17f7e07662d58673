"""Compare pyaio with stock asyncio and the other loops that are installed, row by row.

Every sample is taken in a process of its own, pinned to one core. The implementations take
turns within each round, in alternating order, and a ratio compares two neighbours of one
round, so that a machine which slows down for a while slows both sides of it. A cell reads
`ratio (lowest-highest of the rounds) ratio of CPU time`; above 1 is faster than asyncio.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import floor
import implementations
from results import Results, Sample, as_markdown, as_text, cpu_table, slower_rows, table
from run import load_rows, usual_rows

RUN = Path(__file__).with_name("run.py")
TIMEOUT_SECONDS = 120


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows",
        nargs="+",
        metavar="ROW",
        help="names, or patterns of them such as 'echo_*_1k_50'; default: the usual ones",
    )
    parser.add_argument(
        "--impls",
        nargs="+",
        choices=implementations.NAMES,
        help="default: all loops that are installed; asyncio is always run",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.1, help="length of a sample")
    parser.add_argument("--samples", type=int, default=3, help="samples in each process")
    parser.add_argument(
        "--repeat",
        type=int,
        metavar="N",
        help="repetitions in a sample, the same for all, instead of --seconds",
    )
    parser.add_argument("--core", type=int, default=_last_core(), help="the core to run on")
    parser.add_argument("--goal", action="store_true", help="show what is aimed at, too")
    parser.add_argument(
        "--behind",
        action="store_true",
        help="list where pyaio took more CPU time than another, beyond the spread of the rounds",
    )
    parser.add_argument("--cpu", action="store_true", help="show the CPU time of an operation")
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("--json", type=Path, metavar="FILE", help="save the samples")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="only see that every row works on asyncio, pyaio and in C; the figures mean nothing",
    )
    arguments = parser.parse_args()
    arguments.rows = matching_rows(arguments.rows, parser) if arguments.rows else usual_rows()
    if arguments.quick:
        arguments.rounds, arguments.seconds, arguments.samples = 1, 0, 1
        arguments.impls = arguments.impls or ["pyaio", implementations.FLOOR]
    return arguments


def matching_rows(patterns: list[str], parser: argparse.ArgumentParser) -> list[str]:
    """The names that match one of the patterns, each of which must match some."""
    names = list(load_rows())
    found = {
        pattern: [name for name in names if fnmatchcase(name, pattern)] for pattern in patterns
    }
    unknown = [pattern for pattern, matches in found.items() if not matches]
    if unknown:
        parser.error(f"no such rows: {', '.join(unknown)}")
    return list(dict.fromkeys(name for matches in found.values() for name in matches))


def main() -> int:
    arguments = parse_arguments()
    wanted = arguments.impls or implementations.LOOPS
    versions = {
        name: implementations.version(name)
        for name in implementations.NAMES
        if name in wanted or name == implementations.STOCK
    }
    present = {name: version for name, version in versions.items() if version}
    absent = [name for name, version in versions.items() if not version]
    results = Results(platform.python_version(), _machine(), present)
    errors = compare(results, arguments)
    lines = cpu_table(results) if arguments.cpu else table(results, arguments.goal)
    print("  ".join(f"{name} {version}" for name, version in present.items()))
    if absent:
        print(f"not installed: {', '.join(absent)}")
    print(as_markdown(lines) if arguments.markdown else as_text(lines))
    for row, name, ratio in slower_rows(results, "pyaio") if arguments.behind else []:
        print(f"behind {name} in CPU time: {row} {ratio:.2f}")
    if arguments.json:
        results.save(arguments.json)
    for error in errors:
        print(error, file=sys.stderr)
    return 1 if errors or (absent and arguments.impls) else 0


def compare(results: Results, arguments: argparse.Namespace) -> list[str]:
    """Fill `results` with the samples of every row; return what went wrong."""
    errors = []
    names = list(results.versions)
    for row in arguments.rows:
        print(row, end=" ", file=sys.stderr, flush=True)
        samples = results.rows[row] = {name: [] for name in names}
        for number in range(arguments.rounds):
            for name in names if number % 2 == 0 else reversed(names):
                if name == implementations.FLOOR and not floor.has_row(row):
                    continue
                try:
                    samples[name].append(take(name, row, arguments))
                except SampleError as error:
                    samples[name].append(None)
                    errors.append(f"{row} on {name}: {error}")
    print(file=sys.stderr)
    return errors


class SampleError(Exception):
    """A process that should have timed a row crashed, hung or found a wrong result."""


def take(implementation: str, row: str, arguments: argparse.Namespace) -> Sample:
    """Time `row` on `implementation` in a new process."""
    command = [sys.executable, str(RUN), implementation, row]
    command += ["--seconds", str(arguments.seconds), "--samples", str(arguments.samples)]
    if arguments.repeat is not None:
        command += ["--repeat", str(arguments.repeat)]
    if arguments.core is not None:
        command += ["--core", str(arguments.core)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        raise SampleError(f"no result in {TIMEOUT_SECONDS} seconds") from None
    if done.returncode != 0:
        last_line = done.stderr.strip().rpartition("\n")[2]
        raise SampleError(last_line or f"exit status {done.returncode}")
    timing = json.loads(done.stdout)[row]
    return Sample(timing["wall_ns"], timing["cpu_ns"])


def _last_core() -> int | None:
    """The first core serves most interrupts, the last one fewest."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    return max(os.sched_getaffinity(0))


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"


if __name__ == "__main__":
    sys.exit(main())
