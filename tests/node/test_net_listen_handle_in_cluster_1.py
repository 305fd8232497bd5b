"""A worker that listens on what its primary listens on."""

from __future__ import annotations

import sys

import pytest
from gevent import socket

from tests.helpers.clusters import cluster_of

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="descriptors cannot be passed on"),
    pytest.mark.limit(40),
]


def test_the_primary_gives_a_worker_its_listening_descriptor() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    # From now on it is the cluster's.
    fd = listener.detach()
    code = f"""
    def main():
        server = gnet.create_server(lambda sock: sock.end(PID))
        server.listen(fd={fd})
        cluster.worker.send(server.address())
    """
    with cluster_of(1, code) as group:
        _, said = group.next("message")
        assert said == [address[0], "IPv4", address[1]]
        with socket.create_connection(address) as client:
            assert client.makefile().read() in group.pids
