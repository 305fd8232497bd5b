"""Both ends agree on the addresses, over several connections of one socket."""

from __future__ import annotations

import gnet
from tests.helpers.servers import place_at, serving


def test_the_ports_are_each_others() -> None:
    with serving() as server:
        client = gnet.Socket()
        for _ in range(2):
            client.connect(*place_at(server))
            (served,) = server.wait("connection")
            client.wait("connect")
            assert (client.local_address, client.local_port) == (
                served.remote_address,
                served.remote_port,
            )
            assert client.local_family == "IPv4"
            client.destroy()
            client.wait("close")
