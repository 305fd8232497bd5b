"""connect() refuses options that it does not have, and values of the wrong kind."""

from __future__ import annotations

from typing import Any

import pytest

import gnet


@pytest.mark.parametrize("name", ["object_mode", "readable_object_mode", "noDelay"])
def test_an_unknown_option_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(TypeError, match=name):
        gnet.create_connection(8080, **{name: True})


@pytest.mark.parametrize("host", [["192.168.0.1"], 1, b"localhost", {}])
def test_a_host_of_the_wrong_kind_is_refused(host: Any) -> None:
    with pytest.raises(TypeError) as caught:
        gnet.create_connection(8080, host)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"


def test_host_before_port_shows_both_right_forms() -> None:
    with pytest.raises(TypeError) as caught:
        gnet.create_connection("localhost", 8080)
    message = str(caught.value)
    assert "8080, 'localhost'" in message
    assert "('localhost', 8080)" in message
