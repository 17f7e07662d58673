"""Makes the processes native that multiprocessing starts anew, by spawn or forkserver."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.machinery import ModuleSpec
    from types import ModuleType

HOME = "multiprocessing.spawn"
# What a child executes before it imports the main module.
CHILD = """\
try:
    from pyaio._program import make_native
except ImportError:
    pass
else:
    make_native()
"""


class _MakesNative:
    """Makes the process native that unpickles it."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return exec, (CHILD,)


def _adopt(spawn: Any) -> None:
    """Let what every child is told about its parent come with the above."""
    prepare = spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, object]:
        # The child ignores the keys that it does not know.
        return {"pyaio": _MakesNative(), **prepare(name)}

    spawn.get_preparation_data = get_preparation_data


class _WhenImported:
    """A finder that adopts the module once somebody imports it: most programs never do."""

    def find_spec(
        self, name: str, _path: object = None, _target: object = None
    ) -> ModuleSpec | None:
        if name != HOME:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                _adopt(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def make_children_native() -> None:
    """From now on, wherever in the program multiprocessing is used."""
    if HOME in sys.modules:
        _adopt(sys.modules[HOME])
    else:
        sys.meta_path.insert(0, _WhenImported())
