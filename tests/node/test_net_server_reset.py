"""A server may reset its connections."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving


def test_the_client_hears_of_the_reset(must_call: Calls) -> None:
    with serving(lambda sock: sock.reset_and_destroy()) as server:
        client = gnet.connect(*place_at(server))
        failed, closed = must_call(), must_call()
        client.on("error", failed)
        client.on("close", closed)
        (error,) = failed.wait()
        assert isinstance(error, ConnectionResetError)
        assert error.code == "ECONNRESET"
        assert closed.wait() == (True,)
