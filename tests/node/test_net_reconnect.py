"""connect() from 'close', again and again."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving

TIMES = 50


def test_a_client_can_be_connected_again_when_it_has_closed(must_call: Calls) -> None:
    def accepted(sock: gnet.Socket) -> None:
        sock.on("close", must_call(served_closed))
        sock.resume()
        sock.write("hello")

    def served_closed(had_error: bool) -> None:
        assert not had_error

    def got(text: str) -> None:
        # The encoding has stayed.
        assert text == "hello"
        client.end()

    def closed(had_error: bool) -> None:
        assert not had_error
        # Its counters are those of this one connection.
        assert client.bytes_read == len("hello")
        assert client.pending is True
        if client_closed.count < TIMES:
            client.connect(*place_at(server))

    with serving(must_call(accepted, TIMES)) as server:
        client = gnet.connect(*place_at(server))
        client.set_encoding("utf-8")
        client.on("connect", must_call(times=TIMES))
        client.on("data", must_call(got, TIMES))
        client.on("end", must_call(times=TIMES))
        client_closed = must_call(closed, TIMES)
        client.on("close", client_closed)
        client_closed.wait()
        must_call.wait()
