"""A socket takes a program's own attributes, and costs no dictionary for them until then."""

from __future__ import annotations

import gc
from weakref import ref

import gnet
from tests.net.conftest import Net


def test_an_attribute_of_the_programs_own_is_kept(net: Net) -> None:
    sock, _ = net.accepted()
    sock.name = "mine"  # type: ignore[attr-defined]
    assert sock.name == "mine"  # type: ignore[attr-defined]
    assert vars(sock) == {"name": "mine"}


def test_a_socket_without_any_has_none() -> None:
    sock = gnet.Socket()
    assert vars(sock) == {}
    assert not hasattr(sock, "name")


def test_a_socket_that_refers_to_itself_is_collected() -> None:
    sock = gnet.Socket()
    sock.itself = sock  # type: ignore[attr-defined]
    seen = ref(sock)
    del sock
    gc.collect()
    assert seen() is None


def test_the_attributes_stay_when_it_dials_again(tcp: Net) -> None:
    server = tcp.server()
    sock = tcp.connect(server)
    sock.name = "mine"  # type: ignore[attr-defined]
    for _ in range(2):
        sock.wait("connect")
        sock.destroy()
        sock.wait("close")
        sock.connect(*tcp.target(server))
    assert sock.name == "mine"  # type: ignore[attr-defined]
    sock.destroy()
