"""A local end that cannot be is refused before anything is opened."""

from __future__ import annotations

from typing import Any

import pytest

import gnet


@pytest.mark.parametrize(
    ("options", "kind", "code"),
    [
        ({"local_address": "nowhere"}, ValueError, "ERR_INVALID_IP_ADDRESS"),
        ({"local_address": 127}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"local_port": "no number"}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"local_port": 65536}, ValueError, "ERR_SOCKET_BAD_PORT"),
        ({"local_port": [80]}, TypeError, "ERR_INVALID_ARG_TYPE"),
    ],
    ids=str,
)
def test_it_is_raised(options: dict[str, Any], kind: type[Exception], code: str) -> None:
    with pytest.raises(kind) as caught:
        gnet.connect(80, "localhost", **options)
    assert caught.value.code == code
    (name,) = options
    assert name in str(caught.value)
