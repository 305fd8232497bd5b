"""run() does not wait for a server that was unref'ed."""

from __future__ import annotations

import gnet


def test_and_waits_again_after_ref() -> None:
    server = gnet.Server().listen(0, "127.0.0.1")
    server.wait("listening")
    assert server.unref() is server
    assert gnet.run(timeout=5)
    assert server.ref() is server
    assert not gnet.run(timeout=0.01)
    server.shutdown(0)
