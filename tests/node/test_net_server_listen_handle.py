"""listen() of what is bound already."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

import pytest

import gnet
from tests.helpers.servers import place_at


class WithFd:
    """An object with a descriptor, and nothing else."""

    def __init__(self, fd: int) -> None:
        self.fd = fd


def reachable(server: gnet.Server) -> bool:
    server.on("connection", lambda sock: sock.end(b"here"))
    with gnet.connect(*place_at(server)) as client:
        return b"".join(client) == b"here"


def test_a_bound_socket() -> None:
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    port = bound.getsockname()[1]
    with gnet.Server().listen(bound) as server:
        assert server.address().port == port
        assert reachable(server)


def test_an_object_with_a_descriptor() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with gnet.Server().listen(WithFd(bound.detach())) as server:
            assert reachable(server)


def test_the_descriptor_of_a_unix_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
        with gnet.Server().listen(fd=bound.detach()) as server:
            assert server.address() == str(tmp_path / "socket")
            assert reachable(server)


def test_another_server() -> None:
    with gnet.Server().listen(0, "127.0.0.1") as first, gnet.Server().listen(first) as second:
        assert second.address() == first.address()


def test_a_file_is_no_handle(tmp_path: Path) -> None:
    with open(tmp_path / "file", "w") as file, pytest.raises(OSError, match="EINVAL") as caught:
        gnet.Server().listen(fd=file.fileno())
    assert caught.value.errno == errno.EINVAL
