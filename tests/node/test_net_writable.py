"""A socket can be written to in its 'end' listener."""

from __future__ import annotations

from tests.helpers.calls import Calls
from tests.helpers.servers import pair


def test_it_is_still_writable(must_call: Calls) -> None:
    with pair() as (client, served):
        seen: list[bool] = []

        def ended() -> None:
            seen.append(served.writable)
            served.write(b"answer")

        served.on("end", ended)
        client.end()
        assert b"".join(client) == b"answer"
        assert seen == [True]
