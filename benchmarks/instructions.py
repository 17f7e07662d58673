"""Count the instructions behind one operation of a row, and tell whose they are.

Needs valgrind. Each row runs twice in processes of their own, once longer than the other; the
difference belongs to the operations alone. What pyaio itself costs is the part of `_core`; the
rest is the interpreter running the row's own code, its coroutines and contexts, which no event
loop can avoid: `limit` is the ratio that a loop without any cost of its own would reach.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import implementations
from run import load_rows

OPERATIONS = 20_000
NAME = re.compile(r"c?(ob|fn)=\((\d+)\)(?: (.+))?$")
OURS = "_core"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="+", metavar="ROW")
    parser.add_argument("--operations", type=int, default=OPERATIONS)
    parser.add_argument("--functions", type=int, default=0, help="show so many functions, too")
    arguments = parser.parse_args()
    unknown = set(arguments.rows) - set(load_rows())
    if unknown:
        parser.error(f"no such rows: {', '.join(sorted(unknown))}")
    return arguments


Costs = Counter[tuple[str, str]]
"""Instructions by the file and the function that they are in."""


def read_costs(lines: Iterable[str]) -> Costs:
    """What a profile says of each function itself, with all that was inlined into it."""
    names: dict[tuple[str, str], str] = {}
    here = {"ob": "", "fn": ""}
    costs: Costs = Counter()
    is_callee = False
    for line in lines:
        if match := NAME.match(line):
            kind, number, name = match.groups()
            if name is not None:
                names[kind, number] = name
            if not line.startswith("c"):
                here[kind] = names[kind, number]
        elif line.startswith("calls="):
            is_callee = True
        elif line[:1] in set("0123456789+-*"):
            if not is_callee:
                file = Path(here["ob"]).name.partition(".")[0]
                costs[file, here["fn"].partition("'")[0]] += int(line.split()[1])
            is_callee = False
    return costs


def profile(implementation: str, row: str, repeat: int) -> Costs:
    """What a process that runs the row executes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "callgrind.out"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={file}"]
        worker = [sys.executable, __file__, "--worker", implementation, row, str(repeat)]
        # The same layout of every dictionary in every run.
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        subprocess.run([*command, *worker], env=environment, check=True, capture_output=True)
        with file.open() as lines:
            return read_costs(lines)


def per_operation(implementation: str, row: str, operations: int) -> Costs:
    """What one operation executes."""
    each = load_rows()[row].operations
    short = max(1, operations // each // 4)
    long = short + max(1, operations // each)
    costs = profile(implementation, row, long)
    costs.subtract(profile(implementation, row, short))
    return Counter({name: cost / ((long - short) * each) for name, cost in costs.items()})


def work(implementation: str, row: str, repeat: int) -> None:
    """Run a row without looking at the clock."""
    import asyncio
    import inspect

    new_event_loop = implementations.activate(implementation)
    body = load_rows()[row].body
    if inspect.iscoroutinefunction(body):
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(body(repeat))
    else:
        body(repeat, new_event_loop)


def main() -> None:
    if sys.argv[1:2] == ["--worker"]:
        implementation, row, repeat = sys.argv[2:]
        work(implementation, row, int(repeat))
        return
    arguments = parse_arguments()
    print(f"{'row':28}{'asyncio':>10}{'pyaio':>8}{'ratio':>8}{'_core':>8}{'limit':>8}")
    for row in arguments.rows:
        stock = per_operation(implementations.STOCK, row, arguments.operations).total()
        costs = per_operation("pyaio", row, arguments.operations)
        total = costs.total()
        ours = sum(cost for (file, _), cost in costs.items() if file == OURS)
        ratio, limit = stock / total, stock / max(1, total - ours)
        print(f"{row:28}{stock:10.0f}{total:8.0f}{ratio:8.1f}{ours:8.0f}{limit:8.1f}", flush=True)
        for (file, function), cost in costs.most_common(arguments.functions):
            print(f"{cost:46.0f}  {file} {function}")


if __name__ == "__main__":
    main()
