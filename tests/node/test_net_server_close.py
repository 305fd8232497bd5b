"""close() lets the connections go on."""

from __future__ import annotations

from tests.helpers.calls import Calls
from tests.helpers.servers import pair


def test_close_comes_after_the_last_connection(must_call: Calls) -> None:
    order: list[str] = []
    with pair() as (client, served):
        server = served.server
        assert server.close(must_call(lambda error: order.append("callback"))) is server
        server.on("close", lambda: order.append("close"))
        served.on("close", lambda had_error: order.append("connection"))
        client.sendall(b"still open")
        assert served.recv() == b"still open"
        client.close()
        served.close()
        server.wait("close")
    must_call.wait()
    assert order[0] == "connection"
    assert sorted(order[1:]) == ["callback", "close"]
