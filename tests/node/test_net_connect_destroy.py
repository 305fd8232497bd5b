"""destroy() of a socket that was never connected."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Call, Calls


def test_a_socket_that_was_never_connected_closes(must_call: Calls, must_not_call: Call) -> None:
    sock = gnet.Socket()
    closed = must_call()
    sock.on("close", closed)
    sock.on("error", must_not_call("'error'"))
    sock.destroy()
    assert closed.wait() == (False,)
    assert sock.destroyed
