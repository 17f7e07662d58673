"""Finds tests that leak: `pytest tests/unit --leaks 3:3` on a debug build of the interpreter.

As `-R 3:3` of CPython's own tests does, each test is run again and again until references, memory
blocks and open descriptors stay the same: after a run that leaves nothing behind it is done with.
At most WARM-UPS + RUNS are made, fixtures included; what grew in each of the last RUNS leaks, and
fails the test. Left out are tests of stock asyncio, whose leaks are not ours, those of pyaio
installed into it, which are the same once more, and those that cannot be repeated.
"""

import array
import gc
import os
import sys

import pytest
from _pytest.runner import runtestprotocol

COUNTED = ("references", "memory blocks", "open descriptors")
TESTED = "pyaio"
# Fixtures whose tests cannot be repeated, or gain nothing from it, and why.
NOT_REPEATED = {
    "python": "runs in a process of its own",
    "program": "runs in a process of its own",
    "many": "only does more often what other tests do",
    "tmp_path": "every temporary folder is remembered until the session ends",
}
clear_caches = getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache


def counts() -> tuple[int, int, int]:
    """Everything that is alive, after what is garbage has gone."""
    for _ in range(2):
        gc.collect()
    clear_caches()  # one of which keeps attribute names, though made for one look-up only
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (makes no objects)
    return sys.gettotalrefcount(), sys.getallocatedblocks(), descriptors


class LeakHunt:
    """Repeats every test, and fails those that leak."""

    def __init__(self, warmups: int, runs: int) -> None:
        self.warmups = warmups
        self.runs = runs
        self.hunted = self.repeated = 0
        self.left_out: dict[str, int] = {}

    def reason(self, item: pytest.Item) -> str | None:
        """Why a test is left out."""
        callspec = getattr(item, "callspec", None)
        params = callspec.params if callspec is not None else {}
        tested = params.get("impl") or params.get("tls_impl", TESTED).partition("-")[0]
        if tested != TESTED:
            return "is of stock asyncio, or of what is installed into it"
        for name, reason in NOT_REPEATED.items():
            if name in item.fixturenames:
                return reason
        marker = item.get_closest_marker("not_repeated")
        return marker.args[0] if marker else None

    def once(self, item: pytest.Item) -> list[pytest.TestReport]:
        """One run with fresh fixtures, all of which end with it."""
        item._initrequest()
        try:
            return runtestprotocol(item, log=False, nextitem=None)
        finally:
            item._initrequest()
            item._report_sections.clear()  # the output of every run
            sys.last_exc = sys.last_type = sys.last_value = sys.last_traceback = None

    def grown(self, item: pytest.Item) -> list[list[int]]:
        """What the last runs left behind, by what is counted; empty where one left nothing."""
        runs = self.warmups + self.runs
        # Made beforehand, so that keeping count changes no count.
        steps = [array.array("q", [0] * runs) for _ in COUNTED]
        gc.collect()
        gc.freeze()  # so that it stays cheap, whatever earlier tests and their reports have left
        before = counts()
        for run in range(runs):
            failed = any(report.failed for report in self.once(item))
            if failed:
                pytest.fail("passes the first time, but not when it is run again", pytrace=False)
            self.repeated += 1
            after = counts()
            for values, old, new in zip(steps, before, after, strict=True):
                values[run] = new - old
            if max(values[run] for values in steps) <= 0:
                return []
            before = after
        return [values[-self.runs :].tolist() for values in steps]

    def check(self, item: pytest.Item) -> None:
        """Fail if the test leaks."""
        for name, values in zip(COUNTED, self.grown(item), strict=False):
            if min(values) > 0:
                pytest.fail(f"leaks {name}: {list(values)} in the last runs", pytrace=False)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        reports = self.once(item)
        if all(report.passed for report in reports):
            self.hunted += 1
            call = pytest.CallInfo.from_call(lambda: self.check(item), "call")
            if call.excinfo is not None:
                reports = [item.ihook.pytest_runtest_makereport(item=item, call=call)]
            del call
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        kept = []
        for item in items:
            reason = self.reason(item)
            if reason is None:
                kept.append(item)
            else:
                self.left_out[reason] = self.left_out.get(reason, 0) + 1
        items[:] = kept

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.write_line(
            f"leaks: {self.hunted} tests were repeated, {self.repeated / max(self.hunted, 1):.1f} "
            "times on average"
        )
        for reason, number in self.left_out.items():
            terminalreporter.write_line(f"leaks: {number} tests were left out: each {reason}")
