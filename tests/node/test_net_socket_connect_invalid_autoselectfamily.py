"""auto_select_family is a bool."""

from __future__ import annotations

import pytest

import gnet


@pytest.mark.parametrize("value", ["INVALID", 2, 0.5, []])
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="auto_select_family") as caught:
        gnet.connect(8080, "example.org", auto_select_family=value)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"
