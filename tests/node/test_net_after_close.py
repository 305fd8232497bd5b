"""The calls and properties of a closed socket do no harm."""

from __future__ import annotations

import pytest

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import place_at, serving


def test_a_closed_socket_can_still_be_asked_and_told(must_call: Calls) -> None:
    def closed(had_error: bool) -> None:
        assert not had_error
        client.set_no_delay()
        client.set_keep_alive()
        client.pause()
        client.resume()
        client.address()
        with pytest.warns(DeprecationWarning):
            assert client.buffer_size == 0
        assert client.remote_address == "127.0.0.1"
        assert client.remote_port == port
        assert client.fileno() == -1
        assert client.destroyed

    with serving(must_call(lambda sock: sock.end())) as server:
        port = server.address().port
        client = gnet.connect(*place_at(server))
        client.on("close", must_call(closed))
        must_call.wait()
