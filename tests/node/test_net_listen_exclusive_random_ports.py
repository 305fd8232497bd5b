"""Workers that want a port of their own, whichever it is."""

from __future__ import annotations

import sys

import pytest

from tests.helpers.clusters import cluster_of

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="descriptors cannot be passed on"),
    pytest.mark.limit(40),
]

CODE = """
def main():
    server = gnet.create_server()
    server.listen(0, "127.0.0.1", exclusive=True)
    cluster.worker.send(server.address().port)
"""


def test_each_worker_has_another_port() -> None:
    with cluster_of(2, CODE) as group:
        (_, first), (_, second) = group.all("message", 2)
    assert first > 0
    assert second > 0
    assert first != second
