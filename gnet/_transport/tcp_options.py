"""What the kernel knows of a connection: its addresses and its TCP options."""

from __future__ import annotations

import _socket
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any

from .._values.addresses import AddressInfo, is_ip, place_text
from ..errors import printable
from .protocol import Transport

__all__ = ["Settings", "address_info", "apply", "type_of_service", "with_setting"]

#: The names and values of TCP's options.
Settings = tuple[tuple[str, Any], ...]

# Node sets these two with every keep-alive: ten probes, a second apart.
KEEPALIVE_PROBES = 10
KEEPALIVE_INTERVAL_SECONDS = 1


def address_info(sockaddr: Any) -> AddressInfo | str | None:
    """An address of the system's as ``address()`` gives it.

    :param sockaddr: what ``getsockname()`` and its like give.
    :returns: an :class:`AddressInfo`; a path; ``None`` for a Unix socket without a name, and for
        one that is neither IP's nor a path's.
    """
    if isinstance(sockaddr, tuple):
        return AddressInfo.from_sockaddr(sockaddr) if is_ip(sockaddr[0]) else None
    return os.fsdecode(sockaddr) if isinstance(sockaddr, (str, bytes)) and sockaddr else None


def common_address(sockaddr: Any) -> Any:
    """The address that all connections of a listening socket have; ``None`` for a wildcard."""
    if isinstance(sockaddr, tuple) and sockaddr[0] in ("0.0.0.0", "::"):
        return None
    return sockaddr


def address_text(sockaddr: Any) -> str:
    """An address of the system's for people to read: a peer may have chosen its path."""
    info = address_info(sockaddr)
    if isinstance(info, AddressInfo):
        return place_text(info.address, info.port)
    return printable(info) if info else (repr(sockaddr) if sockaddr else "-")


@lru_cache(maxsize=64)
def with_setting(settings: Settings, name: str, value: Any) -> Settings:
    """The settings with one changed.

    Cached so that all the connections of a server have one between them: of their own it would be
    an eighth of what an idle one costs.
    """
    return tuple({**dict(settings), name: value}.items())


def apply(wire: Transport, settings: Settings) -> None:
    """Set TCP's options; a Unix socket or a pipe has none of them.

    :param settings: ``no_delay`` (bool), ``keep_alive`` (bool, seconds), ``tos`` (int).
    """
    if wire.TCP_OPTIONS:
        for name, value in settings:
            # A peer that has reset makes it fail: the next read or write says so.
            with suppress(OSError):
                _SETTERS[name](wire, value)


def type_of_service(wire: Transport) -> int:
    """The connection's ``IP_TOS`` or ``IPV6_TCLASS``."""
    return int(wire.option(*_tos_option(wire)))


def _tos_option(wire: Transport) -> tuple[int, int]:
    if wire.family == _socket.AF_INET6:
        return _socket.IPPROTO_IPV6, _socket.IPV6_TCLASS
    return _socket.IPPROTO_IP, _socket.IP_TOS


def _apply_no_delay(wire: Transport, value: bool) -> None:
    wire.set_option(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, value)


def _apply_keep_alive(wire: Transport, value: tuple[bool, int]) -> None:
    enable, delay = value
    wire.set_option(_socket.SOL_SOCKET, _socket.SO_KEEPALIVE, enable)
    if not enable:
        return
    if sys.platform == "win32" and not hasattr(_socket, "TCP_KEEPIDLE"):
        _apply_old_keep_alive(wire, delay)
        return
    if delay >= 1:
        idle = getattr(_socket, "TCP_KEEPIDLE", getattr(_socket, "TCP_KEEPALIVE", None))
        if idle is not None:
            wire.set_option(_socket.IPPROTO_TCP, idle, delay)
    wire.set_option(_socket.IPPROTO_TCP, _socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
    wire.set_option(_socket.IPPROTO_TCP, _socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS)


if sys.platform == "win32":
    from .stream_socket import Wire

    def _apply_old_keep_alive(wire: Transport, delay: int) -> None:
        # Before version 1709 of Windows 10 it has both times, in milliseconds, or neither; the
        # probes are always ten.
        if delay >= 1:
            times = (1, delay * 1000, KEEPALIVE_INTERVAL_SECONDS * 1000)
            # No option, and so the socket's own: a transport around it has its handle.
            sock = Wire.of(wire.fileno())
            try:
                sock.ioctl(_socket.SIO_KEEPALIVE_VALS, times)
            finally:
                sock.detach()


def _apply_tos(wire: Transport, value: int) -> None:
    wire.set_option(*_tos_option(wire), value)


_SETTERS: dict[str, Callable[[Transport, Any], None]] = {
    "no_delay": _apply_no_delay,
    "keep_alive": _apply_keep_alive,
    "tos": _apply_tos,
}
