"""What is written while connecting is queued, counted once, and sent in its order."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving

FIRST, SECOND = "L'État, c'est ", "moi"
SIZE = len((FIRST + SECOND).encode())


def test_writes_before_the_connection_go_out_behind_it(must_call: Calls) -> None:
    received: list[str] = []

    def accepted(sock: gnet.Socket) -> None:
        sock.set_encoding("utf8")
        sock.on("data", received.append)
        sock.on("end", must_call())

    def written(error: BaseException | None) -> None:
        assert error is None
        assert connected.count == 1
        assert client.bytes_written == SIZE
        assert client.pending is False

    connected = must_call()
    with serving(must_call(accepted)) as server:
        client = gnet.Socket(high_water_mark=0)
        assert client.pending is True
        client.connect(*place_at(server), connected)
        assert (client.pending, client.connecting) == (True, True)
        assert client.ready_state == "opening"

        assert client.write(FIRST, callback=must_call(written)) is False
        assert client.bytes_written == len(FIRST.encode())
        client.end(SECOND)
        assert client.bytes_written == SIZE
        assert client.ready_state == "opening"

        client.on("close", must_call(lambda had_error: pending.append(client.pending)))
        pending: list[bool] = []
        must_call.wait()
    assert "".join(received) == FIRST + SECOND
    assert pending == [True]
