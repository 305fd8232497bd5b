"""Writes put the timeout off."""

from __future__ import annotations

from time import monotonic

from tests.helpers.calls import Calls
from tests.helpers.servers import pair


def test_it_begins_anew_with_each(must_call: Calls) -> None:
    with pair() as (client, served):
        served.resume()
        fired = must_call()
        client.set_timeout(0.3)
        client.on("timeout", fired)
        begun = monotonic()
        for _ in range(12):
            # A tenth of the time: the other socket's timeout is the clock.
            served.set_timeout(0.03)
            served.wait("timeout")
            client.write(b"x")
        fired.wait()
        assert monotonic() - begun > 0.6
