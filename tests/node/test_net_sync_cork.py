"""Small corked writes are below the mark."""

from __future__ import annotations

from tests.helpers.calls import Calls
from tests.helpers.servers import pair


def test_write_says_so(must_call: Calls) -> None:
    with pair() as (client, served):
        for _ in range(10):
            client.cork()
            assert client.write(b"x" * 100)
            assert client.write(b"y" * 100)
            client.uncork()
        client.end(must_call())
        must_call.wait()
        assert len(b"".join(served)) == 2000
