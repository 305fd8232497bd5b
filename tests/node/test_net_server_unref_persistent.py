"""unref() before listen() is remembered."""

from __future__ import annotations

import gnet


def test_run_does_not_wait_for_the_server() -> None:
    server = gnet.Server().unref()
    server.listen(0, "127.0.0.1")
    server.wait("listening")
    assert gnet.run(timeout=5)
    server.shutdown(0)
