"""Data of the wrong kind is refused at once, and costs nothing."""

from __future__ import annotations

import pytest

from tests.helpers.servers import pair


def test_the_connection_goes_on() -> None:
    with pair() as (client, served):
        with pytest.raises(TypeError, match="data") as caught:
            client.write(1337)
        assert caught.value.code == "ERR_INVALID_ARG_TYPE"
        client.write(b"still here")
        assert served.recv() == b"still here"
