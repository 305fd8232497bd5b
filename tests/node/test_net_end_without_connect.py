"""end() of a socket that has not been connected."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving


def test_its_callback_need_not_wait_for_a_connection(must_call: Calls) -> None:
    sock = gnet.Socket()
    ended = must_call()
    assert sock.end(ended) is sock
    assert not sock.writable
    assert ended.wait() == (None,)
    sock.destroy()


def test_a_connection_that_is_made_later_begins_with_the_end() -> None:
    sock = gnet.Socket().end()
    sock.wait("finish")
    with serving() as server:
        sock.connect(*place_at(server))
        (served,) = server.wait("connection")
        assert served.recv() == b""
        served.close()
        sock.resume()
        sock.wait("close")


def test_what_was_written_before_waits_for_the_connection(must_call: Calls) -> None:
    sock = gnet.Socket()
    sock.write(b"first")
    ended = must_call()
    sock.end(ended)
    with serving() as server:
        assert not ended.count
        sock.connect(*place_at(server))
        (served,) = server.wait("connection")
        assert b"".join(served) == b"first"
        ended.wait()
        sock.destroy()


def test_a_socket_that_is_destroyed_instead_says_so(must_call: Calls) -> None:
    sock = gnet.Socket()
    sock.write(b"never sent")
    ended = must_call()
    sock.end(ended)
    sock.destroy()
    (error,) = ended.wait()
    assert error.code == "ERR_SOCKET_CLOSED_BEFORE_CONNECTION"
