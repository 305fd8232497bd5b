"""A timeout does not keep the program, nor an unref'ed socket."""

from __future__ import annotations

import gnet
from tests.helpers.servers import place_at, serving


def test_run_waits_for_neither() -> None:
    with serving() as server:
        client = gnet.connect(*place_at(server))
        client.wait("connect")
        (served,) = server.connections
        for each in (client, served, server):
            each.unref()
        client.set_timeout(60)
        assert gnet.run(timeout=5)
        client.destroy()
