"""Streams: classes to derive from and to patch, and the functions that connect and serve.

The classes stand on native ones and extend the stock ones, whose code does what is not native.
What happens once per connection is the running version's own code with the native names in it.
"""

from __future__ import annotations

from typing import Any

from . import _core, _stock
from ._rebinding import Names


class StreamReader(_core.StreamReader, _stock.StreamReader):
    """Where what a connection receives is read from; mirrors asyncio.StreamReader.

    Above twice `limit` bytes of unread data its transport is paused; no line may be longer than
    `limit`. ValueError where that is not more than 0.
    """


class StreamWriter(_core.StreamWriter, _stock.StreamWriter):
    """Where what a connection sends is written to; mirrors asyncio.StreamWriter."""


class FlowControlMixin(_core.FlowControlMixin, _stock.FlowControlMixin):
    """A protocol that drain() can wait for; mirrors asyncio.streams.FlowControlMixin."""


class StreamReaderProtocol(
    _core.StreamReaderProtocol, FlowControlMixin, _stock.StreamReaderProtocol
):
    """Between a transport and a StreamReader; mirrors asyncio.StreamReaderProtocol."""


NATIVES: dict[Any, Any] = {
    _stock.StreamReader: StreamReader,
    _stock.StreamWriter: StreamWriter,
    _stock.FlowControlMixin: FlowControlMixin,
    _stock.StreamReaderProtocol: StreamReaderProtocol,
}

for _stock_class, _native_class in NATIVES.items():
    _native_class.__module__ = "pyaio"
    _core._stands_for(_native_class, _stock_class)
del _stock_class, _native_class


_names = Names(_stock.streams, {native.__name__: native for native in NATIVES.values()})

open_connection = _names.rebind(_stock.streams.open_connection)
start_server = _names.rebind(_stock.streams.start_server)
open_unix_connection = _names.rebind(_stock.streams.open_unix_connection)
start_unix_server = _names.rebind(_stock.streams.start_unix_server)
NATIVES |= {
    _stock.streams.open_connection: open_connection,
    _stock.streams.start_server: start_server,
    _stock.streams.open_unix_connection: open_unix_connection,
    _stock.streams.start_unix_server: start_unix_server,
}
StreamReaderProtocol.connection_made = _names.rebind(  # type: ignore[method-assign]
    _stock.StreamReaderProtocol.connection_made
)
