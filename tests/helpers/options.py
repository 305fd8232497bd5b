"""The kernel's view of a connection."""

from __future__ import annotations

import socket

import pytest

import gnet


def no_delay(sock: gnet.Socket) -> bool:
    """Whether ``TCP_NODELAY`` is set."""
    return bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


def keep_alive(sock: gnet.Socket) -> bool:
    """Whether ``SO_KEEPALIVE`` is set."""
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))


def keep_alive_delay(sock: gnet.Socket) -> int:
    """After how many idle seconds the first probe is sent."""
    option = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))
    if option is None:
        pytest.skip("this system does not tell")
    return sock.getsockopt(socket.IPPROTO_TCP, option)
