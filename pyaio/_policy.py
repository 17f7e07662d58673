"""The ways to get an EventLoop: a factory, a policy, and the class of the stock name."""

from __future__ import annotations

import abc
from typing import Any

from . import _stock
from ._loop import EventLoop


def new_event_loop() -> EventLoop:
    """A new native loop, whatever the policy in force."""
    return EventLoop()


def _selector_event_loop(selector: Any = None) -> _stock.SelectorEventLoop:
    """A native loop, or asyncio's own where a selector is given."""
    return EventLoop() if selector is None else _stock.SelectorEventLoop(selector)


class _SelectorEventLoopType(abc.ABCMeta):
    """Lets one class stand for the stock one: only its bare call differs."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is SelectorEventLoop:
            return _selector_event_loop(*args, **kwargs)
        return super().__call__(*args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        if cls is SelectorEventLoop:
            return isinstance(instance, _stock.SelectorEventLoop)
        return super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        if cls is SelectorEventLoop:
            return issubclass(subclass, _stock.SelectorEventLoop)
        return super().__subclasscheck__(subclass)


class SelectorEventLoop(_stock.SelectorEventLoop, metaclass=_SelectorEventLoopType):
    """Without a selector a native loop; with one, or as a base class, asyncio's own."""


if _stock.HAS_POLICIES:

    class EventLoopPolicy(_stock.DefaultEventLoopPolicy):
        """The default policy, with native loops; all else is as in stock."""

        _loop_factory = EventLoop
