"""connecting is true from connect() to 'connect'."""

from __future__ import annotations

import gnet
from tests.helpers.servers import place_at, serving


def test_it_turns_with_the_event() -> None:
    with serving() as server:
        seen: list[bool] = []
        client = gnet.connect(*place_at(server))
        assert client.connecting
        client.on("connect", lambda: seen.append(client.connecting))
        client.wait("ready")
        assert seen == [False]
        assert not client.connecting
        client.destroy()
