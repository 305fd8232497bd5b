"""Every write before the connection has its callback, in order, after 'connect'."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving


def test_callbacks_of_early_writes_come_after_connect_in_their_order(must_call: Calls) -> None:
    order: list[str] = []

    def noting(word: str) -> object:
        return must_call(lambda *args: order.append(word))

    with serving(lambda sock: sock.resume()) as server:
        client = gnet.Socket()
        client.connect(*place_at(server))
        client.on("connect", noting("connect"))
        client.write("one", callback=noting("one"))
        client.write("two", callback=noting("two"))
        client.end("three", callback=noting("finish"))
        must_call.wait()
        client.wait("close")
    assert order == ["connect", "one", "two", "finish"]
    assert client.bytes_written == len("onetwothree")
