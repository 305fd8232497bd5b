"""The short form of the soak; ``python -m tests.soak`` is the long one."""

from __future__ import annotations

import pytest

from tests import soak


@pytest.mark.limit(60)
def test_clients_that_misbehave_lose_and_leak_nothing() -> None:
    soak.run(50, 0.5)
    before = soak.counts()
    done, after = soak.run(150, 3)
    assert done.outcomes["whole"] > 100
    assert not done.outcomes["WRONG"]
    assert all(after[name] <= before[name] for name in before), (before, after)
