"""connect() needs to be told where."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import gnet


@pytest.mark.parametrize(
    "connect",
    [
        gnet.connect,
        gnet.create_connection,
        lambda: gnet.Socket().connect(),
        lambda: gnet.connect(family=4),
        lambda: gnet.Socket().connect(host="localhost"),
    ],
)
def test_connect_without_a_place_is_refused(connect: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match='"port" or "path"') as caught:
        connect()
    assert caught.value.code == "ERR_MISSING_ARGS"
