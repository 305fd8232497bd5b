"""bytes_written counts every byte once, corked or not."""

from __future__ import annotations

from tests.helpers.servers import pair


def test_text_and_bytes_corked() -> None:
    with pair() as (client, served):
        client.cork()
        client.write("one")
        client.write(b"twotwo")
        client.write("\u00fc")
        assert client.bytes_written == 3 + 6 + 2
        client.uncork()
        client.end()
        assert b"".join(served) == "onetwotwo\u00fc".encode()
        assert client.bytes_written == 11
