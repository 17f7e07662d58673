"""The steps of .ci/run: two at a time, each with a log of its own, and a summary at the end.

Everything is made in a temporary folder, which is kept, with the logs, where something failed.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import matrix

ROOT = Path(__file__).resolve().parent.parent
LANES = 2
SECONDS_PER_STEP = 2400
LINES_OF_A_FAILURE = 40

INTERPRETERS = ("3.11", "3.12", "3.13", "3.14", "3.14d", "3.15")
README_ON = "3.11"
"""The interpreter of README.md's commands, the second of which runs all its tests."""
ECOSYSTEM_ON = ("3.11", "3.14")
SANITIZED_ON = "3.14"
DEBUG_ALLOCATOR_ON = "3.13"
LEAKS_ON = "3.14d"
TYPED = ("3.11", "3.14")
"""The interpreters of the type checks; the first also has the formatters and other tools."""
TOOLS = TYPED[0]

COUNTS = re.compile(r"(\d+) (passed|failed|errors?)\b")
LAST_LINE = re.compile(r"^=*\s*(\d+ \w+.* in [0-9.]+s.*)$", re.MULTILINE)


@dataclass
class Step:
    """A command with a name.

    Attributes:
        after: the step that must have succeeded before, or an empty string.
        interpreter: the one that it is about, or an empty string.
        environment: what it adds to the environment's variables.
        seconds: about how long it takes; the longest ready step goes first.
    """

    name: str
    command: list[str]
    after: str = ""
    interpreter: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    seconds: float = 60.0


@dataclass
class Result:
    """What became of a step."""

    step: Step
    status: int
    passed: int
    failed: int
    seconds: float
    log: Path

    def line(self) -> str:
        """One row of the summary."""
        word = "FAILED" if self.status else "ok"
        return (
            f"{self.step.name:<34} {word:<6} {self.passed:6} passed {self.failed:4} failed"
            f" {self.seconds:5.0f} s"
        )


class Plan:
    """Every step there is, for a temporary folder and the interpreters that were found."""

    def __init__(self, work: Path, pythons: dict[str, str]) -> None:
        self.work, self.pythons = work, pythons
        self.steps: list[Step] = []
        for name in INTERPRETERS:
            self.add_interpreter(name)
        self.add_memory_checks()
        self.add_tools()

    def bin(self, environment: str, program: str) -> str:
        """The path of a program in one of the environments."""
        return str(self.work / environment / "bin" / program)

    def add(self, name: str, *command: str, **options: object) -> None:
        """Add a step; options are Step's fields."""
        self.steps.append(Step(name, list(command), **options))  # type: ignore[arg-type]

    def add_build(self, name: str, extras: str, interpreter: str, **environment: str) -> None:
        """Add a step that makes the environment `name` with pyaio and extras in it."""
        self.add(
            f"{name}: build",
            "sh",
            str(ROOT / "scripts/environment.sh"),
            interpreter=interpreter,
            seconds=1000,
            environment={
                "PYTHON": self.pythons.get(interpreter, "missing"),
                "PYAIO_ENVIRONMENT": str(self.work / name),
                "PYAIO_EXTRAS": extras,
                **environment,
            },
        )

    def add_tests(self, name: str, folder: str, seconds: float = 60.0, **variables: str) -> None:
        """Add a step that runs a folder of tests in an environment, with these variables."""
        self.add(
            f"{name}: {folder}",
            self.bin(name, "pytest"),
            "-q",
            "-rfEs",
            f"tests/{folder}",
            after=f"{name}: build",
            interpreter=name,
            seconds=seconds,
            environment=variables,
        )

    def conformance(self, name: str) -> dict[str, str]:
        """What makes the conformance tests run every module, and keep their verdicts."""
        return {
            "CONFORMANCE_MODULES": "all",
            "CONFORMANCE_JOBS": "1",
            "CONFORMANCE_JSON": str(self.work / f"conformance-{name}.json"),
        }

    def add_interpreter(self, name: str) -> None:
        """Add what runs on every interpreter."""
        extras = ["test"] + ["ecosystem"] * (name in ECOSYSTEM_ON) + ["dev"] * (name in TYPED)
        self.add_build(name, f"[{','.join(extras)}]", name)
        slow = 2.5 if name.endswith("d") else 1.0
        if name != README_ON:
            self.add_tests(name, "conformance", 600 * slow, **self.conformance(name))
            self.add_tests(name, "unit", 80 * slow)
            self.add_tests(name, "isolated", 70 * slow)
        programs = 2000 if name in TYPED else 500
        self.add_tests(name, "differential", 100 * slow, DIFFERENTIAL_PROGRAMS=str(programs))
        if name in ECOSYSTEM_ON:
            self.add_tests(name, "ecosystem", 50)
        if name == README_ON:
            self.add_readme(name)

    def add_readme(self, name: str) -> None:
        """Add README.md's two commands, as a user meets them."""
        blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
        environment = {
            "PYTHON": self.pythons.get(name, "missing"),
            "XDG_CACHE_HOME": str(self.work / "cache"),
        }
        run, test = f"{name}: README, run", f"{name}: README, test"
        self.add(
            run, "sh", "-ec", blocks[0], interpreter=name, seconds=1100, environment=environment
        )
        environment = {**environment, **self.conformance(name)}
        self.add(
            test,
            *("sh", "-ec", blocks[1]),
            after=run,
            interpreter=name,
            seconds=900,
            environment=environment,
        )

    def add_memory_checks(self) -> None:
        """Add the tests under sanitizers, on the allocator's debug hooks, and repeated."""
        self.add(
            f"{SANITIZED_ON}: sanitizers",
            *("sh", "scripts/sanitize.sh"),
            interpreter=SANITIZED_ON,
            seconds=950,
            environment={
                "PYTHON": self.pythons.get(SANITIZED_ON, "missing"),
                "PYAIO_ENVIRONMENT": str(self.work / "sanitized"),
            },
        )
        self.add(
            f"{DEBUG_ALLOCATOR_ON}: debug allocator",
            *(self.bin(DEBUG_ALLOCATOR_ON, "pytest"), "-q", "-rfE", "tests/unit"),
            *("-k", "not installed and not asyncio"),
            after=f"{DEBUG_ALLOCATOR_ON}: build",
            interpreter=DEBUG_ALLOCATOR_ON,
            seconds=150,
            environment={"PYTHONMALLOC": "debug"},
        )
        self.add(
            f"{LEAKS_ON}: leaks",
            *(self.bin(LEAKS_ON, "pytest"), "-q", "-rfE", "tests/unit", "--leaks", "3:3"),
            after=f"{LEAKS_ON}: build",
            interpreter=LEAKS_ON,
            seconds=350,
        )

    def add_tools(self) -> None:
        """Add formatters, linters, rules, types, packages and the benchmarks' own check."""
        built = {"after": f"{TOOLS}: build", "seconds": 10}
        c_files = subprocess.check_output(["git", "ls-files", "*.c", "*.h"], cwd=ROOT, text=True)
        self.add(
            "clang-format",
            self.bin(TOOLS, "clang-format"),
            *("--dry-run", "-Werror", *c_files.split()),
            **built,
        )
        ruff = self.bin(TOOLS, "ruff")
        self.add("ruff", ruff, "check", "--no-cache", ".", **built)
        self.add("ruff format", ruff, "format", "--no-cache", "--check", ".", **built)
        self.add("rules", self.bin(TOOLS, "pytest"), "-q", "tests/rules", **built)
        self.add("native", self.bin(TOOLS, "pytest"), "-q", "tests/native", **built)
        analyze = {**built, "seconds": 180, "environment": {"JOBS": "1"}}
        self.add("analysis", "sh", "scripts/analyze.sh", str(self.work / TOOLS / "bin"), **analyze)
        for name in TYPED:
            self.add_types(name)
        self.add(
            "packages",
            *("sh", "-e", ".ci/packages.sh", self.bin(TOOLS, "python"), str(self.work)),
            **built,
        )
        compare = str(ROOT / "benchmarks/compare.py")
        self.add("benchmarks", self.bin(TOOLS, "python"), compare, "--quick", **built)
        connections = (
            str(ROOT / "benchmarks/connections.py"),
            "--impls",
            "pyaio",
            "--seconds",
            "3",
        )
        self.add("connections", self.bin(TOOLS, "python"), *connections, **built)

    def add_types(self, name: str) -> None:
        """Add the checks of the annotations and of the stubs on one interpreter."""
        options = {"after": f"{name}: build", "interpreter": name, "seconds": 20}
        self.add(
            f"{name}: mypy",
            *(self.bin(name, "mypy"), "--strict"),
            *("--python-executable", self.bin(name, "python"), "pyaio", "tests/typing"),
            **options,
        )
        self.add(
            f"{name}: stubtest",
            *("env", "-C", str(self.work), self.bin(name, "stubtest")),
            *("--mypy-config-file", str(ROOT / "pyproject.toml")),
            *("--allowlist", str(ROOT / "tests/typing/stubtest-allowlist.txt"), "pyaio"),
            **options,
        )


def run(step: Step, work: Path) -> Result:
    """Run one step, with its output in a log, and count what it reports."""
    log = work / (re.sub(r"[^A-Za-z0-9.]+", "-", step.name) + ".log")
    start = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            step.command,
            cwd=ROOT,
            env={**os.environ, **step.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(SECONDS_PER_STEP)
        except subprocess.TimeoutExpired:
            status = 124
            output.write(b"\nit took too long\n")
        if status:  # what it may have left behind
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    counts = {"passed": 0, "failed": 0, "error": 0}
    for line in LAST_LINE.findall(log.read_text(errors="replace"))[-1:]:
        for number, word in COUNTS.findall(line):
            counts[word.removesuffix("s")] += int(number)
    passed, failed = counts["passed"], counts["failed"] + counts["error"]
    if status:
        failed = failed or 1
    else:
        passed = passed or 1
    return Result(step, status, passed, failed, time.monotonic() - start, log)


def report_failure(result: Result) -> None:
    """Print the end of a failed step's log."""
    lines = [
        line[:240]
        for line in result.log.read_text(errors="replace").splitlines()
        if " -c csrc/" not in line
    ]
    print(f"\n--- {result.step.name} failed with status {result.status}; the end of its log:")
    print("\n".join(lines[-LINES_OF_A_FAILURE:]), flush=True)


def run_all(steps: list[Step], work: Path) -> list[Result]:
    """Run the steps, each when what it needs has succeeded, the longest first."""
    results: dict[str, Result] = {}
    waiting = list(steps)
    changed = threading.Condition()

    def take() -> Step | None:
        """The next step, or None when there will be none."""
        with changed:
            while waiting:
                lost = [s for s in waiting if s.after in results and results[s.after].status]
                for step in lost:
                    waiting.remove(step)
                    print(f"{step.name:<34} not run: {step.after} failed", flush=True)
                    results[step.name] = Result(step, 1, 0, 1, 0.0, results[step.after].log)
                ready = [s for s in waiting if not s.after or s.after in results]
                if ready:
                    step = max(ready, key=lambda s: s.seconds)
                    waiting.remove(step)
                    return step
                if not lost:
                    changed.wait()
        return None

    def work_off() -> None:
        while (step := take()) is not None:
            result = run(step, work)
            with changed:
                results[step.name] = result
                changed.notify_all()
                print(result.line(), flush=True)
                if result.status:
                    report_failure(result)

    with concurrent.futures.ThreadPoolExecutor(LANES) as pool:
        for lane in [pool.submit(work_off) for _ in range(LANES)]:
            lane.result()
    return [results[step.name] for step in steps]


def find_pythons() -> dict[str, str]:
    """The interpreters by name, installing those that are missing."""
    output = subprocess.check_output([str(ROOT.parent / "shared/pythons")], text=True)
    return dict(line.split(maxsplit=1) for line in output.splitlines() if line.strip())


def choose(steps: list[Step], options: argparse.Namespace) -> list[Step]:
    """The steps that the command line asks for, and those that they need."""
    chosen = {
        s.name
        for s in steps
        if (not options.interpreters or s.interpreter in options.interpreters)
        and re.search(options.only, s.name)
    }
    for step in reversed(steps):
        if step.name in chosen and step.after:
            chosen.add(step.after)
    return [s for s in steps if s.name in chosen]


def main() -> int:
    """Run what the command line asks for; returns the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("interpreters", nargs="*", help=f"some of {', '.join(INTERPRETERS)}")
    parser.add_argument("--only", default="", help="a regular expression for names of steps")
    parser.add_argument("--list", action="store_true", help="print the names of the steps")
    options = parser.parse_args()
    os.environ.update(CI="1", PYAIO_WERROR="1", PYTHONDONTWRITEBYTECODE="1")
    # Steps must not inherit that it is ignored, as in a job in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    start = time.monotonic()
    work = Path(tempfile.mkdtemp(prefix="pyaio-ci."))
    steps = choose(Plan(work, {} if options.list else find_pythons()).steps, options)
    if options.list:
        print("\n".join(step.name for step in steps))
        return 0
    results = run_all(steps, work)
    broken = [result for result in results if result.status]
    verdicts = {name: work / f"conformance-{name}.json" for name in INTERPRETERS}
    print("\n" + matrix.render({n: path for n, path in verdicts.items() if path.exists()}))
    print("\nSummary", *(result.line() for result in results), sep="\n")
    if broken:
        print("\nfailed:", ", ".join(result.step.name for result in broken))
        print("logs:", work)
    else:
        shutil.rmtree(work)
    print(f"{len(results)} steps in {time.monotonic() - start:.0f} s")
    print(f"{sum(r.passed for r in results)} passed, {sum(r.failed for r in results)} failed")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
