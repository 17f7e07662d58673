"""Draw the results that `compare.py --json FILE` saved, as PNG or SVG by the file's ending."""

import argparse
from pathlib import Path

import matplotlib as mpl
from implementations import STOCK
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from results import Results

# Okabe and Ito's colours, which remain apart for the colour-blind.
STYLES = {
    "uvloop": ("#0072B2", "s"),
    "zuvloop": ("#009E73", "^"),
    "rloop": ("#E69F00", "v"),
    "rsloop": ("#CC79A7", "D"),
    "pyaio": ("#D55E00", "o"),
    "c": ("#000000", "|"),
}
TICKS = [0.1, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128]


def draw(results: Results, rows: list[str]) -> None:
    """One line per row, one mark per implementation, a bar from its slowest round to its
    fastest."""
    compared = [name for name in STYLES if name in results.versions]
    figure, axes = pyplot.subplots(figsize=(9, 1.5 + 0.3 * len(rows)), layout="constrained")
    for name in compared:
        draw_marks(axes, results, rows, name)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(TICKS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}x"))
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xlabel(f"times faster than asyncio (CPython {results.python}, one core)")
    figure.legend(loc="outside upper center", ncols=len(compared), frameon=False)


def draw_marks(axes: Axes, results: Results, rows: list[str], name: str) -> None:
    colour, marker = STYLES[name]
    front = 3 if name == "pyaio" else 2
    size = 8 if name == "pyaio" else 5
    label = f"{name} {results.versions[name]}"
    for line, row in enumerate(rows):
        ratio = results.ratio(row, name)
        if ratio is None:
            continue
        axes.plot([ratio.low, ratio.high], [line, line], color=colour, alpha=0.4, zorder=front)
        axes.plot(
            ratio.best, line, marker, color=colour, markersize=size, label=label, zorder=front
        )
        label = "_"  # one entry in the legend is enough


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="default: all")
    arguments = parser.parse_args()
    mpl.use("Agg")
    results = Results.load(arguments.results)
    if STOCK not in results.versions:
        parser.error("these results have nothing to compare with")
    draw(results, arguments.rows or list(results.rows))
    pyplot.savefig(arguments.picture, dpi=150)


if __name__ == "__main__":
    main()
