"""Run CPython's installed test.test_asyncio on pyaio, and print one table.

    python tests/conformance/run.py                              the core's modules, both modes
    python tests/conformance/run.py --modules all --jobs 2
    python tests/conformance/run.py --modes types --modules test_tasks -k gather
    python tests/conformance/run.py --modes types --debug test_tasks::GenericTaskTests::test_x

The exit status is 0 when every test that stock asyncio passes passed, otherwise 1.
"""

import argparse
import concurrent.futures
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import catalog, isolation, judge, report
from harness.catalog import LOOP, MODES, TYPES, Unit


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--modes", default=f"{LOOP},{TYPES}", help=f"some of {','.join(MODES)}")
    add("--modules", default="", help='test modules, or "all" (default: the core\'s)')
    add("--impl", default="pyaio", help="the module that stands in for asyncio")
    add("--jobs", type=int, default=2, help="units to run at a time")
    add("--seconds", type=float, default=default_seconds(), help="time one test may take")
    add("-k", dest="keyword", default="", help="a pytest -k expression")
    add("--json", type=Path, help="write every verdict to this file")
    add("--lines", type=int, default=report.TAIL_LINES, help="lines of a traceback; 0: all")
    add("--debug", metavar="TEST", help="run MODULE[::CLASS::TEST] in the first mode, here")
    add("--uses", action="store_true", help="count the tests that call each type; Python 3.12+")
    return parser.parse_args(arguments)


def default_seconds() -> float:
    """The time that one test may take: more on a debug build."""
    return 180.0 if hasattr(sys, "gettotalrefcount") else 60.0


def debug(options: argparse.Namespace) -> None:
    """Become the worker that runs one test or module, with all output and no limit of time."""
    module, _, name = options.debug.partition("::")
    unit = Unit(module, options.modes.split(",")[0])
    only = [options.debug] if name else None
    batch = isolation.Batch(unit, options.impl, options.seconds, only, options.keyword)
    folder = Path(tempfile.mkdtemp(prefix="conformance-"))
    command = isolation.worker_command(isolation.write_request(batch, folder, None))
    print("in", folder, "running", *command, flush=True)
    os.chdir(folder)
    os.execve(command[0], command, isolation.worker_environment())


def run(options: argparse.Namespace, units: list[Unit]) -> list[judge.Report]:
    """Run the units, some at a time, telling of each when it ends."""
    exclusions = catalog.read_exclusions()
    reports: list[judge.Report] = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        jobs = [
            pool.submit(
                judge.run_unit,
                unit,
                options.impl,
                options.seconds,
                exclusions,
                "" if unit == catalog.probe(unit.mode) else options.keyword,
                options.uses and unit.mode == TYPES,
            )
            for unit in units
        ]
        try:
            for job in concurrent.futures.as_completed(jobs):
                reports.append(job.result())
                print(report.summary(reports[-1]), flush=True)
        finally:
            isolation.STOPPED.set()
            pool.shutdown(cancel_futures=True)
    return reports


def main() -> int:
    """Run what the command line asks for; returns the exit status."""
    options = parse(sys.argv[1:])
    missing = catalog.missing_suite()
    if missing:
        print(missing)
        return 1 if os.environ.get("CI") else 0
    if options.debug:
        debug(options)
    modes = options.modes.split(",")
    try:
        modules = catalog.choose_modules(options.modules.split(",") if options.modules else [])
    except ValueError as error:
        print(error)
        return 2
    units = [catalog.probe(mode) for mode in modes] + [
        Unit(module, mode) for module in modules for mode in modes
    ]
    reports = run(options, units)
    print(f"\n{options.impl} on Python {sys.version.split()[0]}\n{report.table(reports)}\n")
    print(report.details(reports, options.lines))
    if options.json:
        report.write_json(options.json, reports, options.impl)
    return 1 if any(r.bad for r in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
