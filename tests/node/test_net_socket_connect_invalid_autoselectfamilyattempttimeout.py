"""The attempt timeout is above zero."""

from __future__ import annotations

import pytest

import gnet


@pytest.mark.parametrize("value", [-10, 0, -0.001])
def test_zero_and_less_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="auto_select_family_attempt_timeout") as caught:
        gnet.connect(8080, "example.org", auto_select_family_attempt_timeout=value)
    assert caught.value.code == "ERR_OUT_OF_RANGE"
    with pytest.raises(ValueError, match="value"):
        gnet.set_default_auto_select_family_attempt_timeout(value)


def test_a_very_short_one_is_raised_to_the_least() -> None:
    before = gnet.get_default_auto_select_family_attempt_timeout()
    gnet.set_default_auto_select_family_attempt_timeout(0.001)
    try:
        assert gnet.get_default_auto_select_family_attempt_timeout() == 0.01
    finally:
        gnet.set_default_auto_select_family_attempt_timeout(before)
