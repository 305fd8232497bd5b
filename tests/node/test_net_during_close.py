"""What a client can be asked while it connects to a server that is closing."""

from __future__ import annotations

import gnet
from tests.helpers.servers import closing, place_at, serving


def test_there_is_no_remote_end_yet_and_asking_for_it_does_no_harm() -> None:
    with serving(lambda sock: sock.end()) as server:
        client = gnet.connect(*place_at(server))
        # It may still get in, or be refused.
        client.on("error", lambda error: None)
        with closing(client):
            server.close()
            assert client.connecting
            assert client.remote_address is None
            assert client.remote_family is None
            assert client.remote_port is None
        client.wait("close")
