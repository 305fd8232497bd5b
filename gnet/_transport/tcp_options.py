"""What the kernel knows of a connection: its addresses and its TCP options."""

from __future__ import annotations

import _socket
import errno
import os
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from .._values import arguments
from .._values.addresses import AddressInfo, is_ip, place_text
from ..errors import coded, printable
from .protocol import Transport

__all__ = [
    "NODES_KEEP_ALIVE",
    "Settings",
    "address_info",
    "apply",
    "apply_strictly",
    "begin",
    "checked",
    "type_of_service",
    "with_setting",
]

#: The names and values of TCP's options.
Settings = tuple[tuple[str, Any], ...]

#: The interval in seconds, and the count, of Node's options ``keepAlive``: ten probes, a second
#: apart.
NODES_KEEP_ALIVE = (1, 10)
# The system's own interval between two probes, where both times are to be given.
_SYSTEMS_INTERVAL_SECONDS = 1

# TCP_CA_NAME_MAX of Linux, with the closing NUL.
_CONGESTION_BYTES = 16
# In milliseconds; setsockopt() takes no more.
_MAX_USER_TIMEOUT = 2**31 - 1


def address_info(sockaddr: Any) -> AddressInfo | str | None:
    """An address of the system's as ``address()`` gives it.

    :param sockaddr: what ``getsockname()`` and its like give.
    :returns: an :class:`AddressInfo`; a path; ``None`` for a Unix socket without a name, and for
        one that is of neither IP, vsock nor a path.
    """
    if isinstance(sockaddr, tuple):
        if is_vsock(sockaddr):
            return AddressInfo(str(sockaddr[0]), "vsock", sockaddr[1])
        return AddressInfo.from_sockaddr(sockaddr) if is_ip(sockaddr[0]) else None
    return os.fsdecode(sockaddr) if isinstance(sockaddr, (str, bytes)) and sockaddr else None


def is_vsock(sockaddr: Any) -> bool:
    """Whether an address of the system's is one of vsock: the number of a machine, and a port."""
    return isinstance(sockaddr, tuple) and len(sockaddr) == 2 and isinstance(sockaddr[0], int)


def common_address(sockaddr: Any) -> Any:
    """The address that all connections of a listening socket have; ``None`` for a wildcard."""
    if isinstance(sockaddr, tuple) and sockaddr[0] in ("0.0.0.0", "::"):
        return None
    return sockaddr


def address_text(sockaddr: Any) -> str:
    """An address of the system's for people to read: a peer may have chosen its path."""
    info = address_info(sockaddr)
    if isinstance(info, AddressInfo):
        if info.family == "vsock":
            return f"vsock:{info.address}:{info.port}"
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

    :param settings: ``no_delay`` (bool), ``keep_alive`` (bool; delay, interval and count, each a
        number, or ``None`` for the system's), ``tos`` (int), ``user_timeout`` (milliseconds),
        ``congestion`` (bytes).
    """
    if wire.TCP_OPTIONS:
        for name, value in settings:
            # Not by suppress(), which is three calls more for each connection.
            try:
                if name in _SETTERS:
                    _SETTERS[name](wire, value)
            except OSError:
                # A peer that has reset makes it fail: the next read or write says so.
                pass


def apply_strictly(wire: Transport, settings: Settings) -> None:
    """Set, ahead of the connection, those that it is not to be without.

    :raises OSError: the system refuses one.
    """
    if wire.TCP_OPTIONS:
        for name, value in settings:
            if name in _STRICT:
                _SETTERS[name](wire, value)


def checked(tos: Any, user_timeout: Any, congestion: Any) -> Settings:
    """The settings that a socket is made with.

    :raises OSError: ``ENOTSUP``, the system has no such option.
    """
    settings: dict[str, Any] = {}
    if tos is not None:
        settings["tos"] = arguments.integer("type_of_service", tos, 0, 255)
    milliseconds = _user_timeout(user_timeout)
    if milliseconds is not None:
        settings["user_timeout"] = milliseconds
    name = _congestion(congestion)
    if name is not None:
        settings["congestion"] = name
    return tuple(settings.items())


def _user_timeout(value: Any) -> int | None:
    """The option of that name in milliseconds; ``None`` for the system's.

    :raises OSError: ``ENOTSUP``, the system has no such option.
    """
    seconds = arguments.seconds("user_timeout", value)
    if seconds is None:
        return None
    if seconds * 1000 > _MAX_USER_TIMEOUT:
        right = f"at most {_MAX_USER_TIMEOUT // 1000} seconds"
        raise arguments.wrong_value("user_timeout", value, right, "ERR_OUT_OF_RANGE")
    _need("user_timeout", "TCP_USER_TIMEOUT")
    # Up to the next one.
    return -int(-seconds * 1000 // 1)


def _congestion(value: Any) -> bytes | None:
    """The option of that name; ``None`` for the system's.

    :raises OSError: ``ENOTSUP``, the system has no such option.
    """
    if value is None:
        return None
    name = arguments.string("congestion", value)
    if not 0 < len(name) < _CONGESTION_BYTES or not (name.isascii() and name.isprintable()):
        right = f"the name of an algorithm, of at most {_CONGESTION_BYTES - 1} ASCII characters"
        raise arguments.wrong_value("congestion", value, right)
    _need("congestion", "TCP_CONGESTION")
    return name.encode()


def _need(option: str, constant: str) -> None:
    """Refuse an option that the system does not have."""
    if not hasattr(_socket, constant):
        number = errno.ENOTSUP
        error = OSError(number, f'this system has no option for the "{option}" argument')
        raise coded(error, "ERR_FEATURE_UNAVAILABLE_ON_PLATFORM", syscall="setsockopt")


# One value between all the connections of a server.
_BEGINNINGS: dict[bool, Settings] = {each: (("no_delay", each),) for each in (False, True)}


def begin(wire: Transport, no_delay: bool, inherited: bool) -> Settings:
    """Set a connection up that a server has accepted; gives the settings that it has.

    :param no_delay: that of the server.
    :param inherited: whether it has ``TCP_NODELAY`` from the listening socket.
    """
    settings = _BEGINNINGS[no_delay]
    if not (no_delay and inherited):
        apply(wire, settings)
    return settings


def type_of_service(wire: Transport) -> int:
    """The connection's ``IP_TOS`` or ``IPV6_TCLASS``."""
    return int(wire.option(*_tos_option(wire)))


def _tos_option(wire: Transport) -> tuple[int, int]:
    if wire.family == _socket.AF_INET6:
        return _socket.IPPROTO_IPV6, _socket.IPV6_TCLASS
    return _socket.IPPROTO_IP, _socket.IP_TOS


def _apply_no_delay(wire: Transport, value: bool) -> None:
    wire.set_option(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, value)


def _apply_keep_alive(wire: Transport, value: tuple[bool, int, int | None, int | None]) -> None:
    enable, delay, interval, count = value
    wire.set_option(_socket.SOL_SOCKET, _socket.SO_KEEPALIVE, enable)
    if not enable:
        return
    if sys.platform == "win32" and not hasattr(_socket, "TCP_KEEPIDLE"):
        _apply_old_keep_alive(wire, delay, interval)
        return
    idle = getattr(_socket, "TCP_KEEPIDLE", getattr(_socket, "TCP_KEEPALIVE", None))
    if delay >= 1 and idle is not None:
        wire.set_option(_socket.IPPROTO_TCP, idle, delay)
    if count is not None:
        wire.set_option(_socket.IPPROTO_TCP, _socket.TCP_KEEPCNT, count)
    if interval is not None:
        wire.set_option(_socket.IPPROTO_TCP, _socket.TCP_KEEPINTVL, interval)


if sys.platform == "win32":
    from .stream_socket import Wire

    def _apply_old_keep_alive(wire: Transport, delay: int, interval: int | None) -> None:
        # Before version 1709 of Windows 10 it has both times, in milliseconds, or neither; the
        # probes are always ten.
        if delay >= 1:
            times = (1, delay * 1000, (interval or _SYSTEMS_INTERVAL_SECONDS) * 1000)
            # No option, and so the socket's own: a transport around it has its handle.
            sock = Wire.of(wire.fileno())
            try:
                sock.ioctl(_socket.SIO_KEEPALIVE_VALS, times)
            finally:
                sock.detach()


def _apply_tos(wire: Transport, value: int) -> None:
    wire.set_option(*_tos_option(wire), value)


def _apply_user_timeout(wire: Transport, value: int) -> None:
    wire.set_option(_socket.IPPROTO_TCP, getattr(_socket, "TCP_USER_TIMEOUT"), value)  # noqa: B009


def _apply_congestion(wire: Transport, value: bytes) -> None:
    wire.set_option(_socket.IPPROTO_TCP, getattr(_socket, "TCP_CONGESTION"), value)  # noqa: B009


_SETTERS: dict[str, Callable[[Transport, Any], None]] = {
    "congestion": _apply_congestion,
    "no_delay": _apply_no_delay,
    "keep_alive": _apply_keep_alive,
    "tos": _apply_tos,
    "user_timeout": _apply_user_timeout,
}
# Set before the connection, which fails if they cannot be.
_STRICT = frozenset(("congestion", "user_timeout"))
