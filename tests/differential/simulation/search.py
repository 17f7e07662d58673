"""Has hypothesis make programs, and shows the first that fails, made small."""

import warnings
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed as seeded, settings

from .checker import Checker, Failure, explain
from .programs import programs
from .shrink import shrink


class Differs(AssertionError):
    """A program ran otherwise than on stock asyncio, crashed, or hung."""


def search(checker: Checker, count: int, *, seed: int | None = None) -> None:
    """Check `count` programs; the same ones each time where no seed is given.

    Raises Differs with a small program that fails. One that fails only once, or only after others
    in the same process, fails too, as it was found.
    """
    failures: list[Failure] = []

    @settings(
        max_examples=count,
        derandomize=seed is None,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(programs())
    def check(program: dict[str, Any]) -> None:
        if not failures:
            failures.extend(checker.check(program))

    if seed is not None:
        check = seeded(seed)(check)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check()
    for failure in failures:
        raise Differs(make_small(checker, failure))


def make_small(checker: Checker, failure: Failure) -> str:
    """The text of a failure, or of a smaller program's that fails in the same way of use."""
    small = Checker([failure.way] if failure.way in checker.ways else checker.ways)
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

        shrink(failure.program, fails)
        return explain(last[0])
