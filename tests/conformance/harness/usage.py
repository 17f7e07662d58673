"""Watches which of the replaced objects a test calls: evidence that it ran on them.

It instruments every call, so it is off unless asked for; Python 3.12 or later.
"""

import sys
from collections.abc import Callable
from types import CodeType


class Usage:
    """The names of the objects called since the last `restart`.

    Attributes:
        used: names of watched objects; a call of a class that a test derived counts as its base's.
    """

    TOOL = 4

    def __init__(self, watched: dict[str, object]) -> None:
        self.used: set[str] = set()
        self._names = {id(value): name for name, value in watched.items()}
        self._watched = watched  # keeps the identities valid
        monitoring = sys.monitoring
        monitoring.use_tool_id(self.TOOL, "conformance")
        monitoring.register_callback(self.TOOL, monitoring.events.CALL, self._called)
        monitoring.set_events(self.TOOL, monitoring.events.CALL)

    def restart(self) -> None:
        """Forget what was used, and look at every place of a call once more."""
        self.used = set()
        sys.monitoring.restart_events()

    def _called(
        self, code: CodeType, offset: int, function: Callable[..., object], first: object
    ) -> object:
        for candidate in function.__mro__ if isinstance(function, type) else (function,):
            name = self._names.get(id(candidate))
            if name is not None:
                self.used.add(name)
                break
        return sys.monitoring.DISABLE
