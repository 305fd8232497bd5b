"""Which connections a server keeps: how many, how many of one address, and of whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakSet

from .._transport.protocol import Transport
from .._transport.tcp_options import address_info
from .._values import arguments
from .._values.addresses import AddressInfo
from .._values.blocklist import BlockList

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Admission", "DropInfo", "drop_info"]

WHEN_FULL = ("drop", "wait")


class _Ends(NamedTuple):
    local_address: str | None = None
    local_port: int | None = None
    local_family: str | None = None
    remote_address: str | None = None
    remote_port: int | None = None
    remote_family: str | None = None


class DropInfo(_Ends):
    """A connection that was dropped: its addresses, each ``None`` for a path; and why.

    :ivar reason: ``"max_connections"``, ``"block_list"``, ``"per_address"``,
        ``"proxy_protocol"``; or ``"emfile"``: no descriptor is left, and the connections wait
        for one.
    """

    reason: str

    def __new__(cls, *ends: Any, reason: str) -> Self:
        info = super().__new__(cls, *ends)
        info.reason = reason
        return info

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, reason={self.reason!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (tuple(self), self.reason)


def _rebuild(ends: tuple[Any, ...], reason: str) -> DropInfo:
    return DropInfo(*ends, reason=reason)


class Connections:
    """The open connections of a server: those that it keeps, and those that the program does."""

    __slots__ = ("_kept", "_others")

    def __init__(self) -> None:
        self._kept: set[Any] = set()
        self._others: WeakSet[Any] = WeakSet()

    def __len__(self) -> int:
        return len(self._kept) + len(self._others)

    def __iter__(self) -> Iterator[Any]:
        yield from list(self._kept)
        yield from list(self._others)

    def __contains__(self, sock: object) -> bool:
        return sock in self._kept or sock in self._others

    def add(self, sock: Any) -> None:
        self._kept.add(sock)

    def remove(self, sock: Any) -> bool:
        """Forget a connection; tells whether it was one."""
        if sock in self._kept:
            self._kept.remove(sock)
        elif sock in self._others:
            self._others.remove(sock)
        else:
            return False
        return True

    def take_back(self, sock: Any) -> None:
        """Keep a connection that the program has forgotten."""
        self._others.discard(sock)
        self._kept.add(sock)

    def clear(self) -> None:
        self._kept.clear()
        self._others.clear()

    def keep(self, sock: Any, keep: bool) -> None:
        """Keep a connection that is open, or leave that to the program."""
        if keep and sock in self._others:
            self.take_back(sock)
        elif not keep and sock in self._kept:
            self._kept.discard(sock)
            self._others.add(sock)


class Admission:
    """The open connections of a server, and its rules for another one.

    :param max_connections: so many are kept; ``None`` for no limit, ``0`` for none at all.
    :param when_full: what becomes of more: ``"drop"`` closes them, ``"wait"`` leaves them in the
        kernel's queue until there is room.
    :param max_connections_per_address: so many are kept of one IP address.
    :param block_list: whose connections are dropped.
    :ivar connections: the open connections.
    """

    __slots__ = (
        "_max", "_max_per_address", "_per_address", "block_list", "connections", "when_full",
    )  # fmt: skip

    def __init__(
        self,
        max_connections: int | None,
        when_full: str,
        max_connections_per_address: int | None,
        block_list: BlockList | None,
    ) -> None:
        if not isinstance(when_full, str):
            raise arguments.wrong_kind("when_full", when_full, "a str")
        if when_full not in WHEN_FULL:
            raise arguments.wrong_value("when_full", when_full, "'drop' or 'wait'")
        if block_list is not None and not isinstance(block_list, BlockList):
            raise arguments.wrong_kind("block_list", block_list, "a gnet.BlockList")
        self.when_full = when_full
        self.max_connections = max_connections
        if max_connections_per_address is not None:
            name = "max_connections_per_address"
            arguments.integer(name, max_connections_per_address, 1, 2**62)
        self._max_per_address = max_connections_per_address
        self._per_address: dict[str, int] = {}
        self.block_list = block_list
        self.connections = Connections()

    @property
    def max_connections(self) -> int | None:
        return self._max

    @max_connections.setter
    def max_connections(self, value: int | None) -> None:
        if value is not None:
            arguments.integer("max_connections", value, 0, 2**62)
        self._max = value

    def full(self, entering: int = 0) -> bool:
        """Whether there is no room for another connection.

        :param entering: so many are about to come in, and have to be counted.
        """
        return self._max is not None and len(self.connections) + entering >= self._max

    def reason_to_drop(self, remote: Any) -> str | None:
        """Why a connection of ``remote`` is not kept; ``None`` if it is."""
        if self._max is not None and self.full():
            return "max_connections"
        if self.block_list is None and self._max_per_address is None:
            return None
        host = _host_of(remote)
        if host is not None:
            if self.block_list is not None and self.block_list.blocks(host):
                return "block_list"
            limit = self._max_per_address
            if limit is not None and self._per_address.get(_unmapped(host), 0) >= limit:
                return "per_address"
        return None

    def add(self, sock: Any, remote: Any) -> None:
        """A connection is kept."""
        self.connections.add(sock)
        if self._max_per_address is None:
            return
        host = _host_of(remote)
        if host is not None:
            host = _unmapped(host)
            self._per_address[host] = self._per_address.get(host, 0) + 1

    def clear(self) -> None:
        """The connections are not the server's any more."""
        self.connections.clear()
        self._per_address.clear()

    def remove(self, sock: Any, remote: Any) -> None:
        """A connection has closed."""
        if not self.connections.remove(sock) or self._max_per_address is None:
            return
        host = _host_of(remote)
        if host is not None:
            host = _unmapped(host)
            left = self._per_address[host] - 1
            if left:
                self._per_address[host] = left
            else:
                # Nothing is remembered of addresses that have gone: a peer with many of them
                # must not grow it.
                del self._per_address[host]


def _host_of(remote: Any) -> str | None:
    """The IP address of a peer's address; a path has none, nor has what is neither."""
    host = remote[0] if isinstance(remote, tuple) else None
    return host if isinstance(host, str) else None


def _unmapped(host: str) -> str:
    """One text for an IPv4 address and the IPv6 address that stands for it (RFC 4291, 2.5.5.2)."""
    return host[7:] if host.startswith("::ffff:") and "." in host else host


def drop_info(wire: Transport, remote: Any, reason: str) -> DropInfo:
    """What ``'drop'`` is emitted with.

    :param wire: the connection, still open.
    :param remote: the peer's address.
    :param reason: why it is dropped.
    """
    try:
        local = address_info(wire.local_name())
    except OSError:
        local = None
    peer = address_info(remote)
    fields: list[Any] = []
    for info in (local, peer):
        if isinstance(info, AddressInfo):
            fields += [info.address, info.port, info.family]
        else:
            fields += [None, None, None]
    return DropInfo(*fields, reason=reason)
