"""The options of sockets and of connecting, by name: one definition for programs and checkers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from .._core.block_list import BlockList
    from .._core.on_read import OnRead
    from .._values.reconnect import Reconnect

__all__ = [
    "ConnectOptions",
    "ConnectionOptions",
    "PoolOptions",
    "SocketOptions",
    "SocketSettings",
]


class PooledSocketOptions(TypedDict, total=False):
    """Those of :class:`gnet.Socket` that the sockets of a pool may have."""

    allow_half_open: bool
    readable: bool | None
    writable: bool | None
    onread: OnRead | None
    signal: Any
    high_water_mark: int
    write_limit: int | None
    when_over: str
    first_byte_timeout: float | None
    write_timeout: float | None
    tls_strict: bool
    type_of_service: int | None
    user_timeout: float | None
    congestion: str | None
    rate: float | None


class SocketSettings(PooledSocketOptions, total=False):
    """Those of a socket, whatever it is made of."""

    lifetime: float | None


class SocketOptions(SocketSettings, total=False):
    """Those of :class:`gnet.Socket`."""

    fd: int | None
    handle: Any


class PooledConnectOptions(TypedDict, total=False):
    """Those of :meth:`gnet.Socket.connect` that the sockets of a pool may have."""

    port: Any
    path: Any
    family: int | str | None
    hints: int
    local_address: str | None
    local_port: int | None
    lookup: Callable[..., Any] | None
    no_delay: bool
    keep_alive: bool
    keep_alive_initial_delay: float
    auto_select_family: bool | None
    auto_select_family_attempt_timeout: float | None
    block_list: BlockList | None
    connect_timeout: float | None
    options: Sequence[tuple[int, int, int | bytes]] | None
    control: Callable[[int], object] | None
    mptcp: bool
    tls: Any
    server_hostname: str | None
    session: Any
    handshake_timeout: float | None
    srv: str | None
    resolver: Any


class ConnectOptions(PooledConnectOptions, total=False):
    """Those of :meth:`gnet.Socket.connect`."""

    reconnect: Reconnect | None


class PoolOptions(PooledSocketOptions, PooledConnectOptions, total=False):
    """Those of :class:`gnet.Pool` that are its connections'."""

    timeout: float | None


class ConnectionOptions(SocketOptions, ConnectOptions, total=False):
    """Those of :func:`gnet.connect`."""

    timeout: float | None
