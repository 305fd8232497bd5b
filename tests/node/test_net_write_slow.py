"""Large writes to a slow reader, each with its callback."""

from __future__ import annotations

from tests.helpers.calls import Calls
from tests.helpers.servers import pair


def test_the_callbacks_come_in_order(must_call: Calls) -> None:
    order: list[int] = []
    with pair() as (client, served):
        for number in range(10):
            client.write(
                bytes(1_000_000), must_call(lambda error, number=number: order.append(number))
            )
        client.end()
        received = 0
        for chunk in served:
            received += len(chunk)
        must_call.wait()
    assert received == 10_000_000
    assert order == list(range(10))
