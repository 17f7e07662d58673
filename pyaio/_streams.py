"""StreamReader: a class to derive from and to patch."""

from __future__ import annotations

from typing import Any

from . import _core, _stock


class StreamReader(_core.StreamReader, _stock.StreamReader):
    """Where what a connection receives is read from; mirrors asyncio.StreamReader."""


NATIVES: dict[Any, Any] = {_stock.StreamReader: StreamReader}

for _stock_class, _native_class in NATIVES.items():
    _native_class.__module__ = "pyaio"
    _core._stands_for(_native_class, _stock_class)
del _stock_class, _native_class
