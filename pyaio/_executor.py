"""Putting native work items into a thread pool, past the futures that nobody would see."""

from __future__ import annotations

from concurrent.futures import thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import _core

_pools: Any = thread
_SUBMIT_USES = {
    *("_shutdown_lock", "_global_shutdown_lock", "_broken", "_shutdown"),
    *("_work_queue", "_adjust_thread_count"),
}


def is_known() -> bool:
    """Whether the running version's thread pool is made as submit() expects it."""
    try:
        used = {*thread.ThreadPoolExecutor.submit.__code__.co_names}
        runs = "run" in _pools._worker.__code__.co_names
    except AttributeError:  # not Python functions: somebody replaced them
        return False
    return runs and used >= _SUBMIT_USES


def submit(executor: Any, item: _core.WorkItem) -> bool:
    """Queue the item; False where the executor's own submit() has something to say instead."""
    with executor._shutdown_lock, _pools._global_shutdown_lock:
        if executor._broken or executor._shutdown or _pools._shutdown:
            return False
        executor._work_queue.put(item)
        executor._adjust_thread_count()
    return True
