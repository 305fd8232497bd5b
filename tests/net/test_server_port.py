"""``server.port``: the bound port, or ``None``."""

from __future__ import annotations

from pathlib import Path

import gnet
from tests.helpers.servers import path_at, serving


def test_it_is_the_bound_port_from_listen_to_close() -> None:
    server = gnet.Server()
    assert server.port is None
    server.listen(0, "127.0.0.1")
    address = server.address()
    assert isinstance(address, gnet.AddressInfo)
    assert server.port == address.port > 0
    server.close()
    assert server.port is None


def test_a_path_has_none(tmp_path: Path) -> None:
    with serving(at=path_at(tmp_path)) as server:
        assert server.port is None


def test_it_is_what_connect_takes() -> None:
    with (
        serving(lambda sock: sock.end("hello"), (0, "127.0.0.1")) as server,
        gnet.connect(server.port, "127.0.0.1") as sock,
    ):
        assert sock.recv() == b"hello"
