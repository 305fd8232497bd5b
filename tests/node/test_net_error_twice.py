"""However many writes fail, the error comes once."""

from __future__ import annotations

from typing import Any

from tests.helpers.calls import Calls
from tests.helpers.servers import raw_peer, send_reset

MANY = 10 * 1024 * 1024


def test_a_peer_that_has_gone_is_one_error(must_call: Calls) -> None:
    failed, closed = must_call(), must_call()
    with raw_peer() as (sock, peer):
        results: list[Any] = []
        sock.on("error", failed)
        sock.on("close", closed)
        for _ in range(3):
            sock.write(bytes(MANY), callback=lambda *args: results.append(args))
        send_reset(peer)

        assert closed.wait() == (True,)

        (error,) = failed.args
        assert error.code in ("ECONNRESET", "EPIPE")
        sock.write(b"more", callback=(refused := must_call()))
        refused.wait()
        # Each write is told, and not one of them has made another 'error'.
        assert len(results) == 3
        assert all(args for args in results)
