"""Time rows on one implementation in this process, and print them as JSON."""

import argparse
import importlib
import json
import os
from dataclasses import asdict

import floor
import implementations
import measure

SUBJECTS = [
    "callbacks",
    "timers",
    "tasks",
    "groups",
    "waiting",
    "cancellation",
    "trees",
    "sync",
    "loops",
    "connecting",
    "echo",
    "processes",
]


def load_rows() -> dict[str, measure.Row]:
    """Every row by name, in the order of the table."""
    for subject in SUBJECTS:
        importlib.import_module(subject)
    return measure.ROWS


def usual_rows() -> list[str]:
    """The names of those that are run unless others are asked for."""
    return [name for name, row in load_rows().items() if row.usual]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("implementation", choices=implementations.NAMES)
    parser.add_argument("rows", nargs="*", help="row names (default: the usual ones)")
    parser.add_argument("--seconds", type=float, default=0.1, help="length of a sample")
    parser.add_argument("--samples", type=int, default=3, help="samples per row")
    parser.add_argument("--repeat", type=int, help="repetitions in a sample, instead")
    parser.add_argument("--core", type=int, help="pin this process to that core")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    if arguments.core is not None:
        os.sched_setaffinity(0, {arguments.core})
    plan = measure.Plan(arguments.seconds, arguments.samples, arguments.repeat)
    rows = load_rows()
    if arguments.implementation == implementations.FLOOR:
        timings = {name: floor.time_row(name, plan) for name in arguments.rows}
    else:
        new_event_loop = implementations.activate(arguments.implementation)
        loop = new_event_loop()
        implementations.check_active(arguments.implementation, loop)
        loop.close()
        names = arguments.rows or usual_rows()
        timings = {name: measure.time_row(rows[name], new_event_loop, plan) for name in names}
    print(json.dumps({name: asdict(timing) for name, timing in timings.items()}))


if __name__ == "__main__":
    main()
