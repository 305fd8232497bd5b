"""A server's keep_alive options are set on what it accepts."""

from __future__ import annotations

import socket

import gnet
from tests.helpers.servers import place_at, serving


def test_accepted_sockets_are_kept_alive() -> None:
    with serving(keep_alive=True, keep_alive_initial_delay=7) as server:
        client = gnet.connect(*place_at(server))
        (served,) = server.wait("connection")
        assert served.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 7
        client.destroy()


def test_without_the_option_they_are_not() -> None:
    with serving() as server:
        client = gnet.connect(*place_at(server))
        (served,) = server.wait("connection")
        assert served.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
        client.destroy()
