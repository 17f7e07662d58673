"""Random programs run on pyaio as on stock asyncio; and a pyaio that is broken is noticed."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("hypothesis")
sys.path.insert(0, str(Path(__file__).resolve().parent))

from simulation.checker import Checker
from simulation.programs import all_kinds
from simulation.search import Differs, search
from simulation.ways import BROKEN

PROGRAMS = int(os.environ.get("DIFFERENTIAL_PROGRAMS", "2000"))
PARTS = 10
SECONDS_TO_SHRINK = 20.0


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    """Compares each program's logs: stock twice, and every way of using pyaio."""
    with Checker() as checker:
        yield checker


@pytest.mark.parametrize("seed", range(PARTS))
def test_logs_equal_those_of_stock(checker: Checker, seed: int) -> None:
    """The same programs each time; run.py looks for other ones."""
    search(checker, PROGRAMS // PARTS, seed=seed)


def test_every_kind_of_step_was_run(checker: Checker) -> None:
    """The programs above had all there is."""
    assert checker.programs >= PROGRAMS - PARTS
    assert set(checker.kinds) == all_kinds()


@pytest.mark.parametrize("way", [name for name in BROKEN if name != "broken_hang"])
def test_what_is_broken_is_found(way: str) -> None:
    """A wrong order of wake-ups, a lost cancellation and a crash show, in a small program."""
    with Checker([way]) as checker, pytest.raises(Differs) as caught:
        search(checker, 500, seed=0, seconds=SECONDS_TO_SHRINK)
    report = str(caught.value)
    expected = "a crash or a hang" if way == "broken_crash" else way
    assert f"differs from stock in: {expected} " in report
    assert len(re.findall(r"^ +\.\d+ ", report, re.M)) <= 6


def test_a_hang_is_found() -> None:
    """A program that never ends is ended, and said to have hung where it does."""
    with Checker(["broken_hang"], seconds=1) as checker, pytest.raises(Differs) as caught:
        search(checker, 500, seed=0, seconds=SECONDS_TO_SHRINK)
    assert "a crash or a hang" in str(caught.value)
    assert "Timeout (0:00:01)!" in str(caught.value)
    assert "in uncancel" in str(caught.value)
