"""A write after the peer's end has ended this side, too."""

from __future__ import annotations

from tests.helpers.calls import Calls
from tests.helpers.servers import pair


def test_it_is_refused(must_call: Calls) -> None:
    with pair() as (client, served):
        client.resume()
        served.end()
        client.wait("end")
        client.wait("finish")
        callback = must_call()
        assert client.write(b"too late", callback) is False
        (error,) = callback.wait()
        assert isinstance(error, OSError)
        assert error.code in ("EPIPE", "ERR_STREAM_WRITE_AFTER_END", "ERR_STREAM_DESTROYED")
