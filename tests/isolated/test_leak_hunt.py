"""The hunt for leaks (pytest --leaks) finds what leaks, and nothing else."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[1] / "plugins"
CONFTEST = f"""
import sys
sys.path.insert(0, {str(PLUGINS)!r})
import leaks

def pytest_configure(config):
    config.pluginmanager.register(leaks.LeakHunt(3, 3))
"""
TESTS = """
import itertools
import os

kept = []
numbers = itertools.count()

def test_objects():
    kept.append(object())

def test_descriptors():
    os.dup(0)

def test_flat():
    [object()]

def test_a_cache_that_fills_up():
    if len(kept) < 10:
        kept.append(object())

def test_names_that_are_looked_up_once():
    assert not hasattr(object, f"name{next(numbers)}")

def test_output():
    print("output")
"""


debug_build = pytest.mark.skipif(
    not hasattr(sys, "gettotalrefcount"), reason="needs an interpreter built for debugging"
)


@debug_build
def test_the_extension_counts_references():
    """Otherwise what it leaks could not be seen: its headers may be those of a release build."""
    spec = importlib.util.find_spec("pyaio._core")
    nm = ["nm", "--dynamic", "--undefined-only", spec.origin]
    assert "RefTotal" in subprocess.run(nm, check=True, capture_output=True, text=True).stdout


@debug_build
def test_what_leaks_is_found(python, tmp_path):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_leaking.py").write_text(TESTS)
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", tmp_path)
    assert "2 failed, 4 passed" in done.stdout
    assert "leaks references: [" in done.stdout
    assert "leaks open descriptors: [1, 1, 1]" in done.stdout
