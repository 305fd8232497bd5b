"""A reset that is followed by destroy() still resets."""

from __future__ import annotations

import gnet
from gnet.errors import StreamDestroyedError
from tests.helpers.calls import Call, Calls
from tests.helpers.servers import place_at, serving


def test_the_peer_is_reset_and_a_later_write_is_told(
    must_call: Calls, must_not_call: Call
) -> None:
    reset, told = must_call(), must_call()

    def connected() -> None:
        assert client.reset_and_destroy().destroy() is client
        client.on("error", must_not_call("'error'"))
        client.write(b"too late", callback=told)

    with serving(must_call(lambda sock: sock.on("error", reset))) as server:
        client = gnet.connect(*place_at(server), must_call(connected))
        (refused,) = told.wait()
        (error,) = reset.wait()

    assert isinstance(refused, StreamDestroyedError)
    assert refused.code == "ERR_STREAM_DESTROYED"
    assert refused.strerror == "Cannot call write after a stream was destroyed"
    assert isinstance(error, ConnectionResetError)
    assert error.code == "ECONNRESET"
    assert error.strerror == "read ECONNRESET"
