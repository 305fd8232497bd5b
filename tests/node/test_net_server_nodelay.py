"""A server's no_delay is set on what it accepts."""

from __future__ import annotations

import socket

import pytest

import gnet
from tests.helpers.servers import place_at, serving


@pytest.mark.parametrize("no_delay", [True, False])
def test_it_is_read_back_from_the_socket(no_delay: bool) -> None:
    with serving(no_delay=no_delay) as server:
        client = gnet.connect(*place_at(server))
        (served,) = server.wait("connection")
        assert bool(served.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) is no_delay
        client.destroy()
