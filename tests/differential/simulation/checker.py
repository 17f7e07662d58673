"""Checks programs in a worker process, which may crash or hang."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .programs import kinds_in, text
from .ways import WAYS

WORKER = Path(__file__).with_name("worker.py")
RUN = "tests/differential/run.py"
CRASH = "a crash or a hang"
SECONDS = float(os.environ.get("DIFFERENTIAL_SECONDS", "30"))


@dataclass
class Failure:
    """A program that ran otherwise than on stock asyncio, crashed, or hung."""

    program: dict[str, Any]
    way: str
    difference: str
    before: list[dict[str, Any]]  # what ran in the same process, this program included


class Checker:
    """Runs programs in one worker process after the other, as long as each lives."""

    def __init__(self, ways: list[str] | None = None, seconds: float = SECONDS) -> None:
        self.ways = list(WAYS) if ways is None else ways
        self.seconds = seconds  # that one program may take
        self.worker: subprocess.Popen[str] | None = None
        self.errors = Path(tempfile.mkdtemp(prefix="differential-"), "errors")
        self.before: list[dict[str, Any]] = []  # programs that the worker has run
        self.programs = self.lines = 0
        self.kinds: Counter[str] = Counter()

    def start(self) -> subprocess.Popen[str]:
        """A new worker."""
        self.before = []
        with self.errors.open("w") as errors:
            return subprocess.Popen(
                [sys.executable, str(WORKER), str(self.seconds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=tempfile.gettempdir(),
            )

    def close(self) -> None:
        """End the worker."""
        if self.worker is not None:
            assert self.worker.stdin is not None
            assert self.worker.stdout is not None
            self.worker.stdin.close()
            self.worker.wait()
            self.worker.stdout.close()
            self.worker = None

    def __enter__(self) -> "Checker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        shutil.rmtree(self.errors.parent)

    def ask(self, program: dict[str, Any]) -> dict[str, Any]:
        """The worker's verdict about a program; how the worker ended if it did."""
        self.worker = self.worker or self.start()
        assert self.worker.stdin is not None
        assert self.worker.stdout is not None
        self.worker.stdin.write(json.dumps({"program": program, "ways": self.ways}) + "\n")
        self.worker.stdin.flush()
        answer = self.worker.stdout.readline()
        if answer:
            verdict: dict[str, Any] = json.loads(answer)
            return verdict
        status = self.worker.wait()
        said = self.errors.read_text()[-6000:]
        return {"way": CRASH, "difference": f"status {status}\n{said}"}

    def check(self, program: dict[str, Any]) -> list[Failure]:
        """Run a program in every way; what failed first, or nothing."""
        verdict = self.ask(program)
        self.before.append(program)
        if "way" not in verdict:
            self.programs += 1
            self.lines += verdict["lines"]
            self.kinds.update(kinds_in(program))
            return []
        failure = Failure(program, verdict["way"], verdict["difference"], self.before)
        if verdict["way"] == CRASH:
            self.close()
        return [failure]


def explain(failure: Failure) -> str:
    """What went wrong, in which program, and how to see it again."""
    number, name = tempfile.mkstemp(prefix="programs-", suffix=".jsonl")
    with os.fdopen(number, "w") as history:
        history.writelines(json.dumps(each) + "\n" for each in failure.before)
    return "\n".join(
        [
            f"differs from stock in: {failure.way}   (- stock, + this way)",
            failure.difference,
            "the program:",
            text(failure.program),
            f"again: python {RUN} --program '{json.dumps(failure.program)}'",
            f"with the {len(failure.before) - 1} programs that ran before it in the same process: "
            f"python {RUN} --replay {name}",
        ]
    )
