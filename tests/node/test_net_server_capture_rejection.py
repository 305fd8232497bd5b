"""What a connection listener raises is its connection's error."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving


def test_a_raising_listener_costs_its_own_connection_only(must_call: Calls) -> None:
    failed = must_call()

    def accepted(sock: gnet.Socket) -> None:
        sock.on("error", failed)
        raise ValueError("of the listener")

    with serving(accepted) as server:
        with gnet.connect(*place_at(server)) as client:
            assert client.recv() == b""
        (error,) = failed.wait()
        assert isinstance(error, ValueError)
        assert server.listening
