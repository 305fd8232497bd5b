"""In 'end' a socket is not destroyed yet."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving


def test_a_socket_is_still_whole_at_its_end(must_call: Calls) -> None:
    states: list[bool] = []
    with serving(lambda sock: sock.resume()) as server:
        client = gnet.connect(*place_at(server))
        client.on("connect", must_call(lambda: client.end()))
        client.on("end", must_call(lambda: states.append(client.destroyed)))
        client.resume()
        client.wait("close")
    assert states == [False]
    assert client.destroyed
