"""Connections without a network, for the tests of programs.

:func:`pair` gives two sockets that are connected to each other, and a :class:`Place` stands for
a server's port; neither has a descriptor. A :class:`gnet.Socket` does here all that it does on a
network: both styles, back-pressure, half-open connections, timeouts, pipes and resets. The test
chooses the sizes and failures that a network leaves to chance.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

from ._server.bind import Bound
from ._socket.socket import Socket
from ._transport.memory import BUFFER_BYTES, MemoryListener, MemoryWire, memory_pair
from ._values import arguments
from ._values.addresses import is_ip
from .errors import annotate, system_error

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._socket.options import SocketSettings

__all__ = ["Place", "fail", "pair"]

# So many connections may wait to be accepted, as at a port.
BACKLOG = 511
_NO_ADDRESS = (None, None)


def pair(
    *,
    buffer_size: int = BUFFER_BYTES,
    max_read: int | None = None,
    addresses: tuple[Any, Any] = _NO_ADDRESS,
    **options: Unpack[SocketSettings],
) -> tuple[Socket, Socket]:
    """Two connected sockets, in memory.

    :param buffer_size: how many bytes each end takes before it is read; further ones wait in the
        writer's queue, as they do when the system's buffer is full.
    :param max_read: the maximum of bytes that a single read gives, as where a network cuts a
        message in pieces; ``None``, the default, for no limit.
    :param addresses: the addresses of the two, each ``(host, port)``; by default they have none,
        as a Unix socket without a name.
    :param options: those of :class:`gnet.Socket`, for both, without ``fd`` and ``handle``.
    :returns: the two sockets, which are connected. Close each of them.
    :raises TypeError: an argument is of the wrong kind.
    :raises ValueError: an argument has a wrong value.
    """
    size, most = _sizes(buffer_size, max_read)
    if not isinstance(addresses, tuple) or len(addresses) != 2:
        raise arguments.wrong_kind("addresses", addresses, "two addresses")
    names = _address("addresses", addresses[0]), _address("addresses", addresses[1])
    here, there = memory_pair(size, most, names)
    return Socket(handle=here, **options), Socket(handle=there, **options)


class Place:
    """Where a server listens and clients connect, in memory: ``server.listen(place)``.

    :param address: the server's ``(host, port)``; by default it has none.
    :raises TypeError: ``address`` is not an address.
    :raises ValueError: the host is not an IP address, or the port not a port.
    """

    __slots__ = ("_address", "_listener")

    def __init__(self, address: tuple[str, int] | None = None) -> None:
        self._address = _address("address", address)
        self._listener: MemoryListener | None = None

    def _duplicate_bound(self) -> Bound:
        """What ``listen()`` asks for."""
        if self._listener is not None and not self._listener.closed:
            raise system_error(errno.EADDRINUSE, "listen")
        self._listener = MemoryListener(self._address, BACKLOG)
        return Bound(self._listener)

    def connect(
        self,
        address: tuple[str, int] | None = None,
        *,
        buffer_size: int = BUFFER_BYTES,
        max_read: int | None = None,
        **options: Unpack[SocketSettings],
    ) -> Socket:
        """Connect to the server that listens here.

        The server accepts in the next turn of the loop; limits, block lists and events are as for
        a client of the network.

        :param address: the client's ``(host, port)`` that the server sees; by default none.
        :param buffer_size: as of :func:`pair`, for both ends.
        :param max_read: as of :func:`pair`, for both ends.
        :param options: those of :class:`gnet.Socket`.
        :returns: the client's end, connected.
        :raises ConnectionRefusedError: no server listens, or too many clients wait already.
        """
        size, most = _sizes(buffer_size, max_read)
        names = _address("address", address), self._address
        if self._listener is None:
            raise system_error(errno.ECONNREFUSED, "connect")
        here, there = memory_pair(size, most, names)
        sock = Socket(handle=here, **options)
        try:
            self._listener.arrive(there)
        except OSError as exc:
            sock.destroy()
            raise annotate(exc, "connect") from None
        return sock


def fail(sock: Socket, number: int = errno.ECONNRESET) -> None:
    """Have the network fail a connection in memory.

    What the socket has not read is lost, and its next call, or its listeners, get the error. The
    peer's end is reset when the socket has closed.

    :param sock: a socket of this module.
    :param number: the ``errno`` of the error: ``errno.ETIMEDOUT``, for example.
    :raises TypeError: it is not a socket of this module.
    """
    wire = sock._wire if isinstance(sock, Socket) else None
    if not isinstance(wire, MemoryWire):
        raise arguments.wrong_kind("sock", sock, "a connected socket of gnet.testing")
    wire.fail(arguments.integer("number", number, 1, 2**31 - 1))


def _sizes(buffer_size: Any, max_read: Any) -> tuple[int, int | None]:
    size = arguments.integer("buffer_size", buffer_size, 1, 2**62)
    return size, None if max_read is None else arguments.integer("max_read", max_read, 1, 2**62)


def _address(name: str, address: Any) -> tuple[str, int] | None:
    """An address of the system's, checked."""
    if address is None:
        return None
    if not isinstance(address, tuple) or len(address) != 2:
        raise arguments.wrong_kind(name, address, "a tuple (host, port), or None")
    host, port = address
    if not is_ip(arguments.string(name, host)):
        raise arguments.wrong_value(name, host, "an IP address", "ERR_INVALID_IP_ADDRESS")
    return host, arguments.port_number(name, port)
