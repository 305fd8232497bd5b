"""A socket made of a descriptor that is bound, and then connected."""

from __future__ import annotations

import socket
from pathlib import Path

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_of, serving


def test_a_bound_descriptor_is_the_one_that_is_connected(tmp_path: Path, must_call: Calls) -> None:
    mine = str(tmp_path / "mine")
    with serving(at=place_of("unix", tmp_path)) as server:
        bound = socket.socket(socket.AF_UNIX)
        bound.bind(mine)
        fd = bound.detach()
        with gnet.Socket(fd=fd).connect(server.address(), must_call()) as client:
            assert client.fileno() == fd
            (served,) = server.wait("connection")
            assert served.getpeername() == mine
            client.sendall(b"hello")
            assert served.recv() == b"hello"
