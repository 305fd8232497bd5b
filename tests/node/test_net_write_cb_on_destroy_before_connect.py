"""A write that destroy() overtakes before the connection."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving


def test_its_callback_says_so(must_call: Calls) -> None:
    with serving() as server:
        client = gnet.connect(*place_at(server))
        callback = must_call()
        client.write(b"never sent", callback)
        client.destroy()
        (error,) = callback.wait()
        assert error.code == "ERR_SOCKET_CLOSED_BEFORE_CONNECTION"
        client.wait("close")
