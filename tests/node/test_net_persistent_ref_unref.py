"""unref() and ref() before there is a connection."""

from __future__ import annotations

import gnet
from tests.helpers.servers import closing, place_at, serving


def test_unref_is_remembered_until_ref() -> None:
    with serving() as server:
        server.unref()
        sock = gnet.Socket()
        assert sock.unref() is sock
        sock.connect(*place_at(server))
        sock.resume()
        (served,) = server.wait("connection")
        served.unref()
        sock.wait("connect")
        with closing(sock):
            assert gnet.run(0.1) is True
            assert sock.ref() is sock
            assert gnet.run(0) is False


def test_ref_after_unref_holds_the_program() -> None:
    with serving() as server:
        server.unref()
        sock = gnet.Socket().unref().ref()
        sock.connect(*place_at(server))
        with closing(sock):
            assert gnet.run(0) is False
            sock.resume()
            (served,) = server.wait("connection")
            served.end()
            sock.wait("close")
            assert gnet.run(5) is True
