"""What is queued is what was written, whatever becomes of the buffer."""

from __future__ import annotations

from tests.helpers.servers import pair


def test_a_buffer_may_be_used_again() -> None:
    with pair() as (client, served):
        buffer = bytearray(100_000)
        for number in range(50):
            buffer[:] = bytes([number]) * len(buffer)
            client.write(buffer)
        client.end()
        expected = b"".join(bytes([number]) * 100_000 for number in range(50))
        assert b"".join(served) == expected
