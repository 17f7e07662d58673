"""install() and uninstall(): the native names in asyncio and its submodules, and back."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from . import _core, _locks, _policy, _process_streams, _queues, _stock, _streams, _tls
from ._as_completed import as_completed
from ._eager import eager_task_factory
from ._stock import events, futures, taskgroups, tasks, timeouts
from ._taskgroup import TaskGroup
from ._timeout import Timeout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import ModuleType


def _natives() -> Iterator[tuple[Any, Any]]:
    """Pairs of a stock object and what stands in for it, as far as this version has them."""
    yield _stock.SelectorEventLoop, _policy.SelectorEventLoop
    for module, names in (
        (events, ("Handle", "TimerHandle")),
        (futures, ("Future",)),
        (tasks, ("Task", "create_task", "current_task", "ensure_future")),
        (tasks, ("gather", "shield", "sleep", "wait", "wait_for")),
        (timeouts, ("timeout", "timeout_at")),
    ):
        for name in names:
            if hasattr(module, name):
                yield getattr(module, name), getattr(_core, name)
    yield tasks.as_completed, as_completed
    yield taskgroups.TaskGroup, TaskGroup
    yield timeouts.Timeout, Timeout
    yield _stock.SSLProtocol, _tls.SSLProtocol
    yield _stock.SSLProtocolTransport, _tls._SSLProtocolTransport
    yield from _locks.NATIVES.items()
    yield from _queues.NATIVES.items()
    yield from _streams.NATIVES.items()
    yield from _process_streams.NATIVES.items()
    if hasattr(tasks, "eager_task_factory"):
        yield tasks.eager_task_factory, eager_task_factory
    if _stock.HAS_POLICIES:
        yield _stock.DefaultEventLoopPolicy, _policy.EventLoopPolicy
    else:
        yield events.new_event_loop, _policy.new_event_loop


NATIVES: dict[Any, Any] = dict(_natives())
STOCK: dict[Any, Any] = {native: stock for stock, native in NATIVES.items()}

_policy_before: Any = None
_policy_installed: Any = None
_installed = False


def _modules() -> list[ModuleType]:
    """asyncio and its submodules that are loaded."""
    return [
        module
        for name, module in list(sys.modules.items())
        if (name == "asyncio" or name.startswith("asyncio.")) and module is not None
    ]


def _exchange(table: Mapping[Any, Any]) -> None:
    """Replace every module attribute that is a key of the table by the key's value."""
    by_identity = {id(old): new for old, new in table.items()}
    for module in _modules():
        for name, value in list(vars(module).items()):
            if id(value) in by_identity:
                setattr(module, name, by_identity[id(value)])


def _set_policy(policy: Any) -> None:
    """Set the policy without the warning of 3.14 and later."""
    getattr(events, "_set_event_loop_policy", events.set_event_loop_policy)(policy)


def install() -> None:
    """Make unchanged asyncio programs native.

    Puts the native names into asyncio and its loaded submodules and makes native loops the default
    of asyncio.run(), Runner and new_event_loop(), until the program sets a policy of its own.
    Names that a module imported from asyncio before stay as they are. A second call does nothing.
    """
    global _installed, _policy_before, _policy_installed
    if _installed:
        return
    _exchange(NATIVES)
    if _stock.HAS_POLICIES:
        _policy_before, _policy_installed = events._event_loop_policy, _policy.EventLoopPolicy()
        _set_policy(_policy_installed)
    _installed = True


def uninstall() -> None:
    """Take install() back; a policy that the program has set since stays."""
    global _installed, _policy_before, _policy_installed
    if not _installed:
        return
    _exchange(STOCK)
    if _stock.HAS_POLICIES:
        if events._event_loop_policy is _policy_installed:
            _set_policy(_policy_before)
        _policy_before = _policy_installed = None
    _installed = False
