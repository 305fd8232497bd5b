"""The connect listener is let go when it has been called."""

from __future__ import annotations

import gc
import weakref

import gnet
from tests.helpers.servers import place_at, serving


class Listener:
    def __call__(self) -> None:
        pass


def test_a_connect_listener_is_not_kept_by_its_socket() -> None:
    listener = Listener()
    kept = weakref.ref(listener)
    with serving() as server, gnet.connect(*place_at(server), listener) as client:
        client.wait("ready")
        assert kept() is not None
        del listener
        gc.collect()
        assert kept() is None
        assert client.ready_state == "open"
