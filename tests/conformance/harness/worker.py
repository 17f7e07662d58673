"""The process that runs tests: pytest with one plugin, which writes a line per event to a file.

Run as a script with the path of a JSON request (see `isolation.Batch`). Everything that it has
to tell is on disk before the next test starts, so that a crash or a hang costs one test only.
"""

import faulthandler
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness.catalog import STOCK
from harness.replace import Replacement, replace
from harness.usage import Usage

PYTEST_OPTIONS = [
    *("--noconftest", "-c", os.devnull, "--rootdir", ".", "--assert=plain", "-s"),
    *("-o", "python_classes=_", "-o", "python_functions=probe_*", "-o", "python_files=*.py"),
    *("-p", "no:cacheprovider", "-p", "no:faulthandler", "-p", "no:logging", "-p", "no:warnings"),
    *("-p", "no:unraisableexception", "-p", "no:threadexception"),
]
"""As little of pytest as possible between a test and the interpreter."""


class Recorder:
    """Selects the requested tests, and records what becomes of each."""

    def __init__(self, request: dict[str, Any], replacement: Replacement) -> None:
        self.module: str = request["module"]
        self.only: list[str] | None = request["only"]
        self.skip = frozenset(request["skip"])
        self.seconds: float | None = request["seconds"]
        self.events: str | None = request["events"]
        self.replacement = replacement
        self.usage = Usage(replacement.objects) if request["uses"] else None
        self.pid = os.getpid()
        self.outcome = ""
        self.detail: list[str] = []

    def emit(self, event: str, **fields: Any) -> None:
        """Append one line to the file, which no test can have closed."""
        if self.events is not None:
            with Path(self.events).open("a") as stream:
                stream.write(json.dumps({"event": event, **fields}) + "\n")

    def test_id(self, item: pytest.Item) -> str:
        """MODULE::CLASS::TEST, the same on every machine."""
        names = [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
        return "::".join([self.module, *names, item.name])

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        by_id = {self.test_id(item): item for item in items}
        wanted = list(by_id) if self.only is None else [i for i in self.only if i in by_id]
        items[:] = [by_id[i] for i in wanted if i not in self.skip]
        if self.events is None and not items:
            raise pytest.UsageError(f"no test {self.only}, but {', '.join(by_id)}")
        owners = {id(o): o for i in items for o in _owners(i)}
        self.emit(
            "collected",
            tests=wanted,
            places=self.replacement.places,
            left_over=[
                f"{getattr(owner, '__name__', owner)}.{name}"
                for owner in owners.values()
                for name in self.replacement.left_over(owner)
            ],
        )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.outcome != "passed":
            self.emit("uncollected", outcome=report.outcome, detail=str(report.longrepr))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[Any]:
        """Tell of a test's start and end; a child that it forked goes no further than that."""
        self.outcome, self.detail = "passed", []
        self.replacement.apply()
        self.replacement.loops = 0
        if self.usage:
            self.usage.restart()
        test = self.test_id(item)
        sys.stdout.flush()
        self.emit("start", test=test, log=os.fstat(2).st_size)
        if self.seconds is not None:
            faulthandler.dump_traceback_later(self.seconds, exit=True)
        began = time.monotonic()
        try:
            return (yield)
        except BaseException as error:
            self.outcome = "failed"
            self.detail.append(f"{error!r} left the test")
            raise
        finally:
            if os.getpid() != self.pid:
                os._exit(1)
            faulthandler.cancel_dump_traceback_later()
            self.emit(
                "end",
                test=test,
                outcome=self.outcome,
                seconds=time.monotonic() - began,
                detail="\n".join(self.detail),
                loops=self.replacement.loops,
                uses=sorted(self.usage.used) if self.usage else [],
            )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.outcome = "failed"
            self.detail.append(str(report.longrepr))
        elif report.skipped and not hasattr(report, "wasxfail") and self.outcome == "passed":
            self.outcome = "skipped"
            reason = report.longrepr
            self.detail.append(str(reason[-1] if isinstance(reason, tuple) else reason))


def _owners(item: pytest.Item) -> Iterator[object]:
    """The module and the class that a test is defined in."""
    for node in item.listchain():
        if isinstance(node, (pytest.Module, pytest.Class)):
            yield node.obj


def main(path: str) -> int:
    """Run the request in the file at `path`; returns pytest's exit status."""
    request = json.loads(Path(path).read_text())
    faulthandler.enable()
    # Whoever starts a job in the background may have it ignore the signal that tests send.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    impl = importlib.import_module("asyncio" if request["mode"] == STOCK else request["impl"])
    origin = Path(impl.__file__ or "").resolve()
    if origin.parent.parent == Path(__file__).resolve().parents[3]:
        raise SystemExit(f"{request['impl']} comes from the checkout ({origin}): install it first")
    recorder = Recorder(request, replace(request["mode"], impl))
    keyword = ["-k", request["keyword"]] if request["keyword"] else []
    style = (
        ["-v"]
        if request["events"] is None
        else ["-q", "--tb=native", "--no-header", "--no-summary"]
    )
    return pytest.main([*PYTEST_OPTIONS, *style, *keyword, *request["target"]], plugins=[recorder])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
