"""What is told of a connection that a server has not let in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .._transport.protocol import Transport
from .._transport.tcp_options import address_info
from .._values.addresses import AddressInfo

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["REASONS", "DropInfo", "drop_info"]

#: Why a connection is not let in.
REASONS = (
    "max_connections", "per_address", "rate", "block_list", "proxy_protocol", "tls", "emfile"
)  # fmt: skip


class _Ends(NamedTuple):
    local_address: str | None = None
    local_port: int | None = None
    local_family: str | None = None
    remote_address: str | None = None
    remote_port: int | None = None
    remote_family: str | None = None


class DropInfo(_Ends):
    """A connection that was dropped: its addresses, each ``None`` for a path; and why.

    :ivar reason: ``"max_connections"``, ``"block_list"``, ``"per_address"``, ``"rate"``,
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
