"""The idle timeout after exchanges."""

from __future__ import annotations

from tests.helpers.calls import Calls
from tests.helpers.servers import pair


def test_it_fires_when_the_exchanges_are_over(must_call: Calls) -> None:
    with pair() as (client, served):
        served.pipe(served)
        client.set_timeout(0.5)
        fired = must_call()
        client.on("timeout", fired)
        for _ in range(5):
            client.sendall(b"ping")
            assert client.recv() == b"ping"
            assert fired.count == 0
        fired.wait()
