"""Without allow_half_open a socket ends after its peer, and is destroyed only after that."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving


def test_the_peers_end_is_answered_before_the_socket_is_destroyed(must_call: Calls) -> None:
    order = []

    def note(event: str) -> None:
        order.append(event)
        assert not client.destroyed

    with serving(must_call(lambda sock: sock.end(bytes(1024)))) as server:
        client = gnet.connect(*place_at(server))
        assert client.allow_half_open is False
        client.resume()
        client.on("end", must_call(lambda: note("end")))
        client.on("finish", must_call(lambda: note("finish")))
        client.on("close", must_call(lambda had_error: order.append("close")))
        must_call.wait()
    assert order == ["end", "finish", "close"]


def test_a_socket_that_has_ended_itself_still_gets_the_peers_end(must_call: Calls) -> None:
    order = []

    def note(event: str) -> None:
        order.append(event)
        assert not client.destroyed

    with serving(must_call(lambda sock: sock.resume().end(bytes(1024)))) as server:
        client = gnet.connect(*place_at(server))
        client.resume()
        client.on("end", must_call(lambda: note("end")))
        client.on("finish", must_call(lambda: note("finish")))
        client.on("close", must_call(lambda had_error: order.append("close")))
        client.end(b"asd")
        must_call.wait()
    assert sorted(order[:2]) == ["end", "finish"]
    assert order[2:] == ["close"]
