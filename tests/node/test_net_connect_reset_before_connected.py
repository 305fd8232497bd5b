"""reset_and_destroy() while connecting waits for the connection; destroy() does not."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Call, Calls
from tests.helpers.servers import place_at, serving


def test_a_reset_while_connecting_resets_when_there_is_something_to_reset(
    must_call: Calls, must_not_call: Call
) -> None:
    reset = must_call()
    with serving(must_call(lambda sock: sock.on("error", reset))) as server:
        client = gnet.connect(*place_at(server), must_not_call("'connect'"))
        client.on("error", must_not_call("'error'"))
        client.reset_and_destroy()
        (error,) = reset.wait()
        client.wait("close")
    assert error.code == "ECONNRESET"


def test_destroy_does_not_wait_for_the_connection_to_reset(must_not_call: Call) -> None:
    with serving() as server:
        place = place_at(server)
    client = gnet.connect(*place, must_not_call("'connect'"))
    client.on("error", must_not_call("'error'"))
    client.reset_and_destroy()
    client.destroy()
    assert client.wait("close") == (False,)
