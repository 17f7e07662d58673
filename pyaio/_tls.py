"""TLS: the native protocol and its transport, as the classes that programs see."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from . import _core, _stock

if TYPE_CHECKING:
    import ssl
    from socket import socket

# From 3.12 on a descriptor that has a transport cannot get another.
CHECKS_NEW_TRANSPORTS = sys.version_info >= (3, 12)
ENGINES = ("openssl", "ssl")
"""What can encrypt: OpenSSL called directly, or the ssl module's own objects."""


class _SSLProtocolTransport(_core._SSLProtocolTransport, _stock.SSLProtocolTransport):
    """What the program writes to; mirrors the class of its name in asyncio.sslproto."""


class SSLProtocol(_core.SSLProtocol, _stock.SSLProtocol):
    """TLS over any transport; mirrors asyncio.sslproto.SSLProtocol.

    Handshake, shutdown, timeouts and errors are the running version's own methods; packets and
    writes are native. `get_extra_info("tls_engine")` tells what encrypts, one of
    ENGINES. PYAIO_TLS_ENGINE=ssl in the environment does without OpenSSL called directly.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        # Most connections never need the buffer that get_buffer() makes when it is too small.
        self.max_size = 0
        super().__init__(*args, **options)
        del self.max_size
        wanted = os.environ.get("PYAIO_TLS_ENGINE", ENGINES[0])
        direct = wanted == ENGINES[0] and self._attach_openssl()
        self._extra["tls_engine"] = ENGINES[0] if direct else ENGINES[1]

    def _get_app_transport(self) -> Any:
        """The transport that the program gets, made once."""
        if self._app_transport is None:
            if self._app_transport_created:
                raise RuntimeError("Creating _SSLProtocolTransport twice")
            self._app_transport = _SSLProtocolTransport(self._loop, self)  # type: ignore[arg-type]
            self._app_transport_created = True
        return self._app_transport


def _take_buffered(protocol: Any) -> bytes:
    """What a stream has received and nobody has read: the peer's side of the handshake."""
    if not isinstance(protocol, _stock.streams.StreamReaderProtocol):
        return b""
    reader = getattr(protocol, "_stream_reader", None)
    if reader is None or not reader._buffer:
        return b""
    data = bytes(reader._buffer)
    reader._buffer.clear()
    return data


class TlsMethods(_stock.SelectorEventLoop):
    """The methods of a loop that put TLS over a connection."""

    def _make_ssl_transport(
        self,
        rawsock: socket,
        protocol: Any,
        sslcontext: Any,
        waiter: Any = None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = _stock.constants.SSL_HANDSHAKE_TIMEOUT,
        ssl_shutdown_timeout: float | None = _stock.constants.SSL_SHUTDOWN_TIMEOUT,
        **options: Any,
    ) -> Any:
        """TLS over a connected socket."""
        if CHECKS_NEW_TRANSPORTS:
            self._ensure_fd_no_transport(rawsock)
        ssl_protocol = SSLProtocol(
            self,
            protocol,
            sslcontext,
            waiter,
            server_side,
            server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
        _core._SelectorSocketTransport(self, rawsock, ssl_protocol, **options)
        return ssl_protocol._app_transport

    async def start_tls(
        self,
        transport: Any,
        protocol: Any,
        sslcontext: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> Any:
        """Put TLS over a transport; mirrors loop.start_tls(), timeouts in seconds.

        Returns the transport that the protocol is to use from then on. TypeError where the context
        is none or the transport does not allow it; what the handshake raises.
        """
        ssl_module = _stock.sslproto.ssl
        if ssl_module is None:
            raise RuntimeError("Python ssl module is not available")
        if not isinstance(sslcontext, ssl_module.SSLContext):
            raise TypeError(
                f"sslcontext is expected to be an instance of ssl.SSLContext, got {sslcontext!r}"
            )
        if not getattr(transport, "_start_tls_compatible", False):
            raise TypeError(f"transport {transport!r} is not supported by start_tls()")
        waiter = self.create_future()
        ssl_protocol = SSLProtocol(
            self,
            protocol,
            sslcontext,
            waiter,
            server_side,
            server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
            call_connection_made=False,
        )
        # Nothing may be received before the protocol knows its connection.
        transport.pause_reading()
        if server_side and (data := _take_buffered(protocol)):
            ssl_protocol._incoming.write(data)
        transport.set_protocol(ssl_protocol)
        queued = (
            self.call_soon(ssl_protocol.connection_made, transport),
            self.call_soon(transport.resume_reading),
        )
        try:
            await waiter
        except BaseException:
            transport.close()
            for handle in queued:
                handle.cancel()
            raise
        return ssl_protocol._app_transport
