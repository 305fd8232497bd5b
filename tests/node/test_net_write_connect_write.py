"""Writes before and after the connection keep their order."""

from __future__ import annotations

import gnet
from tests.helpers.servers import place_at, serving


def test_the_order() -> None:
    with serving() as server:
        client = gnet.connect(*place_at(server))
        client.write(b"before ")
        client.wait("connect")
        client.end(b"after")
        (served,) = server.connections
        assert b"".join(served) == b"before after"
        client.destroy()
