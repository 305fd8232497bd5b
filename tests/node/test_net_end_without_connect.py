"""end() of a socket that has not been connected."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving


def test_the_end_waits_for_the_connection(must_call: Calls) -> None:
    sock = gnet.Socket()
    ended = must_call()
    assert sock.end(ended) is sock
    assert not sock.writable
    with serving() as server:
        assert not ended.count
        sock.connect(*place_at(server))
        (served,) = server.wait("connection")
        assert served.recv() == b""
        assert ended.wait() == (None,)
        served.close()
        sock.resume()
        sock.wait("close")


def test_a_socket_that_is_destroyed_instead_says_so(must_call: Calls) -> None:
    sock = gnet.Socket()
    ended = must_call()
    sock.end(ended)
    sock.destroy()
    (error,) = ended.wait()
    assert error.code == "ERR_SOCKET_CLOSED_BEFORE_CONNECTION"
