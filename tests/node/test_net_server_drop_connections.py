"""Connections above max_connections are dropped, and 'drop' says which."""

from __future__ import annotations

from collections.abc import Callable

import gnet
from tests.helpers.calls import Call, Calls
from tests.helpers.servers import place_at, serving


def test_drop_names_both_ends(must_call: Calls) -> None:
    with serving(must_call(lambda sock: sock.resume())) as server:
        server.max_connections = 1
        dropped = must_call()
        server.on("drop", dropped)
        with gnet.connect(*place_at(server)), gnet.connect(*place_at(server)) as second:
            assert second.recv() == b""
            (info,) = dropped.wait()
            assert (info.local_address, info.local_port) == ("127.0.0.1", server.address().port)
            assert (info.remote_address, info.remote_port) == ("127.0.0.1", second.local_port)
            assert info.local_family == info.remote_family == "IPv4"


def test_zero_drops_all(must_call: Calls, must_not_call: Callable[..., Call]) -> None:
    with serving(must_not_call()) as server:
        server.max_connections = 0
        server.on("drop", must_call())
        with gnet.connect(*place_at(server)) as client:
            assert client.recv() == b""
        must_call.wait()
