"""Makes a failing program small: drops and simplifies parts of it as long as it still fails."""

import copy
import time
from collections.abc import Callable, Iterator
from typing import Any

from .world import KINDS, Body

SECONDS = 60.0


def smaller_bodies(body: Body, least: int) -> Iterator[Body]:
    """Bodies with something less than this one, the shortest first."""
    for size in (len(body) // 2, len(body) // 4, 1):
        if size and len(body) - size >= least:
            for begin in range(0, len(body) - size + 1, size):
                yield body[:begin] + body[begin + size :]
    for n, step in enumerate(body):
        before, after = body[:n], body[n + 1 :]
        for smaller in smaller_steps(step):
            yield [*before, *smaller, *after]


def smaller_steps(step: list[Any]) -> Iterator[Body]:
    """What may stand in the place of a step: the steps in it, or a simpler one of its kind."""
    name, a, b, bodies = step
    kind = KINDS[name]
    for body in bodies:
        if not kind.callback:
            yield body
    if len(bodies) > kind.bodies[0]:
        for n in range(len(bodies)):
            yield [[name, a, b, bodies[:n] + bodies[n + 1 :]]]
    for n, body in enumerate(bodies):
        for smaller in smaller_bodies(body, 0 if kind.callback else 1):
            yield [[name, a, b, [*bodies[:n], smaller, *bodies[n + 1 :]]]]
    for number in sorted({0, 1, a % 2, a // 2}):
        if number < a:
            yield [[name, number, b, bodies]]
    for number in sorted({0, 1, b % 2, b // 2}):
        if number < b:
            yield [[name, a, number, bodies]]


def smaller_programs(program: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Programs with something less than this one."""
    for flag in ("eager", "gc"):
        if program[flag]:
            yield {**program, flag: False}
    roots = program["roots"]
    for n in range(len(roots)):
        if len(roots) > 1:
            yield {**program, "roots": roots[:n] + roots[n + 1 :]}
    for n in range(len(roots)):
        for body in smaller_bodies(roots[n], 1):
            yield {**program, "roots": [*roots[:n], body, *roots[n + 1 :]]}


def shrink(
    program: dict[str, Any], fails: Callable[[dict[str, Any]], bool], seconds: float
) -> dict[str, Any]:
    """The smallest failing program found within some seconds."""
    program = copy.deepcopy(program)
    end = time.monotonic() + seconds
    shrunk = True
    while shrunk:
        shrunk = False
        for candidate in smaller_programs(program):
            if time.monotonic() > end:
                return program
            if fails(candidate):
                program, shrunk = candidate, True
                break
    return program
