"""The options of servers and of listening, by name: one definition for programs and checkers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .._core.block_list import BlockList
    from .._values.token_buckets import SharedRate

__all__ = ["ListeningOptions", "ServeOptions", "ServerOptions", "ServerSettings"]


class ServerSettings(TypedDict, total=False):
    """Those that every kind of server leaves to the program."""

    allow_half_open: bool
    pause_on_connect: bool
    no_delay: bool
    keep_alive: bool
    keep_alive_initial_delay: float
    high_water_mark: int
    block_list: BlockList | None
    max_connections: int | None
    when_full: str
    max_connections_per_address: int | None
    max_connection_rate: float | None
    max_connection_rate_per_address: float | SharedRate | None
    rate: float | None
    per_address_prefix: tuple[int, int]
    write_limit: int | None
    when_over: str
    first_byte_timeout: float | None
    write_timeout: float | None
    lifetime: float | None
    proxy_protocol: str | None
    trusted_proxies: BlockList | None
    tls: Any
    handshake_timeout: float | None
    max_handshakes: int | None
    sni_callback: Callable[[str | None], Any] | None
    tls_strict: bool


class ServerOptions(ServerSettings, total=False):
    """Those of :class:`gnet.Server`."""

    end_on_return: bool


class ListeningOptions(TypedDict, total=False):
    """Those of :meth:`gnet.Server.listen`."""

    port: Any
    path: Any
    fd: int | None
    exclusive: bool
    ipv6_only: bool
    reuse_port: bool
    readable_all: bool
    writable_all: bool
    replace_stale: bool
    options: Sequence[tuple[int, int, int | bytes]] | None
    control: Callable[[int], object] | None
    mptcp: bool
    signal: Any


class ServeOptions(ServerOptions, ListeningOptions, total=False):
    """Those of :func:`gnet.serve`."""

    backlog: Any
