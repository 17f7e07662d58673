"""pyaio.locks, pyaio.tasks and the others: asyncio's submodules with the native names in them."""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType
from typing import Any

from . import _policy, _runners
from ._install import NATIVES

# What pyaio has under a stock name but install() leaves to the policy in force.
_OURS: dict[Any, Any] = {
    **NATIVES,
    asyncio.run: _runners.run,
    asyncio.Runner: _runners.Runner,
    asyncio.new_event_loop: _policy.new_event_loop,
    asyncio.get_event_loop: _policy.get_event_loop,
}


class Submodule(ModuleType):
    """A view of one of asyncio's submodules: the natives are its own, the rest is shared.

    What else is set here is set in that module, because its code looks there; deleting it
    brings back what it replaced.
    """

    _stock: ModuleType
    _replaced: dict[str, Any]

    def __init__(self, stock: ModuleType) -> None:
        super().__init__(stock.__name__.replace("asyncio", __package__, 1), stock.__doc__)
        own = vars(self)
        own.update(_stock=stock, _replaced={})
        own.update((name, ours(value)) for name, value in vars(stock).items() if is_ours(value))

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["_stock"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self):
            super().__setattr__(name, value)
            return
        if hasattr(self._stock, name):
            self._replaced.setdefault(name, getattr(self._stock, name))
        setattr(self._stock, name, value)

    def __delattr__(self, name: str) -> None:
        if name in vars(self):
            super().__delattr__(name)
        elif name in self._replaced:
            setattr(self._stock, name, self._replaced.pop(name))
        else:
            delattr(self._stock, name)

    def __dir__(self) -> list[str]:
        return dir(self._stock)


def is_ours(value: Any) -> bool:
    """Whether something of ours stands in for a stock object."""
    try:
        return value in _OURS
    except TypeError:  # not hashable
        return False


def ours(value: Any) -> Any:
    """What stands in for an object of asyncio: a native, a view of a submodule, or itself."""
    if isinstance(value, ModuleType) and value.__name__.startswith("asyncio."):
        return submodule(value)
    return _OURS[value] if is_ours(value) else value


def submodule(stock: ModuleType) -> ModuleType:
    """The view of a submodule, which can then be imported as well."""
    name = stock.__name__.replace("asyncio", __package__, 1)
    if name not in sys.modules:
        sys.modules[name] = Submodule(stock)
    return sys.modules[name]
