"""set_no_delay() before there is a connection."""

from __future__ import annotations

import pytest

import gnet
from tests.helpers.options import no_delay
from tests.helpers.servers import place_at, serving


@pytest.mark.parametrize("wanted", [True, False])
def test_it_is_remembered(wanted: bool) -> None:
    sock = gnet.Socket()
    assert sock.set_no_delay() is sock
    sock.set_no_delay(wanted)
    with serving() as server, sock.connect(*place_at(server)):
        assert no_delay(sock) is wanted


def test_it_holds_for_the_next_connection_as_well() -> None:
    sock = gnet.Socket().set_no_delay()
    with serving() as server:
        for _ in range(2):
            sock.connect(*place_at(server)).wait("connect")
            assert no_delay(sock)
            sock.destroy()
            sock.wait("close")
