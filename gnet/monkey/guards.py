"""The methods of the socket classes that connect, held back by the block list."""

from __future__ import annotations

import _socket
from collections.abc import Callable
from typing import Any

from gevent import monkey as gevent_monkey
from gevent import socket as gevent_socket

from .._values.addresses import is_ip
from ..dns.names import idna_name
from ..errors import IPBlockedError
from .lookups import is_systems
from .settings import in_force

__all__ = ["guards"]


class Guards:
    """The methods of the socket classes that connect, held back by the block list."""

    def __init__(self) -> None:
        self._installed: list[tuple[type, str, Any]] = []

    def install(self) -> None:
        """Have the methods look at the block list first."""
        if self._installed:
            return
        for kind in _guarded_classes():
            module: Any = _socket if kind.__module__ == "socket" else gevent_socket
            for name, guard in _GUARDS.items():
                method = getattr(kind, name, None)
                if method is None:
                    # Windows' sockets have no sendmsg().
                    continue
                guarded = guard(method, module.getaddrinfo)
                guarded.__name__ = name
                guarded.__doc__ = method.__doc__
                self._installed.append((kind, name, vars(kind).get(name)))
                setattr(kind, name, guarded)

    def restore(self) -> None:
        """Have them be as they were."""
        while self._installed:
            kind, name, before = self._installed.pop()
            if before is None:
                delattr(kind, name)
            else:
                setattr(kind, name, before)


def _guarded_classes() -> list[type]:
    """The standard library's class and gevent's; a program's own may have them for bases."""
    found: Any = gevent_monkey.get_original("socket", "socket"), gevent_socket.socket
    bases = [base for each in found for base in getattr(each, "__mro__", ())]
    return list(dict.fromkeys(filter(is_systems, bases)))


guards: Guards = Guards()


def _guarded_connect(method: Any, getaddrinfo: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: Any, address: Any) -> Any:
        return method(self, _allowed(self, address, getaddrinfo))

    return guarded


def _guarded_sendto(method: Any, getaddrinfo: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: Any, *args: Any) -> Any:
        # (data, address) or (data, flags, address).
        if len(args) in (2, 3):
            args = (*args[:-1], _allowed(self, args[-1], getaddrinfo))
        return method(self, *args)

    return guarded


def _guarded_sendmsg(method: Any, getaddrinfo: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: Any, buffers: Any, *args: Any) -> Any:
        # (buffers, ancdata, flags, address)
        if len(args) == 3:
            args = (*args[:2], _allowed(self, args[2], getaddrinfo))
        return method(self, buffers, *args)

    return guarded


_GUARDS: dict[str, Callable[..., Any]] = {
    "connect": _guarded_connect,
    "connect_ex": _guarded_connect,
    # With an address they connect what is not connected: MSG_FASTOPEN, and SCTP in any case.
    "sendto": _guarded_sendto,
    "sendmsg": _guarded_sendmsg,
}


def _allowed(sock: Any, address: Any, getaddrinfo: Callable[..., Any]) -> Any:
    """The address to connect to, with a name looked up.

    :raises IPBlockedError: it is forbidden.
    """
    active = in_force()
    block_list = active.block_list if active is not None else None
    inet = sock.family in (_socket.AF_INET, _socket.AF_INET6)
    if block_list is None or not inet or not sock.type & _socket.SOCK_STREAM:
        return address
    if not isinstance(address, tuple) or len(address) < 2:
        return address
    host = address[0]
    if not isinstance(host, (str, bytes, bytearray)):
        return address
    if not isinstance(host, str) or not is_ip(host):
        # Looked up here, once: the kernel gets the very address that was looked at.
        if isinstance(host, str) and not host.isascii():
            host = idna_name(host)
        found = getaddrinfo(host, None, sock.family, _socket.SOCK_STREAM)[0][4]
        host = found[0]
        address = (host, address[1], *(address[2:] or found[2:]))
    if block_list.blocks(host):
        raise IPBlockedError(host)
    return address
