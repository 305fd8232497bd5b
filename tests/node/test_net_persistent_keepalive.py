"""set_keep_alive() before there is a connection."""

from __future__ import annotations

import gnet
from tests.helpers.options import keep_alive, keep_alive_delay
from tests.helpers.servers import place_at, serving


def test_it_is_remembered() -> None:
    sock = gnet.Socket()
    assert sock.set_keep_alive(True, 7.9) is sock
    with serving() as server, sock.connect(*place_at(server)):
        assert keep_alive(sock)
        assert keep_alive_delay(sock) == 7
        assert sock.ready_state == "open"


def test_the_last_call_counts() -> None:
    sock = gnet.Socket().set_keep_alive(True, 7).set_keep_alive(False)
    with serving() as server, sock.connect(*place_at(server)):
        assert not keep_alive(sock)
