"""HTTP connections from our own uid only: the kernel says who is there before a byte is parsed."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING, Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio


class PeerCheckedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol for connections whose peer is us or root; others are closed without an answer."""

    connection_count: ClassVar[int] = 0
    """Open connections of clients, for the decision to end when nobody is there."""

    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Check SO_PEERCRED (unix(7)), then go on as uvicorn does."""
        if peer_uid(transport) not in (os.getuid(), 0):
            self._refused = True
            transport.abort()
            return
        type(self).connection_count += 1
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count down what was counted up."""
        if self._refused:
            return
        type(self).connection_count -= 1
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of a refused peer that arrive before the abort are never looked at."""
        if not self._refused:
            super().data_received(data)

    def eof_received(self) -> Any:
        """As uvicorn, except for refused peers."""
        return None if self._refused else super().eof_received()


def peer_uid(transport: asyncio.BaseTransport) -> int:
    """The uid of the process that connected, as it was when it did."""
    raw: Any = transport.get_extra_info("socket")
    with socket.socket(fileno=os.dup(raw.fileno())) as connection:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[1])
