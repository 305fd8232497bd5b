"""Ten thousand writes, and their callbacks in order."""

from __future__ import annotations

from tests.helpers.servers import pair


def test_the_order() -> None:
    order: list[int] = []
    with pair() as (client, served):
        served.resume()
        for number in range(10_000):
            client.write(b"hello", lambda error, number=number: order.append(number))
        client.end()
        served.wait("end")
        client.wait("close")
    assert order == list(range(10_000))
