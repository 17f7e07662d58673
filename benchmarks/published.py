"""Compare pyaio with stock asyncio on the asyncio benchmarks of pyperformance, as published.

Needs the package pyperformance, and asyncio_websockets what its own requirements.txt names. A
benchmark's own script runs unchanged, each time in a process of its own: as
`python run_benchmark.py` on stock, as `python -m pyaio run_benchmark.py` on pyaio, in turns. A
ratio is stock's best value over pyaio's; the CPU ratio is that of the whole processes, their start
included, and says more than the other where the machine is busy.
"""

import argparse
import importlib.util
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pyperf

TREES = ("none", "io", "memoization", "cpu_io_mixed", "eager", "eager_io", "eager_memoization")
ROWS = {
    **{f"async_tree_{name}": ("bm_async_tree", name) for name in TREES},
    **{f"async_tree_{name}_tg": ("bm_async_tree", name, "--task-groups") for name in TREES},
    "asyncio_tcp": ("bm_asyncio_tcp",),
    "asyncio_tcp_ssl": ("bm_asyncio_tcp", "--ssl"),
    "asyncio_websockets": ("bm_asyncio_websockets",),
}
LAUNCHERS: dict[str, list[str]] = {"asyncio": [], "pyaio": ["-m", "pyaio"]}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = [name for name in ROWS if name.startswith("async_tree")]
    parser.add_argument("rows", nargs="*", metavar="ROW", default=default)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--values", type=int, default=3, help="values in each process")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    unknown = set(arguments.rows) - set(ROWS)
    if unknown:
        parser.error(f"no such rows: {', '.join(sorted(unknown))}")
    return arguments


def script(folder: str) -> str:
    """The path of a benchmark's script in the installed package."""
    spec = importlib.util.find_spec("pyperformance")
    if spec is None or spec.origin is None:
        sys.exit("pyperformance is not installed")
    return str(Path(spec.origin).parent / "data-files/benchmarks" / folder / "run_benchmark.py")


def cpu_of_children() -> float:
    """The seconds of CPU that all processes took that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def take(implementation: str, row: str, values: int) -> tuple[float, float]:
    """The best value of one process, and the CPU time of all of it, in seconds."""
    folder, *options = ROWS[row]
    with tempfile.TemporaryDirectory() as work:
        output = str(Path(work) / "result.json")
        command = [sys.executable, *LAUNCHERS[implementation], script(folder), *options]
        command += ["--worker", "--loops=1", "--warmups=1", f"--values={values}", "-o", output]
        before = cpu_of_children()
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=work)
        if done.returncode:
            sys.exit(f"{row} fails on {implementation}:\n{done.stderr}")
        value = float(min(pyperf.Benchmark.load(output).get_values()))
        return value, cpu_of_children() - before


def main() -> None:
    arguments = parse_arguments()
    os.sched_setaffinity(0, {arguments.core})
    print(f"{'row':32}{'asyncio, ms':>12}{'pyaio, ms':>12}{'ratio':>8}{'CPU ratio':>11}")
    for row in arguments.rows:
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in LAUNCHERS}
        for _ in range(arguments.rounds):
            for name, results in taken.items():
                results.append(take(name, row, arguments.values))
        stock, ours = (map(min, zip(*taken[name], strict=True)) for name in LAUNCHERS)
        (stock_ms, stock_cpu), (our_ms, our_cpu) = stock, ours
        print(
            f"{row:32}{stock_ms * 1e3:12.1f}{our_ms * 1e3:12.1f}{stock_ms / our_ms:8.2f}"
            f"{stock_cpu / our_cpu:11.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
