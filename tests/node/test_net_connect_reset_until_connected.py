"""A reset on the wire once both ends know of the connection."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving


def test_the_peer_gets_the_reset_and_the_socket_closes_without_an_error(
    must_call: Calls,
) -> None:
    reset, closed = must_call(), must_call()
    with serving(must_call(lambda sock: sock.on("error", reset))) as server:
        client = gnet.connect(*place_at(server))
        client.on("close", closed)
        server.wait("connection")
        client.wait("connect")
        client.reset_and_destroy()

        assert closed.wait() == (False,)
        (error,) = reset.wait()
    assert error.code == "ECONNRESET"
    assert error.syscall == "read"
