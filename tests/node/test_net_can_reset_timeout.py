"""The idle timeout begins anew with activity, also from its own listener."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving


def test_a_write_in_the_timeout_listener_is_activity(must_call: Calls) -> None:
    def accepted(sock: gnet.Socket) -> None:
        sock.set_timeout(0.1)
        sock.resume()
        sock.once("timeout", must_call(lambda: sock.write("still there?")))
        sock.on("end", must_call())

    with serving(must_call(accepted)) as server:
        client = gnet.connect(*place_at(server))
        client.on("data", lambda chunk: client.end())
        client.wait("close")
        must_call.wait()


def test_the_timeout_fires_again_after_the_write() -> None:
    def accepted(sock: gnet.Socket) -> None:
        sock.set_timeout(0.02)
        sock.on("timeout", lambda: sock.write(b"."))

    with serving(accepted) as server, gnet.connect(*place_at(server)) as client:
        for _ in range(3):
            assert client.recv() == b"."
