"""The block list of a server."""

from __future__ import annotations

from collections.abc import Callable

import gnet
from tests.helpers.calls import Call, Calls
from tests.helpers.servers import place_at, serving


def test_a_blocked_peer_is_dropped(must_call: Calls, must_not_call: Callable[..., Call]) -> None:
    blocked = gnet.BlockList()
    blocked.add_address("127.0.0.1")
    with serving(must_not_call(), block_list=blocked) as server:
        dropped = must_call()
        server.on("drop", dropped)
        client = gnet.connect(*place_at(server))
        client.on("error", lambda error: None)
        (info,) = dropped.wait()
        assert info.remote_address == "127.0.0.1"
        client.resume()
        client.destroy()
