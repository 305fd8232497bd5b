"""A worker that listens on a socket of its own."""

from __future__ import annotations

import sys

import pytest
from gevent import socket

from tests.helpers.clusters import cluster_of

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="descriptors cannot be passed on"),
    pytest.mark.limit(40),
]

CODE = """
def main():
    import socket
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    address = bound.getsockname()
    gnet.create_server(lambda sock: sock.end(PID)).listen(bound)
    cluster.worker.send(address)
"""


def test_a_bound_socket_is_the_workers_own() -> None:
    with cluster_of(2, CODE) as group:
        said = {str(worker.pid): tuple(address) for worker, address in group.all("message", 2)}
        assert set(said) == group.pids
        assert len(set(said.values())) == 2
        for pid, address in said.items():
            with socket.create_connection(address) as client:
                assert client.makefile().read() == pid
