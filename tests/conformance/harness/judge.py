"""Decides what the outcomes of a unit mean: stock asyncio is the measure."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from harness.catalog import STOCK, Exclusion, Unit
from harness.isolation import CRASHED, FAILED, HUNG, PASSED, SKIPPED, Batch, Outcome

NOT_APPLICABLE = "not applicable"
FLAKY = "flaky"
STALE = "stale"
VERDICTS = (PASSED, FAILED, NOT_APPLICABLE, SKIPPED, FLAKY, CRASHED, HUNG, STALE)
BAD = frozenset({FAILED, CRASHED, HUNG, STALE})

TIMING_RERUNS = 2
STATEMENT = re.compile(r'  File "[^"]*", line \d+, in test\w*\n((?:    .*\n)+)')
TIMING = re.compile(
    r"\.time\(\)|monotonic|\b(dt|delay|elapsed|duration|CLOCK_RES)\b"
    r"|\b(t\d|t_end|end|start)\b\s*-|[<>]=?\s*t\d\b|\bt\d\b\s*[<>]"
)


@dataclass
class Report:
    """What became of a unit.

    Attributes:
        verdicts: the final outcome of each test; `result` is one of VERDICTS.
        places: how many names were replaced, by public name.
    """

    unit: Unit
    verdicts: list[Outcome] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)

    @property
    def counts(self) -> Counter[str]:
        """How many tests got each verdict."""
        return Counter(outcome.result for outcome in self.verdicts)

    @property
    def bad(self) -> list[Outcome]:
        """The outcomes that nothing excuses."""
        return [outcome for outcome in self.verdicts if outcome.result in BAD]

    @property
    def loops(self) -> int:
        """How many loops of the implementation the tests made."""
        return sum(outcome.loops for outcome in self.verdicts)

    @property
    def uses(self) -> Counter[str]:
        """How many tests called each replaced object."""
        return Counter(name for outcome in self.verdicts for name in outcome.uses)


def is_about_timing(outcome: Outcome) -> bool:
    """Whether the outcome is a failed assertion about how long something took."""
    if outcome.result != FAILED or "AssertionError" not in outcome.detail:
        return False
    statements = STATEMENT.findall(outcome.detail)
    return bool(statements) and TIMING.search(statements[-1]) is not None


def run_unit(
    unit: Unit,
    impl: str,
    seconds: float,
    exclusions: Iterable[Exclusion] = (),
    keyword: str = "",
    uses: bool = False,
) -> Report:
    """Run a unit, compare with stock what did not pass, and judge every test.

    Args:
        impl: the name of the module that stands in for asyncio.
        seconds: the time that one test may take.
        exclusions: those of the running version, for all units.
        keyword: a pytest -k expression, or an empty string for every test.
        uses: whether to watch which replaced objects each test calls.
    """
    batch = Batch(unit, impl, seconds, keyword=keyword, uses=uses)
    batch.run()
    reasons = {
        e.test: e.reason
        for e in exclusions
        if e.mode == unit.mode and e.test.startswith(f"{unit.module}::")
    }
    flaky = _rerun_timing(batch, skip=reasons)
    doubtful = [
        outcome.test
        for outcome in batch.outcomes.values()
        if outcome.result in (FAILED, SKIPPED) and outcome.test not in {*reasons, *flaky}
    ]
    stock = {} if unit.mode == STOCK or unit.is_ours else _on_stock(batch, doubtful)
    report = Report(unit, places=batch.places)
    for test, outcome in batch.outcomes.items():
        if test in flaky:
            outcome = replace(outcome, result=FLAKY)
        elif test in reasons:
            outcome = _judge_excluded(outcome, reasons[test])
        elif test in stock:
            outcome = _compare(outcome, stock[test])
        report.verdicts.append(outcome)
    if not keyword:
        report.verdicts += [
            Outcome(test, STALE, "excluded, but there is no such test")
            for test in reasons
            if test not in batch.outcomes
        ]
    report.verdicts += _check_replacement(batch)
    return report


def _rerun_timing(batch: Batch, skip: Iterable[str]) -> set[str]:
    """Run failed assertions about timing again, each alone; returns those that then pass."""
    flaky = set()
    for outcome in list(batch.outcomes.values()):
        if outcome.test in skip or not is_about_timing(outcome):
            continue
        for _ in range(TIMING_RERUNS):
            again = Batch(batch.unit, batch.impl, batch.seconds, [outcome.test])
            again.run()
            result = again.outcomes.get(outcome.test, outcome)
            if result.result == PASSED:
                flaky.add(outcome.test)
                break
            if result.result in (CRASHED, HUNG):
                batch.outcomes[outcome.test] = result
                break
    return flaky


def _on_stock(batch: Batch, tests: list[str]) -> dict[str, Outcome]:
    """The outcomes of the tests on stock asyncio; what fails among others is tried alone too."""
    if not tests:
        return {}
    unit = replace(batch.unit, mode=STOCK)
    together = Batch(unit, batch.impl, batch.seconds, tests)
    together.run()
    for outcome in list(together.outcomes.values()):
        if outcome.result not in (PASSED, SKIPPED):
            alone = Batch(unit, batch.impl, batch.seconds, [outcome.test])
            alone.run()
            together.outcomes.update(alone.outcomes)
    return together.outcomes


def _judge_excluded(outcome: Outcome, reason: str) -> Outcome:
    if outcome.result == PASSED:
        return replace(outcome, result=STALE, detail=f"it passes, but is excluded: {reason}")
    if outcome.result in (CRASHED, HUNG):
        return outcome
    return replace(outcome, result=NOT_APPLICABLE, detail=f"excluded: {reason}")


def _compare(outcome: Outcome, stock: Outcome) -> Outcome:
    """The verdict on a test that failed or was skipped, given what stock does with it."""
    if outcome.result == SKIPPED:
        if stock.result == PASSED:
            return replace(
                outcome, result=FAILED, detail=f"skipped, stock runs it: {outcome.detail}"
            )
        return outcome
    if stock.result == PASSED:
        return outcome
    return replace(outcome, result=NOT_APPLICABLE, detail=f"stock: {stock.result}")


def _check_replacement(batch: Batch) -> list[Outcome]:
    """A failure of its own when tests ran on what should have been replaced."""
    if not batch.left_over:
        return []
    names = ", ".join(batch.left_over)
    test = f"{batch.unit.module}::[replacement]"
    return [Outcome(test, FAILED, f"still stock: {names}")]
