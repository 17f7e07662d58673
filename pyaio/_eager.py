"""eager_task_factory for native tasks, which the core knows when a loop has it."""

from __future__ import annotations

from typing import Any

from . import _core, _stock

# Stock's own closure over our class: others find the class there. None before 3.12.
eager_task_factory: Any = None
if hasattr(_stock.tasks, "create_eager_task_factory"):
    eager_task_factory = _stock.tasks.create_eager_task_factory(_core.Task)
