"""What Node's performance hooks tell of connecting, gnet.events does: one event a connection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import zope.event

import gnet
from gnet.events import ConnectionOpened
from tests.helpers.servers import place_at, place_of, serving


@pytest.mark.parametrize("transport", ["ipv4", "unix"])
def test_a_connection_that_a_client_makes_is_told_once(transport: str, tmp_path: Path) -> None:
    told: list[Any] = []
    zope.event.subscribers.append(told.append)
    with serving(lambda sock: sock.destroy(), place_of(transport, tmp_path)) as server:
        client = gnet.connect(*place_at(server))
        client.resume()
        client.wait("close")
        opened = [event for event in told if isinstance(event, ConnectionOpened)]
        assert [event.socket for event in opened] == [client]
        if transport == "ipv4":
            port, host = place_at(server)
            assert (client.remote_address, client.remote_port) == (host, port)
