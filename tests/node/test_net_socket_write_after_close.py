"""A write after close()."""

from __future__ import annotations

import pytest

from tests.helpers.calls import Calls
from tests.helpers.servers import pair


def test_a_blocking_write_raises_and_an_event_style_one_tells_its_callback(
    must_call: Calls,
) -> None:
    with pair() as (client, served):
        served.resume()
        client.close()
        with pytest.raises(OSError, match="E|write|closed"):
            client.sendall(b"too late")
        client.wait("close")
        callback = must_call()
        assert client.write(b"too late", callback) is False
        (error,) = callback.wait()
        assert error.code == "ERR_STREAM_DESTROYED"
