"""Timeout: the native timeout as a class that may be derived from and patched."""

from __future__ import annotations

from typing import final

from . import _core, _stock


@final
class Timeout(_core.Timeout, _stock.timeouts.Timeout):  # type: ignore[misc]
    """An asynchronous context manager with a deadline; mirrors asyncio.Timeout (3.11).

    timeout() and timeout_at() make one. A block that lasts longer than its deadline, a time of
    the loop's clock in seconds or None, is cancelled and raises TimeoutError.
    """


Timeout.__module__ = "pyaio"
