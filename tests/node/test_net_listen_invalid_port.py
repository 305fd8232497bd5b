"""A port that is none is refused, whatever the form of listen()."""

from __future__ import annotations

from typing import Any

import pytest

import gnet
from tests.helpers.calls import Call


@pytest.mark.parametrize("port", [2**32 - 1, 65536, -1, "4294967295"])
def test_a_number_out_of_range(port: Any, must_not_call: Call) -> None:
    for args, options in (
        ((port,), {}),
        ((port, "127.0.0.1"), {}),
        ((("127.0.0.1", port),), {}),
        ((), {"port": port}),
        ((), {"port": port, "host": "127.0.0.1"}),
    ):
        server = gnet.create_server()
        with pytest.raises(ValueError) as caught:
            server.listen(*args, listening_listener=must_not_call("'listening'"), **options)
        assert caught.value.code == "ERR_SOCKET_BAD_PORT"
        assert str(port) in str(caught.value)
        assert not server.listening


def test_port_0_is_one_of_the_systems_choice() -> None:
    with gnet.create_server().listen(0) as server:
        assert server.address().port > 0
