"""Programs from hypothesis, and their text."""

import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

from hypothesis import strategies as st

from . import steps_callbacks, steps_combine, steps_other, steps_sync, steps_tasks
from .world import KINDS, UNITS, Body, Kind

MODULES = (steps_tasks, steps_combine, steps_callbacks, steps_sync, steps_other)
DEPTH = 3


@cache
def kinds(depth: int, callback: bool) -> list[Kind]:
    """The kinds that a step may be of, each as often as it has weight; simple ones first."""
    fit = [
        kind
        for kind in KINDS.values()
        if kind.since <= sys.version_info
        and (depth > 0 or kind.bodies[0] == 0)
        and (kind.plain or not callback)
    ]
    return [kind for kind in fit for _ in range(kind.weight)]


def all_kinds() -> set[str]:
    """The names of the kinds that this version has."""
    return {kind.name for kind in kinds(DEPTH, False)}


@st.composite
def steps(draw: st.DrawFn, depth: int, callback: bool) -> list[Any]:
    """One step."""
    kind = draw(st.sampled_from(kinds(depth, callback)))
    a, b = draw(st.integers(0, UNITS - 1)), draw(st.integers(0, UNITS - 1))
    least, most = kind.bodies
    count = draw(st.integers(least, most)) if most and depth else 0
    return [kind.name, a, b, [draw(bodies(depth - 1, kind.callback)) for _ in range(count)]]


@cache
def bodies(depth: int, callback: bool) -> st.SearchStrategy[Body]:
    """A body; that of a callback may be empty."""
    if callback:
        return st.lists(steps(depth, True), max_size=3)
    return st.lists(steps(depth, False), min_size=1, max_size=8 if depth == DEPTH else 4)


def programs() -> st.SearchStrategy[dict[str, Any]]:
    """A whole program."""
    return st.fixed_dictionaries(
        {
            "eager": st.booleans() if sys.version_info >= (3, 12) else st.just(False),
            "gc": st.integers(0, 31).map(lambda n: n == 31),
            "roots": st.lists(bodies(DEPTH, False), min_size=1, max_size=6),
        }
    )


def kinds_in(program: dict[str, Any]) -> Iterator[str]:
    """The name of the kind of every step."""
    waiting = list(program["roots"])
    while waiting:
        for name, _, _, inner in waiting.pop():
            yield name
            waiting += inner


def text(program: dict[str, Any]) -> str:
    """A program for the reader."""
    tasks = [f"  root{n}\n{body_text(body)}" for n, body in enumerate(program["roots"])]
    return "\n".join([f"  eager={program['eager']} gc={program['gc']}", *tasks])


def body_text(body: Body, indent: str = "    ") -> str:
    """A program's steps, one a line, what they contain indented."""
    lines = []
    for number, (name, a, b, inner) in enumerate(body):
        lines.append(f"{indent}.{number} {name} {a} {b}   # {KINDS[name].function.__doc__}")
        for n, deeper in enumerate(inner):
            lines.append(f"{indent}    /{n}")
            lines.append(body_text(deeper, indent + "      "))
    return "\n".join(lines)
