"""Run random coroutine programs on stock asyncio and on pyaio, in simulated time, and compare.

    python tests/differential/run.py                         2,000 programs, fresh seed
    python tests/differential/run.py --programs 50000 --seed 7
    python tests/differential/run.py --program '{"eager": false, ...}'     one program again
    python tests/differential/run.py --replay programs.jsonl               several again

The exit status is 0 when every log equals stock's. What differs is shrunk and printed.
"""

import argparse
import json
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from simulation.checker import Checker, explain
from simulation.search import Differs, search
from simulation.ways import BROKEN, WAYS

PROGRAMS_A_SEARCH = 500


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--programs", type=int, default=2000, help="how many")
    add("--seed", type=int, default=random.randrange(10**6), help="where to begin")
    add("--ways", default=",".join(WAYS), help=f"some of {','.join([*WAYS, *BROKEN])}")
    add("--program", type=json.loads, help="one program, as a failure prints it")
    add("--replay", type=Path, help="a file of programs, to be run in one process")
    add("--keep-going", action="store_true", help="go on with the next seed after a failure")
    return parser.parse_args(arguments)


def replay(checker: Checker, options: argparse.Namespace) -> int:
    """Run programs that are given."""
    programs = [options.program]
    if options.replay:
        programs = [json.loads(line) for line in options.replay.read_text().splitlines()]
    for program in programs:
        for failure in checker.check(program):
            print(explain(failure))
            return 1
    print(f"{len(programs)} programs, all as on stock")
    return 0


def look(checker: Checker, options: argparse.Namespace) -> int:
    """Run fresh programs."""
    failures, started, seed = 0, time.monotonic(), options.seed
    for begin in range(0, options.programs, PROGRAMS_A_SEARCH):
        count = min(PROGRAMS_A_SEARCH, options.programs - begin)
        try:
            search(checker, count, seed=seed)
        except Differs as error:
            failures += 1
            print(f"seed {seed}: {error}\n", flush=True)
            if not options.keep_going:
                break
        seed += 1
        print(
            f"{checker.programs} programs of {checker.lines} steps and answers, seeds "
            f"{options.seed} to {seed - 1}, {time.monotonic() - started:.0f} s",
            file=sys.stderr,
        )
    print(f"{checker.programs} programs, {failures} failures (seeds from {options.seed})")
    return 1 if failures else 0


def main() -> int:
    """Run what the command line asks for."""
    options = parse(sys.argv[1:])
    with Checker(options.ways.split(",")) as checker:
        if options.program or options.replay:
            return replay(checker, options)
        return look(checker, options)


if __name__ == "__main__":
    sys.exit(main())
