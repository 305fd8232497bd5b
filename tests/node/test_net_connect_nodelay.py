"""connect()'s no_delay."""

from __future__ import annotations

from typing import Any

import pytest

import gnet
from tests.helpers.options import no_delay
from tests.helpers.servers import place_at, serving


@pytest.mark.parametrize(
    ("value", "is_set"), [(True, True), (1, True), (False, False), (0, False)]
)
def test_no_delay_is_set_when_it_was_asked_for(value: Any, is_set: bool) -> None:
    with serving() as server, gnet.connect(*place_at(server), no_delay=value) as client:
        assert no_delay(client) is is_set


@pytest.mark.parametrize("value", ["true", "", {}, [], None, 2])
def test_what_is_no_bool_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="no_delay") as caught:
        gnet.connect(1, no_delay=value)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"
