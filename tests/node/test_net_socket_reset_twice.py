"""reset_and_destroy() inside 'error' is no second one."""

from __future__ import annotations

import gnet
from tests.helpers.calls import Calls


def test_one_close(must_call: Calls) -> None:
    sock = gnet.Socket()
    sock.on("error", must_call(lambda error: sock.reset_and_destroy()))
    sock.on("close", must_call())
    sock.destroy(OSError("of the test"))
    must_call.wait()
