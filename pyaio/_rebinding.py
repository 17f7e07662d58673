"""The running version's own functions with native names in them."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Names(dict[str, Any]):
    """The names of one of asyncio's modules, some of them replaced.

    What is not replaced is looked up in the module each time, as its own functions do.
    """

    def __init__(self, module: types.ModuleType, replaced: Mapping[str, Any]) -> None:
        super().__init__(replaced)
        self._module = module

    def __missing__(self, name: str) -> Any:
        return vars(self._module)[name]

    def rebind(self, function: Any) -> Any:
        """A function of the module that uses these names instead of the module's."""
        rebound = types.FunctionType(
            function.__code__,
            self,
            function.__name__,
            function.__defaults__,
            function.__closure__,
        )
        rebound.__kwdefaults__ = function.__kwdefaults__
        rebound.__doc__ = function.__doc__
        rebound.__module__ = "pyaio"
        rebound.__qualname__ = function.__qualname__
        return rebound
