"""The signal of listen() closes the server."""

from __future__ import annotations

import pytest
from gevent.event import Event

import gnet
from tests.helpers.calls import Calls


def test_later(must_call: Calls) -> None:
    abort = Event()
    server = gnet.Server().listen(0, "127.0.0.1", signal=abort)
    server.on("close", must_call())
    server.wait("listening")
    abort.set()
    server.wait("close")
    assert not server.listening


def test_before() -> None:
    abort = Event()
    abort.set()
    server = gnet.Server().listen(0, "127.0.0.1", signal=abort)
    server.wait("close")
    assert not server.listening


def test_of_the_wrong_kind() -> None:
    server = gnet.Server()
    with pytest.raises(TypeError, match="signal") as caught:
        server.listen(0, signal="INVALID_SIGNAL")
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"
    assert not server.listening
