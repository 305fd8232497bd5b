"""A write whose peer has gone fails its callback."""

from __future__ import annotations

from tests.helpers.calls import Calls
from tests.helpers.servers import pair


def test_the_callback_gets_the_error(must_call: Calls) -> None:
    with pair() as (client, served):
        served.on("error", lambda error: None)
        client.reset_and_destroy()
        served.wait("close") if served.destroyed else served.on("close", must_call())
        callback = must_call()
        served.write(b"x" * 1_000_000, callback)
        must_call.wait()
        assert isinstance(callback.args[0], OSError)
