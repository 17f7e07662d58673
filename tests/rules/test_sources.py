"""The rules that keep the sources navigable, as csrc/README.md states them."""

import ast
import importlib.util
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
CSRC = CHECKOUT / "csrc"
LAYERS = [
    *("ds", "poll", "base", "sched", "task", "combine", "sync", "net"),
    *("tls", "stream", "process", "loop", "."),
]
MAX_LINES = 700
MAX_COLUMNS = 79

C_FILES = sorted(path for path in CSRC.rglob("*.[ch]"))
PYTHON_FILES = sorted((CHECKOUT / "pyaio").rglob("*.py*"))
PYTHON_FILES = [path for path in PYTHON_FILES if path.suffix in (".py", ".pyi")]

c_file = pytest.mark.parametrize("path", C_FILES, ids=lambda path: str(path.relative_to(CSRC)))
source_file = pytest.mark.parametrize(
    "path", C_FILES + PYTHON_FILES, ids=lambda path: str(path.relative_to(CHECKOUT))
)


def layer_of(path: Path) -> str:
    """The layer that a file belongs to: its folder's name, "." for the root."""
    return str(path.relative_to(CSRC).parent)


def includes(path: Path) -> Iterator[Path]:
    """The files of ours that a file includes."""
    for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), re.M):
        yield CSRC / name


def places(path: Path, pattern: str) -> list[str]:
    """The lines of a file that match, as file:line: text."""
    return [
        f"{path.relative_to(CHECKOUT)}:{number}: {line.strip()}"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(pattern, line)
    ]


def test_there_are_sources() -> None:
    """The patterns above still find what they are about."""
    assert CSRC / "module.c" in C_FILES
    assert CHECKOUT / "pyaio" / "__init__.py" in PYTHON_FILES


@c_file
def test_file_is_in_a_layer(path: Path) -> None:
    """Every C file lies in a folder that the table of layers has."""
    assert layer_of(path) in LAYERS


@c_file
def test_includes_point_one_way(path: Path) -> None:
    """A file includes its own layer and lower ones only, by its path from csrc/."""
    allowed = LAYERS[: LAYERS.index(layer_of(path)) + 1]
    for included in includes(path):
        assert included.is_file(), f"{included} is not a path from csrc/"
        assert layer_of(included) in allowed, f"includes {included.relative_to(CSRC)}"


def test_no_include_cycles() -> None:
    """No header includes itself through others."""
    ended: set[Path] = set()

    def follow(path: Path, trail: tuple[Path, ...]) -> None:
        assert path not in trail, " -> ".join(str(p.relative_to(CSRC)) for p in (*trail, path))
        if path not in ended:
            for included in includes(path):
                follow(included, (*trail, path))
            ended.add(path)

    for path in C_FILES:
        follow(path, ())


@c_file
def test_lowest_layers_do_without_python(path: Path) -> None:
    """ds/ and poll/ are plain C, so that they can be tested alone."""
    if layer_of(path) in ("ds", "poll"):
        assert not places(path, r"Python\.h|\bPy(Object|_|Err)")


@c_file
def test_version_tests_are_in_one_header(path: Path) -> None:
    """Only base/compat.h knows versions, build variants and private names of the C API."""
    if path != CSRC / "base" / "compat.h":
        assert not places(path, r"PY_VERSION_HEX|PY_(MAJOR|MINOR)_VERSION|Py_GIL_DISABLED")
        assert not places(path, r"\b_Py[A-Z]\w*|\b_Py_\w+")


@c_file
def test_lines_fit(path: Path) -> None:
    """No line is wider than PEP 7 allows, comments included, which clang-format leaves alone."""
    assert not places(path, rf"^.{{{MAX_COLUMNS + 1},}}$")


@source_file
def test_file_has_one_concept(path: Path) -> None:
    """A file that has outgrown one concept is to be split where its seam is."""
    assert len(path.read_text().splitlines()) <= MAX_LINES


@source_file
def test_nothing_is_left_for_later(path: Path) -> None:
    """Unfinished work belongs into an issue, not into the source."""
    assert not places(path, r"\b(TODO|FIXME|XXX|HACK)\b")


@source_file
def test_file_says_what_it_is(path: Path) -> None:
    """Every file begins with a line about its subject."""
    text = path.read_text()
    if path.suffix in (".c", ".h"):
        assert text.startswith("/* ")
    else:
        assert ast.get_docstring(ast.parse(text))


def test_extension_exports_one_symbol() -> None:
    """Nothing but the module's initialisation is visible to other libraries."""
    spec = importlib.util.find_spec("pyaio._core")
    assert spec is not None
    assert spec.origin is not None
    nm = ["nm", "--dynamic", "--defined-only", "--format=posix", spec.origin]
    listing = subprocess.run(nm, check=True, capture_output=True, text=True).stdout
    assert [line.split()[0] for line in listing.splitlines()] == ["PyInit__core"]
