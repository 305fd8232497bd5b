"""The default time after which the next address is tried beside the first."""

from __future__ import annotations

import gnet


def test_the_default_attempt_timeout_is_a_quarter_of_a_second() -> None:
    assert gnet.get_default_auto_select_family_attempt_timeout() == 0.25


def test_family_selection_is_on_by_default() -> None:
    assert gnet.get_default_auto_select_family() is True
