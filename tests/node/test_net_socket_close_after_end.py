"""'close' comes after 'end', however late it is read."""

from __future__ import annotations

from tests.helpers.calls import Calls
from tests.helpers.servers import pair


def test_the_order(must_call: Calls) -> None:
    order: list[str] = []
    with pair() as (client, served):
        client.pause()
        client.on("data", lambda chunk: order.append("data"))
        client.on("end", lambda: order.append("end"))
        client.on("close", lambda had_error: order.append("close"))
        served.end(b"last words")
        served.wait("finish")
        client.resume()
        client.wait("close")
    assert order == ["data", "end", "close"]
