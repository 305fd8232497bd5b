"""The short form of the restarts under load; ``python -m tests.restarts`` is the long one."""

from __future__ import annotations

import sys

import pytest

from tests import restarts


@pytest.mark.skipif(sys.platform == "win32", reason="no descriptor can be passed on")
@pytest.mark.limit(90)
@pytest.mark.parametrize("how", restarts.WAYS)
def test_a_restart_under_load_loses_no_request(how: str) -> None:
    done = restarts.run(how, restarts=2, workers=1, kept=3, fresh=2)
    assert not done.lost
    assert done.answered > 20
