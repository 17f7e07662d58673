"""The ways to get an EventLoop: a factory, a policy, and the class of the stock name."""

from __future__ import annotations

import abc
import sys
import threading
import warnings
from typing import Any

from . import _stock
from ._loop import EventLoop


def new_event_loop() -> EventLoop:
    """A new native loop, whatever the policy in force."""
    return EventLoop()


if sys.version_info >= (3, 14):
    get_event_loop = _stock.events.get_event_loop
else:

    def get_event_loop() -> Any:
        """The running loop, or the one that was set for this thread.

        Mirrors asyncio.get_event_loop: the main thread gets a new loop where none was ever set
        (since 3.12 with a DeprecationWarning), a native one unless the program has set a policy
        of its own. Raises RuntimeError where there is none.
        """
        loop = _stock.events._get_running_loop()
        if loop is not None:
            return loop
        policy: Any = _stock.events.get_event_loop_policy()
        if _is_about_to_make_a_loop(policy):
            if sys.version_info >= (3, 12):
                warnings.warn("There is no current event loop", DeprecationWarning, stacklevel=2)
            policy.set_event_loop(EventLoop())
        return policy.get_event_loop()

    def _is_about_to_make_a_loop(policy: Any) -> bool:
        """Whether this is asyncio's own policy, which would make a stock loop."""
        kind: Any = type(policy)
        return (
            kind is _stock.DefaultEventLoopPolicy
            and policy._local._loop is None
            and not policy._local._set_called
            and threading.current_thread() is threading.main_thread()
        )


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
