"""'ready' follows 'connect'."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving


def test_the_order(must_call: Calls) -> None:
    order: list[str] = []
    with serving() as server:
        client = gnet.connect(*place_at(server))
        client.on("ready", must_call(lambda: order.append("ready")))
        client.on("connect", lambda: order.append("connect"))
        must_call.wait()
        client.destroy()
    assert order == ["connect", "ready"]
