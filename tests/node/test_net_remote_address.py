"""The remote address is known from 'connect' on."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving


def test_there_is_none_while_connecting(must_call: Calls) -> None:
    with serving(lambda sock: sock.end()) as server:
        client = gnet.connect(*place_at(server))
        assert client.connecting
        assert client.remote_address is None
        seen: list[str | None] = []
        client.on("connect", must_call(lambda: seen.append(client.remote_address)))
        client.on("end", must_call(lambda: seen.append(client.remote_address)))
        client.resume()
        client.wait("close")
    assert seen == ["127.0.0.1", "127.0.0.1"]
