"""A connection that begins paused gives no data before resume()."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving


def test_the_data_comes_with_resume(must_call: Calls) -> None:
    with serving(pause_on_connect=True) as server:
        client = gnet.connect(*place_at(server))
        (served,) = server.wait("connection")
        client.sendall(b"early")
        received = must_call()
        served.on("data", received)
        assert served.is_paused()
        # A whole exchange on another connection: the paused one had its chance.
        with gnet.connect(*place_at(server)) as other:
            other.sendall(b"meanwhile")
        assert received.count == 0
        assert served.bytes_read == 0
        served.resume()
        assert received.wait() == (b"early",)
        client.destroy()


def test_without_the_option_it_comes_at_once(must_call: Calls) -> None:
    with serving() as server:
        client = gnet.connect(*place_at(server))
        (served,) = server.wait("connection")
        client.sendall(b"early")
        assert not served.is_paused()
        received = must_call()
        served.on("data", received)
        assert received.wait() == (b"early",)
        client.destroy()
