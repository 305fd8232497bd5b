"""get_connections() of a server that does not listen."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls


def test_it_has_none(must_call: Calls) -> None:
    server = gnet.create_server()
    counted = must_call()
    assert server.get_connections() == 0
    server.get_connections(counted)
    assert counted.count == 0
    assert counted.wait() == (None, 0)
