"""TaskGroup: the native group as a class that may be derived from and patched."""

from __future__ import annotations

from . import _core, _stock


class TaskGroup(_core.TaskGroup, _stock.TaskGroup):
    """A context manager that holds a group of tasks; mirrors asyncio.TaskGroup (3.11).

    On exit it waits for every task. Where one fails, the others are cancelled and the failures
    come as an ExceptionGroup.
    """


TaskGroup.__module__ = "pyaio"
