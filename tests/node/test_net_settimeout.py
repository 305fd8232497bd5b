"""A timeout that is switched off again never fires."""

from __future__ import annotations

from collections.abc import Callable

from tests.helpers.calls import Call
from tests.helpers.servers import pair


def test_zero_after_a_timeout(must_not_call: Callable[..., Call]) -> None:
    with pair() as (client, served):
        fires = must_not_call()
        client.set_timeout(0.02, fires)
        client.set_timeout(0, fires)
        # Another socket's, which is longer, has fired when the first one's would have.
        served.set_timeout(0.05)
        served.wait("timeout")
        assert client.timeout is None
        assert client.listener_count("timeout") == 0
