"""A connected socket that is paused does not keep the program."""

from __future__ import annotations

import gnet
from tests.helpers.servers import closing, place_at, serving


def test_a_paused_connection_lets_the_program_end() -> None:
    with serving(lambda sock: sock.unref()) as server:
        server.unref()
        client = gnet.connect(*place_at(server))
        with closing(client):
            client.pause()
            server.wait("connection")
            client.wait("connect")
            assert gnet.run(timeout=5)
            assert client.ready_state == "open"


def test_a_connection_that_reads_keeps_the_program() -> None:
    with serving(lambda sock: sock.unref()) as server:
        server.unref()
        client = gnet.connect(*place_at(server))
        with closing(client):
            client.resume()
            server.wait("connection")
            client.wait("connect")
            assert not gnet.run(timeout=0.01)
