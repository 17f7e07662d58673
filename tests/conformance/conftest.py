"""Gives the conformance tests their modules and modes, and the runs that they wait for.

Environment: CONFORMANCE_MODULES (names, or "all"), CONFORMANCE_MODES, CONFORMANCE_JOBS,
CONFORMANCE_IMPL, CONFORMANCE_JSON; as the options of run.py.
"""

import concurrent.futures
import faulthandler
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from harness import catalog, isolation, judge, report
from harness.catalog import LOOP, TYPES, Unit

IMPL = os.environ.get("CONFORMANCE_IMPL", "pyaio")
JSON = os.environ.get("CONFORMANCE_JSON", "")
JOBS = int(os.environ.get("CONFORMANCE_JOBS", "2"))
SECONDS = 180.0 if hasattr(sys, "gettotalrefcount") else 60.0


def _split(variable: str, default: str = "") -> list[str]:
    return [word for word in os.environ.get(variable, default).split(",") if word]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a module and mode."""
    if "unit" not in metafunc.fixturenames:
        return
    modes = _split("CONFORMANCE_MODES", f"{LOOP},{TYPES}")
    units = [catalog.probe(mode) for mode in modes]
    if not catalog.missing_suite():
        modules = catalog.choose_modules(_split("CONFORMANCE_MODULES"))
        units += [Unit(module, mode) for module in modules for mode in modes]
    metafunc.parametrize("unit", units, ids=str)


@pytest.fixture(autouse=True)
def _no_limit_but_the_workers() -> None:
    """A unit is as long as its tests, and each of those has its limit."""
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session")
def report_of(request: pytest.FixtureRequest) -> Iterator[Callable[[Unit], judge.Report]]:
    """A function that waits for a unit's report; the first use starts all selected units."""
    selected: list[Any] = [
        item.callspec.params["unit"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and "unit" in item.fixturenames
    ]
    exclusions = catalog.read_exclusions()
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        jobs = {
            unit: pool.submit(judge.run_unit, unit, IMPL, SECONDS, exclusions) for unit in selected
        }
        yield lambda unit: jobs[unit].result()
        if JSON:
            report.write_json(Path(JSON), [job.result() for job in jobs.values()], IMPL)
        isolation.STOPPED.set()
        pool.shutdown(cancel_futures=True)
