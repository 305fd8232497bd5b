"""reset_and_destroy() of a socket that has no connection."""

from __future__ import annotations

from pathlib import Path

import pytest

import gnet
from gnet.errors import HandleTypeError, SocketClosedError
from tests.helpers.calls import Calls
from tests.helpers.servers import pair, place_of


def test_a_socket_that_is_not_connected_has_nothing_to_reset(must_call: Calls) -> None:
    sock = gnet.Socket()
    failed, closed = must_call(), must_call()
    assert sock.reset_and_destroy() is sock
    sock.on("error", failed)
    sock.on("close", closed)

    (error,) = failed.wait()

    assert isinstance(error, SocketClosedError)
    assert error.code == "ERR_SOCKET_CLOSED"
    assert closed.wait() == (True,)


def test_a_unix_socket_cannot_be_reset(tmp_path: Path) -> None:
    with pair(place_of("unix", tmp_path)) as (client, _):
        with pytest.raises(HandleTypeError) as caught:
            client.reset_and_destroy()
        assert caught.value.code == "ERR_INVALID_HANDLE_TYPE"
