"""Puts another implementation in the place of stock asyncio's loop, or of its types."""

import asyncio
import asyncio.unix_events
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from harness.catalog import LOOP, STOCK

LOOP_NAMES = frozenset({"EventLoop", "SelectorEventLoop"})
"""What mode loop replaces, in asyncio and its submodules."""

NOT_TYPES = LOOP_NAMES | {
    "AbstractEventLoop",
    "AbstractEventLoopPolicy",
    "BaseEventLoop",
    "DefaultEventLoopPolicy",
    "Runner",
    "get_event_loop",
    "get_event_loop_policy",
    "new_event_loop",
    "run",
    "set_event_loop",
    "set_event_loop_policy",
}
"""Public names that choose a loop, which mode types leaves stock."""


class Replacement:
    """What one mode puts in place, and how often it was used.

    Attributes:
        loops: how many loops of the implementation the tests have made.
        places: how many names were given another value, by public name.
    """

    def __init__(self) -> None:
        self.loops = 0
        self.places: dict[str, int] = {}
        self._values: list[tuple[ModuleType, str, object]] = []
        self._stock: dict[int, str] = {}

    def apply(self) -> None:
        """Set every replaced name again: some tests leave the stock objects behind."""
        for module, name, value in self._values:
            setattr(module, name, value)

    def put(
        self, public: str, old: object, new: object, only: frozenset[str] = frozenset()
    ) -> None:
        """Plan to give every name of asyncio that means `old` the value `new`.

        Args:
            public: the name under which the replacement is counted.
            old: the stock object, kept alive so that its identity stays its own.
            new: what stands in for it.
            only: the names to change, where not all of them are.
        """
        found = [
            (module, name, new)
            for module in _asyncio_modules()
            for name, value in vars(module).items()
            if value is old and (not only or name in only)
        ]
        self._values += found
        self._stock[id(old)] = public
        self.places[public] = self.places.get(public, 0) + len(found)

    def left_over(self, owner: object) -> Iterator[str]:
        """Name the stock objects that a module or a class of the tests still refers to."""
        for name, value in vars(owner).items():
            target = value.__func__ if isinstance(value, staticmethod) else value
            if id(target) in self._stock:
                yield name


def _asyncio_modules() -> list[ModuleType]:
    return [
        module
        for name, module in sorted(sys.modules.items())
        if (name == "asyncio" or name.startswith("asyncio.")) and module is not None
    ]


def replace(mode: str, impl: ModuleType) -> Replacement:
    """Put the implementation in place for a mode, before any test module is imported.

    Args:
        mode: "loop", "types" or "stock".
        impl: a module with asyncio's public names, as far as it has its own.
    """
    replacement = Replacement()
    if mode == LOOP:
        _replace_loop(replacement, impl.new_event_loop)
    elif mode != STOCK:
        _replace_types(replacement, impl)
    replacement.apply()
    return replacement


def _replace_loop(replacement: Replacement, new_loop: Callable[[], Any]) -> None:
    """Let the selector loop's names, and the default policy, give the other loop."""
    stock = asyncio.SelectorEventLoop
    probe = new_loop()
    loop_type = type(probe)
    probe.close()

    class StandInMeta(type):
        """Calling the stand-in makes the other loop; a subclass of it stays a stock loop."""

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            if cls is not stand_in:
                return super().__call__(*args, **kwargs)
            replacement.loops += 1
            return new_loop()

        def __instancecheck__(cls, instance: object) -> bool:
            return cls.__subclasscheck__(type(instance))

        def __subclasscheck__(cls, subclass: type) -> bool:
            if cls is stand_in:
                return issubclass(subclass, (stock, loop_type))
            return super().__subclasscheck__(subclass)

    stand_in = StandInMeta(
        stock.__name__, (stock,), {"__module__": stock.__module__, "__doc__": stock.__doc__}
    )
    replacement.put("SelectorEventLoop", stock, stand_in, LOOP_NAMES)
    for policy in vars(asyncio.unix_events).values():
        if isinstance(policy, type) and vars(policy).get("_loop_factory") is stock:
            policy._loop_factory = stand_in


def _replace_types(replacement: Replacement, impl: ModuleType) -> None:
    """Let every name that the implementation has of its own, loops apart, mean its object."""
    for name in sorted(set(asyncio.__all__) - NOT_TYPES):
        old, new = getattr(asyncio, name), getattr(impl, name, None)
        if new is not None and new is not old:
            replacement.put(name, old, new)
    eager = getattr(asyncio, "eager_task_factory", None)
    if (
        eager is not None
        and "Task" in replacement.places
        and ("eager_task_factory" not in replacement.places)
    ):
        factory = asyncio.create_eager_task_factory(impl.Task)
        replacement.put("eager_task_factory", eager, factory)
