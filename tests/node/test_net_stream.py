"""A writer whose reader leaves in mid-stream hears of it."""

from __future__ import annotations

from tests.helpers.calls import Calls
from tests.helpers.servers import pair


def test_error_and_close(must_call: Calls) -> None:
    with pair() as (client, served):
        failed, closed = must_call(), must_call()
        served.on("error", failed)
        served.on("close", closed)
        while served.write(bytes(100_000)):
            pass
        client.destroy()
        (error,) = failed.wait()
        assert error.code in ("ECONNRESET", "EPIPE")
        assert closed.wait() == (True,)
