"""The listening listener is called once, and then gone."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls


def test_two_rounds_leave_no_listener(must_call: Calls) -> None:
    server = gnet.Server()
    for _ in range(2):
        server.listen(0, "127.0.0.1", None, must_call())
        server.wait("listening")
        must_call.wait()
        assert server.listener_count("listening") == 0
        server.shutdown(0)
