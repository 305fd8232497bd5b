"""The kinds and values of a timeout."""

from __future__ import annotations

import pytest

import gnet
from tests.helpers.calls import Calls
from tests.helpers.servers import pair


@pytest.mark.parametrize("seconds", ["100", True, [], {}, b"1"])
def test_of_the_wrong_kind(seconds: object) -> None:
    with pytest.raises(TypeError, match="timeout") as caught:
        gnet.Socket().set_timeout(seconds)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"


@pytest.mark.parametrize("seconds", [-0.001, -1, float("inf"), float("nan")])
def test_out_of_range(seconds: float) -> None:
    with pytest.raises(ValueError, match="timeout") as caught:
        gnet.Socket().set_timeout(seconds)
    assert caught.value.code == "ERR_OUT_OF_RANGE"


@pytest.mark.parametrize("callback", [1, "1", {}, []])
def test_a_callback_that_cannot_be_called(callback: object) -> None:
    with pytest.raises(TypeError, match="callback"):
        gnet.Socket().set_timeout(1, callback)


def test_it_fires_while_nothing_happens(must_call: Calls) -> None:
    with pair() as (client, _):
        callback = must_call()
        assert client.set_timeout(0.01, callback) is client
        assert client.timeout == 0.01
        callback.wait()
        assert not client.destroyed
