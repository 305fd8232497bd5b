"""Binding: a socket with a place of its own, which does not listen yet and is not connected."""

from __future__ import annotations

import _socket
import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import annotate, system_error
from . import unix_path
from .early_options import EarlyOptions
from .stream_socket import Wire, sockaddr

__all__ = ["bind_local", "claimed", "open_path", "open_tcp"]

# What bind() needs where only the port is given.
ANY_ADDRESS = {4: "0.0.0.0", 6: "::"}


def open_tcp(
    address: str,
    family: int,
    port: int,
    ipv6_only: bool,
    reuse_port: bool,
    early: EarlyOptions,
    syscall: str,
    *,
    alone: bool = False,
) -> Wire:
    """A socket that is bound to an IP address.

    :param family: ``4`` or ``6``.
    :param early: what is set on it before.
    :param syscall: the name of the call, for errors.
    :param alone: have no other socket bound there, one that does not listen yet included.
    :raises OSError: it cannot be bound.
    """
    if reuse_port and not hasattr(_socket, "SO_REUSEPORT"):
        raise system_error(errno.ENOTSUP, syscall, address, port)
    wire = None
    try:
        wire = Wire.open(_socket.AF_INET6 if family == 6 else _socket.AF_INET, early.mptcp)
        if not alone:
            wire.allow_restart()
        if sys.platform == "win32":
            # There SO_REUSEADDR would let two servers have one port.
            wire.setsockopt(_socket.SOL_SOCKET, _socket.SO_EXCLUSIVEADDRUSE, 1)
        elif reuse_port:
            wire.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEPORT, 1)
        if family == 6:
            # Explicitly, as the systems' defaults differ.
            wire.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, ipv6_only)
        early.apply(wire)
        _bind(wire, sockaddr(address, port), alone)
        return wire
    except BaseException as exc:
        if wire is not None:
            wire.close()
        if isinstance(exc, OSError) and not hasattr(exc, "code"):
            raise annotate(exc, syscall, address, port) from None
        raise


def _bind(wire: Wire, address: tuple[Any, ...], alone: bool) -> None:
    try:
        wire.bind(address)
    except OSError as exc:
        if not alone or exc.errno != errno.EADDRINUSE or sys.platform == "win32":
            raise
        # Connections of a former server's, that are over and not forgotten, keep it from one who
        # wants to be alone.
        wire.allow_restart()
        wire.bind(address)


def bind_local(wire: Wire, family: int, address: str | None, port: int) -> tuple[str, int] | None:
    """Bind a socket that is to be connected; gives what it is bound to, if it is.

    :param family: ``4`` or ``6``.
    :param address: the IP address; ``None`` for any.
    :param port: the port; ``0`` for any.
    :raises OSError: it cannot be bound; ``syscall`` is ``"bind"``.
    """
    if address is None and not port:
        return None
    local = (address or ANY_ADDRESS[family], port)
    try:
        wire.allow_restart()
        wire.bind(sockaddr(*local))
    except OSError as exc:
        raise annotate(exc, "bind", *local) from None
    name = wire.getsockname()
    return name[0], name[1]


@contextmanager
def claimed(path: str, replace_stale: bool, syscall: str) -> Iterator[None]:
    """:func:`unix_path.claim`, whose errors name the call."""
    try:
        with unix_path.claim(path, replace_stale):
            yield
    except OSError as exc:
        raise (exc if hasattr(exc, "code") else annotate(exc, syscall, path)) from None


def open_path(
    path: str, readable_all: bool, writable_all: bool, early: EarlyOptions, syscall: str
) -> tuple[Wire, unix_path.SocketFile | None]:
    """A Unix socket that is bound to a path, and the file that was made for it.

    The parameters are those of :func:`open_tcp` and of :meth:`gnet.Server.listen`.
    """
    if sys.platform == "win32":
        raise AssertionError("its paths are those of named pipes")
    address = unix_path.address_of(path, syscall)
    wire = file = None
    try:
        wire = Wire.open(_socket.AF_UNIX)
        early.apply(wire)
        wire.bind(address)
        file = unix_path.SocketFile.made(path)
        if file is not None:
            # Nobody can connect before listen(): there is no moment with other permissions.
            file.allow(readable_all, writable_all)
        return wire, file
    except BaseException as exc:
        if wire is not None:
            unix_path.close_bound(wire, file)
        if isinstance(exc, OSError) and not hasattr(exc, "code"):
            raise annotate(exc, syscall, path) from None
        raise
