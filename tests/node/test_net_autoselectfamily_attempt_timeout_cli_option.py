"""A program sets the default attempt timeout once, for all its connections."""

from __future__ import annotations

import gnet
from tests.helpers.defaults import keeping_defaults


def test_the_default_attempt_timeout_can_be_set() -> None:
    with keeping_defaults():
        gnet.set_default_auto_select_family_attempt_timeout(0.123)
        assert gnet.get_default_auto_select_family_attempt_timeout() == 0.123
