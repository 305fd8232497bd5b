"""A connection that closes makes room for another."""

from __future__ import annotations

import gnet
from tests.helpers.servers import place_at, serving


def test_the_next_one_is_served() -> None:
    with serving(lambda sock: sock.pipe(sock)) as server:
        server.max_connections = 1
        for _ in range(4):
            with gnet.connect(*place_at(server)) as client:
                client.sendall(b"served")
                assert client.recv() == b"served"
                (served,) = server.connections
                client.end()
                served.wait("close")
