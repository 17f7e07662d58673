"""CPython's own test.test_asyncio on pyaio: one test here is one module there in one mode."""

import os
from collections.abc import Callable

import pytest
from harness import catalog
from harness.catalog import Unit
from harness.judge import Report
from harness.report import describe, summary


def test_suite_is_installed() -> None:
    """The suite is there; without it the rest means little, so in CI that is a failure."""
    missing = catalog.missing_suite()
    if missing and not os.environ.get("CI"):
        pytest.skip(missing)
    assert not missing, missing


def test_module(unit: Unit, report_of: Callable[[Unit], Report]) -> None:
    """Every test of the module that stock asyncio passes passes."""
    report = report_of(unit)
    if report.bad:
        shown = "\n".join(map(describe, report.bad))
        pytest.fail(f"{len(report.bad)} of {summary(report)}\n{shown}", pytrace=False)
    assert report.verdicts, f"{unit} has no tests"
