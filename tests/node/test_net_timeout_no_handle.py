"""A timeout of a socket without a connection."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls


def test_it_fires(must_call: Calls) -> None:
    sock = gnet.Socket()
    sock.set_timeout(0.01, must_call())
    must_call.wait()
    sock.destroy()
    sock.wait("close")
