"""end() may come before the connection."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving


def test_the_end_follows_the_connection(must_call: Calls) -> None:
    with serving() as server:
        client = gnet.connect(*place_at(server))
        client.on("connect", must_call())
        assert client.end() is client
        (served,) = server.wait("connection")
        assert served.recv() == b""
        served.close()
        client.resume()
        client.wait("close")
        must_call.wait()
