"""What write() takes."""

from __future__ import annotations

import pytest

import gnet
from tests.helpers.servers import pair


@pytest.mark.parametrize("data", [True, False, 1, 1.0, 1j, [], {}, object()])
def test_other_kinds_are_refused(data: object) -> None:
    with pytest.raises(TypeError, match="data") as caught:
        gnet.Socket().write(data)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"


def test_none_is_refused() -> None:
    with pytest.raises(TypeError) as caught:
        gnet.Socket().write(None)
    assert caught.value.code == "ERR_STREAM_NULL_VALUES"


@pytest.mark.parametrize("data", [b"ab", bytearray(b"ab"), memoryview(b"ab"), "ab"])
def test_bytes_of_every_kind_and_text(data: object) -> None:
    with pair() as (client, served):
        client.write(data)
        assert served.recv() == b"ab"
