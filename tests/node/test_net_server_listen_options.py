"""The forms of a port that listen() takes, and those that it refuses."""

from __future__ import annotations

import pytest

import gnet
from tests.helpers.calls import Calls


@pytest.mark.parametrize("port", [0, "0", "0x0", None])
def test_any_free_port(port: object) -> None:
    with gnet.Server().listen(port=port, host="127.0.0.1") as server:
        assert server.address().port > 0


def test_no_argument_at_all() -> None:
    with gnet.Server().listen() as server:
        assert server.address().port > 0


def test_a_listener_alone(must_call: Calls) -> None:
    with gnet.Server().listen(must_call()) as server:
        server.wait("listening")
        must_call.wait()


@pytest.mark.parametrize("port", [-1, 65536, "65536", "+80", "8 0", "abc", ""])
def test_a_port_out_of_range(port: object) -> None:
    with pytest.raises(ValueError, match="port") as caught:
        gnet.Server().listen(port=port)
    assert caught.value.code == "ERR_SOCKET_BAD_PORT"


@pytest.mark.parametrize("port", [True, False, 1.5, [], {}, b"80"])
def test_a_port_of_the_wrong_kind(port: object) -> None:
    with pytest.raises(TypeError, match="port") as caught:
        gnet.Server().listen(port=port)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"
