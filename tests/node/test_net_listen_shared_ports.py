"""Workers share a port, but not one that a worker wants for itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.helpers.clusters import cluster_of

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="descriptors cannot be passed on"),
    pytest.mark.limit(40),
]


def test_the_second_worker_gets_the_shared_place_and_not_the_exclusive_one(
    tmp_path: Path,
) -> None:
    # The path stands for a port that nobody else on this machine can have taken.
    code = f"""
    def main():
        shared = gnet.create_server()
        shared.listen(0, "127.0.0.1", exclusive=False)
        own = gnet.create_server()
        try:
            own.listen({str(tmp_path / "own")!r}, exclusive=True)
        except OSError as exc:
            outcome = exc.code
        else:
            outcome = "listening"
        cluster.worker.send([shared.address().port, outcome])
    """
    with cluster_of(1, code) as group:
        _, (first_port, first) = group.next("message")
        group.cluster.fork(1)
        _, (second_port, second) = group.next("message")
    assert first_port == second_port
    assert first == "listening"
    assert second == "EADDRINUSE"
