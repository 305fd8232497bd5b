"""What does not hold any more for a connection that ``ssl`` has taken over."""

from __future__ import annotations

from typing import Any

import gevent
import gevent.ssl
import pytest
from gevent import socket
from gevent.queue import Queue

import gnet
from tests.helpers.servers import place_at


def test_what_ssl_takes_over_is_no_connection_of_the_servers() -> None:
    context = gevent.ssl.SSLContext(gevent.ssl.PROTOCOL_TLS_SERVER)
    taken: Queue[Any] = Queue()

    def handle(sock: gnet.Socket) -> None:
        sock.settimeout(7)
        taken.put(context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False))

    server = gnet.create_server(handle, max_connections=1, end_on_return=True)
    server.listen(0, "127.0.0.1")
    place = "127.0.0.1", place_at(server)[0]
    clients, streams = [], []
    try:
        for _ in range(2):
            # The second one has the place of the first.
            clients.append(socket.create_connection(place, timeout=10))
            streams.append(taken.get(timeout=10))
            assert server.connections == frozenset()
        # It is kept, and is for each call.
        assert [each.gettimeout() for each in streams] == [7, 7]
        with gevent.Timeout(10):
            server.shutdown(grace=0)
        for client in clients:
            client.settimeout(0.05)
            with pytest.raises(TimeoutError):
                client.recv(1)
        assert all(each.fileno() >= 0 for each in streams)
    finally:
        server.close()
        for each in [*clients, *streams]:
            each.close()
