"""close() right behind listen() in a worker: the primary has the handle closed as well."""

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
    server = gnet.create_server()
    server.on("listening", lambda: cluster.worker.send("listening"))
    server.listen(0, "127.0.0.1")
    port = server.address().port
    server.close()
    server.wait("close")
    cluster.worker.send(port)
    cluster.worker.disconnect()
"""


def test_the_worker_ends_and_nobody_listens_any_more() -> None:
    with cluster_of(1, CODE) as group:
        worker, port = group.next("message")
        assert isinstance(port, int)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        assert group.next("exit") == (worker, 0, None)
        assert group.none("message")
