"""What one comparison found, the ratios drawn from it, and the table of them."""

import json
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from implementations import STOCK

GOALS = Path(__file__).with_name("goals.toml")


class Sample(NamedTuple):
    """Nanoseconds per operation, best of one process."""

    wall_ns: float
    cpu_ns: float


class Ratio(NamedTuple):
    """How many times faster than stock: by the best samples of all rounds, which lies between
    the lowest and the highest ratio of a single round."""

    best: float
    low: float
    high: float


@dataclass
class Results:
    """`rows[row][implementation]` holds a sample per round, None where it failed."""

    python: str
    machine: str
    versions: dict[str, str]
    rows: dict[str, dict[str, list[Sample | None]]] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Results":
        results = cls(**json.loads(path.read_text()))
        for row in results.rows.values():
            for name, samples in row.items():
                row[name] = [Sample(*sample) if sample else None for sample in samples]
        return results

    def stock_ns(self, row: str) -> float | None:
        """Wall nanoseconds per operation of stock asyncio; None where it was not run."""
        samples = [sample.wall_ns for sample in self.rows[row].get(STOCK, []) if sample]
        return min(samples) if samples else None

    def ratio(self, row: str, implementation: str, clock: str = "wall_ns") -> Ratio | None:
        """Stock's time over that of `implementation`; None without a round in which both ran."""
        stock = self.rows[row].get(STOCK, [])
        other = self.rows[row].get(implementation, [])
        pairs = [
            (getattr(ours, clock), getattr(theirs, clock))
            for ours, theirs in zip(stock, other, strict=False)
            if ours and theirs
        ]
        if not pairs:
            return None
        best = min(ours for ours, _ in pairs) / min(theirs for _, theirs in pairs)
        ratios = [ours / theirs for ours, theirs in pairs]
        return Ratio(best, min(ratios), max(ratios))


def table(results: Results, with_goals: bool) -> list[list[str]]:
    """The header and a line per row, as text cells."""
    compared = [name for name in results.versions if name != STOCK]
    goals = tomllib.loads(GOALS.read_text()) if with_goals else None
    lines = [["row", f"{STOCK} ns", *compared]]
    if goals is not None:
        lines[0] += ["best peer", "first slice", "goal"]
    for row in results.rows:
        stock = results.stock_ns(row)
        line = [row, f"{stock:,.0f}" if stock else "failed"]
        line += [_cell(results, row, name) for name in compared]
        if goals is not None:
            line += _goal_cells(results.ratio(row, "pyaio"), goals.get(row, {}))
        lines.append(line)
    return lines


def cpu_table(results: Results) -> list[list[str]]:
    """The same with the CPU time of an operation in µs, and its ratio."""
    lines = [["row", *(f"{name} µs" for name in results.versions)]]
    for row, samples in results.rows.items():
        line = [row]
        for name in results.versions:
            taken = [sample.cpu_ns for sample in samples[name] if sample]
            ratio = results.ratio(row, name, "cpu_ns")
            cell = f"{min(taken) / 1e3:.1f}" if taken else _nothing(results, row, name)
            line.append(f"{cell} ({_times(ratio.best)})" if ratio and name != STOCK else cell)
        lines.append(line)
    return lines


def slower_rows(results: Results, ours: str) -> list[tuple[str, str, float]]:
    """Rows, others, and ratios of CPU time, where in its best round `ours` took more CPU time
    than the other in its worst."""
    slower = []
    for row, samples in results.rows.items():
        times = {
            name: [sample.cpu_ns for sample in taken if sample] for name, taken in samples.items()
        }
        best = min(times.pop(ours, []), default=0)
        for name, theirs in times.items():
            if theirs and best > max(theirs):
                slower.append((row, name, min(theirs) / best))
    return slower


def _cell(results: Results, row: str, implementation: str) -> str:
    wall = results.ratio(row, implementation)
    cpu = results.ratio(row, implementation, "cpu_ns")
    if wall is None or cpu is None:
        return _nothing(results, row, implementation)
    return f"{_times(wall.best)} ({_times(wall.low)}-{_times(wall.high)}) {_times(cpu.best)}"


def _nothing(results: Results, row: str, implementation: str) -> str:
    return "failed" if results.rows[row].get(implementation) else "-"


def _goal_cells(reached: Ratio | None, goal: dict[str, float]) -> list[str]:
    cells = [_times(goal["best"]) if "best" in goal else "-"]
    for column in ("first_slice", "goal"):
        target = goal.get(column)
        if target is None:
            cells.append("-")
        elif reached is None:
            cells.append(_times(target))
        else:
            cells.append(f"{_times(target)} {'met' if reached.best >= target else 'short'}")
    return cells


def _times(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio >= 10 else f"{ratio:.2f}"


def as_text(lines: list[list[str]]) -> str:
    """Columns padded with spaces, numbers to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def as_markdown(lines: list[list[str]]) -> str:
    rule = ["---", *["---:"] * (len(lines[0]) - 1)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]])
