"""listen() and close() in one turn."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Call, Calls


def test_a_server_that_is_closed_at_once_never_tells_of_listening(
    must_call: Calls, must_not_call: Call
) -> None:
    server = gnet.create_server(must_not_call("a connection"))
    server.on("error", must_not_call("'error'"))
    server.on("listening", must_not_call("'listening'"))
    closed = must_call()

    server.listen(0, "127.0.0.1", listening_listener=must_not_call("the listening listener"))
    server.close(closed)

    assert not server.listening
    assert server.address() is None
    closed.wait()
