"""Each form of listen() calls its listener."""

from __future__ import annotations

import pytest

import gnet
from tests.helpers.calls import Calls


@pytest.mark.parametrize(
    "arguments",
    [(0,), (0, "127.0.0.1"), (0, "127.0.0.1", 10), (("127.0.0.1", 0),), ("0",)],
)
def test_with_a_listener_behind(arguments: tuple[object, ...], must_call: Calls) -> None:
    with gnet.Server() as server:
        server.on("listening", must_call())
        server.listen(*arguments)
        server.wait("listening")
        must_call.wait()
        assert server.address().port > 0


def test_by_keyword(must_call: Calls) -> None:
    with gnet.Server().listen(
        port=0, host="127.0.0.1", backlog=10, listening_listener=must_call()
    ):
        must_call.wait()
