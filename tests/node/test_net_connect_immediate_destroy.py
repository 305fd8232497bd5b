"""destroy() in the turn of connect()."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Call
from tests.helpers.servers import place_at, serving


def test_nothing_but_close_comes_of_it(must_not_call: Call) -> None:
    with serving(must_not_call("a connection")) as server:
        place = place_at(server)
    client = gnet.connect(*place, must_not_call("'connect'"))
    client.on("error", must_not_call("'error'"))
    client.destroy()
    assert client.wait("close") == (False,)
