"""A writer that heeds False, and a reader that pauses."""

from __future__ import annotations

from tests.helpers.servers import pair


def test_everything_arrives() -> None:
    with pair() as (client, served):
        total = 0
        client.pause()
        while served.write(b"x" * 65536):
            total += 65536
        total += 65536
        assert served.writable_need_drain
        assert client.bytes_read == 0
        received: list[int] = []
        client.on("data", lambda chunk: received.append(len(chunk)))
        client.resume()
        served.wait("drain")
        served.end()
        client.wait("end")
        assert sum(received) == total
