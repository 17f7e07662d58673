"""Prints what became of the units: a table, then the details of what went wrong."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from harness.catalog import LOOP, TYPES
from harness.isolation import CRASHED, HUNG, Outcome
from harness.judge import FLAKY, NOT_APPLICABLE, VERDICTS, Report

TAIL_LINES = 14
STACK_DUMP = "(most recent call first)"


def evidence(report: Report) -> str:
    """How the implementation was used: loops made, tests that called a type, names replaced."""
    if report.unit.mode == LOOP:
        return f"{report.loops} loops made"
    if report.uses:
        return ", ".join(f"{name} in {count}" for name, count in report.uses.most_common())
    if report.unit.mode == TYPES:
        return f"{len(report.places)} objects, {sum(report.places.values())} names"
    return ""


def summary(report: Report) -> str:
    """A unit's verdicts in one line."""
    counts = [f"{report.counts[v]} {v}" for v in VERDICTS if report.counts[v]]
    return f"{report.unit}: {', '.join(counts) or 'no tests'}"


def table(reports: Sequence[Report]) -> str:
    """One row a unit, and a sum."""
    rows = [["module", "mode", *VERDICTS, "replaced"]]
    for report in sorted(reports, key=lambda r: (r.unit.mode, r.unit.module)):
        counts = [str(report.counts[verdict] or ".") for verdict in VERDICTS]
        rows.append([report.unit.module, report.unit.mode, *counts, evidence(report)])
    sums = [str(sum(r.counts[verdict] for r in reports)) for verdict in VERDICTS]
    rows.append(["all", "", *sums, ""])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    left = (0, 1, len(rows[0]) - 1)
    lines = (
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
    return "\n".join(lines)


def describe(outcome: Outcome, lines: int = TAIL_LINES) -> str:
    """A test's verdict with the part of its detail that says most.

    Args:
        lines: how many lines to show: the last of a traceback, but the first of a stack dump,
            which begins with the innermost frame; 0 shows all.
    """
    shown = outcome.detail.rstrip().splitlines()
    dump = next((i for i, line in enumerate(shown) if STACK_DUMP in line), None)
    if lines and dump is not None and outcome.result in (CRASHED, HUNG):
        begin = max(dump - 2, 1)
        shown = [shown[0], *shown[begin : begin + lines]]
    elif lines:
        shown = shown[-lines:]
    return "\n".join([f"{outcome.result.upper()} {outcome.test}", *(f"    {s}" for s in shown)])


def details(reports: Sequence[Report], lines: int = TAIL_LINES) -> str:
    """What went wrong in every unit, then what was excused."""
    parts = []
    for report in reports:
        mode = report.unit.mode
        parts += [f"[{mode}] {describe(outcome, lines)}" for outcome in report.bad]
    for verdict in (FLAKY, NOT_APPLICABLE):
        for report in reports:
            parts += [
                f"[{report.unit.mode}] {verdict}: {o.test} ({_last_line(o.detail)})"
                for o in report.verdicts
                if o.result == verdict
            ]
    return "\n".join(parts)


def _last_line(text: str) -> str:
    lines = text.rstrip().splitlines()
    return lines[-1].strip() if lines else ""


def write_json(path: Path, reports: Sequence[Report], impl: str) -> None:
    """Write every verdict to a file."""
    document = {
        "python": sys.version,
        "impl": impl,
        "units": [
            {
                "module": report.unit.module,
                "mode": report.unit.mode,
                "counts": dict(report.counts),
                "replaced_names": report.places,
                "tests": [asdict(outcome) for outcome in report.verdicts],
            }
            for report in reports
        ],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")
