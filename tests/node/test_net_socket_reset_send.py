"""A socket that was reset sends nothing."""

from __future__ import annotations

from tests.helpers.calls import Calls
from tests.helpers.servers import pair


def test_a_write_after_the_reset(must_call: Calls) -> None:
    with pair() as (client, served):
        served.on("error", lambda error: None)
        client.reset_and_destroy()
        callback = must_call()
        assert client.write(b"too late", callback) is False
        (error,) = callback.wait()
        assert error.code == "ERR_STREAM_DESTROYED"
