"""end() while connecting is kept until the connection is there; its failure comes first."""

from __future__ import annotations

import gnet
from gnet.errors import lookup_error
from tests.helpers.calls import Call, Calls
from tests.helpers.lookups import failing
from tests.helpers.servers import place_at, serving


def test_a_failed_lookup_is_the_error_of_a_socket_that_was_ended(
    must_call: Calls, must_not_call: Call
) -> None:
    mine = lookup_error("ENOTFOUND", "something.invalid")
    failed = must_call()
    client = gnet.connect(
        80, "something.invalid", must_not_call("'connect'"), lookup=must_call(failing(mine))
    )
    client.once("error", failed)
    client.on("finish", must_not_call("'finish'"))
    client.end()
    assert failed.wait() == (mine,)
    client.wait("close")


def test_a_socket_that_was_ended_early_connects_first(must_call: Calls) -> None:
    order: list[str] = []
    with serving(must_call(lambda sock: sock.resume())) as server:
        client = gnet.connect(*place_at(server))
        for event in ("connect", "finish", "close"):
            client.on(event, must_call(lambda *args, event=event: order.append(event)))
        client.end()
        must_call.wait()
    assert order == ["connect", "finish", "close"]
