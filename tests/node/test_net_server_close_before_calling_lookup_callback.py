"""close() right behind listen() with a name."""

from __future__ import annotations

from collections.abc import Callable

import gnet
from tests.helpers.calls import Call


def test_nothing_stays(must_not_call: Callable[..., Call]) -> None:
    server = gnet.Server()
    server.on("listening", must_not_call())
    server.listen(0, "localhost").close()
    server.wait("close")
    assert server.address() is None
