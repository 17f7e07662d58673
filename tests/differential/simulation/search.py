"""Has hypothesis make programs, and shows the first that fails, made small."""

import warnings
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed as seeded, settings

from .checker import Checker, Failure, explain
from .programs import programs
from .shrink import SECONDS, shrink


class Differs(AssertionError):
    """A program ran otherwise than on stock asyncio, crashed, or hung."""


def search(checker: Checker, count: int, *, seed: int, seconds: float = SECONDS) -> None:
    """Check `count` programs made from a seed.

    Raises Differs with a program that fails, made small within some seconds. One that fails only
    once, or only after others in the same process, fails too, as it was found.
    """
    failures: list[Failure] = []

    @seeded(seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(programs())
    def check(program: dict[str, Any]) -> None:
        if not failures:
            failures.extend(checker.check(program))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check()
    for failure in failures:
        raise Differs(make_small(checker, failure, seconds))


def make_small(checker: Checker, failure: Failure, seconds: float) -> str:
    """The text of a failure, or of a smaller program's that fails in the same way of use."""
    small = Checker(
        [failure.way] if failure.way in checker.ways else checker.ways, checker.seconds
    )
    with small:
        last = small.check(failure.program)
        if not last:
            return "not seen again by itself:\n" + explain(failure)

        def fails(program: dict[str, Any]) -> bool:
            found = small.check(program)
            if found and found[0].way == failure.way:
                last[:] = found
                return True
            return False

        shrink(failure.program, fails, seconds)
        return explain(last[0])
