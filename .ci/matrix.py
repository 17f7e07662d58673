"""One table of the conformance tests: a row a module and mode, a column an interpreter."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BAD = ("failed", "crashed", "hung", "stale")
LISTED = ("flaky", "not applicable")


def cell(counts: Mapping[str, int]) -> str:
    """The counts of one module: passed, and what else there is."""
    if not counts:
        return "-"
    bad = sum(counts.get(word, 0) for word in BAD)
    text = str(counts.get("passed", 0))
    for number, mark in ((bad, " FAILED"), (counts.get("not applicable", 0), "n")):
        text += f" {number}{mark}" if number else ""
    for word in ("skipped", "flaky"):
        text += f" {counts[word]}{word[0]}" if counts.get(word) else ""
    return text


def reason(test: Mapping[str, Any]) -> str:
    """Why a test is listed: the last line of its detail."""
    lines = test["detail"].rstrip().splitlines()
    return lines[-1].strip() if lines else "no detail"


def render(files: Mapping[str, Path]) -> str:
    """The table, then what is flaky or not applicable with its reason.

    Args:
        files: by interpreter, what the conformance tests wrote there.
    """
    rows: dict[tuple[str, str], dict[str, Counter[str]]] = defaultdict(dict)
    listed: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    for name, path in files.items():
        for unit in json.loads(path.read_text())["units"]:
            rows[unit["mode"], unit["module"]][name] = Counter(unit["counts"])
            for test in unit["tests"]:
                if test["result"] in LISTED:
                    key = (test["result"], unit["mode"], test["test"], reason(test))
                    listed[key].append(name)
    if not rows:
        return "no conformance tests ran"
    lines = [["conformance", "mode", *files]]
    for (mode, module), counts in sorted(rows.items()):
        lines.append([module, mode, *(cell(counts.get(name, {})) for name in files)])
    sums = [sum((row.get(name, Counter()) for row in rows.values()), Counter()) for name in files]
    lines.append(["all", "", *map(cell, sums)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = [
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines
    ]
    text.append("n: not applicable, s: skipped by the suite as on stock, f: flaky")
    for (result, mode, test, why), names in sorted(listed.items()):
        text.append(f"{result}: [{mode}] {test} on {', '.join(names)}: {why}")
    return "\n".join(text)
