"""A destroyed socket sends nothing."""

from __future__ import annotations

from tests.helpers.calls import Calls
from tests.helpers.servers import pair


def test_a_write_after_destroy_fails_its_callback_only(must_call: Calls) -> None:
    with pair() as (client, _):
        assert client.destroy().destroy() is client
        callback = must_call()
        assert client.write(b"too late", callback) is False
        (error,) = callback.wait()
        assert error.code == "ERR_STREAM_DESTROYED"
        client.wait("close")
