"""A local port without a local address."""

from __future__ import annotations

import gnet
from tests.helpers.blackhole import refusing
from tests.helpers.servers import place_at, serving


def test_the_client_comes_from_the_port_it_wants() -> None:
    with serving(lambda sock: sock.end(str(sock.remote_port))) as server:
        with refusing() as (port, _):
            pass  # it is free now
        with gnet.connect(*place_at(server), local_port=port) as client:
            assert client.local_port == port
            assert client.recv() == str(port).encode()
