"""Text in hexadecimal stands for bytes."""

from __future__ import annotations

import pytest

from tests.helpers.servers import pair


def test_many_writes() -> None:
    with pair() as (client, served):
        for _ in range(500):
            client.write("00ff7a", "hex")
        client.end()
        assert b"".join(served) == b"\x00\xff\x7a" * 500


def test_what_is_no_hexadecimal() -> None:
    with pair() as (client, _), pytest.raises(ValueError, match="hex"):
        client.write("xyz", "hex")
