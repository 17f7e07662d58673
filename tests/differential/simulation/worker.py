"""The process in which programs run: one JSON document a line in, one verdict a line out."""

import faulthandler
import gc
import json
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from simulation import programs  # noqa: F401 (registers the kinds of steps)
from simulation.ways import BROKEN, ORACLES, WAYS, Way, stock
from simulation.world import run_program

LINES_BEFORE = 12


def run(way: Callable[[], AbstractContextManager[Way]], program: dict[str, Any]) -> list[str]:
    """The log of a program in one way."""
    threshold = gc.get_threshold()
    gc.collect()
    if program.get("gc"):
        gc.set_threshold(1)
        gc.enable()
    try:
        with way() as made:
            return run_program(made, program)
    finally:
        gc.disable()
        gc.set_threshold(*threshold)


def difference(expected: list[str], got: list[str]) -> str:
    """Where two logs part, with some lines before; nothing if they are equal."""
    if expected == got:
        return ""
    length = min(len(expected), len(got))
    n = next((i for i in range(length) if expected[i] != got[i]), length)
    lines = [f"    {line}" for line in expected[max(0, n - LINES_BEFORE) : n]]
    lines += [f"  - {line}" for line in expected[n : n + 4]]
    lines += [f"  + {line}" for line in got[n : n + 4]]
    return "\n".join(lines)


def judge(program: dict[str, Any], ways: list[str]) -> dict[str, Any]:
    """Run a program on stock twice and in each way; say where a log differs."""
    expected = run(stock, program)
    compared = {"stock itself": stock, **{name: (WAYS | BROKEN)[name] for name in ways}}
    for name, way in compared.items():
        oracle = run(ORACLES[name], program) if name in ORACLES else expected
        found = difference(oracle, run(way, program))
        if found:
            return {"way": name, "difference": found}
    return {"lines": len(expected)}


def main() -> None:
    """Serve until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    seconds = float(sys.argv[1])
    gc.disable()
    gc.freeze()
    for line in sys.stdin:
        request = json.loads(line)
        faulthandler.dump_traceback_later(seconds, exit=True)
        answer = judge(request["program"], request["ways"])
        faulthandler.cancel_dump_traceback_later()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    faulthandler.enable()
    main()
