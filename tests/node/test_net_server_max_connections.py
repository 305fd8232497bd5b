"""Of twenty clients at once ten are served, where that is the limit."""

from __future__ import annotations

import gnet
from tests.helpers.servers import closing, place_at, serving


def test_those_above_the_limit_are_closed() -> None:
    with serving(lambda sock: sock.write(b"served")) as server:
        server.max_connections = 10
        clients = [gnet.connect(*place_at(server)) for _ in range(20)]
        with closing(*clients):
            answers = [client.recv() for client in clients]
            assert answers.count(b"served") == 10
            assert answers.count(b"") == 10
            assert server.get_connections() == 10
