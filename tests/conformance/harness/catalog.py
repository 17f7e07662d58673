"""Which tests there are: the installed modules, the units to run, and what is not applicable."""

import importlib.util
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
SUITE = "test.test_asyncio"
STOCK = "stock"
LOOP = "loop"
TYPES = "types"
MODES = (LOOP, TYPES, STOCK)
PROBES = HERE / "probes"
"""Test modules of our own: probe_MODE shows that a mode's replacement takes place."""

CORE_MODULES = (
    "test_tasks",
    "test_events",
    "test_futures",
    "test_futures2",
    "test_taskgroups",
    "test_eager_task_factory",
    "test_base_events",
    "test_pep492",
    "test_context",
    "test_free_threading",
)
OTHER_SYSTEMS = frozenset({"test_windows_events", "test_windows_utils", "test_proactor_events"})


@dataclass(frozen=True)
class Unit:
    """One module of the suite in one mode: what a single row of the table is about."""

    module: str
    mode: str

    def __str__(self) -> str:
        return f"{self.module}[{self.mode}]"

    @property
    def is_ours(self) -> bool:
        """Whether the module is one of ours, about the harness, and so none for stock."""
        return (PROBES / f"{self.module}.py").exists()

    def target(self) -> list[str]:
        """The pytest arguments that select this module."""
        if self.is_ours:
            return [str(PROBES / f"{self.module}.py")]
        return ["--pyargs", f"{SUITE}.{self.module}"]


def probe(mode: str) -> Unit:
    """The unit that checks the replacement of a mode."""
    return Unit(f"probe_{mode}", mode)


@dataclass(frozen=True)
class Exclusion:
    """A test that no other implementation can pass in this mode, and why."""

    mode: str
    test: str
    reason: str


def missing_suite() -> str:
    """Why the suite cannot run on this interpreter, or an empty string."""
    try:
        found = importlib.util.find_spec(SUITE)
    except ModuleNotFoundError:
        found = None
    if found is not None:
        return ""
    return (
        f"{SUITE} is not installed for {sys.executable} ({VERSION}): install CPython's own tests"
        f" (on Debian and Ubuntu the package libpython{VERSION}-testsuite)"
    )


def installed_modules() -> list[str]:
    """Every test module of the suite that is for this system, sorted."""
    spec = importlib.util.find_spec(SUITE)
    folders = spec.submodule_search_locations if spec else None
    found = {path.stem for folder in folders or () for path in Path(folder).glob("test_*.py")}
    return sorted(found - OTHER_SYSTEMS)


def choose_modules(names: Iterable[str]) -> list[str]:
    """The installed modules that the names stand for.

    Args:
        names: module names; none means the core's modules, "all" every installed one.

    Raises:
        ValueError: a name is not that of an installed module.
    """
    installed = installed_modules()
    chosen = list(names)
    if not chosen:
        return [name for name in CORE_MODULES if name in installed]
    if chosen == ["all"]:
        # The longest first, so that they run beside the many short ones.
        return sorted(installed, key=lambda name: (name not in CORE_MODULES[:2], name))
    unknown = sorted(set(chosen) - set(installed))
    if unknown:
        raise ValueError(f"not in {SUITE} of {VERSION}: {', '.join(unknown)}")
    return chosen


def read_exclusions(folder: Path = HERE / "not_applicable") -> list[Exclusion]:
    """The exclusions of the running version, from lines of "MODE TEST REASON"."""
    path = folder / f"{VERSION}.txt"
    if not path.exists():
        return []
    exclusions = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split(maxsplit=2)
        if len(fields) != 3 or fields[0] not in (LOOP, TYPES) or "::" not in fields[1]:
            raise ValueError(f"{path}:{number}: expected MODE MODULE::CLASS::TEST REASON")
        exclusions.append(Exclusion(*fields))
    return exclusions
