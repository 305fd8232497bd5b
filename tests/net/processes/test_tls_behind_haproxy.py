"""TLS behind HAProxy, which tells ahead of the handshake who the client is (PROXY protocol)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import socket

import gnet
from gnet.errors import code_of
from tests.helpers.authority import client_context, server_context
from tests.helpers.servers import receive, serving

if sys.platform == "win32":
    pytest.skip("there is no HAProxy", allow_module_level=True)

from tests.net.test_proxy_protocol import LOOPBACK, haproxy

pytestmark = [
    pytest.mark.limit(30),
    pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2"]),
]


class Behind:
    """A server with TLS behind a proxy."""

    def __init__(self, server: gnet.Server) -> None:
        self.server = server
        self.accepted: list[gnet.Socket] = []
        self.failures: list[Any] = []
        self.drops: list[str] = []
        server.on("connection", self._connected)
        server.on("tls_client_error", lambda *args: self.failures.append(args))
        server.on("drop", lambda info: self.drops.append(info.reason))

    def _connected(self, sock: gnet.Socket) -> None:
        self.accepted.append(sock)
        # HAProxy resets a connection whose client has done so.
        sock.on("error", lambda error: None)
        sock.pipe(sock)


@contextmanager
def behind(directory: Path, option: str, **options: Any) -> Iterator[tuple[Behind, Any]]:
    """The server, and where the proxy's clients connect to."""
    settings = {"proxy_protocol": "require", "trusted_proxies": LOOPBACK, **options}
    with (
        serving(tls=server_context(), **settings) as server,
        haproxy(directory, server, option) as front,
    ):
        yield Behind(server), front


def connect(front: Any, **options: Any) -> gnet.Socket:
    host, port = front
    return gnet.connect(port, host, tls=client_context(), server_hostname="localhost", **options)


def test_the_client_is_the_client_and_no_byte_is_lost(directory: Path, option: str) -> None:
    data = os.urandom(1_000_000)
    with behind(directory, option) as (told, front), connect(front) as sock:
        # With the last step of the handshake.
        sender = gevent.spawn(sock.sendall, data)
        assert receive(sock, len(data)) == data
        sender.get()
        [served] = told.accepted
        assert served.encrypted
        assert served.servername == "localhost"
        assert (served.remote_address, served.remote_port) == (
            sock.local_address,
            sock.local_port,
        )
        assert (served.local_address, served.local_port) == front


def test_a_handshake_that_fails_is_the_clients(directory: Path, option: str) -> None:
    with behind(directory, option) as (told, front):
        with socket.create_connection(front, source_address=("127.0.0.9", 0)) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            while client.recv(100):
                pass
        while not told.drops:
            told.server.wait("drop")
        [(error, info)] = told.failures
        assert code_of(error) == "ERR_SSL_HTTP_REQUEST"
        assert info.remote_address == "127.0.0.9"
        assert told.drops == ["tls"]


def test_limits_are_the_clients_and_hold_in_the_handshake(directory: Path, option: str) -> None:
    with (
        behind(directory, option, max_connections_per_address=1) as (told, front),
        socket.create_connection(front, source_address=("127.0.0.9", 0)),
    ):
        # Behind the header, in the handshake.
        while not any(each.remote[0] == "127.0.0.9" for each in told.server._entrance.waiting):
            gevent.sleep(0.001)
        with socket.create_connection(front, source_address=("127.0.0.9", 0)) as second:
            assert second.recv(1) == b""
        assert told.drops == ["per_address"]
        # Another one is let in meanwhile.
        with connect(front) as sock:
            sock.sendall(b"x")
            assert sock.recv() == b"x"
        assert not told.failures
