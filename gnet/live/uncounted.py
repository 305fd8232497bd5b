"""Connections of the live view itself, which it neither shows nor counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._server.server import Server
from .._socket.socket import Socket
from .._transport import unix_path
from .._transport.protocol import Transport
from .._transport.stream_socket import Wire

__all__ = ["Uncounted"]


class Uncounted(Server):
    """A server of this user, and root, alone, which no count has, nor its connections."""

    __slots__ = ()

    def __init__(self, connection_listener: Any = None, **options: Any) -> None:
        super().__init__(connection_listener, **options)
        self._uncounted()

    def _way_in(self) -> Callable[[Transport, Any], object]:
        return self._arrived

    def _arrived(self, wire: Transport, remote: Any) -> None:
        if unix_path.is_peer_trusted(wire):
            self._reception.arrive(wire, remote)
        else:
            wire.close()

    def take(self, fd: int) -> Socket:
        """Take a connection over that was made in another way.

        :param fd: its descriptor, which is the socket's from now on.
        """
        sock: Socket = self._reception.take_in(Wire.adopt(fd), None, None)
        return sock
