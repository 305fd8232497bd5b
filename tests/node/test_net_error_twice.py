"""However many writes fail, the error comes once."""

from __future__ import annotations

from tests.helpers.calls import Calls
from tests.helpers.servers import raw_peer, send_reset

MANY = 10 * 1024 * 1024


def test_a_peer_that_has_gone_is_one_error(must_call: Calls) -> None:
    failed, closed = must_call(), must_call()
    with raw_peer() as (sock, peer):
        results: list[BaseException | None] = []
        sock.on("error", failed)
        sock.on("close", closed)
        for _ in range(3):
            sock.write(bytes(MANY), callback=results.append)
        send_reset(peer)

        assert closed.wait() == (True,)

        (error,) = failed.args
        assert error.code in ("ECONNRESET", "EPIPE")
        sock.write(b"more", callback=(refused := must_call()))
        refused.wait()
        # Each write is told of it, and not one of them has made another 'error'.
        assert len(results) == 3
        assert None not in results
        assert refused.args != (None,)
