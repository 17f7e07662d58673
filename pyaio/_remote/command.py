"""The commands `python -m pyaio ps PID` and `pstree PID`."""

from __future__ import annotations

import sys

from . import display
from .memory import RemoteError
from .tasks import snapshot

USAGE = "usage: python -m pyaio {ps,pstree} PID"


def main(command: str, arguments: list[str]) -> None:
    """Print the tasks of the process that the one argument names; SystemExit with what failed."""
    try:
        (pid,) = map(int, arguments)
    except ValueError:
        sys.exit(USAGE)
    try:
        tasks = snapshot(pid)
    except RemoteError as error:
        sys.exit(f"Error: {error}")
    if command == "ps":
        print(*display.table(tasks), sep="\n")
        return
    circle = display.cycle(tasks)
    if circle:
        print("ERROR: tasks await each other in a circle, which is no tree:", file=sys.stderr)
        sys.exit(" -> ".join(task.name for task in circle))
    for line in display.tree(tasks):
        print(line)
