"""connect() needs no listener."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving


def test_a_new_socket_connects(must_call: Calls) -> None:
    with serving() as server:
        sock = gnet.Socket()
        sock.on("connect", must_call())
        assert sock.connect(*place_at(server)) is sock
        sock.wait("ready")
        must_call.wait()
        sock.destroy()
