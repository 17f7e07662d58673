"""Joins the native core and asyncio's own bookkeeping; imported once, for its effects."""

from __future__ import annotations

import itertools
import os
import weakref
from typing import TYPE_CHECKING, Any

from . import _accepting, _core, _executor, _stock
from ._as_completed import wait_for_one
from ._eager import eager_task_factory
from ._loop import EventLoop
from ._taskgroup import TaskGroup
from ._timeout import Timeout
from ._tls import SSLProtocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class TaskRegistry(weakref.WeakSet[Any]):
    """asyncio's set of scheduled tasks, with the native ones, which the core links itself."""

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain(_core._native_tasks(), super().__iter__())

    def __len__(self) -> int:
        return len(_core._native_tasks()) + super().__len__()

    def __contains__(self, item: object) -> bool:
        return super().__contains__(item) or any(t is item for t in _core._native_tasks())


def _join_registry() -> None:
    # 3.14 and later link tasks of ours like their own; the set holds what is not theirs.
    if hasattr(_stock.events, "_ThreadSafeHandle"):
        return
    registry = getattr(_stock.tasks, "_scheduled_tasks", None)
    if registry is None:
        registry = _stock.tasks._all_tasks
    registry.__class__ = TaskRegistry


_core._adopt(
    event_loop=EventLoop,
    task_group=TaskGroup,
    timeout=Timeout,
    wait_for_one=wait_for_one,
    executor_submit=_executor.submit if _executor.is_known() else None,
    eager_factory=eager_task_factory,
    ssl_protocol=SSLProtocol,
    accept_skips_aborted=_accepting.SKIPS_ABORTED,
    accept_one_more=_accepting.ONE_MORE,
)
_join_registry()
os.register_at_fork(after_in_child=_core._after_fork)
