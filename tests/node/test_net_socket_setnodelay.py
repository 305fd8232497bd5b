"""set_no_delay() before and after the connection."""

from __future__ import annotations

import socket

import gnet
from tests.helpers.servers import LOOPBACK, pair, place_at, serving


def no_delay(sock: gnet.Socket) -> bool:
    return bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


def test_it_is_remembered_until_there_is_a_connection() -> None:
    with serving() as server:
        client = gnet.Socket()
        assert client.set_no_delay() is client
        client.connect(*place_at(server))
        client.wait("connect")
        assert no_delay(client)
        client.destroy()


def test_on_and_off() -> None:
    with pair(LOOPBACK) as (client, _):
        for wanted in (True, False, True):
            client.set_no_delay(wanted)
            assert no_delay(client) is wanted
