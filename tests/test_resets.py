"""The short form of the resets; ``python -m tests.resets`` is the long one."""

from __future__ import annotations

import pytest

from tests import resets, soak
from tests.helpers.windows import needs_resets


@pytest.mark.limit(60)
def test_connections_that_reset_at_random_moments_cost_nothing() -> None:
    needs_resets()
    resets.run(100, seed=1)
    before = soak.counts()
    done = resets.run(1000)
    assert done.moments.total() == 1000
    assert done.accepted > 300
    assert done.answers == 2
    assert done.complaints == ""
    assert all(done.left[name] <= before[name] for name in before), (before, done.left)
