"""Runs tests of one module in worker processes, so that a crash or a hang costs one test only."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.catalog import Unit

WORKER = Path(__file__).with_name("worker.py")
SECONDS_BETWEEN_LOOKS = 0.05
SECONDS_OF_GRACE = 15
"""How long the worker has to end itself after a test's time is over."""
PATIENCE = 4
"""After so many tests of a unit that hung, the others get as many times less time."""
SECONDS_OF_DOUBT = 1
"""How much later than the worker we may have seen a test begin."""
LOG_SIZE = 60_000
"""How many bytes of a worker's last output are kept."""
FRAME = re.compile(r'\s+File "')
OUR_FRAME = re.compile(r'\s+File "[^"]*/(_pytest|pluggy|unittest|conformance/harness)/')
REMOVED_VARIABLES = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTHONASYNCIODEBUG", "PYTHONPATH")

STOPPED = threading.Event()
"""Set to end the running workers at once, and to start no more."""

PASSED = "passed"
FAILED = "failed"
SKIPPED = "skipped"
CRASHED = "crashed"
HUNG = "hung"


@dataclass
class Outcome:
    """What became of one test in one run.

    Attributes:
        detail: the traceback, the reason of a skip, or the end of the log after a crash.
        seconds: how long it ran.
        loops: how many loops of the implementation it made.
        uses: which replaced objects it called, where that was asked for.
    """

    test: str
    result: str
    detail: str = ""
    seconds: float = 0.0
    loops: int = 0
    uses: list[str] = field(default_factory=list)


@dataclass
class Batch:
    """Tests of one unit to be run together, and what is known of them so far.

    Attributes:
        impl: the name of the module that stands in for asyncio.
        seconds: the time that one test may take.
        only: the tests to run; None means all of them.
        keyword: a pytest -k expression, or an empty string.
        uses: whether to watch which replaced objects each test calls.
        outcomes: one for each test that ended, also by a crash or a hang.
        places: how many names were replaced, by public name.
        left_over: names in the tests that still mean a stock object.
    """

    unit: Unit
    impl: str
    seconds: float
    only: list[str] | None = None
    keyword: str = ""
    uses: bool = False
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    left_over: list[str] = field(default_factory=list)

    @property
    def limit(self) -> float:
        """The time in seconds that the next test may take."""
        hung = sum(outcome.result == HUNG for outcome in self.outcomes.values())
        return self.seconds if hung < PATIENCE else self.seconds / PATIENCE

    def run(self) -> None:
        """Run every test to its end, in as many workers as that takes."""
        while True:
            known = len(self.outcomes)
            with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
                worker = Worker(self, Path(folder))
                worker.run()
            if worker.complete or len(self.outcomes) == known:
                return


def write_request(batch: Batch, folder: Path, events: Path | None) -> Path:
    """Write what a worker needs to know of a batch to a file in the folder.

    Args:
        events: the file for the worker's report; None for a person at the terminal: no limit of
            time then, and long tracebacks.
    """
    request = {
        "module": batch.unit.module,
        "mode": batch.unit.mode,
        "target": batch.unit.target(),
        "impl": batch.impl,
        "seconds": batch.limit if events else None,
        "only": batch.only,
        "skip": sorted(batch.outcomes),
        "keyword": batch.keyword,
        "uses": batch.uses,
        "events": str(events) if events else None,
    }
    path = folder / "request.json"
    path.write_text(json.dumps(request))
    return path


def worker_command(request: Path) -> list[str]:
    """The command that runs a request."""
    return [sys.executable, str(WORKER), str(request)]


def worker_environment() -> dict[str, str]:
    """The caller's environment without what would change the tests."""
    kept = {k: v for k, v in os.environ.items() if k not in REMOVED_VARIABLES}
    return {**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHON_COLORS": "0", "NO_COLOR": "1"}


class Worker:
    """One worker process on a batch.

    Attributes:
        complete: every wanted test has an outcome.
    """

    def __init__(self, batch: Batch, folder: Path) -> None:
        self.batch = batch
        self.seconds = batch.limit
        self.folder = folder
        self.events = folder / "events"
        self.log = folder / "log"
        self.offset = 0
        self.wanted: list[str] | None = None
        self.running = ""
        self.last = ""
        self.log_mark = 0
        self.since = time.monotonic()

    @property
    def complete(self) -> bool:
        return self.wanted is not None and all(t in self.batch.outcomes for t in self.wanted)

    def run(self) -> None:
        """Follow a worker to its end, and note what it could not tell itself."""
        self.events.touch()
        request = write_request(self.batch, self.folder, self.events)
        scratch = self.folder / "cwd"
        scratch.mkdir()
        with self.log.open("wb") as log:
            process = subprocess.Popen(
                worker_command(request),
                cwd=scratch,
                env=worker_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._follow(process)
        finally:
            # Also ends what the tests have left behind in the worker's process group.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _follow(self, process: subprocess.Popen[bytes]) -> None:
        while True:
            ended = process.poll() is not None
            for event in self._read_events():
                self._take(event)
            if STOPPED.is_set():
                raise KeyboardInterrupt
            if ended:
                self._conclude(process.returncode)
                return
            if time.monotonic() - self.since > self.seconds + SECONDS_OF_GRACE:
                self._record_end(HUNG, "killed: it did not end in time")
                return
            time.sleep(SECONDS_BETWEEN_LOOKS)

    def _read_events(self) -> Iterator[dict[str, Any]]:
        with self.events.open("rb") as stream:
            stream.seek(self.offset)
            for line in stream:
                if not line.endswith(b"\n"):
                    return
                self.offset += len(line)
                yield json.loads(line)

    def _take(self, event: dict[str, Any]) -> None:
        self.since = time.monotonic()
        kind = event.pop("event")
        if kind == "start":
            self.running, self.log_mark = event["test"], event["log"]
        elif kind == "end":
            self.last, self.running = event["test"], ""
            event["detail"] = without_our_frames(event["detail"])
            self._record(Outcome(result=event.pop("outcome"), **event))
        elif kind == "collected":
            self.wanted = event["tests"]
            self.batch.places = event["places"]
            self.batch.left_over = event["left_over"]
        elif event["outcome"] == SKIPPED:
            self.wanted = []
        else:
            self._record(Outcome(self._place("import"), FAILED, event["detail"]))

    def _conclude(self, status: int) -> None:
        """Note a test, or the time between two tests, that the worker did not survive."""
        if not self.running and self.complete and status in (0, 1, 2, 5):
            return
        if not self.running and self.wanted is not None and status == 2:
            return
        spent = time.monotonic() - self.since
        if status == 1 and spent >= self.seconds - SECONDS_OF_DOUBT:
            self._record_end(HUNG, f"over {self.seconds:g} s")
        else:
            self._record_end(CRASHED, _describe(status))

    def _record_end(self, result: str, what: str) -> None:
        """Record that the worker ended, or was ended, where it stands now."""
        place = self.running or self._place(
            "import" if self.wanted is None else "exit" if self.complete else "between tests"
        )
        after = "" if self.running or not self.last else f" (after {self.last})"
        detail = f"{what}{after}\n{self._log_end()}"
        self._record(Outcome(place, result, detail, time.monotonic() - self.since))

    def _record(self, outcome: Outcome) -> None:
        self.batch.outcomes[outcome.test] = outcome

    def _place(self, name: str) -> str:
        return f"{self.batch.unit.module}::[{name}]"

    def _log_end(self) -> str:
        data = self.log.read_bytes()[self.log_mark :]
        return without_our_frames(data[-LOG_SIZE:].decode(errors="replace").strip())


def without_our_frames(text: str) -> str:
    """Tracebacks without the frames of pytest, unittest and this harness."""
    kept, dropping = [], False
    for line in text.splitlines():
        if FRAME.match(line) or not line.startswith("    "):
            dropping = OUR_FRAME.match(line) is not None
        if not dropping:
            kept.append(line)
    return "\n".join(kept)


def _describe(status: int) -> str:
    if status >= 0:
        return f"the process ended with status {status}"
    return f"the process was ended by {signal.Signals(-status).name}"
