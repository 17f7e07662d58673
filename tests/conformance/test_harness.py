"""The harness itself: what it makes of tests that crash, hang, exit and fail."""

from pathlib import Path

import pytest
from harness import catalog
from harness.catalog import LOOP, STOCK, TYPES, Exclusion, Unit
from harness.isolation import CRASHED, FAILED, HUNG, PASSED, SKIPPED, Batch, Outcome
from harness.judge import (
    FLAKY,
    NOT_APPLICABLE,
    STALE,
    _compare,
    _judge_excluded,
    is_about_timing,
    run_unit,
)

FAULTY = Unit("faulty", STOCK)
SECONDS = 4.0
EXPECTED = {
    "test_a_passes": PASSED,
    "test_b_crashes": CRASHED,
    "test_c_passes": PASSED,
    "test_d_exits": CRASHED,
    "test_e_hangs_asleep": HUNG,
    "test_f_hangs_deaf": HUNG,
    "test_g_interrupts": FAILED,
    "test_h_fails": FAILED,
    "test_i_fails_in_a_subtest": FAILED,
    "test_j_is_slow_in_company": FLAKY,
    "test_k_is_always_slow": FAILED,
    "test_l_is_skipped": SKIPPED,
    "test_m_forks": PASSED,
    "test_z_crashes_at_exit": PASSED,
}


def test_each_test_is_safe_from_the_others() -> None:
    """Every way to end is seen for what it is, and the tests after it run."""
    report = run_unit(FAULTY, "asyncio", SECONDS)
    verdicts = {o.test.rpartition("::")[2]: o for o in report.verdicts}
    assert {name: o.result for name, o in verdicts.items() if name[0] != "["} == EXPECTED
    assert verdicts["[exit]"].result == CRASHED
    assert "SIGSEGV" in verdicts["[exit]"].detail
    assert "test_z_crashes_at_exit" in verdicts["[exit]"].detail
    for name, shown in (("b_crashes", "string_at"), ("e_hangs_asleep", "Timeout")):
        assert shown in verdicts[f"test_{name}"].detail


def test_a_subset_runs_by_name_and_by_keyword() -> None:
    """Only what was asked for runs."""
    only = Batch(FAULTY, "asyncio", SECONDS, only=["faulty::Faulty::test_c_passes"])
    only.run()
    assert list(only.outcomes) == ["faulty::Faulty::test_c_passes"]
    keyword = Batch(FAULTY, "asyncio", SECONDS, keyword="passes")
    keyword.run()
    assert len(keyword.outcomes) == 2


def test_a_module_that_cannot_be_imported_is_a_failure() -> None:
    """An import error is not an empty success."""
    report = run_unit(Unit("test_no_such_module", STOCK), "asyncio", SECONDS)
    assert report.bad


def test_an_implementation_that_cannot_be_imported_is_a_crash() -> None:
    """Without the implementation no test counts as run."""
    report = run_unit(Unit("faulty", LOOP), "no_such_implementation", SECONDS, keyword="passes")
    (outcome,) = report.bad
    assert outcome.result == CRASHED
    assert "no_such_implementation" in outcome.detail


def test_an_excluded_test_that_passes_is_stale() -> None:
    """As is one that does not exist; one that fails is not applicable, one that crashes is not."""
    passed, failed = Outcome("m::C::t", PASSED), Outcome("m::C::t", FAILED)
    assert _judge_excluded(passed, "why").result == STALE
    assert _judge_excluded(failed, "why").result == NOT_APPLICABLE
    assert _judge_excluded(Outcome("m::C::t", CRASHED), "why").result == CRASHED
    unknown = Exclusion(TYPES, "probe_types::C::test_gone", "why")
    report = run_unit(catalog.probe(TYPES), "pyaio", 60.0, [unknown])
    assert [o.test for o in report.verdicts if o.result == STALE] == [unknown.test]


def test_stock_is_the_measure() -> None:
    """What stock does not pass either is not applicable; a skip that stock does not need fails."""
    failed, skipped = Outcome("m::C::t", FAILED), Outcome("m::C::t", SKIPPED)
    passed = Outcome("m::C::t", PASSED)
    assert _compare(failed, passed).result == FAILED
    assert _compare(failed, failed).result == NOT_APPLICABLE
    assert _compare(skipped, passed).result == FAILED
    assert _compare(skipped, skipped).result == SKIPPED


@pytest.mark.parametrize(
    ("statement", "timing"),
    [
        ("self.assertLess(dt, 1.0)", True),
        ("self.assertTrue(0.09 <= t1 - t0 <= 0.9)", True),
        ("self.assertLess(loop.time() - start, 0.5)", True),
        ("self.assertTrue(t1.done())", False),
        ("self.assertEqual(result, 42)", False),
    ],
)
def test_only_timing_is_forgiven(statement: str, timing: bool) -> None:
    """The failed statement decides whether a test may run again."""
    detail = f'  File "test_x.py", line 3, in test_x\n    {statement}\nAssertionError: no\n'
    assert is_about_timing(Outcome("m::C::t", FAILED, detail)) is timing


def test_a_missing_suite_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message tells what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert f"libpython{catalog.VERSION}-testsuite" in catalog.missing_suite()
    assert catalog.installed_modules() == []


def test_exclusions_name_mode_test_and_reason(tmp_path: Path) -> None:
    """A line without its reason is refused."""
    path = tmp_path / f"{catalog.VERSION}.txt"
    path.write_text("# comment\n\nloop m::C::t reads the selector\n")
    assert catalog.read_exclusions(tmp_path) == [
        Exclusion("loop", "m::C::t", "reads the selector")
    ]
    path.write_text("loop m::C::t\n")
    with pytest.raises(ValueError, match="expected MODE"):
        catalog.read_exclusions(tmp_path)
