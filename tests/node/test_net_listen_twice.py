"""A server listens once, in a worker, too."""

from __future__ import annotations

import sys

import pytest

import gnet
from tests.helpers.calls import Calls
from tests.helpers.clusters import cluster_of


def test_the_second_listen_is_refused_and_the_first_holds(must_call: Calls) -> None:
    listening = must_call()
    with gnet.create_server().listen(0, "127.0.0.1", listening) as server:
        address = server.address()
        with pytest.raises(RuntimeError) as caught:
            server.listen(0, "127.0.0.1")
        assert caught.value.code == "ERR_SERVER_ALREADY_LISTEN"
        listening.wait()
        assert server.address() == address


@pytest.mark.skipif(sys.platform == "win32", reason="descriptors cannot be passed on")
@pytest.mark.limit(40)
def test_the_second_listen_of_a_worker_is_refused() -> None:
    code = """
    def main():
        server = gnet.create_server()
        server.on("listening", lambda: cluster.worker.send("listening"))
        server.listen(0, "127.0.0.1")
        try:
            server.listen(0, "127.0.0.1")
        except Exception as exc:
            cluster.worker.send(exc.code)
    """
    with cluster_of(1, code) as group:
        said = [value for _, value in group.all("message", 2)]
        assert sorted(said) == ["ERR_SERVER_ALREADY_LISTEN", "listening"]
        group.cluster.shutdown(0)
        assert group.none("message")
