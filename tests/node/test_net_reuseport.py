"""Servers that let each other have their port."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

import gnet
from tests.helpers.servers import place_of

pytestmark = pytest.mark.skipif(
    not hasattr(socket, "SO_REUSEPORT") or sys.platform == "win32",
    reason="this system has no SO_REUSEPORT",
)


@pytest.mark.parametrize(("family", "host"), [("ipv4", "127.0.0.1"), ("ipv6", "::")])
def test_two_servers_on_one_port(family: str, host: str, tmp_path: Path) -> None:
    place_of(family, tmp_path)
    with gnet.create_server().listen(0, host, reuse_port=True) as first:
        port = first.address().port
        with gnet.create_server().listen(port, host, reuse_port=True) as second:
            assert first.listening
            assert second.listening
            assert second.address() == first.address()


def test_both_have_to_want_it() -> None:
    with (
        gnet.create_server().listen(0, "127.0.0.1", reuse_port=True) as first,
        pytest.raises(OSError, match="EADDRINUSE"),
    ):
        gnet.create_server().listen(first.address().port, "127.0.0.1")
