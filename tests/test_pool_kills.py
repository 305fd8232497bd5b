"""The short form of the pool under kills; ``python -m tests.pool_kills`` is the long one."""

from __future__ import annotations

import pytest

from tests import pool_kills


@pytest.mark.limit(60)
def test_nobody_is_stuck_and_no_turn_is_lost() -> None:
    outcome = pool_kills.run(greenlets=200, size=5, kills=40)
    assert (outcome.stuck, outcome.lost_turns, outcome.most_connections) == (0, 0, 5)
    # Each had two turns; a kill costs two at the most, and whoever failed has had his.
    assert outcome.answered + outcome.failed >= 2 * (200 - outcome.killed)
    assert outcome.answered > 200
