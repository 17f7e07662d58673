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

LOOP_CHOOSERS = frozenset({"Runner", "new_event_loop", "run"})
"""Names besides the loops and policies themselves that mode types leaves stock."""


class Replacement:
    """What one mode puts in place, and how often it was used.

    Attributes:
        loops: how many loops of the implementation the tests have made.
        places: how many names were given another value, by public name.
        objects: what they were given, by public name.
    """

    def __init__(self) -> None:
        self.loops = 0
        self.places: dict[str, int] = {}
        self.objects: dict[str, object] = {}
        self._values: list[tuple[ModuleType, str, object]] = []
        self._stock: dict[int, object] = {}

    def apply(self) -> None:
        """Set every replaced name again: some tests leave the stock objects behind."""
        for module, name, value in self._values:
            setattr(module, name, value)

    def put(self, module: ModuleType, name: str, old: object, new: object) -> None:
        """Plan to give one name of asyncio that means `old` the value `new`."""
        public = str(getattr(new, "__name__", name)) if name.startswith("_") else name
        self._values.append((module, name, new))
        self._stock[id(old)] = old
        self.objects[public] = new
        self.places[public] = self.places.get(public, 0) + 1

    def left_over(self, owner: object) -> Iterator[str]:
        """Name the stock objects that a module or a class of the tests still refers to."""
        for name, value in vars(owner).items():
            target = value.__func__ if isinstance(value, staticmethod) else value
            if id(target) in self._stock:
                yield name


def _asyncio_names() -> list[tuple[ModuleType, str, object]]:
    """Every name of asyncio and its submodules, with its value of now."""
    return [
        (module, name, value)
        for path, module in sorted(sys.modules.items())
        if path == "asyncio" or path.startswith("asyncio.")
        for name, value in vars(module).items()
    ]


def replace(mode: str, impl: ModuleType) -> Replacement:
    """Put the implementation in place for a mode, before any test module is imported.

    Args:
        mode: "loop", "types" or "stock".
        impl: a module with new_event_loop() for mode loop, or with install() and uninstall(),
            which put its names into asyncio and take them back, for mode types.
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
    for module, name, value in _asyncio_names():
        if value is stock and name in LOOP_NAMES:
            replacement.put(module, name, stock, stand_in)
    for policy in vars(asyncio.unix_events).values():
        if isinstance(policy, type) and vars(policy).get("_loop_factory") is stock:
            setattr(policy, "_loop_factory", stand_in)  # noqa: B010


def _replace_types(replacement: Replacement, impl: ModuleType) -> None:
    """Let every name that the implementation's install() changes, loops apart, stay changed."""
    before = _asyncio_names()
    impl.install()
    after = [getattr(module, name) for module, name, _ in before]
    impl.uninstall()
    for (module, name, old), new in zip(before, after, strict=True):
        if old is not new and not _chooses_loop(name, old):
            replacement.put(module, name, old, new)


def _chooses_loop(name: str, value: object) -> bool:
    """Whether a name is a loop, a policy, or a function that makes a loop."""
    policies = ("_AbstractEventLoopPolicy", "AbstractEventLoopPolicy")
    bases = [vars(asyncio.events)[policy] for policy in policies if policy in vars(asyncio.events)]
    if isinstance(value, type) and issubclass(value, (asyncio.AbstractEventLoop, *bases)):
        return True
    return name == "_event_loop_policy" or name in LOOP_CHOOSERS
