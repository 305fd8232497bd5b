"""connect() from 'close' after a refusal, again and again."""

from __future__ import annotations

import gnet
from tests.helpers.blackhole import refusing
from tests.helpers.calls import Call, Calls

TIMES = 20


def test_each_refusal_is_an_error_and_a_close(must_call: Calls, must_not_call: Call) -> None:
    def failed(error: OSError) -> None:
        assert isinstance(error, ConnectionRefusedError)
        assert error.code == "ECONNREFUSED"

    def closed(had_error: bool) -> None:
        assert had_error
        if client_closed.count < TIMES:
            client.connect(*place)

    client_closed = must_call(closed, TIMES)
    with refusing() as place:
        client = gnet.connect(*place)
        client.on("connect", must_not_call("'connect'"))
        client.on("error", must_call(failed, TIMES))
        client.on("close", client_closed)
        client_closed.wait()
