"""The properties of a socket can be looked up on its class."""

from __future__ import annotations

import inspect

import pytest

import gnet


@pytest.mark.parametrize("name", ["bytes_written", "bytes_read", "ready_state", "remote_port"])
def test_a_property_can_be_looked_up_without_a_socket(name: str) -> None:
    assert inspect.isdatadescriptor(getattr(gnet.Socket, name))


def test_a_new_socket_has_neither_read_nor_written() -> None:
    sock = gnet.Socket()
    assert (sock.bytes_written, sock.bytes_read) == (0, 0)
