"""The counters are those of one connection: connect() again begins them anew."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving


def test_two_connections_of_one_socket_are_counted_apart(must_call: Calls) -> None:
    read: list[int] = []
    written: list[int] = []

    def accepted(sock: gnet.Socket) -> None:
        sock.resume()
        sock.on("end", lambda: read.append(sock.bytes_read))

    def connected() -> None:
        client.write("foo", callback=lambda error: client.end("bar"))

    def closed(had_error: bool) -> None:
        if len(written) < 2:
            client.connect(*place_at(server))

    with serving(must_call(accepted, times=2)) as server:
        client = gnet.connect(*place_at(server))
        client.on("connect", must_call(connected, times=2))
        client.on("finish", must_call(lambda: written.append(client.bytes_written), times=2))
        client.on("close", must_call(closed, times=2))
        must_call.wait()

    assert read == [6, 6]
    assert written == [6, 6]
