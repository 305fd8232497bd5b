"""What the constructor makes of a descriptor."""

from __future__ import annotations

import socket

import pytest

import gnet


@pytest.mark.parametrize(("fd", "kind"), [(-1, ValueError), ("0", TypeError), (True, TypeError)])
def test_what_is_no_descriptor(fd: object, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="fd"):
        gnet.Socket(fd=fd)


@pytest.mark.parametrize(
    ("options", "readable", "writable"),
    [
        ({}, True, True),
        ({"readable": False}, False, True),
        ({"writable": False}, True, False),
    ],
)
def test_the_sides_of_a_handle(options: dict[str, bool], readable: bool, writable: bool) -> None:
    ours, peer = socket.socketpair()
    with peer:
        sock = gnet.Socket(handle=ours, **options)
        assert (sock.readable, sock.writable) == (readable, writable)
        assert ours.fileno() == -1
        sock.destroy()
