"""ipv6_only keeps IPv4 clients away from "::"."""

from __future__ import annotations

from pathlib import Path

import pytest
from gevent import socket

import gnet
from tests.helpers.servers import on_one_port, place_of, raw_bound


def test_who_comes_by_ipv4_is_refused(tmp_path: Path) -> None:
    place_of("ipv6", tmp_path)
    with on_one_port(
        # Nobody else has the port on IPv4 then.
        lambda port: raw_bound((port, "127.0.0.1")),
        lambda port: gnet.create_server().listen(port, "::", ipv6_only=True),
    ) as (_, server):
        port = server.address().port
        with pytest.raises(ConnectionRefusedError) as caught, gnet.connect(port, "127.0.0.1"):
            pass
        assert caught.value.code == "ECONNREFUSED"
        with gnet.connect(port, "::1") as client:
            assert client.remote_family == "IPv6"


def test_without_it_they_are_served(tmp_path: Path) -> None:
    place_of("ipv6", tmp_path)
    if not socket.has_dualstack_ipv6():
        pytest.skip("this system has no sockets for both families")
    server = gnet.create_server(lambda sock: sock.end(sock.remote_address))
    with server.listen(0, "::"), gnet.connect(server.address().port, "127.0.0.1") as client:
        assert client.remote_family == "IPv4"
        assert client.recv() == b"::ffff:127.0.0.1"
